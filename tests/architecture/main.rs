//! The rules of docs/architecture.md that the compiler does not hold: which crate may depend on which, what the pure
//! crates must not use, which modules must not know each other, and sizes.

mod circles; // of `use` between folders
mod lexer; // code without comments, strings and tests
mod sizes; // of files and functions
mod sources; // every source file of the workspace

use sources::{Source, sources};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Crates of the workspace that each crate may depend on.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("weir-abuse", &[]),
    ("weir-core", &[]),
    ("weir-ffi", &["weir-core", "weir-policy", "weir-protocol"]),
    ("weir-policy", &["weir-core"]),
    ("weir-protocol", &["weir-abuse", "weir-core", "weir-policy"]),
    ("weir-runtime", &["weir-core", "weir-policy"]),
    ("weir-node", &["weir-abuse", "weir-core", "weir-policy", "weir-protocol", "weir-runtime"]),
    ("weir-control-plane", &["weir-abuse", "weir-core", "weir-policy", "weir-protocol", "weir-runtime"]),
    (
        "weir",
        &["weir-abuse", "weir-core", "weir-policy", "weir-protocol", "weir-runtime", "weir-node", "weir-control-plane"],
    ),
    ("weir-testkit", &[]),
];

/// What only tests and benches may depend on.
const TEST_ONLY: &[&str] = &["weir-ffi", "weir-testkit"];

/// Crates without input and output: their result depends on their arguments alone.
const PURE: &[&str] = &["weir-abuse", "weir-core", "weir-policy"];

/// I/O, clocks, the environment, files, logs.
const IMPURE: &[&str] = &[
    "axum",
    "tokio",
    "hyper",
    "reqwest",
    "sqlx",
    "tracing::",
    "log::",
    "std::env",
    "std::fs",
    "std::io::stdin",
    "std::net::Tcp",
    "std::net::Udp",
    "std::os",
    "std::process",
    "std::thread::spawn",
    "std::thread::sleep",
    "SystemTime",
    "Instant",
    "println!",
    "eprintln!",
    "dbg!",
];

/// Modules that must not know modes and actions: detection only reports, and what serves or transports does not decide.
const KNOW_NO_MODES: &[&str] = &[
    "weir-core",
    "weir-node/aggregation",
    "weir-node/geo",
    "weir-runtime/backoff",
    "weir-runtime/clock",
    "weir-runtime/serve",
    "weir-runtime/tls",
    "weir-testkit",
];

#[test]
fn every_crate_is_seen() {
    let mut files: BTreeMap<&str, usize> = BTreeMap::new();
    let all = sources();
    all.iter().for_each(|source| *files.entry(source.package.as_str()).or_default() += 1);
    let members: BTreeSet<String> = dependencies().into_keys().collect();
    let ruled: BTreeSet<String> = MAY_DEPEND_ON.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(members, ruled, "MAY_DEPEND_ON must name every member of the workspace");
    for (name, least) in [("weir", 40), ("weir-core", 60), ("weir-policy", 20), ("weir-node", 40)] {
        assert!(files.get(name).is_some_and(|count| *count >= least), "too few files of {name}: {files:?}");
    }
    assert_eq!(files.len(), members.len(), "{files:?}");
}

