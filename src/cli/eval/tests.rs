use super::*;
use clap::Parser as _;
use std::fs;

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

/// A folder with a corpus of two sources and a table of raw requests.
fn corpora() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let line = |id: &str, source: &str, class: &str, target: &str, meta: &str| {
        format!(
            r#"{{"id":"{id}","source":"{source}","class":"{class}","method":"GET","path":"{target}","headers":[["Host","h"]],"body_b64":"","meta":{{{meta}}}}}"#
        )
    };
    let shop = [
        line("a-1", "shop", "sqli", "/?id=1%27%20union%20select%20password%20from%20users--%20", r#""where":"query""#),
        line("a-2", "shop", "sqli", "/?id=1", r#""where":"query""#),
        line("b-1", "shop", "benign", "/?id=7", r#""tier":"real""#),
    ];
    fs::write(folder.path().join("shop.jsonl"), shop.join("\n")).unwrap();
    let loose = [line("c-1", "loose", "xss", "/?q=hello", ""), line("c-2", "loose", "benign", "/etc/passwd", "")];
    fs::write(folder.path().join("loose.jsonl"), loose.join("\n")).unwrap();
    fs::create_dir(folder.path().join("cases")).unwrap();
    let table = "file\texpected\tclass\ttier\nx.http\tblock\txss\t\ny.http\tpass\tprose\thard\n";
    fs::write(folder.path().join("cases/cases.tsv"), table).unwrap();
    fs::write(
        folder.path().join("cases/x.http"),
        "GET /?q=%3Cscript%3Ealert(1)%3C/script%3E HTTP/1.1\r\nHost: h\r\n\r\n",
    )
    .unwrap();
    fs::write(folder.path().join("cases/y.http"), "GET /?q=a+good+day HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    folder
}

fn eval(folder: &Path, more: &[&str]) -> (String, u8) {
    let (all, cases) = (folder.display().to_string(), folder.join("cases").display().to_string());
    let line = ["eval", &all, &cases].into_iter().chain(more.iter().copied());
    evaluate(&Line::try_parse_from(line).unwrap().arguments).unwrap()
}

fn refusal(corpus: &Path) -> String {
    let line = Line::try_parse_from(["eval".into(), corpus.display().to_string()]).unwrap();
    evaluate(&line.arguments).unwrap_err().to_string()
}

#[test]
fn rates_are_counted_by_source_class_tier_and_place() {
    let folder = corpora();
    let (text, code) = eval(folder.path(), &["--format", "json", "--uncounted", "loo", "--held-out", "cases"]);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &value["requests"]), (0, &7.into()));
    let counts = |value: &serde_json::Value| (value["blocked"].as_u64().unwrap(), value["of"].as_u64().unwrap());
    let sources = value["sources"].as_array().unwrap();
    let names: Vec<&str> = sources.iter().map(|source| source["source"].as_str().unwrap()).collect();
    assert_eq!(names, ["cases", "loose", "shop"]);
    assert_eq!((counts(&sources[1]["recall"]), counts(&sources[1]["false_positives"])), ((0, 1), (1, 1)));
    assert_eq!(sources[1]["counted"], false);
    // `loose` does not count; the other three attacks do.
    assert_eq!(counts(&value["overall"]["recall"]), (2, 3));
    assert_eq!(value["overall"]["macro_recall"], 0.75);
    assert_eq!(value["overall"]["balanced_accuracy"], 0.875);
    assert_eq!(counts(&value["overall_without_held_out"]["recall"]), (1, 2));
    assert_eq!(counts(&value["overall_held_out"]["recall"]), (1, 1));
    assert_eq!((counts(&value["classes"]["sqli"]), counts(&value["classes"]["xss"])), ((1, 2), (1, 1)));
    assert_eq!((counts(&value["tiers"]["real"]), counts(&value["tiers"]["hard"])), ((0, 1), (0, 1)));
    assert_eq!(counts(&value["places"]["query"]), (1, 2));
}

#[test]
fn wrong_verdicts_are_explained_and_bounded() {
    let folder = corpora();
    let (text, _) = eval(folder.path(), &["--misses=1", "--alarms"]);
    assert!(
        text.contains("attacks that pass: 2, of which 1\n  c-1  xss  GET /?q=hello\n      no rule matched\n"),
        "{text}"
    );
    assert!(text.contains("ordinary requests that are blocked: 1\n  c-2  benign  GET /etc/passwd\n"), "{text}");
    assert!(text.contains("(decides) at [uri]") || text.contains("(decides) at [path"), "{text}");
    assert!(text.contains("places of false positives\npath "), "{text}");
    assert_eq!(text.matches("no rule matched").count(), 1, "{text}");
}

#[test]
fn a_saved_run_is_compared_request_by_request() {
    let folder = corpora();
    let (run, table) = (folder.path().join("run"), folder.path().join("findings"));
    let (run_name, table_name) = (run.display().to_string(), table.display().to_string());
    eval(folder.path(), &["--save", &run_name, "--findings", &table_name]);
    let findings = fs::read_to_string(&table).unwrap();
    let row: Vec<&str> = findings.lines().find(|line| line.starts_with("x.http")).unwrap().split('\t').collect();
    assert_eq!((row.len(), row[1], row[2], row[3], row[4]), (8, "xss", "cases", "xss", "decisive"));
    let (text, code) = eval(folder.path(), &["--compare", &run_name]);
    assert!(
        code == 0 && text.contains("0 verdicts are right now, 0 are wrong now; 0 requests are new, 0 are gone"),
        "{text}"
    );

    // The earlier run found `a-2` and passed `c-2`: both are worse now; and it had no `b-1`.
    let saved = fs::read_to_string(&run).unwrap();
    let edit = |line: &str| {
        let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
        match value["id"].as_str().unwrap() {
            "a-2" => value["blocked"] = true.into(),
            "c-2" => value["blocked"] = false.into(),
            "b-1" => return None,
            _ => {}
        }
        Some(format!("{value}\n"))
    };
    fs::write(&run, saved.lines().filter_map(edit).collect::<String>()).unwrap();
    let (text, code) = eval(folder.path(), &["--compare", &run_name]);
    assert_eq!(code, 1);
    assert!(text.contains("0 verdicts are right now, 2 are wrong now; 1 requests are new, 0 are gone"), "{text}");
    assert!(text.contains("worse   a-2") && text.contains("block -> pass") && text.contains("pass -> block"), "{text}");
}

#[test]
fn rules_and_policy_of_the_user_decide() {
    let folder = corpora();
    let (rules, policy) = (folder.path().join("own.yaml"), folder.path().join("policy.yaml"));
    let rule = "- {id: sqli.seven, attack: sqli, about: a test, pattern: 'seven', confidence: high, positive: ['seven'], negative: ['six']}\n";
    fs::write(&rules, rule).unwrap();
    let alone = ["--format", "json", "--no-builtin-rules", "--rules", &rules.display().to_string()];
    let (text, _) = eval(folder.path(), &alone);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    // The detectors remain: they are no signatures.
    assert_eq!(value["classes"]["sqli"]["blocked"], 1, "{text}");
    fs::write(&policy, "version: 1\nmode: 'off'\n").unwrap();
    let (text, _) = eval(folder.path(), &["--format", "json", "--policy", &policy.display().to_string()]);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["overall"]["recall"]["blocked"], 0, "{text}");
}

#[test]
fn a_corpus_that_cannot_be_used_says_where_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let unlabelled = file("a.jsonl", "\n{\"method\":\"GET\",\"path\":\"/\"}\n");
    assert!(refusal(&unlabelled).contains("line 2: `class` is missing"), "{}", refusal(&unlabelled));
    let table = file("b.tsv", "file\tclass\nx.http\txss\n");
    assert!(refusal(&table).contains("no column `expected`"), "{}", refusal(&table));
    let table = file("c.tsv", "file\texpected\nx.http\tmaybe\n");
    assert!(refusal(&table).contains("line 2: `expected` is `pass` or `block`"), "{}", refusal(&table));
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert!(refusal(&empty).contains("has no corpus"), "{}", refusal(&empty));
    assert!(refusal(&folder.path().join("none.jsonl")).contains("none.jsonl"));
}
