//! The interface as C code uses it.

use super::*;
use std::ffi::CStr;
use std::ptr::{null, null_mut};

const ATTACK: &[u8] = b"GET /?file=/etc/passwd HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const ORDINARY: &[u8] = b"GET /?file=report HTTP/1.1\r\nHost: shop.example\r\n\r\n";

fn shown(text: &[u8]) -> WeirBytes {
    WeirBytes { data: text.as_ptr(), length: text.len() }
}

fn settings(policy: &str) -> WeirConfig {
    let empty = shown(b"");
    WeirConfig {
        size: size_of::<WeirConfig>().try_into().unwrap(),
        no_builtin_rules: 0,
        monitoring_only: 0,
        max_body: 0,
        time_limit_us: 1_000_000,
        rules: empty,
        policy: shown(policy.as_bytes()),
        trusted: empty,
        real_ip: empty,
        original_host: empty,
    }
}

/// Signatures of a test: compiling those that ship takes seconds without optimisation.
const RULES: &str = "- id: ptrav.test\n  attack: ptrav\n  about: A test.\n  zones: [parameters, path]\n  pattern: /etc/passwd\n  confidence: high\n  positive: [/etc/passwd]\n  negative: [/etc]\n";

fn quick(policy: &str) -> WeirConfig {
    WeirConfig { no_builtin_rules: 1, rules: shown(RULES.as_bytes()), ..settings(policy) }
}

fn asked(message: &[u8]) -> WeirRequest {
    WeirRequest {
        size: size_of::<WeirRequest>().try_into().unwrap(),
        body: WEIR_BODY_COMPLETE,
        chunked: 0,
        https: 0,
        time_limit_us: 1_000_000,
        application: WEIR_NO_APPLICATION,
        message: shown(message),
        client: shown(b"203.0.113.7"),
        request_id: shown(b"r-1"),
    }
}

/// Calls a function with a buffer for its error, and returns status and text.
fn call(function: impl FnOnce(*mut c_char, usize) -> WeirStatus) -> (WeirStatus, String) {
    let mut text = [1 as c_char; 512];
    let status = function(text.as_mut_ptr(), text.len());
    // SAFETY: the interface terminates the text; the buffer outlives the use.
    let text = unsafe { CStr::from_ptr(text.as_ptr()) };
    (status, text.to_str().unwrap().to_owned())
}

struct Handle(*mut WeirHandle);

// SAFETY: a handle may be used by any number of threads.
unsafe impl Sync for Handle {}

impl Handle {
    fn new(config: &WeirConfig) -> Result<Self, (WeirStatus, String)> {
        let mut handle = null_mut();
        // SAFETY: all pointers are valid.
        let result = call(|text, size| unsafe { weir_new(config, &raw mut handle, text, size) });
        if result.0 == WeirStatus::Ok { Ok(Self(handle)) } else { Err(result) }
    }

    fn reload(&self, config: &WeirConfig) -> (WeirStatus, String) {
        // SAFETY: all pointers are valid.
        call(|text, size| unsafe { weir_reload(self.0, config, text, size) })
    }

    fn inspect(&self, request: &WeirRequest) -> Result<Judged, (WeirStatus, String)> {
        let mut verdict = null_mut();
        // SAFETY: all pointers are valid.
        let result = call(|text, size| unsafe { weir_inspect(self.0, request, &raw mut verdict, text, size) });
        if result.0 == WeirStatus::Ok { Ok(Judged(verdict)) } else { Err(result) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: it comes from `weir_new`, and nothing uses it any more.
        unsafe { weir_free(self.0) }
    }
}

struct Judged(*mut WeirVerdict);

impl Judged {
    fn get(&self) -> &WeirVerdict {
        // SAFETY: not freed before `self` is dropped.
        unsafe { &*self.0 }
    }

