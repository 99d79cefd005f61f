//! Address lists.

use crate::api::ip_lists::{of_csv, to_csv};
use crate::console::form_fields::FormFields;
use crate::console::notice::with_notice;
use crate::console::page::{self, Page, html, html_with, mistakes, see_other};
use crate::console::view::form::{Control, Field};
use crate::console::view::lists::{ListTab, Listed, Lists};
use crate::console::view::number::grouped;
use crate::console::view::parts::{Choice, Pager};
use crate::console::view::shell::Place;
use crate::console::view::text::Text;
use crate::console::view::ui::href;
use crate::download::{CSV, download};
use crate::error::{Error, Mistake, Result};
use crate::policy::check::inert;
use crate::policy::{IpEntry, NewIpEntry};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::StatusCode;
use axum::response::Response;

/// Values of a page.
const ROWS: usize = 100;
/// Largest file that is imported, in bytes.
pub const IMPORT_LIMIT: usize = 16 << 20;
/// Code, tab, meaning.
const LISTS: [(&str, &str, &str); 3] = [
    ("deny", "Denylist", "Requests from these sources are blocked in every filtration mode except off."),
    ("allow", "Allowlist", "Requests from these sources pass without inspection."),
    ("gray", "Graylist", "In safe blocking mode, attacks from these sources are blocked."),
];
/// Kinds of values: code, label.
const KINDS: [(&str, &str); 5] = [
    ("ip_range", "Address or network"),
    ("country", "Country or region"),
    ("asn", "ASN"),
    ("proxy_type", "Source type"),
    ("datacenter", "Data center"),
];

fn list_of(given: &FormFields) -> (&'static str, &'static str, &'static str) {
    LISTS.into_iter().find(|(code, ..)| *code == given.get("list")).unwrap_or(LISTS[0])
}

/// `GET /lists`
pub async fn lists(page: Page) -> Result<Response> {
    let given = page.query.clone();
    html(&list(&page, &given, &[])?)
}

fn list(page: &Page, given: &FormFields, wrong: &[Mistake]) -> Result<Lists> {
    let head = page.app.policy.head();
    let (code, _, about) = list_of(given);
    let query = page.query.get("q").to_lowercase();
    let from: usize = page.query.number("from")?.unwrap_or(0);
    let fits = |entry: &&IpEntry| {
        entry.list == code
            && (entry.value.to_lowercase().contains(&query) || entry.reason.to_lowercase().contains(&query))
    };
    // Newest first.
    let all: Vec<&IpEntry> = head.state.ip_lists.iter().rev().filter(fits).collect();
    let here = |from: usize| href("/lists", &[("list", code), ("q", &query), ("from", &from.to_string())]);
    let pager = Pager {
        first: (from > 0).then(|| here(0)),
        next: (all.len() > from + ROWS).then(|| here(from + ROWS)),
        shown: if all.len() == 1 { "1 entry".into() } else { format!("{} entries", grouped(all.len() as u64)) },
    };
    let tabs = LISTS.map(|(tab, label, _)| {
        let count = head.state.ip_lists.iter().filter(|entry| entry.list == tab).count();
        let choice = Choice { label, href: href("/lists", &[("list", tab)]), current: tab == code };
        ListTab { code: tab, choice, count: grouped(count as u64) }
    });
    let named = ["value", "applications", "expires"];
    let is_named = |one: &&Mistake| named.iter().any(|name| one.field.ends_with(name));
    Ok(Lists {
        shell: page.shell("IP lists", Place::Lists),
        tabs: tabs.into(),
        list: code,
        about,
        query: page.query.get("q").into(),
        rows: all.into_iter().skip(from).take(ROWS).map(|entry| row(page, entry)).collect(),
        pager,
        fields: fields(given, wrong),
        mistakes: wrong.iter().filter(|one| !is_named(one)).map(said).collect(),
        adding: !wrong.is_empty() || given.has("value"),
        export: href("/lists/export", &[("list", code)]),
    })
}

fn said(one: &Mistake) -> Text {
    let colon = if one.field.is_empty() { "" } else { ": " };
    Text::new(&format!("{}{colon}{}", one.field, one.message))
}

