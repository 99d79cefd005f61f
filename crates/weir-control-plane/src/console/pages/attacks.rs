//! The list of attacks, one attack, marks, exports.

use super::{rankings, searches};
use crate::api::export::{self, Form, What};
use crate::console::form_fields::FormFields;
use crate::console::notice::with_notice;
use crate::console::page::{self, Page, html, see_other};
use crate::console::point_words;
use crate::console::search::{chips, link, term, terms, without};
use crate::console::time_range;
use crate::console::view;
use crate::console::view::attack::{AttackPage, HitLine, title};
use crate::console::view::attacks::{AttackRow, AttackRows, Attacks, Searched};
use crate::console::view::number::grouped;
use crate::console::view::parts::{AttackKind, Choice, Mark, Pager, Status};
use crate::console::view::plot::stacked::Stacked;
use crate::console::view::plot::{Buckets, FULL, Series};
use crate::console::view::shell::Place;
use crate::console::view::text::Text;
use crate::console::view::time::Moment;
use crate::console::view::ui::href;
use crate::error::{Error, Result};
use crate::store::{Attack, Cursor, Filter, HitRow, Listing, Page as Rows};
use crate::{store, store::AttackStatus};
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use weir_core::model::AttackType;

/// Attacks of a page.
const ATTACKS: u32 = 50;
/// Hits of a page.
const HITS: u32 = 50;
/// Most attacks marked at once.
const MAX_MARKED: usize = 200;
/// Default time range.
const FIRST_RANGE: &str = "7d";

/// The command line that makes a first attack, on a node of its defaults.
pub const TRY_IT: &str = "printf 'GET /etc/passwd HTTP/1.1\\r\\nHost: example.com\\r\\n\\r\\n' | curl -i --data-binary @- \\\n  \
    -H 'Content-Type: message/http; msgtype=request' -H 'Inspector-Request-Id: try-1' \\\n  \
    -H 'Inspector-Client: 203.0.113.9' -H 'Inspector-Connector: curl/1' http://127.0.0.1:5000/v1/requests";

/// The search, time range and page that an address of the list asks for.
struct AttackQuery {
    query: String,
    range: time_range::TimeRange,
    after: String,
}

impl AttackQuery {
    fn of(query: &FormFields) -> Self {
        Self {
            query: query.get("q").to_owned(),
            range: time_range::find(query.get("range"), FIRST_RANGE),
            after: query.get("after").to_owned(),
        }
    }

    fn filter(&self, page: &Page) -> Result<Filter> {
        let filter = page.app.search(&self.query)?;
        let from = if filter.from.is_some() || filter.to.is_some() { filter.from } else { self.range.from(page.now) };
        Ok(Filter { from, ..filter })
    }

    fn rows(&self, limit: u32) -> Result<Rows> {
        let after = if self.after.is_empty() { None } else { Some(self.after.parse::<Cursor>()) };
        let after = after.transpose().map_err(|error| Error::invalid("after", error.to_string()))?;
        Ok(Rows { after, limit })
    }

    fn link(&self, path: &str, after: &str) -> String {
        href(path, &[("q", &self.query), ("range", self.range.code), ("after", after)])
    }
}

