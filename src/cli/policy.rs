//! `weir policy`: the policy of a control plane as a file, over its API.

use super::error::CliError;
use super::{EXIT_DIFFERENT, EXIT_FAILED, EXIT_OK, EXIT_UNCONFIRMED};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use weir_control_plane::outgoing::{Outgoing, Roots};
use weir_control_plane::policy::as_code::end;

/// Longest time for one call: a plan tries the hits of a day.
const CALL_TIME: Duration = Duration::from_secs(60);
/// Longest file that is read, in bytes.
const MAX_FILE: u64 = 32 << 20;

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Write the policy in force as YAML.
    Export(Server),
    /// Show what `apply` would change, and what of it has to be confirmed.
    #[command(after_help = "Exit codes:
  0  the policy is what the file says
  1  the file or the control plane is unusable
  2  the command line is wrong
  4  there are differences")]
    Diff(FileArgs),
    /// Make the policy what the file says. The second time it changes nothing.
    #[command(after_help = "Exit codes:
  0  the policy is what the file says
  1  the file or the control plane is unusable: nothing is changed
  2  the command line is wrong
  5  the change weakens protection or blocks everywhere, and is not confirmed: nothing is changed")]
    Apply(ApplyArgs),
}

/// The control plane.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes:
  0  done
  1  the control plane is unusable
  2  the command line is wrong")]
pub struct Server {
    /// Address of the control plane.
    #[arg(long, env = "WEIR_URL", value_name = "URL", default_value = "http://127.0.0.1:8088")]
    url: String,
    /// API token whose role allows this; better given by the environment than on the command line.
    #[arg(long, env = "WEIR_API_TOKEN", hide_env_values = true)]
    token: String,
    /// Which authorities are trusted for https: `system`, `bundled` or a file of certificates.
    #[arg(long, value_name = "ROOTS", default_value = "system")]
    ca: String,
}

/// The control plane and a file.
#[derive(Args, Debug)]
pub struct FileArgs {
    /// File of the policy (YAML or JSON); `-` for standard input.
    file: PathBuf,
    #[command(flatten)]
    server: Server,
}

/// The same, with a confirmation.
#[derive(Args, Debug)]
pub struct ApplyArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Confirms exactly the difference with this hash, which `diff` and a refused `apply` name.
    #[arg(long, value_name = "HASH")]
    confirm: Option<String>,
}

/// Runs the subcommand.
pub fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::Export(server) => server.call("GET", "export", None, None).map(|answer| answer.exported()),
        Command::Diff(args) => args.send("diff", None).map(|answer| answer.planned()),
        Command::Apply(args) => args.file.send("apply", args.confirm.as_deref()).map(|answer| answer.applied()),
    };
    let (code, out, error) = done.unwrap_or_else(|error| (EXIT_FAILED, String::new(), error.to_string()));
    print!("{out}");
    if !error.is_empty() {
        super::report(&error);
    }
    ExitCode::from(code)
}

/// An answer of the control plane.
struct Answer {
    status: u16,
    body: String,
    /// The file that was sent; empty if none was.
    file: String,
}

/// Exit code, standard output, error.
type Outcome = (u8, String, String);

impl FileArgs {
    fn send(&self, what: &str, confirm: Option<&str>) -> Result<Answer, CliError> {
        let answer = self.server.call("POST", what, Some(read(&self.file)?), confirm)?;
        Ok(Answer { file: self.file.display().to_string(), ..answer })
    }
}

fn read(path: &Path) -> Result<String, CliError> {
    let name = path.display().to_string();
    let failed = |source| CliError::File { name: name.clone(), source };
    let mut text = String::new();
    let length = if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_FILE + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
    };
    if length.map_err(failed)? as u64 > MAX_FILE {
        return Err(CliError::TooLarge { name, limit: MAX_FILE });
    }
    Ok(text)
}

