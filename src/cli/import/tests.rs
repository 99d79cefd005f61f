use super::*;
use clap::Parser as _;
use serde_json::Value;
use weir_core::engine::{InspectionOptions, Scratch, inspect};
use weir_core::ruleset::Ruleset;
use weir_core::ruleset::compile::compile as compile_rules;

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    args: ImportArgs,
}

/// What came of an import.
struct Imported {
    folder: tempfile::TempDir,
    report: Value,
    code: u8,
}

impl Imported {
    fn new(form: &str, name: &str, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join(name);
        fs::write(&source, text).unwrap();
        fs::write(folder.path().join("words.data"), "# words\nalpha-tool\nbeta-tool\n").unwrap();
        let out = folder.path().join("out").display().to_string();
        let mut line = vec!["import", form, "--format", "json", "--out", &out];
        let (source, words) = (source.display().to_string(), folder.path().join("words.data").display().to_string());
        line.push(&source);
        if form == "seclang" {
            line.push(&words);
        }
        let (report, code) = import(&Line::try_parse_from(line).unwrap().args).unwrap();
        Self { report: serde_json::from_str(&report).unwrap(), folder, code }
    }

    /// Fate and notes of a rule, and its line.
    fn fate(&self, name: &str) -> (String, String, u64) {
        let rules = self.report["rules"].as_array().unwrap();
        let rule =
            rules.iter().find(|rule| rule["name"] == name).unwrap_or_else(|| panic!("{name} in {}", self.report));
        let notes: Vec<&str> = rule["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect();
        (rule["fate"].as_str().unwrap().into(), notes.join("; "), rule["line"].as_u64().unwrap())
    }

    fn rules(&self) -> Ruleset {
        let text = fs::read_to_string(self.folder.path().join("out/rules.yaml")).unwrap();
        compile_rules(&[("rules.yaml".into(), text.clone())]).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"))
    }

    fn policy(&self) -> String {
        fs::read_to_string(self.folder.path().join("out/policy.yaml")).unwrap_or_default()
    }
}

/// Names of imported rules that decide on a request.
fn found(rules: &Ruleset, raw: &str) -> Vec<String> {
    let raw = raw.replace('\n', "\r\n");
    let message = weir_core::parse::message::request(raw.as_bytes());
    let inspection = inspect(&message, rules, &InspectionOptions::default(), &mut Scratch::default(), &|| false);
    let imported = inspection.findings.iter().filter(|finding| finding.decisive && finding.rule.contains(".import-"));
    let mut names: Vec<String> = imported.map(|finding| finding.rule.to_string()).collect();
    names.dedup();
    names
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\nHost: h\n\n")
}

fn post(target: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\nHost: h\nContent-Type: application/x-www-form-urlencoded\n{headers}Content-Length: {}\n\n{body}",
        body.len()
    )
}

const SECLANG: &str = r#"
# Rules of a shop, each of another kind.
SecRule ARGS:coupon "@rx ^free-\d{3}$" "id:1001,phase:2,deny,status:403,msg:'Coupons for free',t:none"
SecRule REQUEST_HEADERS:X-Debug "@streq on" "id:1002,phase:1,deny,t:none,t:lowercase"
SecRule REQUEST_FILENAME "@beginsWith /internal/" \
    "id:1003,phase:1,deny,chain"
    SecRule REQUEST_METHOD "!@within GET HEAD" "chain"
    SecRule &REQUEST_HEADERS:X-Token "@eq 0"