    fn text(&self, of: impl Fn(&WeirVerdict) -> WeirBytes) -> String {
        let bytes = of(self.get());
        // SAFETY: the bytes of a verdict are valid until it is freed.
        let bytes = unsafe { std::slice::from_raw_parts(bytes.data, bytes.length) };
        String::from_utf8(bytes.to_vec()).unwrap()
    }
}

impl Drop for Judged {
    fn drop(&mut self) {
        // SAFETY: it comes from `weir_inspect`.
        unsafe { weir_verdict_free(self.0) }
    }
}

#[test]
fn an_attack_is_blocked_with_reply_and_record() {
    let handle = Handle::new(&settings("")).unwrap();
    assert_eq!(weir_abi_version(), WEIR_ABI_VERSION);
    let judged = handle.inspect(&asked(ATTACK)).unwrap();
    assert_eq!((judged.get().block, judged.get().status, judged.get().generation), (1, 403, 1));
    assert_eq!(judged.get().size as usize, size_of::<WeirVerdict>());
    assert_eq!(judged.text(|verdict| verdict.content_type), "application/json");
    assert_eq!(judged.text(|verdict| verdict.body), r#"{"error": {"code": 403, "message": "request blocked"}}"#);
    let hit: serde_json::Value = serde_json::from_str(&judged.text(|verdict| verdict.hit)).unwrap();
    assert_eq!(hit["attacks"], serde_json::json!(["ptrav"]));
    assert_eq!((&hit["client"]["ip"], &hit["request_id"]), (&"203.0.113.7".into(), &"r-1".into()));

    let judged = handle.inspect(&asked(ORDINARY)).unwrap();
    assert_eq!((judged.get().block, judged.get().status, judged.get().would_block), (0, 0, 0));
    for text in [judged.text(|v| v.hit), judged.text(|v| v.body), judged.text(|v| v.not_inspected)] {
        assert_eq!(text, "");
    }
}

#[test]
fn secrets_are_masked_in_the_record() {
    let handle = Handle::new(&quick("")).unwrap();
    let message = b"GET /etc/passwd?password=hunter2hunter HTTP/1.1\r\nHost: a\r\nCookie: sid=topsecretcookie\r\n\r\n";
    let hit = handle.inspect(&asked(message)).unwrap().text(|verdict| verdict.hit);
    let raw = serde_json::from_str::<serde_json::Value>(&hit).unwrap()["request"]["raw"].as_str().unwrap().to_owned();
    assert!(raw.len() > 40, "{hit}");
    for secret in ["hunter2hunter", "topsecretcookie", "aHVudGVyMmh1bnRlc", "dG9wc2VjcmV0Y29va2ll"] {
        assert!(!hit.contains(secret), "{hit}");
    }
}

#[test]
fn wrong_pointers_and_sizes_are_refused() {
    let mut handle = null_mut();
    let config = quick("");
    // SAFETY: null is what the functions check for; all else is valid.
    let new =
        |config: *const WeirConfig, handle: *mut *mut WeirHandle| unsafe { weir_new(config, handle, null_mut(), 9) };
    assert_eq!(new(null(), &raw mut handle), WeirStatus::NullPointer);
    assert_eq!(new(&raw const config, null_mut()), WeirStatus::NullPointer);
    for size in [0, config.size - 1, config.size + 1, u32::MAX] {
        assert_eq!(new(&WeirConfig { size, ..config }, &raw mut handle), WeirStatus::BadSize);
    }
    let dangling = WeirBytes { data: null(), length: 3 };
    assert_eq!(new(&WeirConfig { policy: dangling, ..config }, &raw mut handle), WeirStatus::NullPointer);
    let long = WeirBytes { length: usize::MAX, ..config.rules };
    assert_eq!(new(&WeirConfig { rules: long, ..config }, &raw mut handle), WeirStatus::Invalid);
    assert!(handle.is_null());
    let made = Handle::new(&config).unwrap();
    let request = asked(ORDINARY);
    for (request, status) in [
        (WeirRequest { size: 7, ..request }, WeirStatus::BadSize),
        (WeirRequest { message: dangling, ..request }, WeirStatus::NullPointer),
        (WeirRequest { message: WeirBytes { length: usize::MAX, ..request.message }, ..request }, WeirStatus::Invalid),
        (WeirRequest { client: shown(b"unix:"), ..request }, WeirStatus::Invalid),
        (WeirRequest { request_id: shown(b"\xff"), ..request }, WeirStatus::Invalid),
        (WeirRequest { body: 3, ..request }, WeirStatus::Invalid),
        (WeirRequest { https: 2, ..request }, WeirStatus::Invalid),
    ] {
        let (given, text) = made.inspect(&request).err().unwrap();
        assert_eq!(given, status, "{text}");
        assert!(text.starts_with("request"), "{text}");
    }
    // SAFETY: null is what the functions check for; all else is valid.
    unsafe {
        let mut verdict = null_mut();
        let inspect = |handle, request, verdict| weir_inspect(handle, request, verdict, null_mut(), 0);
        assert_eq!(inspect(null(), &raw const request, &raw mut verdict), WeirStatus::NullPointer);
        assert_eq!(inspect(made.0, null(), &raw mut verdict), WeirStatus::NullPointer);
        assert_eq!(inspect(made.0, &raw const request, null_mut()), WeirStatus::NullPointer);
        assert_eq!(weir_reload(null(), &raw const config, null_mut(), 0), WeirStatus::NullPointer);
        assert_eq!(weir_generation(null()), 0);
        weir_free(null_mut());
        weir_verdict_free(null_mut());
    }
}

#[test]
fn mistakes_are_named_and_leave_the_old_rules_in_use() {
    let handle = Handle::new(&quick("")).unwrap();
    for (config, expected) in [
        (quick("mode: blocking"), "policy:1:7"),
        (quick("rules:\n- {type: regex, regex: '('}"), "policy:2:"),
        (WeirConfig { rules: shown(b"rules: 7"), ..quick("") }, "rules:1:"),
        (WeirConfig { trusted: shown(b"10.0.0.0/8, here"), ..quick("") }, "trusted: `here`"),
        (WeirConfig { max_body: 2 << 20, ..quick("") }, "max_body is 2097152; at most 1048576"),
        (WeirConfig { time_limit_us: 9_000_000, ..quick("") }, "time_limit_us is 9000000"),
        (WeirConfig { monitoring_only: 4, ..quick("") }, "config.monitoring_only is 4"),
    ] {
        let (status, text) = handle.reload(&config);
        assert_eq!(status, WeirStatus::Invalid);
        assert!(text.contains(expected), "{text}");
    }
    assert_eq!(handle.inspect(&asked(ATTACK)).unwrap().get().block, 1);
    // SAFETY: a live handle.
    assert_eq!(unsafe { weir_generation(handle.0) }, 1);
}

#[test]
fn policy_decides_as_in_a_node() {
    let block = |policy: &str, message: &[u8]| {
        let trusted = WeirConfig { trusted: shown(b"203.0.113.0/24"), real_ip: shown(b"X-Real-IP"), ..quick(policy) };
        let judged = Handle::new(&trusted).unwrap().inspect(&asked(message)).unwrap();
        (judged.get().block, judged.get().would_block)
    };
    assert_eq!(block("", ATTACK), (1, 0));
    assert_eq!(block("mode: monitoring", ATTACK), (0, 1));
    assert_eq!(block("mode: off", ATTACK), (0, 0));
    let exception = "rules:\n- {type: disable_stamp, stamp: ptrav.test, point: [[get, file]]}";
    assert_eq!(block(exception, ATTACK), (0, 0));
    let denied = "ip_lists: [{list: deny, values: [198.51.100.0/24]}]";
    let from = |address: &str| format!("GET / HTTP/1.1\r\nHost: a\r\nX-Real-IP: {address}\r\n\r\n").into_bytes();
    assert_eq!(block(denied, &from("198.51.100.9")), (1, 0));
    assert_eq!(block(denied, &from("198.51.101.9")), (0, 0));
    let own = "rules:\n- {type: regex, regex: 'evil[0-9]', attack_type: rce}";
    assert_eq!(block(own, b"GET /?a=evil1 HTTP/1.1\r\nHost: a\r\n\r\n"), (1, 0));
    let watching = Handle::new(&WeirConfig { monitoring_only: 1, ..quick("") }).unwrap();
    let judged = watching.inspect(&asked(ATTACK)).unwrap();
    assert_eq!((judged.get().block, judged.get().would_block), (0, 1));
}

#[test]
fn what_is_beyond_the_cap_is_reported_and_judged() {
    let post = |body: &str, chunked: bool| {
        let framing =
            if chunked { "Transfer-Encoding: chunked".into() } else { format!("Content-Length: {}", body.len()) };
        let body = if chunked { format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()) } else { body.into() };
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n{framing}\r\n\r\n{body}").into_bytes()
    };
    let handle = Handle::new(&WeirConfig { max_body: 100, ..quick("") }).unwrap();
    let attack = "file=/etc/passwd ";
    for chunked in [false, true] {
        let judge = |body: &str| {
            let request = post(body, chunked);
            let judged = handle.inspect(&WeirRequest { chunked: chunked.into(), ..asked(&request) }).unwrap();
            (judged.get().block, judged.get().bytes_left, judged.text(|verdict| verdict.not_inspected))
        };
        assert_eq!(judge(&"a".repeat(100)), (0, 0, String::new()));
        assert_eq!(judge(&format!("{attack}{}", "a".repeat(200))), (1, 117, "not_sent".into()));
        assert_eq!(judge(&format!("{}{attack}", "a".repeat(200))), (0, 117, "not_sent".into()));
    }
    let long = vec![b'a'; crate::MAX_MESSAGE + 1];
    assert_eq!(handle.inspect(&asked(&long)).err().unwrap().0, WeirStatus::TooLarge);
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(crate::MAX_HEAD));
    let (status, text) = handle.inspect(&asked(long.as_bytes())).err().unwrap();
    assert_eq!(status, WeirStatus::TooLarge);
    assert!(text.starts_with(&format!("the head of the message has {} bytes", long.len())), "{text}");
}

