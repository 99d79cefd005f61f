use super::*;
use crate::auth::role::Role;
use crate::error::Error;
use crate::store::Database;
use axum::extract::{Form, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use weir_runtime::clock::Clock;

/// A provider with one key, which says of itself and of people what a test wants.
struct Provider {
    url: String,
    key: EcdsaKeyPair,
    /// Claims of the next token, besides issuer, audience, times and nonce.
    claims: Mutex<Value>,
    nonce: Mutex<String>,
    /// Id of the key that signs, and the one under which it is published.
    kid: Mutex<String>,
    published: Mutex<String>,
    /// Forms that the token endpoint got.
    exchanges: Mutex<Vec<HashMap<String, String>>>,
}

impl Provider {
    fn jwks(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": *self.published.lock().unwrap(),
            "x": part(&point[1..33]), "y": part(&point[33..65])}]})
    }

    fn token(&self) -> String {
        let now = jiff::Timestamp::now().as_second();
        let mut claims = json!({"iss": self.url, "aud": "weir", "iat": now, "exp": now + 60, "sub": "u-1",
            "nonce": *self.nonce.lock().unwrap()});
        for (name, value) in self.claims.lock().unwrap().as_object().unwrap() {
            claims[name] = value.clone();
        }
        let head = URL_SAFE_NO_PAD.encode(json!({"alg": "ES256", "kid": *self.kid.lock().unwrap()}).to_string());
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

async fn provider() -> Arc<Provider> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let claims = json!({"preferred_username": "ada", "name": "Ada L", "groups": ["weir-analyst"]});
    let (claims, nonce) = (Mutex::new(claims), Mutex::default());
    let [kid, published] = [(); 2].map(|()| Mutex::new("k1".to_owned()));
    let exchanges = Mutex::default();
    let provider = Arc::new(Provider { url: url.clone(), key, claims, nonce, kid, published, exchanges });
    let metadata = json!({"issuer": url, "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/jwks"),
        "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"]});
    let app = Router::new()
        .route("/.well-known/openid-configuration", get(move || async move { Json(metadata) }))
        .route("/jwks", get(|State(p): State<Arc<Provider>>| async move { Json(p.jwks()) }))
        .route(
            "/token",
            post(|State(p): State<Arc<Provider>>, Form(form): Form<HashMap<String, String>>| async move {
                p.exchanges.lock().unwrap().push(form);
                Json(json!({"access_token": "a", "token_type": "Bearer", "id_token": p.token()}))
            }),
        )
        .with_state(Arc::clone(&provider));
    tokio::spawn(async move { axum::serve(listener, app).await });
    provider
}

struct World {
    _directory: tempfile::TempDir,
    provider: Arc<Provider>,
    oidc: Oidc,
    clock: Clock,
}

async fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let store = Database::open(&format!("sqlite:{}", directory.path().display())).await.unwrap();
    let provider = provider().await;
    let config = Config {
        issuer: provider.url.clone(),
        client_id: "weir".into(),
        client_secret: Some("s3cr3t".into()),
        role_claim: "groups".into(),
        default_role: None,
        redirect_url: "https://console.example/login/oidc/callback".into(),
    };
    let clock = Clock::System;
    let oidc =
        Oidc::new(config, store.control().clone(), clock.clone(), &crate::outgoing::Outgoing::default()).unwrap();
    World { _directory: directory, provider, oidc, clock }
}

impl World {
    /// Sends a browser to the provider; answers the state that it keeps.
    async fn begin(&self, next: &str) -> String {
        let (url, state) = self.oidc.begin(next).await.unwrap();
        let url = reqwest::Url::parse(&url).unwrap();
        let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!((query["client_id"].as_str(), query["code_challenge_method"].as_str()), ("weir", "S256"));
        assert_eq!((query["state"].as_str(), query["response_type"].as_str()), (state.as_str(), "code"));
        *self.provider.nonce.lock().unwrap() = query["nonce"].clone();
        state
    }
}

#[tokio::test]
async fn a_person_comes_back_with_name_role_and_place() {
    let world = world().await;
    let state = world.begin("/attacks?q=sqli").await;
    let person = world.oidc.finish("c0de", &state, &state).await.unwrap();
    assert_eq!((person.login.as_str(), person.name.as_str(), person.role), ("ada", "Ada L", Some(Role::Analyst)));
    assert_eq!((person.subject, person.next.as_str()), (format!("{} u-1", world.provider.url), "/attacks?q=sqli"));
    let sent = world.provider.exchanges.lock().unwrap()[0].clone();
    assert!(sent["code"] == "c0de" && sent["code_verifier"].len() >= 43, "{sent:?}");
    // A second use of the same state is none.
    assert!(matches!(world.oidc.finish("c0de", &state, &state).await, Err(Error::Forbidden(_))));
}