SecRule REQUEST_HEADERS:User-Agent "@pmFromFile words.data" "id:1004,phase:1,deny,tag:'attack-reputation-scanner'"
SecRule ARGS|REQUEST_COOKIES|!ARGS:note "@contains forbidden-word" "id:1005,phase:2,deny,t:none,t:lowercase"
SecRule FILES "@endsWith .bat" "id:1006,phase:2,deny,t:lowercase"
SecRule ARGS_NAMES "@rx ^__proto" "id:1007,phase:2,deny"
SecRule REQUEST_URI "@rx /old/(?:a|b)\.cgi$" "id:1008,phase:1,deny,ctl:auditLogParts=+E"
SecRule REQUEST_URI "@beginsWith /cms/" "id:1009,phase:1,pass,nolog,ctl:ruleRemoveTargetByTag=attack-xss;ARGS:article"
SecRule REQUEST_FILENAME "@streq /health" "id:1010,phase:1,pass,ctl:ruleEngine=Off"
SecRuleRemoveById 1005
SecRule ARGS:q "@rx one{5}two.*three" "id:1011,phase:2,deny"

# What is refused.
SecRule ARGS "@rx a(?=b)c" "id:2001,phase:2,deny"
SecRule REMOTE_ADDR "@ipMatch 192.0.2.0/24" "id:2002,phase:1,deny"
SecRule ARGS "@detectSQLi" "id:2003,phase:2,deny"
SecRule REQUEST_URI "@beginsWith /x" "id:2004,phase:1,deny,chain"
    SecRule TX:score "@gt 5"
SecRule ARGS:a "@contains one1" "id:2005,phase:2,deny,chain"
    SecRule ARGS:b "@contains two2"
SecRule ARGS "@contains abc" "id:2006,phase:2,pass,log"
SecRule ARGS "@contains %{tx.word}" "id:2007,phase:2,deny"
SecRule ARGS "@contains abc" "id:2008,phase:2,deny,t:sha1"
SecRule IP:count "@gt 5" "id:2009,phase:1,pass,skipAfter:END"
SecRule ARGS "@contains behind-skip" "id:2010,phase:2,deny"
SecMarker END
SecRule ARGS "@contains behind-marker" "id:2011,phase:2,deny"
SecRule TX:DETECTION_PARANOIA_LEVEL "@lt 2" "id:2012,phase:2,pass,nolog,skipAfter:END-2"
SecRule ARGS "@contains level-two" "id:2013,phase:2,deny"
SecMarker END-2
SecRule REQUEST_HEADERS:Host "@pmFromFile absent.data" "id:2015,phase:1,deny"
SecRule ARGS "@rx ." "id:2014,phase:2,deny,chain"
"#;

#[test]
fn secrules_of_each_kind_are_taken() {
    let imported = Imported::new("seclang", "shop.conf", SECLANG);
    let rules = imported.rules();
    let decided = |raw: &str| found(&rules, raw).join(",");
    assert_eq!(imported.fate("1001"), ("taken".into(), String::new(), 3));
    for raw in [get("/?coupon=free-123"), post("/", "", "coupon=free-123")] {
        assert_eq!(decided(&raw), "protocol.import-1001", "{raw}");
    }
    for raw in [get("/?coupon=free-1234"), get("/?other=free-123"), get("/?coupon=FREE-123")] {
        assert_eq!(decided(&raw), "", "{raw}");
    }
    assert_eq!(decided("GET / HTTP/1.1\nHost: h\nX-Debug: ON\n\n"), "protocol.import-1002");
    assert_eq!(decided("GET / HTTP/1.1\nHost: h\nX-Debug: only\n\n"), "");

    // All links of a chain must hold.
    assert_eq!(imported.fate("1003").0, "approximated");
    assert_eq!(decided(&post("/internal/users", "", "")), "protocol.import-1003");
    assert_eq!(decided(&post("/internal/users", "X-Token: t\n", "")), "");
    assert_eq!(decided(&post("/public/internal/", "", "")), "");
    assert_eq!(decided(&get("/internal/users")), "");

    assert_eq!(decided("GET / HTTP/1.1\nHost: h\nUser-Agent: Beta-Tool 1.0\n\n"), "scanner.import-1004");
    assert_eq!(decided(&get("/?a=a+Forbidden-Word")), "protocol.import-1005");
    assert_eq!(decided("GET / HTTP/1.1\nHost: h\nCookie: c=forbidden-word\n\n"), "protocol.import-1005");
    assert_eq!(decided(&get("/forbidden-word")), "");
    let upload = "--b\nContent-Disposition: form-data; name=\"f\"; filename=\"RUN.BAT\"\n\nx\n--b--\n";
    let upload = format!(
        "POST / HTTP/1.1\nHost: h\nContent-Type: multipart/form-data; boundary=b\nContent-Length: {}\n\n{upload}",
        upload.replace('\n', "\r\n").len()
    );
    assert_eq!(decided(&upload), "protocol.import-1006");
    assert_eq!(decided(&get("/?__prototype=1")), "protocol.import-1007");
    assert_eq!(decided("GET / HTTP/1.1\nHost: h\nCookie: __prototype=1\n\n"), "");
    assert_eq!(decided(&get("/old/a.cgi")), "protocol.import-1008");
    assert_eq!(decided(&get("/?a=behind-marker")), "protocol.import-2011");
    for gone in ["/?a=behind-skip", "/?a=level-two", "/?a=one1&b=two2", "/?a=abc", "/x"] {
        assert_eq!(decided(&get(gone)), "", "{gone}");
    }
    let unbounded = imported.report["rules"].as_array().unwrap().iter().find(|rule| rule["name"] == "1011").unwrap();
    assert_eq!(unbounded["unbounded"], true);
    assert!(rules.get("protocol.import-1011").unwrap().doc.about.contains("Its match has no bound."));
}

