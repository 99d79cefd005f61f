//! Rule packs, address databases, mirrors.

use super::packs_form::{self, Uploaded};
use crate::console::form_fields::FormFields;
use crate::console::notice::with_notice;
use crate::console::page::{Page, html, html_with, mistakes, see_other};
use crate::console::rule_text::yaml;
use crate::console::view::packs::{Comparison, MirrorRow, Packs, Section, VersionRow};
use crate::console::view::policy::{Change, DiffLine};
use crate::console::view::shell::{Place, Tone};
use crate::console::view::text::Text;
use crate::console::view::ui::segment;
use crate::error::{Error, Mistake, Result};
use crate::packs::{Differences, Kind, Mirror, NewMirror, Stored};
use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::response::Response;

/// Lines of a comparison shown.
const MAX_LINES: usize = 4_000;
/// Digits of a hash shown.
const DIGITS: usize = 12;

fn code(kind: Kind) -> &'static str {
    match kind {
        Kind::RulePack => "rule-packs",
        Kind::Database => "databases",
    }
}

fn kind_of(code: &str) -> Result<Kind> {
    match code {
        "rule-packs" => Ok(Kind::RulePack),
        "databases" => Ok(Kind::Database),
        _ => Err(Error::NotFound("page")),
    }
}

/// A rejected form, shown again with its fields and errors.
#[derive(Clone, Copy)]
struct RejectedForm<'a> {
    /// `rule-packs`, `databases` or `mirrors`.
    section: &'a str,
    fields: &'a FormFields,
    errors: &'a [Mistake],
}

/// `GET /packs`
pub async fn packs(page: Page) -> Result<Response> {
    html(&list(&page, None).await?)
}

async fn list(page: &Page, rejected: Option<RejectedForm<'_>>) -> Result<Packs> {
    let empty = FormFields::default();
    let state = |section: &str| match rejected.filter(|form| form.section == section) {
        Some(form) => (true, form.fields, form.errors),
        None => (false, &empty, &[][..]),
    };
    let mut sections = Vec::new();
    for kind in [Kind::RulePack, Kind::Database] {
        let all = page.app.packs(kind).await?;
        let (open, fields, errors) = state(code(kind));
        let rows = all.iter().map(|one| row(page, kind, one)).collect();
        sections.push(Section { open, ..packs_form::section(kind, code(kind), rows, fields, errors) });
    }
    let (mirror_open, fields, errors) = state("mirrors");
    let mirrors = page.app.mirrors().await?;
    Ok(Packs {
        shell: page.shell("Rule packs and databases", Place::Packs),
        sections,
        mirrors: mirrors.iter().map(|one| mirror(page, one)).collect(),
        mirror_fields: packs_form::mirror_fields(fields, errors),
        mirror_open,
    })
}

fn row(page: &Page, kind: Kind, one: &Stored) -> VersionRow {
    let version = &one.version;
    let signatures = |n: u64| if n == 1 { "1 signature".to_owned() } else { format!("{n} signatures") };
    let about = if kind == Kind::RulePack { signatures(version.items) } else { version.about.clone() };
    VersionRow {
        path: format!("{}/{}/{}", code(kind), segment(&version.name), version.version),
        name: Text::new(&version.name),
        version: version.version,
        about: Text::new(&about),
        note: Text::new(&version.note),
        size: format!("{} KiB", version.bytes.div_ceil(1024)),
        hash: Text::new(version.sha256.get(..DIGITS).unwrap_or_default()),
        author: Text::new(version.author.strip_prefix("user:").unwrap_or(&version.author)),
        created: page.moment(version.created),
        active: one.active,
        comparable: kind == Kind::RulePack,
    }
}

fn mirror(page: &Page, one: &Mirror) -> MirrorRow {
    let state = match (one.checked, one.last_error.as_str()) {
        (0, _) => (Tone::Note, Text::new("Not checked yet")),
        (_, "") => (Tone::Good, Text::new("Up to date")),
        (_, why) => (Tone::Bad, Text::new(&format!("Failed: {why}"))),
    };
    MirrorRow {
        path: format!("{}/{}", code(one.kind), segment(&one.name)),
        name: Text::new(&one.name),
        url: Text::new(&one.url),
        period: format!("every {} min", one.period / 60),
        state,
        succeeded: (one.succeeded > 0).then(|| page.moment(one.succeeded)),
    }
}

/// Redirects to the page with a notice after a successful change, or shows the form of `section` with its errors.
async fn respond<T>(
    page: &Page,
    section: &str,
    fields: &FormFields,
    done: Result<T>,
    notice: &'static str,
) -> Result<Response> {
    match mistakes(done)? {
        Ok(_) => Ok(see_other(&with_notice("/packs", notice, 0))),
        Err(errors) => {
            let shown = list(page, Some(RejectedForm { section, fields, errors: &errors })).await?;
            html_with(StatusCode::UNPROCESSABLE_ENTITY, &shown)
        }
    }
}

