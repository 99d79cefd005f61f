//! The Console's routes, each with what it asks for.

use super::pages::{
    account, alerts, attacks, audit, automatic, blocking, catalogue, dashboard, files, hit, lists, nodes, packs,
    policy, proposal, rules, searches, second_factor, sessions, settings, sinks, source, target, tokens, users,
};
use crate::app::App;
use crate::auth::Permission::{
    DeployTokens, MarkEvents, ReadAudit, ReadEvents, ReadNodes, ReadPolicy, Settings, Users, WriteNodes, WritePolicy,
};
use crate::packs::{MAX_DATABASE, MAX_PACK};
use crate::routes::Access::{Anyone, Needs, Public};
use crate::routes::{Face, Routes};
use axum::http::Method;

/// Room of a form around its file, in bytes.
const FORM: usize = 64 << 10;

/// The routes.
pub fn routes(app: App) -> Routes {
    let routes = Routes::new(app, Face::Page)
        .get("/assets/{file}", Public, files::asset)
        .get("/favicon.ico", Public, files::favicon)
        .get("/login", Public, account::login_form)
        .post("/login", Public, account::login)
        .post("/logout", Anyone, account::logout)
        .post("/theme", Anyone, account::theme)
        .get("/account", Anyone, account::account)
        .post("/account/password", Anyone, account::password)
        .post("/login/code", Public, account::login_code)
        .post("/account/second-factor", Anyone, second_factor::begin)
        .post("/account/second-factor/confirm", Anyone, second_factor::confirm)
        .post("/account/second-factor/codes", Anyone, second_factor::renew)
        .post("/account/second-factor/remove", Anyone, second_factor::remove)
        .post("/users/{id}/second-factor/reset", Needs(Users), second_factor::reset)
        .get("/", Anyone, dashboard::dashboard);
    system(of_packs(of_policy(events(routes))))
}

fn events(routes: Routes) -> Routes {
    routes
        .get("/attacks", Needs(ReadEvents), attacks::attacks)
        .get("/attacks/rows", Needs(ReadEvents), attacks::rows)
        .get("/attacks/export", Needs(ReadEvents), attacks::export)
        .post("/attacks/mark", Needs(MarkEvents), attacks::mark)
        .post("/attacks/searches", Needs(ReadEvents), searches::create)
        .post("/attacks/searches/{id}/delete", Needs(ReadEvents), searches::delete)
        .get("/attacks/{id}", Needs(ReadEvents), attacks::attack)
        .get("/sessions", Needs(ReadEvents), sessions::sessions)
        .get("/sessions/{session}", Needs(ReadEvents), sessions::session)
        .get("/hits/{id}", Needs(ReadEvents), hit::hit)
        .get("/sources/{ip}", Needs(ReadEvents), source::source)
        .get("/hosts/{host}", Needs(ReadEvents), target::host)
        .get("/applications/{id}", Needs(ReadEvents), target::application)
        .get("/blocking", Needs(ReadEvents), blocking::blocking)
        .get("/blocking/export", Needs(ReadEvents), blocking::export)
        .get("/hits/{id}/exception", Needs(WritePolicy), proposal::exception)
        .post("/hits/{id}/exception", Needs(WritePolicy), proposal::except)
        .get("/hits/{id}/patch", Needs(WritePolicy), proposal::patch)
        .post("/hits/{id}/patch", Needs(WritePolicy), proposal::apply_patch)
}

