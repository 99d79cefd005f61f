//! Forms of the page of rule packs and databases.

use crate::console::form_fields::FormFields;
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
    pub given: FormFields,
    pub file: Vec<u8>,
}

/// Reads a form with a file, within the route's limit.
pub async fn read(request: Request) -> Result<Uploaded> {
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| Error::invalid("", "choose a file"))?;
    let (mut given, mut file) = (FormFields::default(), Vec::new());
    let broken = |_| Error::invalid("file", "the upload was interrupted or the file is too large");
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
        "asn" => "ASNs",
        _ => "Source types",
    };
    (code.to_owned(), label.to_owned())
}

/// A list with its form.
pub fn section(
    kind: Kind,
    code: &'static str,
    rows: Vec<VersionRow>,
    given: &FormFields,
    wrong: &[Mistake],
) -> Section {
    let of = |name: &str| wrong.iter().find(|one| one.field == name).map(|one| one.message.as_str());
    let name = match kind {
        Kind::RulePack => Field::new(
            "pack_name",
            "Name",
            Control::Code,
            "A pack named builtin replaces the signatures that ship with the nodes; one named cve, the virtual patches.",
        ),
        Kind::Database => Field::new(
            "database_name",
            "Content",
            Control::Select(DATABASES.iter().map(|one| labelled(one)).collect()),
            "",
        ),
    };
    let note =
        Field::new(names(kind).1, "Note", Control::Line, "").with(given.get(names(kind).1)).with_error(of("note"));
    let name = name.with(given.get(names(kind).0)).required().with_error(of("name"));
    let (label, about, empty, file, accept) = match kind {
        Kind::RulePack => (
            "Rule packs",
            "Signatures in rule files, in addition to those that ship with the nodes. A pack named \"builtin\" replaces those, a pack named \"cve\" replaces only their virtual patches.",
            "No rule packs yet. Upload a rule file or add a mirror.",
            "Rule file (YAML)",
            ".yaml,.yml",
        ),
        Kind::Database => (
            "IP databases",
            "MMDB files that map IP addresses to country, ASN and source type.",
            "No databases yet. IP list entries by country, ASN and source type need one, here or on the node.",
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
pub fn target(given: &FormFields) -> (Kind, String) {
    match given.get("target") {
        "" => (Kind::RulePack, given.get("mirror_name").to_owned()),
        database => (Kind::Database, database.to_owned()),
    }
}

/// Fields of the form that sets a mirror.
pub fn mirror_fields(given: &FormFields, wrong: &[Mistake]) -> Vec<Field> {
    let of = |name: &str| wrong.iter().find(|one| one.field == name).map(|one| one.message.as_str());
    let targets = std::iter::once((String::new(), "Rule pack".to_owned()));
    let targets = Control::Select(targets.chain(DATABASES.iter().map(|one| labelled(one))).collect());
    let general = wrong.iter().find(|one| one.field.is_empty()).map(|one| one.message.as_str());
    let field = |name, label, control, hint| Field::new(name, label, control, hint).with(given.get(name));
    let period = if given.has("period") { given.get("period") } else { "60" };
    vec![
        field("target", "Content", targets, ""),
        field("mirror_name", "Name of the pack", Control::Code, "For rule packs only.").with_error(of("name")),
        field("url", "URL", Control::Code, "https; http is allowed for localhost only.")
            .required()
            .with_error(of("url").or(general)),
        field("public_key", "Public key", Control::Code, "Ed25519 public key that verifies the signature, in base64.")
            .required()
            .with_error(of("public_key")),
        Field::new("period", "Check interval, minutes", Control::Number, "").with(period).with_error(of("period")),
    ]
}