impl Server {
    fn call(&self, method: &str, what: &str, body: Option<String>, confirm: Option<&str>) -> Result<Answer, CliError> {
        let url = format!("{}/api/v1/policy/{what}", self.url.trim_end_matches('/'));
        let unusable = |why: String| CliError::ControlPlane { url: self.url.clone(), why };
        let outgoing = Outgoing::new(&Roots::parse(&self.ca), true).map_err(|error| unusable(causes(&error)))?;
        let client = outgoing.builder().timeout(CALL_TIME).build().map_err(|error| unusable(causes(&error)))?;
        let mut request = if method == "GET" { client.get(url) } else { client.post(url) };
        request = request.bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/yaml").body(body);
        }
        if let Some(confirm) = confirm {
            request = request.header("x-confirm", confirm);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?;
        runtime.block_on(async {
            let answer = request.send().await.map_err(|error| unusable(causes(&error)))?;
            let status = answer.status().as_u16();
            let body = answer.text().await.map_err(|error| unusable(causes(&error)))?;
            Ok(Answer { status, body, file: String::new() })
        })
    }
}

/// An error with what caused it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let _written = write!(out, ": {cause}");
        next = cause.source();
    }
    out
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    fn failed(&self) -> Outcome {
        let problem = self.json();
        let mistakes = problem["errors"].as_array().filter(|all| !all.is_empty() && !self.file.is_empty());
        if let Some(mistakes) = mistakes {
            let lines: Vec<String> = mistakes.iter().map(|one| self.mistake(one)).collect();
            return (EXIT_FAILED, String::new(), lines.join("\n"));
        }
        let detail = problem["detail"].as_str().unwrap_or("the answer is not that of a control plane");
        (EXIT_FAILED, String::new(), format!("{}: {detail}", self.status))
    }

    /// `FILE: rules/1/threshold: expected a number`.
    fn mistake(&self, one: &Value) -> String {
        let field = one["field"].as_str().filter(|field| !field.is_empty());
        let field = field.map(|field| format!("{field}: ")).unwrap_or_default();
        format!("{}: {field}{}", self.file, one["message"].as_str().unwrap_or_default())
    }

    fn exported(self) -> Outcome {
        if self.status == 200 { (EXIT_OK, self.body, String::new()) } else { self.failed() }
    }

    fn planned(self) -> Outcome {
        if self.status != 200 {
            return self.failed();
        }
        let plan = self.json();
        let mut out = String::new();
        let shown = plan["differences"]["shown"].as_array().map(Vec::as_slice).unwrap_or_default();
        for one in shown {
            difference(one, &mut out);
        }
        if let Some(more) = plan["differences"]["more"].as_u64().filter(|more| *more > 0) {
            let _written = writeln!(out, "... and {more} more");
        }
        notices(&plan, &mut out);
        confirmation(&plan["confirmation"], &mut out);
        if shown.is_empty() {
            return (EXIT_OK, "no differences\n".to_owned(), String::new());
        }
        (EXIT_DIFFERENT, out, String::new())
    }

    fn applied(self) -> Outcome {
        let answer = self.json();
        match self.status {
            200 => {
                let plural = if answer["changes"] == 1 { "change" } else { "changes" };
                let mut out = format!("{} {plural}, policy {}\n", answer["changes"], answer["serial"]);
                notices(&answer, &mut out);
                (EXIT_OK, out, String::new())
            }
            428 => {
                let mut out = String::new();
                confirmation(&answer["confirmation"], &mut out);
                (EXIT_UNCONFIRMED, out, "nothing is changed: the change has to be confirmed".to_owned())
            }
            _ => self.failed(),
        }
    }
}

/// Writes what differs in one object, key by key.
fn difference(one: &Value, out: &mut String) {
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    fields(&one["before"], "", &mut before);
    fields(&one["after"], "", &mut after);
    let sign = match (one["before"].is_null(), one["after"].is_null()) {
        (true, _) => "+",
        (_, true) => "-",
        _ => "~",
    };
    let _written = writeln!(out, "{sign} {}", one["object"].as_str().unwrap_or_default());
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let _written = match (before.get(key), after.get(key)) {
            (Some(before), Some(after)) if before == after => Ok(()),
            (Some(before), Some(after)) => writeln!(out, "    {key}: {before} -> {after}"),
            (Some(before), None) => writeln!(out, "    - {key}: {before}"),
            (None, after) => writeln!(out, "    + {key}: {}", after.map(String::as_str).unwrap_or_default()),
        };
    }
}