#[test]
fn crates_depend_only_on_the_crates_below_them() {
    let mut wrong = Vec::new();
    for (package, dependencies) in dependencies() {
        let (_, may) = MAY_DEPEND_ON.iter().find(|(name, _)| *name == package).expect("see every_crate_is_seen");
        for (on, kind) in dependencies {
            let for_tests = kind == "dev" && TEST_ONLY.contains(&on.as_str());
            if !for_tests && !may.contains(&on.as_str()) {
                wrong.push(format!("{package} depends on {on} ({kind})"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Dependencies of each member of the workspace on others: name, and `normal`, `dev` or `build`.
fn dependencies() -> BTreeMap<String, Vec<(String, String)>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &serde_json::Value| value["name"].as_str().unwrap().to_owned();
    let members: BTreeSet<String> = packages.iter().map(name).collect();
    let of = |package: &serde_json::Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        let kind = |dependency: &serde_json::Value| dependency["kind"].as_str().unwrap_or("normal").to_owned();
        all.map(|dependency| (name(dependency), kind(dependency))).filter(|(on, _)| members.contains(on)).collect()
    };
    packages.iter().map(|package| (name(package), of(package))).collect()
}

/// A profile inherits the levels of single packages, which come before its own level: what ships would be as slow as what is
/// quick to build.
#[test]
fn what_ships_is_optimised_throughout() {
    let manifest = std::fs::read_to_string("Cargo.toml").expect("a manifest");
    let levels = |profile: &str| -> Vec<(String, u8)> {
        let lines = manifest.lines().skip_while(|line| *line != format!("[profile.{profile}.package]")).skip(1);
        let lines = lines.take_while(|line| !line.starts_with('['));
        let level = |line: &str| {
            let (name, level) = line.split_once(" = { opt-level = ")?;
            Some((name.to_owned(), level.strip_suffix(" }")?.parse().ok()?))
        };
        lines.filter_map(level).collect()
    };
    let (quick, shipped) = (levels("release"), levels("dist"));
    assert!(quick.len() > 20, "{quick:?}");
    let slow: Vec<_> =
        quick.iter().filter(|(name, level)| *level < 3 && !shipped.contains(&(name.clone(), 3))).collect();
    assert!(slow.is_empty(), "give these level 3 in [profile.dist.package]: {slow:?}");
}

#[test]
fn core_and_policy_have_no_input_and_output() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| PURE.contains(&source.package.as_str())) {
        for word in IMPURE.iter().filter(|word| has_word(&source.bare, word)) {
            wrong.push(format!("{} uses {word}", source.path));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether `word` is in `code` and no identifier goes on before or after it.
fn has_word(code: &str, word: &str) -> bool {
    let ident = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let goes_on = word.ends_with(ident) && !word.ends_with("Tcp") && !word.ends_with("Udp");
        !(code[..at].ends_with(ident) || goes_on && code[at + word.len()..].starts_with(ident))
    })
}

#[test]
fn parsers_and_detectors_do_not_use_their_siblings() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    let sources = sources();
    let all = circles::Modules::new(&sources, "weir-core");
    for source in sources.iter().filter(|source| source.package == "weir-core") {
        let [folder @ ("parse" | "detect"), own, ..] = source.module_names()[..] else { continue };
        checked += 1;
        for used in all.uses(source) {
            let [to, sibling, ..] = used.module_names()[..] else { continue };
            if to == folder && sibling != own && !may_use_sibling(folder, own, sibling) {
                wrong.push(format!("{} uses its sibling {}", source.path, used.path));
            }
        }
    }
    assert!(checked > 30, "only {checked} parsers and detectors found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a module of `parse` or `detect` shares with its siblings.
fn may_use_sibling(folder: &str, own: &str, sibling: &str) -> bool {
    /// What all parsers or detectors use, and what puts them together.
    const SHARED: &[&str] = &[
        "ahead",
        "any_of",
        "benign_lookup",
        "content",
        "emitter",
        "extract",
        "parser",
        "rejoin",
        "shown",
        "signature",
        "state",
        "testing",
        "text_field",
        "visitor",
        "work",
    ];
    if SHARED.contains(&sibling) || SHARED.contains(&own) {
        return true;
    }
    // The query of a target and a form body have one syntax, and the head is decoded with the same splitter.
    folder == "parse" && ["target", "facts", "message"].contains(&own) && sibling == "form_urlencoded"
}

#[test]
fn only_policy_and_its_callers_know_modes() {
    let mut wrong = Vec::new();
    for source in sources() {
        let at = format!("{}/{}", source.package, source.module.join("/"));
        let must_not = KNOW_NO_MODES.iter().any(|place| at == *place || at.starts_with(&format!("{place}/")));
        if must_not && ["Mode::", "Action::"].iter().any(|word| has_word(&source.bare, word)) {
            wrong.push(source.path);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn no_rule_id_is_named_in_rust() {
    let files = weir_core::ruleset::builtin::files();
    let lines = files.iter().flat_map(|(_, text)| text.lines());
    let ids: Vec<&str> = lines.filter_map(|line| line.strip_prefix("- id: ")).map(str::trim).collect();
    assert!(ids.len() > 50, "only {} rules found", ids.len());
    let named = |source: &Source, id: &&str| source.code.contains(&format!("\"{id}\""));
    let mut wrong = Vec::new();
    for source in sources() {
        wrong.extend(ids.iter().filter(|id| named(&source, id)).map(|id| format!("{} names {id}", source.path)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