#[tokio::test]
async fn a_state_of_another_browser_or_of_long_ago_is_refused() {
    let world = world().await;
    let state = world.begin("/").await;
    assert!(matches!(world.oidc.finish("c", &state, "other").await, Err(Error::Forbidden(_))));
    assert!(matches!(world.oidc.finish("c", "", "").await, Err(Error::Forbidden(_))));
    assert!(world.provider.exchanges.lock().unwrap().is_empty(), "no code goes out for them");
}

#[tokio::test]
async fn tokens_that_do_not_hold_are_refused() {
    let world = world().await;
    for claims in [
        json!({"aud": "another"}),
        json!({"iss": "https://elsewhere.example"}),
        json!({"nonce": "another"}),
        json!({"exp": 1}),
        json!({"nbf": jiff::Timestamp::now().as_second() + 3_600}),
        json!({"nbf": "soon"}),
        json!({"sub": ""}),
        json!({"iat": jiff::Timestamp::now().as_second() + 3_600, "exp": jiff::Timestamp::now().as_second() + 7_200}),
    ] {
        let state = world.begin("/").await;
        *world.provider.claims.lock().unwrap() = claims.clone();
        let refused = world.oidc.finish("c", &state, &state).await;
        assert!(matches!(refused, Err(Error::Forbidden(_))), "{claims}");
    }
}

#[tokio::test]
async fn keys_are_known_by_what_the_provider_publishes() {
    let world = world().await;
    let login = async || {
        let state = world.begin("/").await;
        world.oidc.finish("c", &state, &state).await
    };
    *world.provider.kid.lock().unwrap() = "k2".into();
    assert!(matches!(login().await, Err(Error::Forbidden(_))), "a key that is not published");
    *world.provider.published.lock().unwrap() = "k2".into();
    assert_eq!(login().await.unwrap().login, "ada", "after a rotation");
    *world.provider.kid.lock().unwrap() = "k1".into();
    assert!(matches!(login().await, Err(Error::Forbidden(_))), "the key from before it");
}

#[tokio::test]
async fn a_provider_that_is_away_is_said_and_odd_names_become_logins() {
    let world = world().await;
    *world.provider.claims.lock().unwrap() =
        json!({"preferred_username": "CORP\\Ada Löv<e>", "groups": ["weir-analyst"]});
    let state = world.begin("/").await;
    let person = world.oidc.finish("c", &state, &state).await.unwrap();
    assert_eq!(person.login, "CORP_Ada_Löv_e_");
    let away = Config {
        // Nothing listens on port 1.
        issuer: "http://127.0.0.1:1".into(),
        client_id: "weir".into(),
        client_secret: None,
        role_claim: "groups".into(),
        default_role: None,
        redirect_url: "https://console.example/login/oidc/callback".into(),
    };
    let pool = Database::open(&format!("sqlite:{}", world._directory.path().display())).await.unwrap();
    let outgoing = crate::outgoing::Outgoing::default();
    let away = Oidc::new(away, pool.control().clone(), Clock::System, &outgoing).unwrap();
    let error = away.begin("/").await.unwrap_err();
    assert_eq!(error.status().0, axum::http::StatusCode::BAD_GATEWAY, "{error}");
}

#[tokio::test]
async fn no_role_is_told_and_odd_places_become_the_front_page() {
    let world = world().await;
    *world.provider.claims.lock().unwrap() = json!({"email": "e@x.example", "groups": ["staff"]});
    for next in ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nX: y", ""]
    {
        let state = world.begin(next).await;
        let person = world.oidc.finish("c", &state, &state).await.unwrap();
        assert_eq!((person.next.as_str(), person.role, person.login.as_str()), ("/", None, "e@x.example"), "{next}");
    }
    assert!(world.clock.millis() > 0);
}

#[tokio::test]
async fn logins_that_come_to_nothing_are_throttled_by_address_before_the_provider_is_called() {
    let provider = provider().await;
    let config = Config {
        issuer: provider.url.clone(),
        client_id: "weir".into(),
        client_secret: None,
        role_claim: "groups".into(),
        default_role: None,
        redirect_url: "https://console.example/login/oidc/callback".into(),
    };
    let fixture = crate::testing::Fixture::with(|settings| settings.oidc = Some(config)).await;
    let call = async |path: &str, address: &str| fixture.call("GET", path, &[("x-forwarded-for", address)], b"").await;
    let begun = call(LOGIN, "203.0.113.9").await;
    assert_eq!(begun.status, axum::http::StatusCode::SEE_OTHER, "{begun:?}");
    // A code without a state is refused, and counts.
    let made_up = format!("{CALLBACK}?code=c&state=s");
    for _ in 1..60 {
        assert_eq!(call(&made_up, "203.0.113.9").await.status, axum::http::StatusCode::FORBIDDEN);
    }
    for path in [LOGIN, made_up.as_str()] {
        let refused = call(path, "203.0.113.9").await;
        assert_eq!(refused.status, axum::http::StatusCode::TOO_MANY_REQUESTS, "{path}: {refused:?}");
        assert_eq!(refused.header("retry-after"), "10", "{path}");
    }
    assert_eq!(call(LOGIN, "198.51.100.20").await.status, axum::http::StatusCode::SEE_OTHER, "another address");
}
