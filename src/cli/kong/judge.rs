//! What Kong would say of an instance.

use super::fields::{self, Field, Kind};
use super::instances::{self, Instance, Plugin};
use super::values;
use crate::config::diagnostic::Diagnostic;
use crate::config::tree::{Entry, Mark, Node, Value};
use crate::config::{Origin, Severity};
use weir_core::ruleset::similar_name;

/// Everything for which an instance would be refused. `source` is the text of the file.
pub fn instance(instance: &Instance<'_>, source: &str) -> Vec<Diagnostic> {
    let mut judge = Judge { instance, source, out: Vec::new() };
    judge.protocols();
    if let Some(mark) = instance.consumer {
        judge.refuse("consumer", mark, "runs before authentication: it cannot belong to a consumer".into());
    }
    match instance.config.map(|node| (&node.value, node.mark)) {
        None | Some((Value::Null, _)) => judge.config(&[]),
        Some((Value::Map(entries), _)) => judge.config(entries),
        Some((_, mark)) => judge.refuse("config", mark, "`config`: expected a map".into()),
    }
    judge.out
}

/// A remark about a place in the file.
pub fn diagnostic(severity: Severity, message: String, key: String, mark: Mark) -> Diagnostic {
    Diagnostic { severity, message, key, origin: Origin::File(mark), help: None, secret: false }
}

struct Judge<'i, 't> {
    instance: &'i Instance<'t>,
    source: &'i str,
    out: Vec<Diagnostic>,
}

impl Judge<'_, '_> {
    fn refuse(&mut self, key: &str, mark: Mark, what: String) {
        let message = format!("{} ({}): {what}", self.instance.plugin.name(), self.instance.place);
        let mut found = diagnostic(Severity::Error, message, key.to_owned(), mark);
        found.secret = ["client_key", "connector_key"].iter().any(|name| key.ends_with(name));
        self.out.push(found);
    }

    fn protocols(&mut self) {
        if self.instance.plugin != Plugin::Responses {
            return;
        }
        let judged = |name: &&str| matches!(*name, "http" | "https");
        let why = "Kong buffers HTTP responses only; use kong-lua alone on gRPC routes";
        if let Some(node) = self.instance.protocols {
            for other in instances::words(node).into_iter().filter(|name| !judged(name)) {
                self.refuse("protocols", node.mark, format!("cannot inspect {other}: {why}"));
            }
        }
        let owner = &self.instance.owner_protocols;
        if !owner.is_empty() && !owner.iter().any(judged) {
            let mark = self.instance.mark;
            self.refuse("protocols", mark, format!("cannot inspect {}: {why}", owner.join(", ")));
        }
    }

    fn config(&mut self, entries: &[Entry]) {
        let known = fields::of(self.instance.plugin);
        for entry in entries {
            match known.iter().find(|field| field.name == entry.key) {
                Some(field) => self.field(field, &entry.node),
                None => {
                    let nearest = similar_name(&entry.key, known.iter().map(|field| field.name));
                    let meant = nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
                    self.refuse(
                        &format!("config.{}", entry.key),
                        entry.mark,
                        format!("unknown field `{}`{meant}", entry.key),
                    );
                }
            }
        }
        if self.instance.plugin == Plugin::Requests && !self.instance.elsewhere {
            let set = |name| instances::value(entries, name).filter(|entry| entry.node.value != Value::Null);
            if set("wallarm_node_address").is_none() {
                self.refuse("config", self.instance.mark, "`wallarm_node_address` is required".into());
            }
            self.pair(set("client_certificate"), set("client_key"));
        }
    }

    /// A certificate and its key.
    fn pair(&mut self, chain: Option<&Entry>, key: Option<&Entry>) {
        let (chain, key) = match (chain, key) {
            (Some(chain), Some(key)) => (chain, key),
            (None, None) => return,
            (Some(one), None) | (None, Some(one)) => {
                let what = "`client_certificate` and `client_key` go together".into();
                return self.refuse("config", one.mark, what);
            }
        };
        let (Value::Scalar(chain), Value::Scalar(pem)) = (&chain.node.value, &key.node.value) else { return };
        if weir_runtime::pem::differ(chain.as_bytes(), pem.as_bytes()) {
            self.refuse("config.client_key", key.node.mark, "client_key is not the key of client_certificate".into());
        }
    }

    fn field(&mut self, field: &Field, node: &Node) {
        let text = match &node.value {
            Value::Null => return,
            Value::Scalar(text) => text.as_str(),
            Value::List(_) | Value::Map(_) => return self.expected(field, node, None),
        };
        // A value that another program puts in before Kong sees the file.
        let reference = text.starts_with("{vault://") && text.ends_with('}');
        if text.contains("${{") || reference && field.referenceable {
            return;
        }
        if !self.fits(field.kind, text, node.mark) {
            self.expected(field, node, Some(text));
        }
    }

    fn fits(&self, kind: Kind, text: &str, mark: Mark) -> bool {
        let typed = self.typed(text, mark);
        match kind {
            Kind::Boolean => typed != Some(false) && is_boolean(text),
            Kind::Integer(least, most) => {
                typed != Some(false) && integer(text).is_some_and(|number| (least..=most).contains(&number))
            }
            Kind::Word(words) => words.contains(&text),
            Kind::Text(max, form, _) => typed != Some(true) && text.len() <= max && form(text),
        }
    }

    /// Whether the scalar at `mark` is read as a number or a boolean, and not as a text; none where the text does not show it.
    fn typed(&self, text: &str, mark: Mark) -> Option<bool> {
        let line = self.source.lines().nth(mark.line.checked_sub(1)?)?;
        let first = line.chars().nth(mark.column.checked_sub(1)?)?;
        match first {
            '*' | '&' | '!' => None,
            '"' | '\'' | '|' | '>' => Some(false),
            _ => Some(is_boolean(text) || text.parse::<f64>().is_ok()),
        }
    }

    fn expected(&mut self, field: &Field, node: &Node, text: Option<&str>) {
        let form = match field.kind {
            Kind::Boolean => "true or false, without quotes".to_owned(),
            Kind::Integer(least, most) => format!("a whole number from {least} to {most}, without quotes"),
            Kind::Word(words) => words.join(" or "),
            Kind::Text(max, form, what) if text.is_some_and(|text| form(text) && text.len() <= max) => {
                let quotes = if what == values::APPLICATION { "" } else { ", in quotes" };
                format!("{what}{quotes}")
            }
            Kind::Text(max, _, what) if text.is_some_and(|text| text.len() > max) => {
                format!("{what}, of at most {max} bytes")
            }
            Kind::Text(_, _, what) => what.to_owned(),
        };
        self.refuse(&format!("config.{}", field.name), node.mark, format!("`{}`: expected {form}", field.name));
    }
}

/// As the parsers of YAML that Kong and its tools have read it.
fn is_boolean(text: &str) -> bool {
    matches!(text, "true" | "false" | "yes" | "no" | "on" | "off" | "True" | "False" | "TRUE" | "FALSE")
}

fn integer(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let number: f64 = text.parse().ok()?;
    (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
}