/// `GET /attacks`
pub async fn attacks(page: Page) -> Result<Response> {
    let asked = AttackQuery::of(&page.query);
    let mut text_since = None;
    let (list, wrong) = match asked.filter(&page) {
        Ok(filter) => {
            text_since = text_from(&page, &filter);
            (listing(&page, &asked, &filter).await?.0, None)
        }
        Err(Error::Invalid(wrong)) => {
            let text = wrong.iter().map(|one| one.message.as_str()).collect::<Vec<_>>().join("; ");
            (AttackRows::default(), Some(Text::new(&text)))
        }
        Err(error) => return Err(error),
    };
    let ever =
        !list.rows.is_empty() || !page.app.store.attacks(&Filter::default(), &Rows::first(1)).await?.rows.is_empty();
    let live = (asked.after.is_empty() && wrong.is_none()).then(|| asked.link("/attacks/rows", ""));
    let export = |form: &str| {
        let from = asked.range.from(page.now).map_or_else(String::new, |from| from.to_string());
        href("/attacks/export", &[("q", &asked.query), ("from", &from), ("form", form)])
    };
    html(&Attacks {
        shell: page.shell("Attacks", Place::Attacks),
        query: asked.query.clone(),
        wrong,
        chips: chips(&asked.query, asked.range.code),
        ranges: asked.range.choices(|_| true, |code| href("/attacks", &[("q", &asked.query), ("range", code)])),
        range: asked.range.code.into(),
        statuses: statuses(&asked),
        kinds: kinds(&asked),
        list,
        live,
        export: [("CSV", export("csv")), ("JSON", export("json"))],
        text_since,
        saved: searches::shown(&page, &asked.query, asked.range.code).await?,
        can_save: page.caller.session().is_some() && !asked.query.is_empty() && asked.filter(&page).is_ok(),
        save_wrong: searches::refused(&page),
        ever,
        try_it: TRY_IT.into(),
    })
}

/// Since when free text is looked for, where the search asks for more.
fn text_from(page: &Page, filter: &Filter) -> Option<Moment> {
    let least = page.app.store.free_text_from().filter(|_| !filter.texts.is_empty())?;
    filter.from.is_none_or(|from| from < least).then(|| page.moment(least))
}

fn statuses(asked: &AttackQuery) -> Vec<Choice> {
    let rest = without(&asked.query, "status");
    let here = terms(&asked.query);
    let choice = |label, code: &str| {
        let mut all = rest.clone();
        let mine = if code.is_empty() { None } else { Some(term("status", code)) };
        let current = mine.as_ref().map_or(here.len() == rest.len(), |mine| here.contains(mine));
        all.extend(mine);
        Choice { label, href: link("/attacks", &all, asked.range.code), current }
    };
    vec![
        choice("All", ""),
        choice("Blocked", AttackStatus::Blocked.code()),
        choice("Partially blocked", AttackStatus::PartiallyBlocked.code()),
        choice("Monitoring", AttackStatus::Monitoring.code()),
    ]
}

/// The search with each type added, or without it where it is there.
fn kinds(asked: &AttackQuery) -> Vec<(AttackKind, String)> {
    let here = terms(&asked.query);
    let to = |kind: &AttackKind| {
        let mut all = here.clone();
        match all.iter().position(|term| term == kind.code) {
            Some(at) => drop(all.remove(at)),
            None => all.push(kind.code.into()),
        }
        link("/attacks", &all, asked.range.code)
    };
    AttackKind::all().into_iter().map(|kind| (kind, to(&kind))).collect()
}

/// A page of the list and its entity tag.
async fn listing(page: &Page, asked: &AttackQuery, filter: &Filter) -> Result<(AttackRows, String)> {
    let listing = page.app.store.attacks(filter, &asked.rows(ATTACKS)?).await?;
    let tag = tag(&listing);
    let count = listing.rows.len();
    let pager = Pager {
        first: (!asked.after.is_empty()).then(|| asked.link("/attacks", "")),
        next: listing.next.as_ref().map(|next| asked.link("/attacks", &next.to_string())),
        shown: if count == 1 { "1 attack".into() } else { format!("{count} attacks") },
    };
    let rows = listing.rows.iter().map(|attack| row(page, attack)).collect();
    let can_write = page.caller.may(crate::auth::Permission::MarkEvents);
    let searched =
        listing.searched_since.map(|since| Searched { since: page.moment(since), before: before(asked, since) });
    Ok((AttackRows { rows, pager, can_write, searched }, tag))
}

/// The search of what was before `since`, which is a second at most after it: addresses have whole seconds.
fn before(asked: &AttackQuery, since: i64) -> String {
    let mut all = without(&asked.query, "until");
    all.push(term("until", &view::time::format(since + 999, "%Y-%m-%dT%H:%M:%SZ")));
    link("/attacks", &all, asked.range.code)
}