/// `POST /packs/rule-packs`, `POST /packs/databases`
pub async fn upload(page: Page, kind: Kind, request: Request) -> Result<Response> {
    let Uploaded { given, file } = packs_form::read(request).await?;
    let (name, note) = packs_form::names(kind);
    let (name, note) = (given.get(name).to_owned(), given.get(note).to_owned());
    let done = page.app.upload_pack(&page.caller, kind, &name, file, &note, given.has("activate")).await;
    let said = if given.has("activate") { "pack-used" } else { "pack" };
    respond(&page, code(kind), &given, done, said).await
}

/// `POST /packs/{kind}/{name}/{version}/activate`
pub async fn activate(page: Page, Path((kind, name, version)): Path<(String, String, u64)>) -> Result<Response> {
    let kind = kind_of(&kind)?;
    let done = page.app.activate_pack(&page.caller, kind, &name, version).await;
    respond(&page, code(kind), &FormFields::default(), done, "pack-used").await
}

/// `POST /packs/{kind}/{name}/{version}/deactivate`
pub async fn deactivate(page: Page, Path((kind, name, _)): Path<(String, String, u64)>) -> Result<Response> {
    let kind = kind_of(&kind)?;
    let done = page.app.deactivate_pack(&page.caller, kind, &name).await;
    respond(&page, code(kind), &FormFields::default(), done, "pack-unused").await
}

/// `POST /packs/{kind}/{name}/{version}/delete`
pub async fn delete(page: Page, Path((kind, name, version)): Path<(String, String, u64)>) -> Result<Response> {
    let kind = kind_of(&kind)?;
    let done = page.app.remove_pack(&page.caller, kind, &name, version).await;
    respond(&page, code(kind), &FormFields::default(), done, "pack-gone").await
}

/// `POST /packs/mirrors`
pub async fn set_mirror(page: Page, given: FormFields) -> Result<Response> {
    let done = async {
        let (kind, name) = packs_form::target(&given);
        let minutes: i64 = given.number("period")?.unwrap_or(60);
        let new = NewMirror {
            url: given.get("url").into(),
            public_key: given.get("public_key").into(),
            period: minutes.saturating_mul(60),
        };
        page.app.set_mirror(&page.caller, kind, &name, &new).await
    };
    let done = done.await;
    respond(&page, "mirrors", &given, done, "mirror").await
}

/// `POST /packs/{kind}/{name}/unmirror`
pub async fn unmirror(page: Page, Path((kind, name)): Path<(String, String)>) -> Result<Response> {
    let done = page.app.remove_mirror(&page.caller, kind_of(&kind)?, &name).await;
    respond(&page, "mirrors", &FormFields::default(), done, "mirror-gone").await
}

/// `GET /packs/rule-packs/{name}/{version}`
pub async fn compare(page: Page, Path((name, version)): Path<(String, u64)>) -> Result<Response> {
    let all = page.app.packs(Kind::RulePack).await?;
    let here = |one: &&Stored| one.version.name == name;
    let found = all.iter().filter(here).find(|one| one.version.version == version);
    let found = found.ok_or(Error::NotFound("version"))?;
    let others: Vec<u64> = all.iter().filter(here).map(|one| one.version.version).filter(|n| *n != version).collect();
    let before = others.iter().copied().find(|one| *one < version);
    let against = page.query.number("against")?.or(before);
    let differences = page.app.diff_packs(&name, version, against).await?;
    let counts = (differences.added.len(), differences.removed.len(), differences.changed.len() + differences.more);
    let mut lines = lines_of(&differences);
    let cut = differences.more > 0 || lines.len() > MAX_LINES;
    lines.truncate(MAX_LINES);
    html(&Comparison {
        shell: page.shell(format!("{name}, version {version}"), Place::Packs),
        row: row(&page, Kind::RulePack, found),
        against: against.unwrap_or(0),
        others,
        counts,
        lines,
        cut,
    })
}

fn lines_of(all: &Differences) -> Vec<DiffLine> {
    let line = |change, text: &str| DiffLine { change, text: Text::new(text) };
    let mut out: Vec<DiffLine> = all.added.iter().map(|id| line(Change::Added, id)).collect();
    out.extend(all.removed.iter().map(|id| line(Change::Removed, id)));
    for one in &all.changed {
        out.push(line(Change::Gap, &one.id));
        let text = |doc| yaml(&serde_json::to_value(doc).unwrap_or_default());
        let (old, new) = (text(&one.before), text(&one.after));
        let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
        out.extend(old.iter().filter(|text| !new.contains(text)).map(|text| line(Change::Removed, text)));
        out.extend(new.iter().filter(|text| !old.contains(text)).map(|text| line(Change::Added, text)));
        if out.len() > MAX_LINES {
            break;
        }
    }
    out
}
