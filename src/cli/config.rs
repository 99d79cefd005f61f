//! `weir config`: check a configuration, write the reference page.

use super::report_format::ReportFormat;
use super::sources;
use crate::config::{Flag, Loaded, Resolved, Sources, load, load_text, reference, tree};
use clap::{Args, Subcommand};
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

/// Checks configurations and describes their keys.
#[derive(Args, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Subcommand, Debug)]
enum ConfigCommand {
    /// Report every mistake of a configuration at once.
    ///
    /// Exits with 0 if it can be used (there may be warnings), with 1 if not.
    Check(CheckArgs),
    /// Print the reference page of every key, as Markdown.
    Reference,
}

#[derive(Args, Debug)]
struct CheckArgs {
    /// The file; `-` reads standard input. Without it, the environment and the defaults are checked.
    file: Option<PathBuf>,
    /// How to report.
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    format: ReportFormat,
    /// Set a key as the same flag of the service does, e.g. `--set connector.address=:5001`. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = sources::flag)]
    set: Vec<Flag>,
    /// Check as well that the files that the configuration names can be read from here.
    #[arg(long)]
    files: bool,
    /// Exit with 1 if there are warnings.
    #[arg(long)]
    strict: bool,
}

/// Runs the subcommand and answers its exit code. Fails only if `out` cannot be written.
pub fn run(args: &ConfigArgs, environment: Vec<(String, String)>, out: &mut dyn Write) -> io::Result<u8> {
    match &args.command {
        ConfigCommand::Reference => {
            out.write_all(reference::markdown().as_bytes())?;
            Ok(0)
        }
        ConfigCommand::Check(check) => check.run(environment, out),
    }
}

impl CheckArgs {
    fn run(&self, environment: Vec<(String, String)>, out: &mut dyn Write) -> io::Result<u8> {
        let mut loaded = if self.file.as_deref() == Some(Path::new("-")) {
            let mut text = String::new();
            io::stdin().lock().take(tree::MAX_FILE as u64 + 1).read_to_string(&mut text)?;
            load_text("<stdin>", text, &environment, &self.set)
        } else {
            load(&Sources { file: self.file.clone(), environment, flags: self.set.clone() })
        };
        check_policy(&mut loaded);
        if self.files {
            check_files(&mut loaded);
        }
        let report = &loaded.report;
        match self.format {
            ReportFormat::Human => out.write_all(report.render().as_bytes())?,
            ReportFormat::Json => out.write_all(report.json().as_bytes())?,
        }
        let warned = self.strict && report.count(crate::config::Severity::Warning) > 0;
        Ok(u8::from(report.failed() || warned))
    }
}

/// Adds mistakes that only the compilation of the policy finds: patterns, replies, and routes that match no request.
fn check_policy(loaded: &mut Loaded) {
    let Some(resolved) = &loaded.resolved else { return };
    for (key, message) in crate::app::settings::mistakes(resolved) {
        loaded.report.error(&key, format!("`{key}`: {message}"));
    }
}

fn check_files(loaded: &mut Loaded) {
    let Some(resolved) = &loaded.resolved else { return };
    for (key, path, directory) in named_files(resolved) {
        let opened = match directory {
            true => std::fs::read_dir(path).map(drop),
            false => File::open(path).map(drop),
        };
        if let Err(error) = opened {
            loaded.report.error(key, format!("`{key}`: {} cannot be read: {error}", path.display()));
        }
    }
}

