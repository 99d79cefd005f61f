//! Forms of the page of rule packs and databases.

use crate::console::given::Given;
use crate::console::view::form::{Control, Field};
use crate::console::view::packs::{Section, VersionRow};
use crate::console::view::text::Text;
use crate::error::{Error, Mistake, Result};
use crate::packs::{DATABASES, Kind};
use axum::extract::{FromRequest, Multipart, Request};

/// Most fields of an upload.
const MAX_FIELDS: usize = 10;

/// A form with a file.
pub struct Uploaded {
    pub given: Given,
    pub file: Vec<u8>,
}

/// Reads a form with a file, within the route's limit.
pub async fn read(request: Request) -> Result<Uploaded> {
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| Error::invalid("", "a file is wanted"))?;
    let (mut given, mut file) = (Given::default(), Vec::new());
    let broken = |_| Error::invalid("file", "it broke off on the way, or is too large");
    for _ in 0..MAX_FIELDS {
        let Some(field) = form.next_field().await.map_err(broken)? else { break };
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            file = field.bytes().await.map_err(broken)?.into();
        } else {
            given = given.with(&name, &field.text().await.map_err(broken)?);
        }
    }
    Ok(Uploaded { given, file })
}

/// What the fields of name and note are called in the form for a kind: the page has a form for each.
pub fn names(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::RulePack => ("pack_name", "pack_note"),
        Kind::Database => ("database_name", "database_note"),
    }
}

fn labelled(code: &str) -> (String, String) {
    let label = match code {
        "country" => "Countries and regions",
        "asn" => "Autonomous systems",
        _ => "Source types",
    };
    (code.to_owned(), label.to_owned())
}

/// A list with its form.
pub fn section(kind: Kind, code: &'static str, rows: Vec<VersionRow>, given: &Given, wrong: &[Mistake]) -> Section {
    let of = |name: &str| wrong.iter().find(|one| one.field == name).map(|one| one.message.as_str());
    let name = match kind {
        Kind::RulePack => Field::new(
            "pack_name",
            "Name",
            Control::Code,
            "One called builtin takes the place of the signatures that ship with nodes.",
        ),
        Kind::Database => Field::new(
            "database_name",
            "What",
            Control::Select(DATABASES.iter().map(|one| labelled(one)).collect()),
            "",
        ),
    };
    let note = Field::new(names(kind).1, "Note", Control::Line, "").with(given.get(names(kind).1)).blamed(of("note"));
    let name = name.with(given.get(names(kind).0)).needed().blamed(of("name"));
    let (label, about, empty, file, accept) = match kind {
        Kind::RulePack => (
            "Rule packs",
            "Signatures in the form of rule files, beside those that ship with nodes.",
            "No pack yet. Upload a rule file, or set a mirror.",
            "Rule file (YAML)",
            ".yaml,.yml",
        ),
        Kind::Database => (
            "Databases",
            "MMDB files by which nodes know country, network and source type of an address.",
            "No database yet. Lists by country, network and source type need one, here or on the node.",
            "MMDB file",
            ".mmdb",
        ),
    };
    Section {
        code,
        label,
        about,
        empty,
        file,
        accept,
        rows,
        fields: vec![name, note],
        open: false,
        mistakes: wrong.iter().filter(|one| !matches!(one.field.as_str(), "name" | "note")).map(said).collect(),
    }
}

fn said(one: &Mistake) -> Text {
    let colon = if one.field.is_empty() { "" } else { ": " };
    Text::new(&format!("{}{colon}{}", one.field, one.message))
}

/// What a mirror is for.
pub fn target(given: &Given) -> (Kind, String) {
    match given.get("target") {
        "" => (Kind::RulePack, given.get("mirror_name").to_owned()),
        database => (Kind::Database, database.to_owned()),
    }
}

/// Fields of the form that sets a mirror.
pub fn mirror_fields(given: &Given, wrong: &[Mistake]) -> Vec<Field> {
    let of = |name: &str| wrong.iter().find(|one| one.field == name).map(|one| one.message.as_str());
    let targets = std::iter::once((String::new(), "A rule pack".to_owned()));
    let targets = Control::Select(targets.chain(DATABASES.iter().map(|one| labelled(one))).collect());
    let general = wrong.iter().find(|one| one.field.is_empty()).map(|one| one.message.as_str());
    let field = |name, label, control, hint| Field::new(name, label, control, hint).with(given.get(name));
    let period = if given.has("period") { given.get("period") } else { "60" };
    vec![
        field("target", "What", targets, ""),
        field("mirror_name", "Name of the pack", Control::Code, "For a rule pack alone.").blamed(of("name")),
        field("url", "Address", Control::Code, "https; http to this machine alone.")
            .needed()
            .blamed(of("url").or(general)),
        field("public_key", "Key", Control::Code, "Base64 of the Ed25519 key that signs.")
            .needed()
            .blamed(of("public_key")),
        Field::new("period", "Minutes between looks", Control::Number, "").with(period).blamed(of("period")),
    ]
}