/// Entity tag: changes when the listed attacks change, and not as time passes.
fn tag(listing: &Listing<Attack>) -> String {
    let mut hash = crc32fast::Hasher::new();
    for attack in &listing.rows {
        let mark = attack.mark.as_ref().map_or("", |mark| mark.mark.code());
        hash.update(
            format!("{} {} {} {} {mark}\n", attack.id, attack.last_time, attack.hits, attack.blocked).as_bytes(),
        );
    }
    format!("\"{:08x}-{}\"", hash.finalize(), listing.rows.len())
}

/// `GET /attacks/rows`: the live update.
pub async fn rows(page: Page, headers: axum::http::HeaderMap) -> Result<Response> {
    let asked = AttackQuery::of(&page.query);
    let (list, tag) = listing(&page, &asked, &asked.filter(&page)?).await?;
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let mut response = html(&list)?;
    response.headers_mut().insert(header::ETAG, tag.parse().map_err(Error::internal)?);
    Ok(response)
}

/// An attack as it is listed.
pub fn row(page: &Page, attack: &Attack) -> AttackRow {
    let none = HitRow::default();
    let more = if attack.at_least { "+" } else { "" };
    let last = attack.last_hit.as_ref().unwrap_or(&none);
    let (mark, marked_by) = match &attack.mark {
        None => (Mark::None, ""),
        Some(marked) => (if marked.mark == store::Mark::Tp { Mark::True } else { Mark::False }, marked.author.as_str()),
    };
    AttackRow {
        id: attack.id.clone(),
        kind: AttackKind::of(attack.attack_type),
        host: Text::new(if attack.host.is_empty() { "(no host)" } else { &attack.host }),
        method: Text::new(&last.method),
        path: Text::new(&last.path),
        words: Text::new(&point_words::words(&attack.point)),
        point: Text::new(&attack.point.to_string()),
        matched: Text::new(attack.excerpt.as_ref().map_or("", |one| one.matched.as_str())),
        more_findings: attack.excerpt.as_ref().map_or(0, |one| one.others),
        source: if last.ip.parse::<IpAddr>().is_ok() { rankings::source_page(&last.ip, "") } else { String::new() },
        target: if attack.host.is_empty() { String::new() } else { rankings::host_page(&attack.host, "") },
        ip: Text::new(if last.ip.is_empty() { "unknown" } else { &last.ip }),
        country: Text::new(&last.country),
        sources: attack.sources,
        hits: grouped(attack.hits + attack.folded) + more,
        blocked: grouped(attack.blocked) + more,
        status: match attack.status {
            AttackStatus::Blocked => Status::Blocked,
            AttackStatus::PartiallyBlocked => Status::Partial,
            AttackStatus::Monitoring => Status::Monitoring,
        },
        mark,
        marked_by: Text::new(marked_by.strip_prefix("user:").unwrap_or(marked_by)),
        first: page.moment(attack.first_time),
        last: page.moment(attack.last_time),
    }
}

/// `POST /attacks/mark`
pub async fn mark(page: Page, given: FormFields) -> Result<Response> {
    let mark = match given.get("mark") {
        "" => None,
        code => {
            Some(store::Mark::from_code(code).ok_or_else(|| Error::invalid("mark", "expected `tp`, `fp` or nothing"))?)
        }
    };
    let ids = given.all("id");
    if ids.len() > MAX_MARKED {
        return Err(Error::invalid("id", format!("select at most {MAX_MARKED} attacks")));
    }
    for id in &ids {
        page.app.mark(&page.caller, id, mark).await?;
    }
    let to = if given.has("back") { given.get("back") } else { "/attacks" };
    Ok(see_other(&with_notice(page::own(to), "marked", ids.len() as u64)))
}

/// `GET /attacks/export`
pub async fn export(page: Page) -> Result<Response> {
    let filter = page.app.search(page.query.get("q"))?;
    let from = filter.from.or(page.query.number("from")?);
    let form = Form::read(Some(page.query.get("form")))?;
    Ok(export::answer(page.app.clone(), What::Attacks, form, Filter { from, ..filter }))
}