#[test]
fn exclusions_become_exceptions() {
    let imported = Imported::new("seclang", "shop.conf", SECLANG);
    let text = imported.policy();
    let doc = weir_policy::PolicyDoc::parse("policy.yaml", &text).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
    weir_policy::Policy::compile(&weir_policy::Settings::default(), Some(&doc))
        .unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
    let lines: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line.trim().strip_prefix("- ")?).ok()).collect();
    let find = |want: &dyn Fn(&Value) -> bool| lines.iter().filter(|rule| want(rule)).count();
    // In the query, a form, a multipart body and JSON; only below /cms/.
    let article = |rule: &Value| {
        rule["attack_type"] == "xss"
            && rule["point"].to_string().contains("article")
            && rule["action"][0]["value"].as_str().is_some_and(|value| value.contains("/cms/"))
    };
    assert_eq!(find(&article), 4, "{text}");
    assert_eq!(
        find(&|rule| rule["mode"] == "off" && rule["action"][0]["value"].to_string().contains("health")),
        1,
        "{text}"
    );
    // `!ARGS:note`, and the removal of the whole rule.
    let of_1005 = |rule: &Value| rule["stamp"] == "protocol.import-1005";
    assert_eq!(find(&|rule| of_1005(rule) && rule["point"].to_string().contains("note")), 4, "{text}");
    assert_eq!(find(&|rule| of_1005(rule) && rule.get("point").is_none()), 1, "{text}");
}

#[test]
fn what_cannot_be_expressed_is_refused_whole_and_says_why() {
    let imported = Imported::new("seclang", "shop.conf", SECLANG);
    assert_eq!(imported.code, 1);
    for (name, reason) in [
        ("2001", "look-ahead"),
        ("2002", "address list"),
        ("2003", "sqli.grammar"),
        ("2004", "link 2 of the chain: the variable TX has no counterpart"),
        ("2005", "two of its links read parameters"),
        ("2006", "does not block"),
        ("2007", "compares with a variable"),
        ("2008", "t:sha1"),
        ("2009", "decides which rules are tried"),
        ("2010", "rule 2009 decides"),
        ("2013", "paranoia level 2"),
        ("2014", "the chain has no end"),
        ("2015", "absent.data was not given"),
    ] {
        let (fate, notes, line) = imported.fate(name);
        assert!(fate == "refused" && notes.contains(reason) && line >= 20, "{name}: {fate} {notes} {line}");
    }
    let rules = imported.rules();
    let names: Vec<&str> = rules.signatures.iter().map(|signature| &*signature.id).collect();
    assert!(names.iter().all(|name| !name.contains("-20") || *name == "protocol.import-2011"), "{names:?}");
}

