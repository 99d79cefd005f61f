//! The HTTP API under `/api/v1`: JSON, problems (RFC 9457), bearer tokens or a session with CSRF token.

mod abuse;
mod accounts;
mod alerts;
mod events;
pub mod export;
pub mod ip_lists;
pub mod json;
mod nodes;
mod overview;
pub mod packs;
pub(crate) mod policy;
mod proposals;
mod rules;
mod searches;
mod sinks;
mod stream;
pub mod system;

use super::app::App;
use super::auth::Permission::{
    DeployTokens, MarkEvents, ReadAudit, ReadEvents, ReadNodes, ReadPolicy, Settings, Users, WriteNodes, WritePolicy,
};
use super::packs::{MAX_DATABASE, MAX_PACK};
use super::routes::Access::{Anyone, Needs, Public};
use super::routes::{Face, Routes};
use axum::http::Method;

/// Largest list of values or ids in a call, in bytes.
const BULK_LIMIT: usize = ip_lists::IMPORT_LIMIT;

/// The routes.
pub fn routes(app: App) -> Routes {
    let routes = Routes::new(app, Face::Api);
    pack_routes(events_routes(accounts_routes(policy_routes(routes))))
        .post("/api/v1/session", Public, system::login)
        .delete("/api/v1/session", Anyone, system::logout)
        .get("/api/v1/openapi.json", Public, system::openapi)
        .get("/api/v1/me", Anyone, system::me)
        .put("/api/v1/me/password", Anyone, accounts::change_password)
        .post("/api/v1/me/second-factor", Anyone, accounts::begin_second_factor)
        .post("/api/v1/me/second-factor/confirm", Anyone, accounts::confirm_second_factor)
        .post("/api/v1/me/second-factor/recovery-codes", Anyone, accounts::renew_recovery_codes)
        .post("/api/v1/me/second-factor/remove", Anyone, accounts::remove_second_factor)
        .delete("/api/v1/users/{id}/second-factor", Needs(Users), accounts::reset_second_factor)
        .get("/api/v1/nodes", Needs(ReadNodes), nodes::list)
        .get("/api/v1/nodes/{id}", Needs(ReadNodes), nodes::get)
        .patch("/api/v1/nodes/{id}", Needs(WriteNodes), nodes::change)
        .delete("/api/v1/nodes/{id}", Needs(WriteNodes), nodes::remove)
        .get("/api/v1/groups", Needs(ReadNodes), nodes::groups)
}

