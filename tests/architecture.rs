//! The dependency rules of docs/architecture.md, held by a scan of the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// What each module may name of the crate, itself apart.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("normalize", &["model"]),
    ("parse", &["model", "normalize"]),
    ("ruleset", &["model", "normalize"]),
    ("detect", &["model", "normalize", "ruleset"]),
    ("engine", &["model", "normalize", "parse", "ruleset", "detect"]),
    ("policy", &["model"]),
    ("telemetry", &["model", "policy"]),
    ("geo", &["policy"]),
    (
        "http_inspector",
        &["model", "parse", "engine", "policy", "telemetry", "generation", "geo", "events", "serve", "tls"],
    ),
    ("generation", &["model", "engine", "policy", "ruleset", "geo"]),
    ("config", &["model"]),
    ("node_api", &["model"]),
    ("serve", &["tls"]),
    ("tls", &[]),
    ("events", &["model", "normalize", "parse", "policy", "telemetry", "node_api"]),
    ("sync", &["model", "policy", "telemetry", "node_api", "events"]),
    ("aggregation", &["model", "telemetry", "node_api", "events", "sync", "serve", "tls"]),
    // The store knows records and wire types only; API and Console try policies and requests with the core.
    (
        "control_plane",
        &[
            "model",
            "normalize",
            "parse",
            "ruleset",
            "detect",
            "engine",
            "policy",
            "geo",
            "telemetry",
            "node_api",
            "serve",
            "tls",
        ],
    ),
];

/// Modules that are pure: they may name none of [`IMPURE`].
const PURE: &[&str] = &["model", "normalize", "parse", "ruleset", "detect", "engine", "policy"];

/// I/O, clocks, the environment, files, logs.
const IMPURE: &[&str] = &[
    "axum",
    "tokio",
    "hyper",
    "tracing::",
    "std::env",
    "std::fs",
    "std::net::Tcp",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "println!",
    "eprintln!",
];

/// Modules that may know of modes and actions.
const KNOW_MODES: &[&str] =
    &["policy", "http_inspector", "events", "config", "cli", "app", "telemetry", "generation", "sync", "control_plane"];

struct Source {
    module: String,
    path: PathBuf,
    code: String,
}

/// Every file under `src`, without comments and without its test module.
fn sources() -> Vec<Source> {
    let mut out = Vec::new();
    collect(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut out);
    assert!(out.len() > 30, "the scan found too few files to mean anything");
    out
}

fn collect(dir: &Path, out: &mut Vec<Source>) {
    let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            let relative = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
            let first = relative.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            let code: String = text
                .split("#[cfg(test)]\nmod ")
                .next()
                .unwrap()
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .flat_map(|line| [line, "\n"])
                .collect();
            out.push(Source { module: first.trim_end_matches(".rs").into(), path: path.clone(), code });
        }
    }
}

/// First path segments of every `crate::x` in `code`, braces resolved.
fn crate_uses(code: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => out.push(std::mem::take(&mut item)),
                    c if depth == 0 => item.push(c),
                    _ => {}
                }
            }
            out.push(item);
        } else {
            out.push(rest.to_string());
        }
    }
    let word =
        |text: &String| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    out.iter().map(word).filter(|w| !w.is_empty()).collect()
}

#[test]
fn modules_name_only_what_they_may() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some((_, may)) = MAY_USE.iter().find(|(name, _)| *name == source.module) else { continue };
        for used in crate_uses(&source.code) {
            if used != source.module && !may.contains(&used.as_str()) {
                wrong.push(format!("{} names crate::{used}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_app_and_cli_import_config() {
    let may = ["app", "cli", "config", "main"];
    let wrong: Vec<_> = sources()
        .into_iter()
        .filter(|s| !may.contains(&s.module.as_str()) && crate_uses(&s.code).iter().any(|u| u == "config"))
        .map(|s| s.path.display().to_string())
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_core_is_pure() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|s| PURE.contains(&s.module.as_str())) {
        for word in IMPURE.iter().filter(|word| source.code.contains(**word)) {
            wrong.push(format!("{} names {word}", source.path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn parsers_and_detectors_do_not_know_their_siblings() {
    // What all parsers or detectors of a folder share stands in these.
    let shared = ["mod", "emit", "extract", "seen", "testing"];
    let mut wrong = Vec::new();
    for source in sources() {
        if source.module != "parse" && source.module != "detect" {
            continue;
        }
        let me = source.path.file_stem().unwrap().to_string_lossy().into_owned();
        if shared.contains(&me.as_str()) || source.path.components().count() == 0 {
            continue;
        }
        for (at, _) in source
            .code
            .match_indices(&format!("crate::{}::", source.module))
            .chain(source.code.match_indices("super::"))
        {
            let rest = source.code[at..].split("::").skip(1).find(|part| *part != source.module.as_str()).unwrap_or("");
            let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let sibling = source.path.parent().unwrap().join(format!("{word}.rs"));
            let lower = word.chars().next().is_some_and(char::is_lowercase);
            if lower
                && word != me
                && !shared.contains(&word.as_str())
                && sibling.exists()
                && !allowed(&source, &me, &word)
            {
                wrong.push(format!("{} uses its sibling {word}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The query of a target and a form body are one syntax, and facts are read with the same splitter.
fn allowed(source: &Source, me: &str, sibling: &str) -> bool {
    source.module == "parse" && ["target", "facts"].contains(&me) && sibling == "form_urlencoded"
        // A detector of several files keeps them in a folder of its own.
        || source.path.parent().and_then(Path::file_name).is_some_and(|dir| dir != "parse" && dir != "detect")
}

#[test]
fn only_policy_and_the_edges_know_modes() {
    let mut wrong = Vec::new();
    for source in sources() {
        let knows = KNOW_MODES.contains(&source.module.as_str());
        let names = ["Mode::", "Action::"].iter().any(|word| {
            source.code.match_indices(word).any(|(at, _)| !source.code[..at].ends_with(|c: char| c.is_alphanumeric()))
        });
        if names && !knows {
            wrong.push(source.path.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn no_rule_id_is_named_in_rust() {
    let ids: Vec<String> = weir_core::ruleset::builtin::files()
        .iter()
        .flat_map(|(_, text)| {
            text.lines().filter_map(|l| l.strip_prefix("- id: ")).map(|id| id.trim().to_string()).collect::<Vec<_>>()
        })
        .collect();
    assert!(!ids.is_empty());
    let mut wrong = Vec::new();
    for source in sources() {
        for id in ids.iter().filter(|id| source.code.contains(&format!("\"{id}\""))) {
            wrong.push(format!("{} names {id}", source.path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn functions_and_files_stay_small() {
    const MAX_CODE_LINES: usize = 420;
    let wrong: Vec<_> = sources()
        .into_iter()
        .filter(|s| s.code.lines().filter(|l| !l.trim().is_empty()).count() > MAX_CODE_LINES)
        .map(|s| format!("{}: {} lines of code", s.path.display(), s.code.lines().count()))
        .collect();
    assert!(wrong.is_empty(), "split these by purpose:\n{}", wrong.join("\n"));
}
