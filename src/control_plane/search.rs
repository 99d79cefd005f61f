//! The search language of attacks and hits: `sqli host:*.example.com !ip:10.0.0.0/8 status:blocked since:24h`.
//!
//! Terms are separated by spaces and all must hold. A term is `attribute:value`, several values separated by commas of
//! which any will do; `!` or `-` before it negates. The bare code of an attack type stands for `type:`. Values with
//! spaces or commas stand in double quotes.

use super::error::{Error, Mistake, Result};
use super::store::{AttackStatus, Filter, Mark, Span, Terms};
use crate::model::AttackType;
use ipnet::IpNet;
use std::net::IpAddr;

/// Longest search, in octets.
const MAX_SEARCH: usize = 2_000;
/// Most terms.
const MAX_TERMS: usize = 50;
/// Most values of a term.
const MAX_VALUES: usize = 100;
/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;

/// One term.
#[derive(Debug, PartialEq, Eq)]
struct Term {
    negated: bool,
    attribute: String,
    values: Vec<String>,
}

/// Reads `text` at `now` (milliseconds since 1970); tells every mistake.
pub fn parse(text: &str, now: i64) -> Result<Filter> {
    if text.len() > MAX_SEARCH {
        return Err(Error::invalid("q", format!("at most {MAX_SEARCH} octets are taken")));
    }
    let mut filter = Filter::default();
    let mut wrong = Vec::new();
    for term in terms(text)? {
        if let Err(message) = apply(&mut filter, &term, now) {
            wrong.push(Mistake::new("q", format!("`{}`: {message}", term.attribute)));
        }
    }
    if wrong.is_empty() { Ok(filter) } else { Err(Error::Invalid(wrong)) }
}

fn terms(text: &str) -> Result<Vec<Term>> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if out.len() >= MAX_TERMS {
            return Err(Error::invalid("q", format!("more than {MAX_TERMS} terms")));
        }
        let (word, quoted_end) = word(rest)?;
        rest = rest[quoted_end..].trim_start();
        let negated = word.starts_with(['!', '-']);
        let word = word.strip_prefix(['!', '-']).unwrap_or(word);
        let (attribute, value) = match word.split_once(':') {
            Some((attribute, value)) => (attribute.to_ascii_lowercase(), value),
            None => ("type".to_owned(), word),
        };
        let values = values(value);
        if values.is_empty() || values.len() > MAX_VALUES {
            let message = format!("`{attribute}`: 1 to {MAX_VALUES} values, separated by commas, are wanted");
            return Err(Error::invalid("q", message));
        }
        out.push(Term { negated, attribute, values });
    }
    Ok(out)
}

/// The first word of `text`, quotes kept, and where it ends.
fn word(text: &str) -> Result<(&str, usize)> {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => return Ok((&text[..at], at)),
            _ => {}
        }
    }
    if quoted { Err(Error::invalid("q", "a `\"` without its end")) } else { Ok((text, text.len())) }
}

/// Values separated by commas; quotes fall away.
fn values(text: &str) -> Vec<String> {
    let (mut out, mut value, mut quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(std::mem::take(&mut value)),
            c => value.push(c),
        }
    }
    out.push(value);
    out.retain(|value| !value.is_empty());
    out
}

/// Adds the values as `read` understands them.
fn add<T>(terms: &mut Terms<T>, term: &Term, wanted: &str, read: impl Fn(&str) -> Option<T>) -> Result<(), String> {
    for value in &term.values {
        let read = read(value).ok_or_else(|| format!("{wanted} is wanted, not `{value}`"))?;
        if term.negated { terms.none.push(read) } else { terms.any.push(read) }
    }
    Ok(())
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn one_of(codes: &'static [&'static str]) -> impl Fn(&str) -> Option<String> {
    move |value| codes.iter().find(|code| code.eq_ignore_ascii_case(value)).map(|code| (*code).to_owned())
}