/// `GET /attacks/{id}`
pub async fn attack(page: Page, Path(id): Path<String>) -> Result<Response> {
    let attack = page.app.store.attack(&id).await?.ok_or(Error::NotFound("attack"))?;
    if attack.id != id {
        // It was merged into an older one.
        return Ok(see_other(&format!("/attacks/{}", attack.id)));
    }
    let after = page.query.get("after");
    let asked =
        AttackQuery { query: String::new(), range: time_range::find("all", FIRST_RANGE), after: after.to_owned() };
    let hits = page.app.store.attack_hits(&id, &asked.rows(HITS)?).await?.ok_or(Error::NotFound("attack"))?;
    let kind = AttackKind::of(attack.attack_type);
    let here = format!("/attacks/{id}");
    let pager = Pager {
        first: (!after.is_empty()).then(|| here.clone()),
        next: hits.next.as_ref().map(|next| href(&here, &[("after", &next.to_string())])),
        shown: format!("{} of {} hits", grouped(hits.rows.len() as u64), grouped(attack.hits)),
    };
    let last_ip = attack.last_hit.as_ref().map(|hit| hit.ip.as_str()).unwrap_or_default();
    let deny = [("list", "deny"), ("value", last_ip), ("reason", kind.name)];
    let of_denylist = attack.attack_type == AttackType::BlockedSource;
    html(&AttackPage {
        shell: page.shell(title(kind, Text::new(&attack.host).as_str()), Place::Attacks),
        cwe: attack.attack_type.cwe(),
        owasp: attack.attack_type.owasp(),
        plot: plot(&page, &attack).await?,
        hits: hits.rows.iter().map(|hit| hit_line(&page, hit)).collect(),
        pager,
        similar: link("/attacks", &[kind.code.into(), term("d", &attack.host)], "30d"),
        deny: (!last_ip.is_empty() && !of_denylist).then(|| href("/lists", &deny)),
        of_denylist,
        attack: row(&page, &attack),
    })
}

fn hit_line(page: &Page, hit: &HitRow) -> HitLine {
    HitLine {
        id: hit.id.clone(),
        time: page.moment(hit.time),
        method: Text::new(&hit.method),
        path: Text::new(&hit.path),
        ip: Text::new(if hit.ip.is_empty() { "unknown" } else { &hit.ip }),
        source: if hit.ip.parse::<IpAddr>().is_ok() { rankings::source_page(&hit.ip, "") } else { String::new() },
        country: Text::new(&hit.country),
        blocked: hit.action == "block",
        answer: if hit.status_code == 0 { "–".into() } else { hit.status_code.to_string() },
        folded: hit.folded,
    }
}

/// Hits of the attack over its time.
async fn plot(page: &Page, attack: &Attack) -> Result<Stacked> {
    const BUCKETS: i64 = 60;
    const STEPS: [i64; 8] = [1_000, 5_000, 15_000, 60_000, 300_000, 900_000, 3_600_000, 21_600_000];
    let length = attack.last_time - attack.first_time + 1;
    let step = STEPS.into_iter().find(|step| length / step < BUCKETS).unwrap_or(86_400_000);
    let from = attack.first_time.div_euclid(step) * step;
    let to = from + (length / step + 2).clamp(12, 1_000) * step;
    let series = page.app.store.attack_series(&attack.id, from, to, step).await?.ok_or(Error::NotFound("attack"))?;
    let values = |of: fn(&store::Slot) -> u64| series.slots.iter().map(of).collect();
    let buckets = Buckets { from, step, count: series.slots.len() };
    let series = vec![
        Series { label: "Blocked".into(), slot: 2, values: values(|slot| slot.blocked) },
        Series { label: "Passed".into(), slot: 3, values: values(|slot| slot.hits - slot.blocked.min(slot.hits)) },
    ];
    Ok(Stacked::new("hits", "Hits of this attack", buckets, series, FULL))
}