/// When an entry may end, in seconds from now.
pub(super) fn ends() -> Control {
    let all = [
        ("3600", "In an hour"),
        ("86400", "In a day"),
        ("604800", "In a week"),
        ("2592000", "In 30 days"),
        ("", "Never"),
    ];
    Control::Select(all.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect())
}

fn fields(given: &FormFields, wrong: &[Mistake]) -> Vec<Field> {
    let of = |name: &str| wrong.iter().find(|one| one.field.ends_with(name)).map(|one| one.message.as_str());
    let pairs = |all: &[(&str, &str)]| Control::Select(all.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect());
    let ends = Field::new("expires", "Expires", ends(), "").with(if given.names("expires") {
        given.get("expires")
    } else {
        "86400"
    });
    vec![
        Field::new("rule_type", "Type", pairs(&KINDS), "").with(given.get("rule_type")),
        Field::new("value", "Values", Control::Lines, "One per line or separated by commas. Addresses and networks: 203.0.113.7, 198.51.100.0/24, 192.0.2.1-192.0.2.9; countries and regions: DE, US-CA; ASNs: AS64500; source types: tor, vpn; data centers: aws.")
            .with(given.raw("value"))
            .required()
            .with_error(of("value")),
        ends.with_error(of("expires")),
        Field::new("reason", "Reason", Control::Line, "").with(given.get("reason")),
        Field::new("applications", "Applications", Control::Line, "Comma-separated IDs. Empty: all applications.")
            .with(given.get("applications"))
            .with_error(of("applications")),
    ]
}

fn row(page: &Page, entry: &IpEntry) -> Listed {
    let applications: Vec<String> = entry.applications.iter().map(ToString::to_string).collect();
    let groups = if entry.groups.is_empty() { String::new() } else { format!(" in {}", entry.groups.join(", ")) };
    let applications = if applications.is_empty() { "all".into() } else { applications.join(", ") };
    let end = entry.expired_at.map(|end| i64::try_from(end).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000));
    let is_address = entry.rule_type == "ip_range" && !entry.value.contains('-');
    Listed {
        id: entry.id,
        value: Text::new(&entry.value),
        inert: inert(&page.app.policy.head().state, entry).unwrap_or_default(),
        kind: KINDS.iter().find(|(code, _)| *code == entry.rule_type).map_or("Other", |(_, label)| label),
        applications: Text::new(&format!("{applications}{groups}")),
        expires: end.map(|end| page.moment(end)),
        ended: end.is_some_and(|end| end <= page.now),
        reason: Text::new(&entry.reason),
        author: Text::new(entry.created_by.strip_prefix("user:").unwrap_or(&entry.created_by)),
        since: page.moment(entry.created_at),
        attacks: is_address.then(|| href("/attacks", &[("q", &format!("ip:{}", entry.value))])),
    }
}

/// `POST /lists/add`
pub async fn add(page: Page, given: FormFields) -> Result<Response> {
    let new = entries(&page, &given);
    let done = match new {
        Ok(new) => mistakes(page.app.add_ips(&page.caller, new).await)?,
        Err(error) => mistakes(Err(error))?,
    };
    match done {
        Ok(change) => Ok(listed(&given, change.value.added + change.value.renewed)),
        Err(wrong) => html_with(StatusCode::UNPROCESSABLE_ENTITY, &list(&page, &given, &wrong)?),
    }
}

fn listed(given: &FormFields, count: usize) -> Response {
    let code = if count == 0 { "same" } else { "listed" };
    let list = href("/lists", &[("list", list_of(given).0)]);
    let to = if given.has("back") { page::own(given.get("back")) } else { &list };
    see_other(&with_notice(to, code, count as u64))
}

fn entries(page: &Page, given: &FormFields) -> Result<Vec<NewIpEntry>> {
    let applications: std::result::Result<Vec<i64>, _> =
        given.get("applications").split([',', ' ']).filter(|text| !text.is_empty()).map(str::parse).collect();
    let applications =
        applications.map_err(|_| Error::invalid("applications", "enter comma-separated application IDs"))?;
    let expired_at = given.number::<u64>("expires")?.map(|seconds| page.app.clock.seconds().saturating_add(seconds));
    let values = given.raw("value").split(['\n', ',']).map(str::trim).filter(|value| !value.is_empty());
    let new: Vec<NewIpEntry> = values
        .map(|value| NewIpEntry {
            list: list_of(given).0.into(),
            rule_type: given.get("rule_type").into(),
            value: value.into(),
            applications: applications.clone(),
            groups: Vec::new(),
            expired_at,
            reason: given.get("reason").into(),
        })
        .collect();
    if new.is_empty() { Err(Error::invalid("value", "enter at least one value")) } else { Ok(new) }
}

