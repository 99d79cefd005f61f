//! `route_config`: which application, mode and reply a request gets by its host and path.
//!
//! Locations are chosen as by NGINX: an exact one (`=`) immediately; else the longest prefix and its nested routes; then,
//! unless that prefix is strong (`^~`) or an exact or regex location matched within it, the first regex (`~`, `~*`) in
//! order; else the prefix. Entries whose host does not match are skipped. Of entries with the same location, an exact
//! host wins over globs (longer before shorter), and those over entries without a host. Paths are compared decoded and
//! without dot segments, so that no encoding of a path avoids its route.

use super::error::PolicyError;
use super::mode::Mode;
use super::pattern::{self, PatternError};
use super::reply::ReplyTemplate;
use super::settings::{RouteSettings, Settings};
use regex::bytes::Regex;
use std::collections::HashMap;
use weir_core::model::ParserSet;

/// Deepest nesting of routes.
pub const MAX_ROUTE_DEPTH: usize = 16;

/// Settings of a route, inheritance resolved.
#[derive(Clone, Debug)]
pub struct RouteEffect {
    /// Application, where a route names one.
    pub application: Option<i64>,
    /// Local mode.
    pub mode: Mode,
    /// Number of the reply.
    pub reply: usize,
    /// Parsers switched off.
    pub parsers_off: ParserSet,
}

/// All routes, indexed.
#[derive(Debug)]
pub struct Routes {
    top: RouteEffect,
    level: RouteLevel,
}

/// Routes of one level of nesting.
#[derive(Debug, Default)]
struct RouteLevel {
    exact: HashMap<Box<[u8]>, HostIndex>,
    prefixes: HashMap<Box<[u8]>, HostIndex>,
    /// Lengths of `prefixes`, the longest first.
    lengths: Vec<usize>,
    regexes: Vec<(Regex, HostIndex)>,
    nodes: Vec<RouteNode>,
}

#[derive(Debug)]
struct RouteNode {
    effect: RouteEffect,
    strong: bool,
    level: RouteLevel,
}

/// Nodes with the same location, by host.
#[derive(Debug, Default)]
struct HostIndex {
    exact: HashMap<Box<[u8]>, usize>,
    /// Longest glob first.
    globs: Vec<(Regex, String, usize)>,
    any: Option<usize>,
}

impl HostIndex {
    /// Adds `node`; returns false if the host is already there. Like those of requests, a host has no trailing dot.
    fn add(&mut self, host: Option<&str>, node: usize) -> Result<bool, PatternError> {
        let Some(host) = host else { return Ok(self.any.replace(node).is_none()) };
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if pattern::is_literal_glob(&host) {
            return Ok(self.exact.insert(host.into_bytes().into(), node).is_none());
        }
        let known = self.globs.iter().any(|(_, glob, _)| *glob == host);
        self.globs.push((pattern::glob(&host)?, host, node));
        self.globs.sort_by_key(|(_, glob, _)| std::cmp::Reverse(glob.len()));
        Ok(!known)
    }

    fn find(&self, host: &[u8]) -> Option<usize> {
        let exact = self.exact.get(host).copied();
        let glob = || self.globs.iter().find(|(glob, ..)| glob.is_match(host)).map(|(.., node)| *node);
        exact.or_else(glob).or(self.any)
    }
}

impl Routes {
    /// Indexes the routes of `settings`; their replies are added to `replies`.
    pub fn compile(settings: &Settings, replies: &mut Vec<ReplyTemplate>, errors: &mut Vec<PolicyError>) -> Self {
        let top = RouteEffect {
            application: None,
            mode: settings.mode.unwrap_or_default(),
            reply: 0,
            parsers_off: settings.parsers_off,
        };
        let mut build = RouteBuilder { replies, errors };
        let level = build.level(&settings.routes, &top, "route_config", 0);
        Self { top, level }
    }

    /// The effect for a host (lower case, without port) and path (decoded).
    pub fn find(&self, host: &[u8], path: &[u8]) -> &RouteEffect {
        self.level.find(host, path).map_or(&self.top, |(effect, _)| effect)
    }
}

impl RouteLevel {
    /// The effect, and whether an exact or regex location matched.
    fn find(&self, host: &[u8], path: &[u8]) -> Option<(&RouteEffect, bool)> {
        if self.nodes.is_empty() {
            return None;
        }
        if let Some(node) = self.exact.get(path).and_then(|hosts| hosts.find(host)) {
            return Some((self.nodes[node].within(host, path).0, true));
        }
        let prefix = self
            .lengths
            .iter()
            .filter(|&&len| len <= path.len())
            .find_map(|&len| self.prefixes.get(&path[..len])?.find(host));
        let prefix = prefix.map(|node| &self.nodes[node]);
        let within = prefix.map(|node| node.within(host, path));
        if matches!(within, Some((_, true))) || prefix.is_some_and(|node| node.strong) {
            return within;
        }
        let regex = self.regexes.iter().filter(|(regex, _)| regex.is_match(path)).find_map(|(_, h)| h.find(host));
        regex.map(|node| (self.nodes[node].within(host, path).0, true)).or(within)
    }
}