/// Every file that a configuration names: its key, its path, whether it is a directory.
fn named_files(resolved: &Resolved) -> Vec<(&'static str, &Path, bool)> {
    let (connector, geo) = (&resolved.connector, &resolved.geo);
    let mut out: Vec<(&'static str, &Path, bool)> = Vec::new();
    if let Some(tls) = &connector.tls {
        out.push(("connector.tls_cert", &tls.cert, false));
        out.push(("connector.tls_key", &tls.key, false));
    }
    out.extend(connector.auth.key_files.iter().map(|path| ("connector.auth.key_files", path.as_path(), false)));
    out.extend(resolved.rules.directories.iter().map(|path| ("rules.directories", path.as_path(), true)));
    let single = [
        ("connector.auth.client_ca", &connector.auth.client_ca),
        ("policy.file", &resolved.policy_file),
        ("geo.country_database", &geo.country_database),
        ("geo.asn_database", &geo.asn_database),
        ("geo.source_type_database", &geo.source_type_database),
    ];
    out.extend(single.into_iter().filter_map(|(key, path)| Some((key, path.as_deref()?, false))));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        config: ConfigArgs,
    }

    fn weir(args: &[&str]) -> (u8, String) {
        let line = Line::try_parse_from(["config"].iter().chain(args)).unwrap_or_else(|error| panic!("{error}"));
        let mut out = Vec::new();
        let code = run(&line.config, Vec::new(), &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn a_good_file_exits_with_0() {
        let good = file("connector:\n  address: :5000\n  mesh: {}\n");
        let path = good.path().to_str().unwrap();
        let (code, out) = weir(&["check", path]);
        assert_eq!(code, 0, "{out}");
        assert!(
            out.contains("`connector.mesh` is ignored") && out.ends_with("is valid: 0 errors, 1 warning\n"),
            "{out}"
        );
        assert_eq!(weir(&["check", "--strict", path]).0, 1);
        assert_eq!(weir(&["check"]).0, 0);
    }

    #[test]
    fn a_bad_file_exits_with_1_in_both_formats() {
        let bad = file("connector:\n  adress: :5000\n  blocking: 7\n");
        let path = bad.path().to_str().unwrap();
        let (code, out) = weir(&["check", path]);
        assert_eq!(code, 1);
        assert!(out.contains(&format!("{path}:2:3")) && out.contains(&format!("{path}:3:13")), "{out}");
        let (code, out) = weir(&["check", "--format", "json", path]);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, json["errors"].as_u64(), json["valid"].as_bool()), (1, Some(2), Some(false)));
        let keys: Vec<_> = json["diagnostics"].as_array().unwrap().iter().map(|d| d["key"].as_str().unwrap()).collect();
        assert!(keys.contains(&"connector.adress") && keys.contains(&"connector.blocking"), "{keys:?}");
    }

    #[test]
    fn files_that_cannot_be_read_are_reported() {
        let (code, out) = weir(&["check", "/nonexistent/weir.yaml"]);
        assert!(code == 1 && out.contains("cannot be read"), "{out}");
        let named = file("policy: {file: /nonexistent/policy.yaml}\n");
        let path = named.path().to_str().unwrap();
        assert_eq!(weir(&["check", path]).0, 0);
        let (code, out) = weir(&["check", "--files", path]);
        assert!(code == 1 && out.contains("/nonexistent/policy.yaml"), "{out}");
        assert!(out.contains(&format!("{path}:1:16")), "{out}");
    }

    #[test]
    fn policy_mistakes_are_reported_with_their_place() {
        let bad = file("block_reply:\n  body_json: '${unknown}'\n  headers:\n    Content-Length: 5\n");
        let path = bad.path().to_str().unwrap();
        let (code, out) = weir(&["check", path]);
        assert_eq!(code, 1, "{out}");
        assert!(out.contains(&format!("{path}:2:14")) && out.contains("`block_reply.body_json`"), "{out}");
        assert!(out.contains("frames the answer"), "{out}");
    }

    #[test]
    fn flags_are_checked_like_keys() {
        assert_eq!(weir(&["check", "--set", "connector.address=:1"]).0, 0);
        let (code, out) = weir(&["check", "--set", "connector.adress=:1"]);
        assert!(code == 1 && out.contains("did you mean `connector.address`?"), "{out}");
    }

    #[test]
    fn the_reference_is_printed() {
        let (code, out) = weir(&["reference"]);
        assert!(code == 0 && out.starts_with("# Configuration\n") && out.contains("`max_call_bytes`"));
    }
}
