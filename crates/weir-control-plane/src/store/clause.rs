//! A [`Filter`] as conditions of SQL. Column names are fixed text; everything that was asked for is bound.

use super::facets::ANY;
use super::filter::{Filter, Mark, Span, Terms};
use super::incoming::ip_key;
use super::sql::{Sql, Value};
use super::{StoreError, ids};
use ipnet::IpNet;

/// Most values in a filter.
const MAX_TERMS: usize = 100;
/// Longest text in a filter.
const MAX_TERM: usize = 1024;

/// Which table the conditions are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// `hits h` alone.
    Hits,
    /// `hit_groups g`, and `hits h` beside it.
    Groups,
}

/// Whether `filter` stays within bounds.
pub(super) fn check(filter: &Filter) -> Result<(), StoreError> {
    let texts = [
        &filter.hosts,
        &filter.paths,
        &filter.points,
        &filter.countries,
        &filter.methods,
        &filter.request_ids,
        &filter.nodes,
        &filter.protocols,
        &filter.modes,
        &filter.actions,
        &filter.rules,
        &filter.source_types,
        &filter.texts,
    ];
    let count: usize = texts.iter().map(|terms| terms.len()).sum::<usize>()
        + filter.attack_types.len()
        + filter.ips.len()
        + filter.status_codes.len()
        + filter.applications.len()
        + filter.sizes.len()
        + filter.statuses.len()
        + filter.marks.len();
    if count > MAX_TERMS {
        return Err(StoreError::Input(format!("more than {MAX_TERMS} values: ask for fewer")));
    }
    let long = |text: &String| text.len() > MAX_TERM || text.contains('\0');
    if texts.iter().any(|terms| terms.any.iter().chain(&terms.none).any(long)) {
        return Err(StoreError::Input(format!("a value is longer than {MAX_TERM} bytes, or holds NUL")));
    }
    Ok(())
}

/// Whether anything is asked of hits, as opposed to attacks.
pub(super) fn asks_of_hits(filter: &Filter) -> bool {
    asks_of_rare(filter)
        || !(filter.paths.is_empty()
            && filter.ips.is_empty()
            && filter.countries.is_empty()
            && filter.status_codes.is_empty()
            && filter.methods.is_empty()
            && filter.applications.is_empty()
            && filter.nodes.is_empty()
            && filter.actions.is_empty())
}

/// Whether anything is asked that `hit_groups` does not hold.
pub(super) fn asks_of_rare(filter: &Filter) -> bool {
    !(filter.request_ids.is_empty()
        && filter.protocols.is_empty()
        && filter.modes.is_empty()
        && filter.rules.is_empty()
        && filter.source_types.is_empty()
        && filter.texts.is_empty()
        && filter.sizes.is_empty())
}

/// Conditions on the attack `a` itself; begins with a condition, so that more can follow with AND.
pub(super) fn attacks(sql: &mut Sql, filter: &Filter) {
    sql.push("1 = 1");
    if let Some(from) = filter.from {
        sql.push(" AND a.last_time >= ").bind(from);
    }
    if let Some(to) = filter.to {
        sql.push(" AND a.first_time < ").bind(to);
        // An attack is older than its id by what came late: less than its month.
        sql.push(" AND a.id < ").bind(ids::bound(ids::Month::of(to.clamp(0, ids::MAX_TIME)).end()));
    }
    each(sql, &filter.attack_types, |sql, attack| equal(sql, "a.attack_type", attack.code()));
    each(sql, &filter.hosts, |sql, host| glob(sql, "a.host", &host.to_ascii_lowercase()));
    each(sql, &filter.points, |sql, point| point_like(sql, "a.point", point));
    each(sql, &filter.statuses, |sql, status| equal(sql, "a.status", status.number()));
    each(sql, &filter.marks, |sql, mark| equal(sql, "a.mark", mark.map_or("", Mark::code)));
    facet(sql, filter.rules.any.iter().map(|rule| format!("r={}", like_pattern(rule))));
    facet(sql, filter.applications.any.iter().map(|application| format!("a={application}")));
    if let Some(hits) = filter.hits {
        sql.push(" AND ");
        span(sql, "a.hits", hits);
    }
    if let Some(sources) = filter.sources {
        sql.push(" AND ");
        span(sql, "a.sources", sources);
    }
}

/// The condition that an attack has such a hit by what it knows of its hits, if all that `filter` asks of them is their
/// application. It lies within the period as a whole, as any of its hits may be the one. Says whether there is one.
pub(super) fn known_by_facets(sql: &mut Sql, filter: &Filter) -> bool {
    let mut rest = filter.clone();
    let applications = std::mem::take(&mut rest.applications.any);
    if applications.is_empty() || asks_of_hits(&rest) {
        return false;
    }
    sql.push("(a.first_time >= ").bind(filter.from.unwrap_or(0));
    sql.push(" AND a.last_time < ").bind(filter.to.unwrap_or(ids::MAX_TIME)).push(" AND (");
    for (n, application) in applications.into_iter().enumerate() {
        sql.push(if n == 0 { "" } else { " OR " });
        like(sql, "a.facets", format!("% a={application} %"));
    }
    sql.push("))");
    true
}