fn apply(filter: &mut Filter, term: &Term, now: i64) -> Result<(), String> {
    match term.attribute.as_str() {
        "type" | "a" => add(&mut filter.attack_types, term, "an attack type such as `sqli`", AttackType::from_code),
        "ip" => ip(filter, term),
        "country" | "source" => add(&mut filter.countries, term, "an ISO country code", country),
        "host" | "domain" | "d" => add(&mut filter.hosts, term, "a host", |v| Some(v.to_lowercase())),
        "path" | "u" => add(&mut filter.paths, term, "a path", text),
        "point" | "p" => add(&mut filter.points, term, "a point", text),
        "method" => add(&mut filter.methods, term, "a method", |v| Some(v.to_ascii_uppercase())),
        "status" => add(&mut filter.statuses, term, "blocked, partially_blocked or monitoring", status),
        "mark" => add(&mut filter.marks, term, "tp, fp or none", |v| match v {
            "none" => Some(None),
            code => Mark::from_code(code).map(Some),
        }),
        "statuscode" => add(&mut filter.status_codes, term, "a status code or a range such as `500-599`", span),
        "size" | "s" => add(&mut filter.sizes, term, "octets or a range such as `10000-`", span),
        "app" | "application" => add(&mut filter.applications, term, "an application id", |v| v.parse().ok()),
        "node" | "node_uuid" => add(&mut filter.nodes, term, "the id of a node", text),
        "rule" => add(&mut filter.rules, term, "a signature or the id of a rule", text),
        "request_id" => add(&mut filter.request_ids, term, "the id of a request", text),
        "proto" => add(&mut filter.protocols, term, "a protocol", text),
        "mode" => {
            let codes: &[&str] = &["monitoring", "safe_blocking", "block"];
            add(&mut filter.modes, term, "monitoring, safe_blocking or block", one_of(codes))
        }
        "action" => add(&mut filter.actions, term, "pass or block", one_of(&["pass", "block"])),
        "hits" | "n" => single(&mut filter.hits, term),
        "sources" => single(&mut filter.sources, term),
        "since" | "from" => moment(term, now).map(|at| filter.from = Some(at)),
        "until" | "to" => moment(term, now).map(|at| filter.to = Some(at)),
        _ => Err(format!("there is no such attribute; known are {ATTRIBUTES}")),
    }
}

/// Attributes, for messages.
pub const ATTRIBUTES: &str = "type, ip, country, host, path, point, method, status, mark, statuscode, size, app, node, rule, \
                              request_id, proto, mode, action, hits, sources, since, until";

fn ip(filter: &mut Filter, term: &Term) -> Result<(), String> {
    // `10+`: at least so many sources.
    if let [one] = term.values.as_slice()
        && let Some(count) = one.strip_suffix('+')
    {
        let min = count.parse().map_err(|_| "a number before `+` is wanted".to_owned())?;
        return set(&mut filter.sources, Span { min: Some(min), max: None }, term);
    }
    add(&mut filter.ips, term, "an address or network", |value| {
        let net = value.parse::<IpNet>().ok();
        net.or_else(|| value.parse::<IpAddr>().ok().map(IpNet::from)).map(|net| net.trunc())
    })
}

fn country(value: &str) -> Option<String> {
    let code = value.to_ascii_uppercase();
    (code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase())).then_some(code)
}

fn status(value: &str) -> Option<AttackStatus> {
    AttackStatus::ALL.iter().copied().find(|status| status.code() == value)
}

/// `7`, `500-599`, `10-`, `-10`, `10+`.
fn span(value: &str) -> Option<Span> {
    if let Some(min) = value.strip_suffix('+') {
        return Some(Span { min: Some(min.parse().ok()?), max: None });
    }
    let Some((min, max)) = value.split_once('-') else { return value.parse().ok().map(Span::exactly) };
    let end = |text: &str| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) };
    let (min, max) = (end(min)?, end(max)?);
    let fine = (min.is_some() || max.is_some()) && !matches!((min, max), (Some(min), Some(max)) if min > max);
    fine.then_some(Span { min, max })
}

fn single(to: &mut Option<Span>, term: &Term) -> Result<(), String> {
    let [one] = term.values.as_slice() else { return Err("one number or range is wanted".into()) };
    let span = span(one).ok_or_else(|| format!("a number or a range such as `100-` is wanted, not `{one}`"))?;
    set(to, span, term)
}

