//! Who may do what: users, sessions, tokens, and the check that every route passes.

pub mod caller;
mod login;
pub mod oidc;
pub mod password;
pub mod role;
pub mod second_factor;
pub mod secret;
pub mod session;
pub mod throttle;
pub mod token;
pub mod user;

pub use caller::{Caller, Credential};
pub use role::{Permission, Role};