fn policy_routes(routes: Routes) -> Routes {
    routes
        .get("/api/v1/rules", Needs(ReadPolicy), rules::list)
        .post("/api/v1/rules", Needs(WritePolicy), rules::create)
        .post("/api/v1/rules/check", Needs(ReadPolicy), rules::check)
        .post("/api/v1/rules/preview", Needs(ReadPolicy), proposals::preview)
        .post("/api/v1/rules/test", Needs(ReadPolicy), proposals::trial)
        .get("/api/v1/signatures/{name}", Needs(ReadPolicy), proposals::signature)
        .get("/api/v1/rules/{id}", Needs(ReadPolicy), rules::get)
        .put("/api/v1/rules/{id}", Needs(WritePolicy), rules::change)
        .delete("/api/v1/rules/{id}", Needs(WritePolicy), rules::remove)
        .get("/api/v1/rules/{id}/thresholds", Needs(ReadPolicy), abuse::thresholds)
        .get("/api/v1/ip-lists", Needs(ReadPolicy), ip_lists::list)
        .add(Method::POST, "/api/v1/ip-lists", Needs(WritePolicy), BULK_LIMIT, ip_lists::add)
        .add(Method::POST, "/api/v1/ip-lists/remove", Needs(WritePolicy), BULK_LIMIT, ip_lists::remove_many)
        .add(Method::POST, "/api/v1/ip-lists/import", Needs(WritePolicy), BULK_LIMIT, ip_lists::import)
        .get("/api/v1/ip-lists/export", Needs(ReadPolicy), ip_lists::export)
        .delete("/api/v1/ip-lists/{id}", Needs(WritePolicy), ip_lists::remove)
        .get("/api/v1/sessions", Needs(ReadEvents), abuse::sessions)
        .get("/api/v1/sessions/{session}", Needs(ReadEvents), abuse::session)
        .get("/api/v1/abuse/entries", Needs(ReadPolicy), abuse::entries)
        .get("/api/v1/abuse/exceptions", Needs(ReadPolicy), abuse::exceptions)
        .post("/api/v1/abuse/decisions", Needs(WritePolicy), abuse::decide)
        .get("/api/v1/applications", Needs(ReadPolicy), rules::applications)
        .put("/api/v1/applications/{id}", Needs(WritePolicy), rules::set_application)
        .delete("/api/v1/applications/{id}", Needs(WritePolicy), rules::remove_application)
        .get("/api/v1/policy", Needs(ReadPolicy), policy::get)
        .put("/api/v1/policy/general", Needs(WritePolicy), policy::set_general)
        .put("/api/v1/policy/groups/{group}", Needs(WritePolicy), policy::set_group)
        .get("/api/v1/policy/export", Needs(ReadPolicy), policy::export)
        .add(Method::POST, "/api/v1/policy/diff", Needs(ReadPolicy), BULK_LIMIT, policy::plan)
        .add(Method::POST, "/api/v1/policy/apply", Needs(WritePolicy), BULK_LIMIT, policy::apply)
        .get("/api/v1/policy/versions", Needs(ReadPolicy), policy::versions)
        .get("/api/v1/policy/versions/{serial}", Needs(ReadPolicy), policy::version)
        .get("/api/v1/policy/versions/{serial}/diff", Needs(ReadPolicy), policy::compare)
        .post("/api/v1/policy/versions/{serial}/rollback", Needs(WritePolicy), policy::rollback)
        .post("/api/v1/policy/rotate-key", Needs(Settings), policy::rotate_key)
}

fn accounts_routes(routes: Routes) -> Routes {
    routes
        .get("/api/v1/tokens", Needs(DeployTokens), accounts::tokens)
        .post("/api/v1/tokens", Needs(DeployTokens), accounts::create_token)
        .patch("/api/v1/tokens/{id}", Needs(DeployTokens), accounts::change_token)
        .delete("/api/v1/tokens/{id}", Needs(DeployTokens), accounts::remove_token)
        .get("/api/v1/users", Needs(Users), accounts::users)
        .post("/api/v1/users", Needs(Users), accounts::create_user)
        .get("/api/v1/users/{id}", Needs(Users), accounts::user)
        .patch("/api/v1/users/{id}", Needs(Users), accounts::change_user)
        .delete("/api/v1/users/{id}", Needs(Users), accounts::remove_user)
        .get("/api/v1/sinks", Needs(Settings), sinks::list)
        .post("/api/v1/sinks", Needs(Settings), sinks::create)
        .get("/api/v1/sinks/{id}", Needs(Settings), sinks::get)
        .put("/api/v1/sinks/{id}", Needs(Settings), sinks::change)
        .delete("/api/v1/sinks/{id}", Needs(Settings), sinks::remove)
        .post("/api/v1/sinks/{id}/test", Needs(Settings), sinks::test)
        .get("/api/v1/audit", Needs(ReadAudit), accounts::audit)
}