fn set(to: &mut Option<Span>, span: Span, term: &Term) -> Result<(), String> {
    if term.negated {
        return Err("this cannot be negated; give the other range".into());
    }
    if to.replace(span).is_some() {
        return Err("this is given twice".into());
    }
    Ok(())
}

/// `24h`, `7d`, `2026-01-31`, `2026-01-31T12:00Z`, or milliseconds since 1970.
fn moment(term: &Term, now: i64) -> Result<i64, String> {
    let wrong = || "a time such as `24h`, `7d` or `2026-01-31` is wanted".to_owned();
    let [one] = term.values.as_slice() else { return Err(wrong()) };
    if term.negated {
        return Err("a time cannot be negated".into());
    }
    let ago =
        |count: &str, unit: i64| -> Option<i64> { now.checked_sub(count.parse::<i64>().ok()?.checked_mul(unit)?) };
    let read = match one.char_indices().next_back() {
        Some((at, 'm')) => ago(&one[..at], HOUR / 60),
        Some((at, 'h')) => ago(&one[..at], HOUR),
        Some((at, 'd')) => ago(&one[..at], 24 * HOUR),
        Some((at, 'w')) => ago(&one[..at], 7 * 24 * HOUR),
        _ => None,
    };
    let date = || {
        let day = one.parse::<jiff::civil::Date>().ok()?;
        Some(jiff::tz::TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()?.as_millisecond())
    };
    let stamp = || one.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    let number = || one.parse::<i64>().ok();
    read.or_else(number).or_else(stamp).or_else(date).filter(|at| *at >= 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_225_600_000;

    #[test]
    fn every_attribute_is_read() {
        let text = "sqli,xss !type:rce ip:10.1.2.3/8,192.0.2.1 country:nl host:*.Example.com path:/a,\"/b c\" point:json_doc \
                    method:post status:blocked mark:none,fp statuscode:500-599 size:10000- app:3,-1 node:n rule:4 \
                    request_id:r proto:HTTP/2* mode:block action:pass hits:100- ip:10+ since:24h until:2026-01-31";
        let f = parse(text, NOW).unwrap();
        assert_eq!(f.attack_types.any, [AttackType::Sqli, AttackType::Xss]);
        assert_eq!(f.attack_types.none, [AttackType::Rce]);
        assert_eq!(f.ips.any.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "192.0.2.1/32"]);
        assert_eq!((f.countries.any[0].as_str(), f.hosts.any[0].as_str()), ("NL", "*.example.com"));
        assert_eq!(f.paths.any, ["/a", "/b c"]);
        assert_eq!(f.marks.any, [None, Some(Mark::Fp)]);
        assert_eq!(f.status_codes.any, [Span { min: Some(500), max: Some(599) }]);
        assert_eq!(f.applications.any, [3, -1]);
        assert_eq!((f.hits.unwrap().min, f.sources.unwrap().min), (Some(100), Some(10)));
        assert_eq!((f.from, f.to), (Some(NOW - 24 * HOUR), Some(1_769_817_600_000)));
        assert_eq!(f.statuses.any, [AttackStatus::Blocked]);
        assert!(!f.points.is_empty() && !f.methods.is_empty() && !f.nodes.is_empty() && !f.rules.is_empty());
        assert!(!f.request_ids.is_empty() && !f.protocols.is_empty() && !f.modes.is_empty() && !f.actions.is_empty());
        assert_eq!(parse("", NOW).unwrap(), Filter::default());
    }

    #[test]
    fn mistakes_are_told_all_at_once() {
        let Err(Error::Invalid(wrong)) = parse("sqly color:red ip:x statuscode:9-1 !since:1h", NOW) else { panic!() };
        assert_eq!(wrong.len(), 5, "{wrong:?}");
        assert!(wrong[1].message.contains("known are type, ip"), "{wrong:?}");
        for bad in ["host:\"a", "host:", &"x ".repeat(MAX_TERMS + 1), &"a".repeat(MAX_SEARCH + 1)] {
            assert!(parse(bad, NOW).is_err(), "{bad}");
        }
    }
}
