use super::*;
use http::Request;

fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Head {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

const TRAEFIK: &[(&str, &str)] = &[
    ("x-forwarded-method", "POST"),
    ("x-forwarded-uri", "/a?b=%31"),
    ("x-forwarded-host", "shop.example"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-for", "198.51.100.7, 203.0.113.9"),
];

const NGINX: &[(&str, &str)] = &[
    ("x-original-method", "POST"),
    ("x-original-uri", "/a?b=%31"),
    ("x-original-host", "shop.example"),
    ("x-original-proto", "https"),
    ("x-original-for", "203.0.113.9"),
];

fn read(proxy: Proxy, uri: &str, headers: &[(&str, &str)], body: &'static [u8]) -> DescribedRequest {
    proxy.read(&head("GET", uri, headers), &Bytes::from_static(body)).unwrap()
}

fn text(request: &DescribedRequest) -> &str {
    std::str::from_utf8(&request.message).unwrap()
}

#[test]
fn the_client_request_is_rebuilt() {
    let headers = [TRAEFIK, &[("host", "weir:5000"), ("user-agent", "curl/8"), ("inspector-key", "k")]].concat();
    let asked = read(Proxy::Traefik, "/v1/forward-auth/traefik?body=full&route=shop&application=7", &headers, b"x=1");
    assert_eq!(
        text(&asked),
        "POST /a?b=%31 HTTP/1.1\r\nhost: shop.example\r\nx-forwarded-for: 198.51.100.7\r\nuser-agent: curl/8\r\n\r\nx=1"
    );
    let call = &asked.call;
    assert_eq!(call.client.to_string(), "203.0.113.9");
    assert_eq!((call.scheme, call.body, call.application), (Scheme::Https, BodyState::Complete, Some(7)));
    assert_eq!(call.route.as_ref().map(|route| route.as_str()), Some("shop"));
    assert!(call.anomalies.is_empty() && call.blocking && call.rebuilt);
}

#[test]
fn headers_of_another_family_never_win() {
    let forged = [("x-forwarded-uri", "/harmless"), ("x-forwarded-method", "GET"), ("x-forwarded-host", "a.example")];
    let asked = read(Proxy::Nginx, "/v1/forward-auth/nginx", &[NGINX, &forged].concat(), b"");
    assert!(text(&asked).starts_with("POST /a?b=%31 HTTP/1.1\r\nhost: shop.example\r\n"));
    assert!(text(&asked).contains("x-forwarded-uri: /harmless\r\n"), "it is inspected like any header of the client");
    assert_eq!(asked.call.anomalies, [AnomalyKind::ConflictingForward]);
    let forged = [("x-original-uri", "/harmless")];
    let asked = read(Proxy::Traefik, "/v1/forward-auth/traefik", &[TRAEFIK, &forged].concat(), b"");
    assert!(text(&asked).starts_with("POST /a?b=%31 "));
    assert_eq!(asked.call.anomalies, [AnomalyKind::ConflictingForward]);
}

#[test]
fn headers_of_connectors_are_not_read() {
    let forged = [
        ("inspector-client", "127.0.0.1"),
        ("inspector-application", "9"),
        ("inspector-blocking", "false"),
        ("inspector-body", "unread; reason=stream"),
    ];
    let call = read(Proxy::Nginx, "/v1/forward-auth/nginx", &[NGINX, &forged].concat(), b"").call;
    assert_eq!((call.client.to_string().as_str(), call.application, call.blocking), ("203.0.113.9", None, true));
}

#[test]
fn what_is_not_sent_counts_as_not_inspected() {
    let nginx =
        |more: &[(&str, &str)]| read(Proxy::Nginx, "/v1/forward-auth/nginx", &[NGINX, more].concat(), b"").call.body;
    assert_eq!(nginx(&[]), BodyState::Unread);
    assert_eq!(nginx(&[("x-original-length", "0")]), BodyState::Complete);
    assert_eq!(nginx(&[("x-original-length", "12")]), BodyState::Unread);
    assert_eq!(nginx(&[("x-original-length", "0"), ("x-original-encoding", "chunked")]), BodyState::Unread);
    let traefik = |uri, body| read(Proxy::Traefik, uri, TRAEFIK, body).call.body;
    assert_eq!(traefik("/v1/forward-auth/traefik", b""), BodyState::Unread);
    assert_eq!(traefik("/v1/forward-auth/traefik?body=full", b""), BodyState::Complete);
    let mut get = TRAEFIK.to_vec();
    get[0].1 = "GET";
    assert_eq!(read(Proxy::Caddy, "/v1/forward-auth/caddy", &get, b"").call.body, BodyState::Complete);
}

#[test]
fn envoy_sends_the_request_itself() {
    let headers = [("host", "shop.example"), ("x-forwarded-proto", "http"), ("x-forwarded-for", "203.0.113.9")];
    let state = |more: &[(&str, &str)]| {
        let head = head("PUT", "/v1/forward-auth/envoy/a/b?c=%32", &[&headers, more].concat());
        Proxy::Envoy.read(&head, &Bytes::from_static(b"hello")).unwrap()
    };
    let asked = state(&[("x-envoy-auth-partial-body", "false")]);
    assert_eq!(text(&asked), "PUT /a/b?c=%32 HTTP/1.1\r\nhost: shop.example\r\nx-forwarded-proto: http\r\n\r\nhello");
    assert_eq!(asked.call.body, BodyState::Complete);
    assert_eq!(state(&[("x-envoy-auth-partial-body", "true")]).call.body, BodyState::Prefix);
    assert_eq!(state(&[]).call.body, BodyState::Unread);
    assert!(!state(&[("x-forwarded-uri", "/x")]).call.anomalies.is_empty());
}

#[test]
fn paths_name_the_proxy() {
    assert_eq!(Proxy::of("/v1/forward-auth/caddy"), Some(Proxy::Caddy));
    assert_eq!(Proxy::of("/v1/forward-auth/envoy/x"), Some(Proxy::Envoy));
    for path in ["/v1/forward-auth/", "/v1/forward-auth/apache", "/v1/forward-auth/envoyx", "/v1/forward-auth/nginx/x"]
    {
        assert_eq!(Proxy::of(path), None, "{path}");
    }
}

#[test]
fn a_subrequest_without_its_headers_is_refused() {
    for missing in 0..NGINX.len() {
        let mut headers = NGINX.to_vec();
        let (name, _) = headers.remove(missing);
        let refused = Proxy::Nginx.read(&head("GET", "/v1/forward-auth/nginx", &headers), &Bytes::new()).err();
        assert_eq!(refused, Some(ApiError::MissingHeader(name)));
        headers.extend([(name, "a"), (name, "b")]);
        let refused = Proxy::Nginx.read(&head("GET", "/v1/forward-auth/nginx", &headers), &Bytes::new()).err();
        assert_eq!(refused, Some(ApiError::BadHeader(name, "given more than once")));
    }
    for query in ["?body=some", "?rout=x", "?deadline_ms=0", "?application=x"] {
        let uri = format!("/v1/forward-auth/nginx{query}");
        let refused = Proxy::Nginx.read(&head("GET", &uri, NGINX), &Bytes::new());
        assert!(matches!(refused, Err(ApiError::BadQuery(_))), "{query}");
    }
}