/// Conditions on hits; begins with a condition.
pub(super) fn hits(sql: &mut Sql, filter: &Filter, scope: Scope) -> Result<(), StoreError> {
    let common = |of_hits: &'static str, of_groups: &'static str| match scope {
        Scope::Hits => of_hits,
        Scope::Groups => of_groups,
    };
    sql.push("1 = 1");
    let id = common("h.id", "g.hit");
    if let Some(from) = filter.from {
        sql.push(" AND ").push(id).push(" >= ").bind(ids::bound(from));
    }
    if let Some(to) = filter.to {
        sql.push(" AND ").push(id).push(" < ").bind(ids::bound(to));
    }
    each(sql, &filter.ips, |sql, net| network(sql, common("h.ip_key", "g.ip_key"), net));
    each(sql, &filter.countries, |sql, c| equal(sql, common("h.country", "g.country"), c.to_ascii_uppercase()));
    each(sql, &filter.status_codes, |sql, s| span(sql, common("h.status_code", "g.status_code"), *s));
    each(sql, &filter.methods, |sql, m| equal(sql, common("h.method", "g.method"), m.to_ascii_uppercase()));
    each(sql, &filter.applications, |sql, a| equal(sql, common("h.application", "g.application"), *a));
    each(sql, &filter.nodes, |sql, n| equal(sql, common("h.node", "g.node"), n.as_str()));
    each(sql, &filter.paths, |sql, p| path(sql, common("h.path", "g.path"), p));
    let blocked = common("h.blocked", "g.blocked");
    each(sql, &filter.actions, |sql, a| equal(sql, blocked, i64::from(a == "block")));
    each(sql, &filter.request_ids, |sql, id| equal(sql, "h.request_id", id.as_str()));
    each(sql, &filter.protocols, |sql, p| glob(sql, "UPPER(h.protocol)", &p.to_ascii_uppercase()));
    each(sql, &filter.modes, |sql, m| equal(sql, "h.mode", m.as_str()));
    each(sql, &filter.rules, |sql, rule| member(sql, "h.rules", rule));
    each(sql, &filter.source_types, |sql, kind| member(sql, "h.source_types", &kind.to_ascii_lowercase()));
    each(sql, &filter.texts, |sql, text| like(sql, "h.words", format!("%{}%", escaped(&text.to_lowercase()))));
    each(sql, &filter.sizes, |sql, s| span(sql, "h.size", *s));
    if scope == Scope::Hits {
        each(sql, &filter.attack_types, |sql, attack| member(sql, "h.attack_types", attack.code()));
        each(sql, &filter.hosts, |sql, host| glob(sql, "h.host", &host.to_ascii_lowercase()));
        each(sql, &filter.points, |sql, point| point_like(sql, "h.points", point));
        let of_attacks = filter.hits.is_some() || filter.sources.is_some();
        if of_attacks || !filter.statuses.is_empty() || !filter.marks.is_empty() {
            let text = "status, mark, number of hits and of sources belong to attacks: ask for attacks";
            return Err(StoreError::Input(text.into()));
        }
    }
    Ok(())
}

/// ` AND (one OR other) AND NOT (third OR fourth)`
fn each<T>(sql: &mut Sql, terms: &Terms<T>, mut one: impl FnMut(&mut Sql, &T)) {
    for (values, open) in [(&terms.any, " AND ("), (&terms.none, " AND NOT (")] {
        for (n, value) in values.iter().enumerate() {
            sql.push(if n == 0 { open } else { " OR " });
            one(sql, value);
        }
        if !values.is_empty() {
            sql.push(")");
        }
    }
}

fn equal(sql: &mut Sql, column: &'static str, value: impl Into<Value>) {
    sql.push(column).push(" = ").bind(value);
}

fn span(sql: &mut Sql, column: &'static str, span: Span) {
    let (min, max) = (span.min.unwrap_or(0), span.max.unwrap_or(u64::MAX));
    sql.push(column).push(" BETWEEN ").bind(min).push(" AND ").bind(max);
}

fn network(sql: &mut Sql, column: &'static str, net: &IpNet) {
    let (first, last) = (ip_key(net.network()), ip_key(net.broadcast()));
    if first == last {
        equal(sql, column, first);
    } else {
        sql.push(column).push(" BETWEEN ").bind(first).push(" AND ").bind(last);
    }
}

/// `*` and `?` as in shells; without them the text as a whole.
fn glob(sql: &mut Sql, column: &'static str, pattern: &str) {
    if pattern.contains(['*', '?']) {
        like(sql, column, like_pattern(pattern));
    } else {
        equal(sql, column, pattern);
    }
}