/// The values of `object` by their keys, those of inner objects joined by dots. Who changed it and when is left out.
fn fields(object: &Value, under: &str, out: &mut BTreeMap<String, String>) {
    for (key, value) in object.as_object().into_iter().flatten() {
        if under.is_empty() && matches!(key.as_str(), "created_at" | "created_by" | "updated_at") {
            continue;
        }
        let key = if under.is_empty() { key.clone() } else { format!("{under}.{key}") };
        if value.as_object().is_some_and(|inner| !inner.is_empty()) {
            fields(value, &key, out);
        } else {
            let time = value.as_u64().filter(|_| key.rsplit('.').next() == Some(end::MEMBER));
            out.insert(key, time.and_then(end::written).unwrap_or_else(|| value.to_string()));
        }
    }
}

fn notices(answer: &Value, out: &mut String) {
    for notice in answer["notices"].as_array().into_iter().flatten() {
        let (field, message) = (&notice["field"], &notice["message"]);
        let _written =
            writeln!(out, "! {}: {}", field.as_str().unwrap_or_default(), message.as_str().unwrap_or_default());
    }
}

fn confirmation(asked: &Value, out: &mut String) {
    if asked.is_null() {
        return;
    }
    out.push_str("has to be confirmed:\n");
    for change in asked["changes"].as_array().into_iter().flatten() {
        let _written = writeln!(out, "  ! {}", change["says"].as_str().unwrap_or_default());
    }
    if let Some(effect) = asked["effect"].as_object() {
        let number = |key: &str| effect.get(key).and_then(Value::as_u64).unwrap_or_default();
        let _written = writeln!(
            out,
            "  of {} hits of the last 24 hours it would let through {} and block {} more",
            number("replayed"),
            number("let_through"),
            number("blocked")
        );
    }
    let _written = writeln!(out, "  confirm with --confirm {}", asked["confirm"].as_str().unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(status: u16, body: &Value) -> Answer {
        Answer { status, body: body.to_string(), file: String::new() }
    }

    #[test]
    fn a_plan_is_told_in_lines_and_by_the_exit_code() {
        let none = json!({"differences": {"shown": [], "more": 0}, "notices": [], "confirmation": null});
        assert_eq!(answer(200, &none).planned(), (EXIT_OK, "no differences\n".to_owned(), String::new()));
        let rule = |depth: u8| json!({"id": 1, "rule": {"max_depth": depth}, "updated_at": depth});
        let plan = json!({
            "differences": {"shown": [
                {"object": "general", "before": {}, "after": {"mode": "off"}},
                {"object": "rule/1", "before": rule(5), "after": rule(7)},
                {"object": "rule/2", "before": {"id": 2, "rule": {"expired_at": 4_000_000_000u64, "type": "vpatch"}}, "after": null},
            ], "more": 2},
            "notices": [{"field": "rules/1", "message": "never matches"}],
            "confirmation": {"changes": [{"says": "all is off"}], "confirm": "abc", "effect": null},
        });
        let (code, out, _) = answer(200, &plan).planned();
        assert_eq!(code, EXIT_DIFFERENT);
        for line in ["... and 2 more", "! rules/1: never matches", "--confirm abc"] {
            assert!(out.contains(line), "{out}");
        }
        let lines = "~ general\n    + mode: \"off\"\n~ rule/1\n    rule.max_depth: 5 -> 7\n\
                     - rule/2\n    - id: 2\n    - rule.expired_at: 2096-10-02T07:06:40Z\n    - rule.type: \"vpatch\"\n";
        assert!(out.starts_with(lines), "{out}");
        let (code, out, error) = answer(428, &plan).applied();
        assert_eq!((code, error.is_empty()), (EXIT_UNCONFIRMED, false));
        assert!(out.contains("--confirm abc"), "{out}");
        let (code, _, error) = answer(403, &json!({"detail": "your role"})).applied();
        assert_eq!((code, error.as_str()), (EXIT_FAILED, "403: your role"));
        let mistakes = json!({"detail": "first", "errors": [
            {"field": "rules/1/threshold", "message": "expected a number"}, {"field": "", "message": "second"},
        ]});
        let refused = Answer { file: "p.yaml".into(), ..answer(422, &mistakes) };
        assert_eq!(refused.applied().2, "p.yaml: rules/1/threshold: expected a number\np.yaml: second");
    }
}
