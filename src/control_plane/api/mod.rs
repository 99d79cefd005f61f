//! The HTTP API under `/api/v1`: JSON, problems (RFC 9457), bearer tokens or a session with CSRF token.

pub mod json;
mod system;

use super::app::App;
use super::routes::{Access, Face, Routes};

/// The routes.
pub fn routes(app: App) -> Routes {
    Routes::new(app, Face::Api)
        .post("/api/v1/session", Access::Public, system::login)
        .delete("/api/v1/session", Access::Anyone, system::logout)
        .get("/api/v1/me", Access::Anyone, system::me)
}
