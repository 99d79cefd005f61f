//! What weir's integration tests and benches share.
//!
//! Only the root package's tests know the path of the program, `env!("CARGO_BIN_EXE_weir")`; they hand it over once as a
//! [`Program`]:
//!
//! ```no_run
//! use weir_testkit::Program;
//!
//! const WEIR: Program = Program("/path/of/weir");
//!
//! let node = WEIR.node(&["route_config.wallarm_mode=block"]);
//! assert_eq!(node.inspect(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n").status, 204);
//! ```
//!
//! Everything here panics with a text that explains the failure, as tests do.

pub mod control_plane;
pub mod http;
pub mod node;
mod port;
pub mod postgres;
mod process;
mod wait;

pub use control_plane::{ControlPlane, Session};
pub use http::Response;
pub use node::Node;
pub use port::free_port;
pub use process::Program;
pub use wait::{PATIENCE, eventually, skip, until};