impl RouteNode {
    /// The best match among its nested routes, or itself.
    fn within(&self, host: &[u8], path: &[u8]) -> (&RouteEffect, bool) {
        self.level.find(host, path).unwrap_or((&self.effect, false))
    }
}

/// A location as written: kind and text.
enum Location<'r> {
    Exact(&'r str),
    Prefix { text: &'r str, strong: bool },
    Regex { text: &'r str, ignore_case: bool },
}

impl<'r> Location<'r> {
    fn read(route: Option<&'r str>) -> Result<Self, String> {
        let Some(route) = route.map(str::trim) else { return Ok(Location::Prefix { text: "", strong: false }) };
        let rest = |len: usize| route[len..].trim_start();
        let location = match route {
            r if r.starts_with("~*") => Location::Regex { text: rest(2), ignore_case: true },
            r if r.starts_with('~') => Location::Regex { text: rest(1), ignore_case: false },
            r if r.starts_with("^~") => Location::Prefix { text: rest(2), strong: true },
            r if r.starts_with('=') => Location::Exact(rest(1)),
            r => Location::Prefix { text: r, strong: false },
        };
        match location {
            Location::Exact(text) | Location::Prefix { text, .. } if !text.starts_with('/') => {
                Err(format!("`{route}`: a path starts with `/` (after `=`, `^~`, or `~`, `~*` for a regex)"))
            }
            Location::Regex { text: "", .. } => Err(format!("`{route}`: the regex is missing")),
            location => Ok(location),
        }
    }
}

struct RouteBuilder<'b> {
    replies: &'b mut Vec<ReplyTemplate>,
    errors: &'b mut Vec<PolicyError>,
}

impl RouteBuilder<'_> {
    fn level(&mut self, routes: &[RouteSettings], around: &RouteEffect, at: &str, depth: usize) -> RouteLevel {
        let mut level = RouteLevel::default();
        if depth >= MAX_ROUTE_DEPTH && !routes.is_empty() {
            let message = format!("routes are nested deeper than {MAX_ROUTE_DEPTH}");
            self.errors.push(PolicyError::setting(at, message));
            return level;
        }
        for (number, route) in routes.iter().enumerate() {
            let at = format!("{at}.routes[{number}]");
            let effect = self.effect(route, around, &at);
            if let Err((key, message)) = level.place(route) {
                self.errors.push(PolicyError::setting(format!("{at}.{key}"), message));
            }
            let strong = matches!(Location::read(route.route.as_deref()), Ok(Location::Prefix { strong: true, .. }));
            let nested = self.level(&route.routes, &effect, &at, depth + 1);
            level.nodes.push(RouteNode { effect, strong, level: nested });
        }
        level.lengths = level.prefixes.keys().map(|prefix| prefix.len()).collect();
        level.lengths.sort_unstable_by(|a, b| b.cmp(a));
        level.lengths.dedup();
        level
    }

    fn effect(&mut self, route: &RouteSettings, around: &RouteEffect, at: &str) -> RouteEffect {
        let reply = match &route.reply {
            None => around.reply,
            Some(reply) => {
                self.replies.push(ReplyTemplate::compile(reply, &format!("{at}.reply"), self.errors));
                self.replies.len() - 1
            }
        };
        RouteEffect {
            application: route.application.or(around.application),
            mode: route.mode.unwrap_or(around.mode),
            reply,
            parsers_off: around.parsers_off.with(route.parsers_off),
        }
    }
}

