//! `weir config`: check a configuration, write the reference page.

use super::report_format::{ReportArgs, ReportFormat};
use super::sources::SourceArgs;
use crate::config::{Loaded, Resolved, Sources, load, load_text, reference, tree};
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

const EXIT_CODES: &str = "Exit codes:
  0  the configuration can be used; there may be warnings
  1  it cannot, or with --strict there are warnings
  2  the command line is wrong";

#[derive(Subcommand, Debug)]
enum ConfigCommand {
    /// Report every mistake of a configuration at once.
    #[command(after_help = EXIT_CODES)]
    Check(CheckArgs),
    /// Print the reference page of every key, as Markdown.
    Reference,
}

#[derive(Args, Debug)]
struct CheckArgs {
    /// The file, in place of `--config`; `-` reads standard input. Without either, the environment and the defaults are checked.
    #[arg(value_name = "FILE")]
    path: Option<PathBuf>,
    #[command(flatten)]
    sources: SourceArgs,
    #[command(flatten)]
    report: ReportArgs,
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
    /// The file to check. One that the environment names is the default of both spellings.
    fn file(&self, environment: &[(String, String)]) -> Result<Option<PathBuf>, &'static str> {
        match (&self.path, &self.sources.config) {
            (None, config) => Ok(config.clone()),
            (Some(path), None) => Ok(Some(path.clone())),
            (Some(path), Some(config)) => {
                let is_default = |(name, value): &(String, String)| name == "WEIR_CONFIG" && Path::new(value) == config;
                match path == config || environment.iter().any(is_default) {
                    true => Ok(Some(path.clone())),
                    false => Err("name one file, as FILE or with `--config`"),
                }
            }
        }
    }

    fn run(&self, environment: Vec<(String, String)>, out: &mut dyn Write) -> io::Result<u8> {
        let file = match self.file(&environment) {
            Ok(file) => file,
            Err(why) => {
                writeln!(out, "error: {why}")?;
                return Ok(2);
            }
        };
        let flags = &self.sources.set;
        let mut loaded = if file.as_deref() == Some(Path::new("-")) {
            let mut text = String::new();
            io::stdin().lock().take(tree::MAX_FILE as u64 + 1).read_to_string(&mut text)?;
            load_text("<stdin>", text, &environment, flags)
        } else {
            load(&Sources { file, environment, flags: flags.clone() })
        };
        check_policy(&mut loaded);
        if self.files {
            check_files(&mut loaded);
        }
        let report = &loaded.report;
        match self.report.format() {
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
    fn the_file_is_named_as_in_other_subcommands_too() {
        let bad = file("connector:\n  adress: :5000\n");
        let path = bad.path().to_str().unwrap();
        let (code, said) = weir(&["check", path]);
        assert_eq!(code, 1, "{said}");
        for spelling in [vec!["check", "-c", path], vec!["check", "--config", path], vec!["check", "-c", path, path]] {
            assert_eq!(weir(&spelling), (1, said.clone()), "{spelling:?}");
        }
        let (code, said) = weir(&["check", "-c", path, "/other.yaml"]);
        assert!(code == 2 && said.contains("name one file"), "{said}");
        let check = |environment: &[(String, String)]| {
            let args = ["config", "check", "--config", "/by/environment.yaml", path];
            let line = Line::try_parse_from(args).unwrap();
            let ConfigCommand::Check(check) = &line.config.command else { panic!("not check") };
            check.file(environment).map(|file| file.unwrap())
        };
        let named = [("WEIR_CONFIG".to_owned(), "/by/environment.yaml".to_owned())];
        assert_eq!(check(&named), Ok(bad.path().to_path_buf()), "the environment gives way to FILE");
        assert!(check(&[]).is_err());
        let (_, json) = weir(&["check", "--json", path]);
        assert_eq!(weir(&["check", "--format", "json", path]).1, json);
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