fn events_routes(routes: Routes) -> Routes {
    routes
        .get("/api/v1/me/searches", Needs(ReadEvents), searches::list)
        .post("/api/v1/me/searches", Needs(ReadEvents), searches::create)
        .delete("/api/v1/me/searches/{id}", Needs(ReadEvents), searches::remove)
        .get("/api/v1/attacks", Needs(ReadEvents), events::attacks)
        .get("/api/v1/attacks/export", Needs(ReadEvents), events::export_attacks)
        .get("/api/v1/attacks/{id}", Needs(ReadEvents), events::attack)
        .get("/api/v1/attacks/{id}/hits", Needs(ReadEvents), events::attack_hits)
        .put("/api/v1/attacks/{id}/mark", Needs(MarkEvents), events::mark)
        .get("/api/v1/hits", Needs(ReadEvents), events::hits)
        .get("/api/v1/hits/export", Needs(ReadEvents), events::export_hits)
        .get("/api/v1/hits/{id}", Needs(ReadEvents), events::hit)
        .get("/api/v1/hits/{id}/explain", Needs(ReadEvents), proposals::explain)
        .post("/api/v1/hits/{id}/exception", Needs(ReadPolicy), proposals::exception)
        .post("/api/v1/hits/{id}/virtual-patch", Needs(ReadPolicy), proposals::virtual_patch)
        .get("/api/v1/statistics/hits", Needs(ReadEvents), events::series)
        .get("/api/v1/statistics/top", Needs(ReadEvents), events::top)
        .get("/api/v1/statistics/traffic", Needs(ReadEvents), events::traffic)
        .get("/api/v1/statistics/sources/{ip}", Needs(ReadEvents), overview::source)
        .get("/api/v1/statistics/hosts/{host}", Needs(ReadEvents), overview::host)
        .get("/api/v1/statistics/applications/{id}", Needs(ReadEvents), overview::application)
        .get("/api/v1/statistics/blocking", Needs(ReadEvents), overview::blocking)
}

fn pack_routes(routes: Routes) -> Routes {
    routes
        .get("/api/v1/alerts", Needs(Settings), alerts::list)
        .post("/api/v1/alerts", Needs(Settings), alerts::create)
        .get("/api/v1/alerts/{id}", Needs(Settings), alerts::get)
        .put("/api/v1/alerts/{id}", Needs(Settings), alerts::change)
        .delete("/api/v1/alerts/{id}", Needs(Settings), alerts::remove)
        .post("/api/v1/alerts/{id}/test", Needs(Settings), alerts::test)
        .get("/api/v1/rule-packs", Needs(ReadPolicy), packs::list)
        .add(Method::POST, "/api/v1/rule-packs/{name}", Needs(Settings), MAX_PACK, packs::upload)
        .post("/api/v1/rule-packs/{name}/deactivate", Needs(Settings), packs::deactivate)
        .delete("/api/v1/rule-packs/{name}/versions/{version}", Needs(Settings), packs::remove)
        .get("/api/v1/rule-packs/{name}/versions/{version}/content", Needs(ReadPolicy), packs::content)
        .get("/api/v1/rule-packs/{name}/versions/{version}/diff", Needs(ReadPolicy), packs::compare)
        .post("/api/v1/rule-packs/{name}/versions/{version}/activate", Needs(Settings), packs::activate)
        .get("/api/v1/databases", Needs(ReadPolicy), packs::list)
        .add(Method::POST, "/api/v1/databases/{name}", Needs(Settings), MAX_DATABASE, packs::upload)
        .post("/api/v1/databases/{name}/deactivate", Needs(Settings), packs::deactivate)
        .delete("/api/v1/databases/{name}/versions/{version}", Needs(Settings), packs::remove)
        .get("/api/v1/databases/{name}/versions/{version}/content", Needs(ReadPolicy), packs::content)
        .post("/api/v1/databases/{name}/versions/{version}/activate", Needs(Settings), packs::activate)
        .get("/api/v1/mirrors", Needs(ReadPolicy), packs::mirrors)
        .put("/api/v1/rule-packs/{name}/mirror", Needs(Settings), packs::set_mirror)
        .delete("/api/v1/rule-packs/{name}/mirror", Needs(Settings), packs::remove_mirror)
        .put("/api/v1/databases/{name}/mirror", Needs(Settings), packs::set_mirror)
        .delete("/api/v1/databases/{name}/mirror", Needs(Settings), packs::remove_mirror)
}