/// Like [`glob`]; what the pattern begins with is a range of the index, which engines do not derive from a pattern that
/// is bound.
fn path(sql: &mut Sql, column: &'static str, pattern: &str) {
    let begin = pattern.split(['*', '?']).next().unwrap_or_default();
    if begin == pattern || begin.is_empty() {
        return glob(sql, column, pattern);
    }
    sql.push("(").push(column).push(" >= ").bind(begin).push(" AND ");
    if let Some(end) = after_prefix(begin) {
        sql.push(column).push(" < ").bind(end).push(" AND ");
    }
    glob(sql, column, pattern);
    sql.push(")");
}

/// The text that sorts after every one that begins with `prefix`, and before all others; none if there is no such text.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // Ranges of characters leave out the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

fn like(sql: &mut Sql, column: &'static str, pattern: String) {
    sql.push(column).push(" LIKE ").bind(pattern).push(" ESCAPE '!'");
}

/// `text` as a pattern of LIKE that finds exactly it.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len() + 8), |mut out, c| {
        if matches!(c, '%' | '_' | '!') {
            out.push('!');
        }
        out.push(c);
        out
    })
}

/// The pattern of LIKE, with `!` as escape, for a glob.
fn like_pattern(glob: &str) -> String {
    let mut out = String::with_capacity(glob.len() + 8);
    for c in glob.chars() {
        match c {
            '*' => out.push('%'),
            '?' => out.push('_'),
            '%' | '_' | '!' => out.extend(['!', c]),
            c => out.push(c),
        }
    }
    out
}

/// Leaves out attacks none of whose hits has one of `words`.
fn facet(sql: &mut Sql, words: impl Iterator<Item = String>) {
    let mut words = words.peekable();
    if words.peek().is_none() {
        return;
    }
    sql.push(" AND (");
    like(sql, "a.facets", format!("% {ANY} %"));
    for word in words {
        sql.push(" OR ");
        like(sql, "a.facets", format!("% {word} %"));
    }
    sql.push(")");
}

/// One of a list between spaces.
fn member(sql: &mut Sql, column: &'static str, word: &str) {
    like(sql, column, format!("% {} %", like_pattern(word)));
}

/// A point that has a step with this tag or this name.
fn point_like(sql: &mut Sql, column: &'static str, step: &str) {
    let quoted = serde_json::to_string(step).unwrap_or_default();
    let inner = like_pattern(quoted.trim_matches('"'));
    sql.push("(");
    like(sql, column, format!("%[\"{inner}\"]%"));
    sql.push(" OR ");
    like(sql, column, format!("%[\"{inner}\",%"));
    sql.push(" OR ");
    like(sql, column, format!("%,\"{inner}\"]%"));
    sql.push(")");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_never_becomes_text() {
        let evil = "x' OR 1=1; DROP TABLE hits; --";
        let terms = || Terms { any: vec![evil.to_owned(), format!("*{evil}")], none: vec![evil.to_owned()] };
        let filter = Filter {
            hosts: terms(),
            paths: terms(),
            points: terms(),
            countries: terms(),
            methods: terms(),
            request_ids: terms(),
            nodes: terms(),
            protocols: terms(),
            modes: terms(),
            actions: terms(),
            rules: terms(),
            texts: terms(),
            ..Filter::default()
        };
        let mut sql = Sql::default();
        attacks(&mut sql, &filter);
        sql.push(" AND ");
        hits(&mut sql, &filter, Scope::Hits).unwrap();
        assert!(!sql.text().to_lowercase().contains("drop") && !sql.text().contains("1=1"), "{}", sql.text());
    }

    #[test]
    fn wildcards_of_like_are_not_those_of_globs() {
        assert_eq!(like_pattern("a%b_c!d*e?f"), "a!%b!_c!!d%e_f");
    }

    #[test]
    fn a_prefix_ends_before_the_next_text() {
        for (prefix, end) in [
            ("/api/", Some("/api0")),
            ("a\u{d7ff}", Some("a\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
        ] {
            assert_eq!(after_prefix(prefix).as_deref(), end, "{prefix:?}");
        }
        let mut sql = Sql::default();
        path(&mut sql, "g.path", "/a*b");
        assert_eq!(sql.text(), "(g.path >= $1 AND g.path < $2 AND g.path LIKE $3 ESCAPE '!')");
        let mut sql = Sql::default();
        path(&mut sql, "g.path", "*b");
        path(&mut sql, "g.path", "/a");
        assert_eq!(sql.text(), "g.path LIKE $1 ESCAPE '!'g.path = $2");
    }

    #[test]
    fn bounds_hold() {
        let many = Filter { applications: Terms { any: (0..101).collect(), none: vec![] }, ..Filter::default() };
        assert!(check(&many).is_err());
        let long = Filter { hosts: Terms::only("x".repeat(1025)), ..Filter::default() };
        assert!(check(&long).is_err());
        assert!(check(&Filter { hosts: Terms::only("a\0".into()), ..Filter::default() }).is_err());
    }
}