fn of_policy(routes: Routes) -> Routes {
    routes
        .get("/catalogue", Needs(ReadPolicy), catalogue::catalogue)
        .get("/catalogue/{name}", Needs(ReadPolicy), catalogue::signature)
        .get("/lists", Needs(ReadPolicy), lists::lists)
        .post("/lists/add", Needs(WritePolicy), lists::add)
        .post("/lists/remove", Needs(WritePolicy), lists::remove)
        .add(Method::POST, "/lists/import", Needs(WritePolicy), lists::IMPORT_LIMIT, lists::import)
        .get("/lists/export", Needs(ReadPolicy), lists::export)
        .get("/automatic", Needs(ReadPolicy), automatic::automatic)
        .post("/automatic/decide", Needs(WritePolicy), automatic::decide)
        .get("/rules", Needs(ReadPolicy), rules::rules)
        .get("/rules/new", Needs(WritePolicy), rules::kinds)
        .get("/rules/new/{kind}", Needs(WritePolicy), rules::new)
        .post("/rules/new/{kind}", Needs(WritePolicy), rules::create)
        .post("/rules/check/{kind}", Needs(ReadPolicy), rules::live)
        .post("/rules/preview/{kind}", Needs(ReadPolicy), rules::preview)
        .get("/rules/{id}", Needs(ReadPolicy), rules::rule)
        .post("/rules/{id}", Needs(WritePolicy), rules::change)
        .post("/rules/{id}/enable", Needs(WritePolicy), rules::enable)
        .post("/rules/{id}/disable", Needs(WritePolicy), rules::disable)
        .post("/rules/{id}/delete", Needs(WritePolicy), rules::delete)
        .get("/policy", Needs(ReadPolicy), policy::versions)
        .get("/policy/export", Needs(ReadPolicy), crate::api::policy::export)
        .get("/policy/{serial}", Needs(ReadPolicy), policy::version)
        .post("/policy/{serial}/rollback", Needs(WritePolicy), policy::rollback)
}

fn of_packs(routes: Routes) -> Routes {
    routes
        .get("/packs", Needs(ReadPolicy), packs::packs)
        .add(Method::POST, "/packs/rule-packs", Needs(Settings), MAX_PACK + FORM, packs::upload)
        .add(Method::POST, "/packs/databases", Needs(Settings), MAX_DATABASE + FORM, packs::upload)
        .post("/packs/mirrors", Needs(Settings), packs::set_mirror)
        .get("/packs/rule-packs/{name}/{version}", Needs(ReadPolicy), packs::compare)
        .post("/packs/{kind}/{name}/{version}/activate", Needs(Settings), packs::activate)
        .post("/packs/{kind}/{name}/{version}/deactivate", Needs(Settings), packs::deactivate)
        .post("/packs/{kind}/{name}/{version}/delete", Needs(Settings), packs::delete)
        .post("/packs/{kind}/{name}/unmirror", Needs(Settings), packs::unmirror)
}

fn system(routes: Routes) -> Routes {
    routes
        .get("/settings", Needs(ReadPolicy), settings::settings)
        .post("/settings/mode", Needs(WritePolicy), settings::set_mode)
        .post("/settings/applications", Needs(WritePolicy), settings::set_application)
        .post("/settings/applications/remove", Needs(WritePolicy), settings::remove_application)
        .post("/settings/sinks", Needs(Settings), sinks::create)
        .post("/settings/sinks/{id}/test", Needs(Settings), sinks::test)
        .post("/settings/sinks/{id}/enable", Needs(Settings), sinks::enable)
        .post("/settings/sinks/{id}/disable", Needs(Settings), sinks::disable)
        .post("/settings/sinks/{id}/delete", Needs(Settings), sinks::delete)
        .get("/alerts", Needs(Settings), alerts::alerts)
        .post("/alerts", Needs(Settings), alerts::create)
        .post("/alerts/{id}/test", Needs(Settings), alerts::test)
        .post("/alerts/{id}/enable", Needs(Settings), alerts::enable)
        .post("/alerts/{id}/disable", Needs(Settings), alerts::disable)
        .post("/alerts/{id}/delete", Needs(Settings), alerts::delete)
        .get("/nodes", Needs(ReadNodes), nodes::nodes)
        .post("/nodes/add", Needs(DeployTokens), nodes::add)
        .post("/nodes/{id}/remove", Needs(WriteNodes), nodes::remove)
        .get("/tokens", Needs(DeployTokens), tokens::tokens)
        .post("/tokens", Needs(DeployTokens), tokens::create)
        .post("/tokens/{id}/revoke", Needs(DeployTokens), tokens::revoke)
        .get("/users", Needs(Users), users::users)
        .post("/users", Needs(Users), users::create)
        .post("/users/{id}/role", Needs(Users), users::set_role)
        .post("/users/{id}/password", Needs(Users), users::set_password)
        .post("/users/{id}/enable", Needs(Users), users::enable)
        .post("/users/{id}/disable", Needs(Users), users::disable)
        .post("/users/{id}/delete", Needs(Users), users::delete)
        .get("/audit", Needs(ReadAudit), audit::audit)
}