impl RouteLevel {
    /// Indexes the node that is about to be pushed.
    fn place(&mut self, route: &RouteSettings) -> Result<(), (&'static str, String)> {
        let node = self.nodes.len();
        let in_route = |message| ("route", message);
        let hosts = match Location::read(route.route.as_deref()).map_err(in_route)? {
            Location::Exact(text) => self.exact.entry(text.as_bytes().into()).or_default(),
            Location::Prefix { text, .. } => self.prefixes.entry(text.as_bytes().into()).or_default(),
            Location::Regex { text, ignore_case } => {
                let regex = pattern::regex(text, ignore_case).map_err(|error| in_route(error.to_string()))?;
                self.regexes.push((regex, HostIndex::default()));
                &mut self.regexes.last_mut().expect("just pushed").1
            }
        };
        match hosts.add(route.host.as_deref(), node).map_err(|error| ("host", error.to_string()))? {
            true => Ok(()),
            false => Err(("route", "another route beside it has the same host and location".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(host: &str, route: &str, application: i64) -> RouteSettings {
        RouteSettings {
            host: (!host.is_empty()).then(|| host.into()),
            route: (!route.is_empty()).then(|| route.into()),
            application: Some(application),
            ..RouteSettings::default()
        }
    }

    fn compiled(routes: Vec<RouteSettings>) -> Result<Routes, Vec<PolicyError>> {
        let mut errors = Vec::new();
        let routes = Routes::compile(&Settings { routes, ..Settings::default() }, &mut Vec::new(), &mut errors);
        if errors.is_empty() { Ok(routes) } else { Err(errors) }
    }

    fn application(routes: &Routes, host: &str, path: &str) -> i64 {
        routes.find(host.as_bytes(), path.as_bytes()).application.unwrap_or(-1)
    }

    #[test]
    fn a_trailing_dot_of_a_host_makes_no_difference() {
        let routes = compiled(vec![route("Shop.example.", "", 1), route("*.api.example.", "", 2)]).unwrap();
        assert_eq!((application(&routes, "shop.example", "/"), application(&routes, "a.api.example", "/")), (1, 2));
    }

    #[test]
    fn locations_are_chosen_as_nginx_chooses_them() {
        // The example of NGINX's own documentation of `location`, then some.
        let routes = compiled(vec![
            route("", "= /", 1),
            route("", "/", 2),
            route("", "/documents/", 3),
            route("", "^~ /images/", 4),
            route("", r"~* \.(gif|jpg|jpeg)$", 5),
            route("", r"~ ^/Case", 6),
        ])
        .unwrap();
        for (path, want) in [
            ("/", 1),
            ("/index.html", 2),
            ("/documents/document.html", 3),
            ("/images/1.gif", 4),
            ("/documents/1.jpg", 5),
            ("/documents/1.JPG", 5),
            ("/Case", 6),
            ("/case", 2),
            ("/Case.gif", 5),
        ] {
            assert_eq!(application(&routes, "any", path), want, "{path}");
        }
    }

    #[test]
    fn hosts_filter_and_break_ties() {
        let routes = compiled(vec![
            route("", "/", 1),
            route("*.example.com", "/", 2),
            route("*.api.example.com", "/", 3),
            route("a.example.com", "/", 4),
            route("other.org", "", 5),
            route("other.org", "/x", 6),
        ])
        .unwrap();
        for (host, path, want) in [
            ("nowhere", "/", 1),
            ("b.example.com", "/", 2),
            ("b.api.example.com", "/", 3),
            ("a.example.com", "/", 4),
            ("other.org", "/x/y", 6),
            ("", "/", 1),
        ] {
            assert_eq!(application(&routes, host, path), want, "{host}{path}");
        }
    }

    #[test]
    fn nested_routes_inherit_and_are_found_first() {
        let mut outer = route("shop.example", "/api", 10);
        outer.mode = Some(Mode::Monitoring);
        let mut inner = route("", "~ /admin$", 11);
        inner.mode = Some(Mode::Off);
        let silent = RouteSettings { route: Some("/api/v2".into()), ..RouteSettings::default() };
        outer.routes = vec![inner, silent, route("", "= /api/exact", 12)];
        let routes = compiled(vec![outer, route("", "~ x", 20)]).unwrap();
        let found = |path: &str| routes.find(b"shop.example", path.as_bytes()).clone();
        assert_eq!((found("/api/admin").application, found("/api/admin").mode), (Some(11), Mode::Off));
        // A nested prefix yields to an outer regex, a nested regex or exact one does not.
        assert_eq!(found("/api/v2").application, Some(10));
        assert_eq!(found("/api/v2").mode, Mode::Monitoring);
        assert_eq!(found("/api/v2/x").application, Some(20));
        assert_eq!(found("/api/exact").application, Some(12));
        assert_eq!(found("/api/x/admin").application, Some(11));
        assert_eq!(routes.find(b"shop.example", b"/").mode, Mode::Block);
    }

    #[test]
    fn mistakes_are_told_all_at_once() {
        let mut deep = route("", "/", 0);
        for _ in 0..MAX_ROUTE_DEPTH {
            deep = RouteSettings { routes: vec![deep], ..route("", "/", 0) };
        }
        let errors = compiled(vec![
            route("[", "/a", 1),
            route("", "~ (", 2),
            route("", "relative", 3),
            route("", "/same", 4),
            route("", "/same", 5),
            deep,
        ])
        .unwrap_err();
        let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 5, "{text:#?}");
        assert!(text[0].starts_with("route_config.routes[0].host: a `[` without"), "{text:#?}");
        assert!(text[3].starts_with("route_config.routes[4].route: another"), "{text:#?}");
    }

    #[test]
    fn ten_thousand_routes_are_found_by_lookup() {
        let many = (0..10_000).map(|n| route(&format!("h{n}.example"), &format!("/p{}", n % 100), n)).collect();
        let routes = compiled(many).unwrap();
        assert_eq!(application(&routes, "h4242.example", "/p42/x"), 4242);
        assert_eq!(application(&routes, "h4242.example", "/p43/x"), -1);
    }
}