/// Threads inspect while others reload: each verdict belongs to one of the policies as a whole.
#[test]
fn rules_are_swapped_under_threads() {
    const RELOADS: u64 = 40;
    let [blocks, watches] = [quick("mode: block"), quick("mode: monitoring")];
    let handle = Handle::new(&blocks).unwrap();
    // Pointers in the structures lead to constants.
    struct Shared<'s>(&'s Handle, &'s [WeirConfig; 2]);
    // SAFETY: a handle may be used by any number of threads, and the structures are only read.
    unsafe impl Sync for Shared<'_> {}
    let configs = [blocks, watches];
    let shared = Shared(&handle, &configs);
    let shared = &shared;
    std::thread::scope(|scope| {
        let inspecting: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(move || {
                    let Shared(handle, _) = shared;
                    let mut last = 0;
                    while last <= RELOADS {
                        let judged = handle.inspect(&asked(ATTACK)).unwrap();
                        let verdict = judged.get();
                        assert_eq!(verdict.block + verdict.would_block, 1);
                        assert_eq!(
                            u64::from(verdict.block),
                            verdict.generation % 2,
                            "generation {}",
                            verdict.generation
                        );
                        assert!(verdict.generation >= last);
                        last = verdict.generation;
                    }
                })
            })
            .collect();
        let Shared(handle, [blocks, watches]) = shared;
        for number in 2..=RELOADS + 1 {
            let (status, text) = handle.reload(if number % 2 == 0 { watches } else { blocks });
            assert_eq!(status, WeirStatus::Ok, "{text}");
        }
        inspecting.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