/// `POST /lists/remove`
pub async fn remove(page: Page, given: FormFields) -> Result<Response> {
    let ids = given.all("id").into_iter().filter_map(|id| id.parse().ok()).collect();
    let change = page.app.remove_ips(&page.caller, &ids).await?;
    let to = if given.has("back") { given.get("back") } else { "/lists" };
    Ok(page::back(&with_notice(page::own(to), "unlisted", change.value.len() as u64)))
}

/// `POST /lists/import`
pub async fn import(page: Page, request: Request) -> Result<Response> {
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| Error::invalid("", "choose a file"))?;
    let (mut given, mut file) = (FormFields::default(), Vec::new());
    let broken = |_| Error::invalid("file", "the upload was interrupted or the file is too large");
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            file = field.bytes().await.map_err(broken)?.to_vec();
        } else {
            given = given.with(&name, &field.text().await.map_err(broken)?);
        }
    }
    let done = match imported(&given, &file) {
        Ok(new) => mistakes(page.app.add_ips(&page.caller, new).await)?,
        Err(error) => mistakes(Err(error))?,
    };
    match done {
        Ok(change) => Ok(listed(&given, change.value.added + change.value.renewed)),
        Err(wrong) => html_with(StatusCode::UNPROCESSABLE_ENTITY, &list(&page, &given, &wrong)?),
    }
}

/// Reads CSV if the first line names a `value` column, else one value per line.
fn imported(given: &FormFields, file: &[u8]) -> Result<Vec<NewIpEntry>> {
    let text = std::str::from_utf8(file).map_err(|_| Error::invalid("file", "the file is not UTF-8 text"))?;
    let text = text.trim_start_matches('\u{feff}');
    let list = list_of(given).0;
    let head = text.lines().next().unwrap_or_default().to_lowercase();
    let columns: Vec<&str> = head.split(',').map(|column| column.trim().trim_matches('"')).collect();
    if columns.contains(&"value") {
        // Without a `list` column, entries go to the list that is shown.
        let with_list = if columns.contains(&"list") {
            text.to_owned()
        } else {
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            lines
                .map(|(at, line)| if at == 0 { format!("list,{line}\n") } else { format!("{list},{line}\n") })
                .collect()
        };
        return of_csv(with_list.as_bytes());
    }
    let values = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let new: Vec<NewIpEntry> = values
        .filter(|value| !value.is_empty())
        .map(|value| NewIpEntry {
            list: list.into(),
            rule_type: "ip_range".into(),
            value: value.into(),
            ..NewIpEntry::default()
        })
        .collect();
    if new.is_empty() { Err(Error::invalid("file", "the file contains no values")) } else { Ok(new) }
}

/// `GET /lists/export`
pub async fn export(page: Page) -> Result<Response> {
    let code = list_of(&page.query).0;
    let head = page.app.policy.head();
    let entries: Vec<&IpEntry> = head.state.ip_lists.iter().filter(|entry| entry.list == code).collect();
    Ok(download(CSV, &format!("{code}list.csv"), to_csv(&entries)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_with_and_without_columns_are_read() {
        let given = FormFields::default().with("list", "gray");
        let lines = imported(&given, b"\xef\xbb\xbf192.0.2.1\n# all of it\n10.0.0.0/8 # inside\n").unwrap();
        assert_eq!(
            lines.iter().map(|one| (one.list.as_str(), one.value.as_str())).collect::<Vec<_>>(),
            [("gray", "192.0.2.1"), ("gray", "10.0.0.0/8")]
        );
        let csv = imported(&given, b"value,reason\n192.0.2.1,\"a, b\"\n").unwrap();
        assert_eq!((csv[0].list.as_str(), csv[0].reason.as_str()), ("gray", "a, b"));
        let own = imported(&given, b"list,value\ndeny,192.0.2.1\n").unwrap();
        assert_eq!(own[0].list, "deny");
        assert!(imported(&given, b"\xff").is_err() && imported(&given, b"\n").is_err());
    }
}
