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

/// What ingress-nginx sends about `POST /a?b=%31`.
const INGRESS: &[(&str, &str)] = &[
    ("x-original-url", "https://shop.example/a?b=%31"),
    ("x-original-method", "POST"),
    ("x-auth-request-redirect", "/a?b=%31"),
    ("x-real-ip", "203.0.113.9"),
    ("x-forwarded-for", "203.0.113.9"),
    ("x-sent-from", "nginx-ingress-controller"),
];
const INGRESS_PATH: &str = "/v1/forward-auth/ingress-nginx";

#[test]
fn ingress_nginx_describes_the_request_in_a_url() {
    let more = [("user-agent", "curl/8"), ("x-original-uri", "/a?b=%31")];
    let asked = read(Proxy::IngressNginx, INGRESS_PATH, &[INGRESS, &more].concat(), b"");
    assert_eq!(text(&asked), "POST /a?b=%31 HTTP/1.1\r\nhost: shop.example\r\nuser-agent: curl/8\r\n\r\n");
    let call = &asked.call;
    assert_eq!(
        (call.client.to_string().as_str(), call.scheme, call.body),
        ("203.0.113.9", Scheme::Https, BodyState::Unread)
    );
    assert!(call.anomalies.is_empty(), "its own headers are no conflict");
}

#[test]
fn a_host_does_not_move_the_target_of_ingress_nginx() {
    let described = |url, target| {
        let mut headers = INGRESS.to_vec();
        (headers[0].1, headers[2].1) = (url, target);
        Proxy::IngressNginx.read(&head("GET", INGRESS_PATH, &headers), &Bytes::new())
    };
    let asked = described("http://a?b/etc/x?y=/z", "/etc/x?y=/z").unwrap();
    assert!(text(&asked).starts_with("POST /etc/x?y=/z HTTP/1.1\r\nhost: a?b\r\n"), "{}", text(&asked));
    assert!(text(&described("http:///a", "/a").unwrap()).contains("\r\nhost: \r\n"));
    assert!(matches!(described("http://a/b", "/c"), Err(ApiError::BadHeader("x-auth-request-redirect", _))));
    assert!(matches!(described("ftp://a/b", "/b"), Err(ApiError::BadHeader("x-original-url", _))));
}

#[test]
fn headers_that_ingress_nginx_passes_on_never_win() {
    for forged in [("x-forwarded-uri", "/harmless"), ("x-original-uri", "/harmless"), ("x-forwarded-method", "GET")] {
        let asked = read(Proxy::IngressNginx, INGRESS_PATH, &[INGRESS, &[forged]].concat(), b"");
        assert!(text(&asked).starts_with("POST /a?b=%31 HTTP/1.1\r\nhost: shop.example\r\n"));
        assert!(text(&asked).contains(&format!("{}: {}\r\n", forged.0, forged.1)), "it is inspected");
        assert_eq!(asked.call.anomalies, [AnomalyKind::ConflictingForward]);
    }
    let mut headers = INGRESS.to_vec();
    headers[4].1 = "198.51.100.7, 203.0.113.9";
    let asked = read(Proxy::IngressNginx, INGRESS_PATH, &headers, b"");
    assert!(text(&asked).contains("\r\nx-forwarded-for: 198.51.100.7, 203.0.113.9\r\n"));
    for missing in 0..4 {
        let mut headers = INGRESS.to_vec();
        let (name, _) = headers.remove(missing);
        let refused = Proxy::IngressNginx.read(&head("GET", INGRESS_PATH, &headers), &Bytes::new()).err();
        assert_eq!(refused, Some(ApiError::MissingHeader(name)));
    }
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