const APPSEC: &str = r#"
name: weir/vpatch-CVE-2099-12345
description: "A login that a header skips"
rules:
  - and:
    - zones: [METHOD]
      match: {type: equals, value: POST}
    - zones: [URI]
      transform: [lowercase]
      match: {type: endsWith, value: /session/new}
    - or:
      - zones: [HEADERS]
        variables: [x-skip]
        match: {type: equals, value: all}
      - zones: [ARGS]
        variables: [skip]
        match: {type: regex, value: "^all[0-9]{2}$"}
  - zones: [BODY_ARGS, COOKIES]
    transform: [lowercase]
    match: {type: contains, value: skip-it-all}
  - zones: [ARGS]
    match: {type: libinjectionSQL}
  - and:
    - zones: [ARGS]
      transform: [length]
      match: {type: gt, value: 100}
labels:
  classification: [cve.CVE-2099-12345, attack.T1190]
"#;

#[test]
fn appsec_rules_of_each_kind_are_taken() {
    let imported = Imported::new("crowdsec", "login.yaml", APPSEC);
    let rules = imported.rules();
    let decided = |raw: &str| found(&rules, raw).join(",");
    let name = "vpatch-CVE-2099-12345";
    assert_eq!(imported.fate(&format!("{name}-1")).2, 5);
    assert!(decided(&post("/App/Session/New", "X-Skip: all\n", "")).starts_with("cve.import-vpatch-cve-2099-12345-1"));
    assert!(decided(&post("/session/new?skip=all42", "", "")).starts_with("cve.import-vpatch-cve-2099-12345-1"));
    for raw in
        [get("/session/new?skip=all42"), post("/session/new?skip=all4", "", ""), post("/session", "X-Skip: all\n", "")]
    {
        assert_eq!(decided(&raw), "", "{raw}");
    }
    assert_eq!(imported.fate(&format!("{name}-2")), ("taken".into(), String::new(), 18));
    assert_eq!(decided(&post("/", "", "a=SKIP-it-all")), "cve.import-vpatch-cve-2099-12345-2");
    assert_eq!(decided("GET / HTTP/1.1\nHost: h\nCookie: c=skip-it-all\n\n"), "cve.import-vpatch-cve-2099-12345-2");
    assert_eq!(decided(&get("/?a=skip-it-all")), "");
    let (fate, notes, line) = imported.fate(&format!("{name}-3"));
    assert!(fate == "refused" && notes.contains("sqli.grammar") && line == 21, "{fate} {notes} {line}");
    let (fate, notes, _) = imported.fate(&format!("{name}-4"));
    assert!(fate == "refused" && notes.contains("transformation length"), "{fate} {notes}");
    assert!(rules.signatures.iter().all(|signature| signature.doc.cve == ["CVE-2099-12345"]));
}

#[test]
fn an_earlier_import_is_not_overwritten_unless_asked() {
    let imported = Imported::new("crowdsec", "login.yaml", APPSEC);
    let out = imported.folder.path().join("out").display().to_string();
    let source = imported.folder.path().join("login.yaml").display().to_string();
    let again = |more: &[&str]| {
        let line = ["import", "crowdsec", &source, "--out", &out].into_iter().chain(more.iter().copied());
        import(&Line::try_parse_from(line).unwrap().args)
    };
    assert!(again(&[]).unwrap_err().to_string().contains("--force"));
    let (text, code) = again(&["--force"]).unwrap();
    assert!(code == 1 && text.contains("login.yaml:21: vpatch-CVE-2099-12345-3 refused: weir looks for SQL"), "{text}");
}
