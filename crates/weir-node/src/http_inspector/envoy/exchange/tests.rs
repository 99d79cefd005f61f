use super::*;
use crate::http_inspector::envoy::proto::ext_proc::{Answer, CommonAnswer, HttpBody, HttpTrailers, ProcessingResponse};
use crate::http_inspector::envoy::proto::{HeaderMap, HeaderValue};
use weir_core::model::BodyState;

const LIMIT: usize = 100_000;

fn map(headers: &[(&str, &str)]) -> Option<HeaderMap> {
    let header = |&(key, value): &(&str, &str)| HeaderValue {
        key: key.into(),
        raw_value: value.as_bytes().to_vec().into(),
        ..HeaderValue::default()
    };
    Some(HeaderMap { headers: headers.iter().map(header).collect() })
}

fn message(part: Part, config: Option<(BodyMode, BodyMode)>) -> ProcessingRequest {
    let protocol_config = config.map(|(request, response)| ProtocolConfiguration {
        request_body_mode: request.into(),
        response_body_mode: response.into(),
    });
    ProcessingRequest { part: Some(part), protocol_config, ..ProcessingRequest::default() }
}

fn head(method: &str, more: &[(&str, &str)], end_of_stream: bool) -> Part {
    let fixed = [(":method", method), (":path", "/a"), (":authority", "h"), ("x-forwarded-for", "203.0.113.9")];
    Part::RequestHeaders(HttpHeaders { headers: map(&[&fixed[..], more].concat()), end_of_stream })
}

fn body(text: &[u8], end_of_stream: bool) -> Part {
    Part::RequestBody(HttpBody { body: text.to_vec().into(), end_of_stream })
}

fn trailers() -> Part {
    Part::RequestTrailers(HttpTrailers { trailers: map(&[("x-end", "1")]) })
}

fn status(end_of_stream: bool) -> Part {
    Part::ResponseHeaders(HttpHeaders { headers: map(&[(":status", "200")]), end_of_stream })
}

/// An exchange whose request has the head of a `POST`, and what that asks for.
fn begin(mode: BodyMode) -> (Exchange, Step) {
    let mut exchange = Exchange::new(LIMIT);
    let (_, step) = exchange.take(message(head("POST", &[], false), Some((mode, mode)))).unwrap();
    (exchange, step)
}

fn take(exchange: &mut Exchange, part: Part) -> Step {
    exchange.take(message(part, None)).unwrap().1
}

/// The answers as words: `headers`, `body` for one that lets it go on, `=text` for one that sends bytes, `!` at its end.
fn words(answers: &[ProcessingResponse]) -> Vec<String> {
    let common = |name: &str, answer: &CommonAnswer| match &answer.response {
        None => name.to_owned(),
        Some(response) => {
            let piece = response.body_mutation.as_ref().unwrap().streamed_response.as_ref().unwrap();
            format!("={}{}", String::from_utf8_lossy(&piece.body), if piece.end_of_stream { "!" } else { "" })
        }
    };
    let word = |answer: &ProcessingResponse| match answer.answer.as_ref().unwrap() {
        Answer::RequestHeaders(answer) | Answer::ResponseHeaders(answer) => common("headers", answer),
        Answer::RequestBody(answer) | Answer::ResponseBody(answer) => common("body", answer),
        Answer::RequestTrailers(_) | Answer::ResponseTrailers(_) => "trailers".to_owned(),
        Answer::Immediate(_) => "immediate".to_owned(),
    };
    answers.iter().map(word).collect()
}

fn answered(step: Step) -> Vec<String> {
    match step {
        Step::Answer(answers) => words(&answers),
        other => panic!("{other:?}"),
    }
}

/// The message that is inspected, and the answers after a pass.
fn inspected(exchange: &mut Exchange, step: &Step) -> (String, Vec<String>) {
    assert_eq!(*step, Step::Inspect);
    let leg = &mut exchange.request;
    let text = String::from_utf8(leg.take_message().to_vec()).unwrap();
    (text, words(&leg.released()))
}

#[test]
fn a_request_without_a_body_is_inspected_at_once_in_every_mode() {
    for mode in
        [BodyMode::None, BodyMode::Streamed, BodyMode::Buffered, BodyMode::BufferedPartial, BodyMode::FullDuplex]
    {
        let mut exchange = Exchange::new(LIMIT);
        let (_, step) = exchange.take(message(head("GET", &[], true), Some((mode, mode)))).unwrap();
        let (text, answers) = inspected(&mut exchange, &step);
        assert_eq!((&text[..], &answers[..]), ("GET /a HTTP/1.1\r\nhost: h\r\n\r\n", &["headers".to_owned()][..]));
        assert_eq!(exchange.request.state(), BodyState::Complete);
        assert_eq!(exchange.client, Some("203.0.113.9".parse().unwrap()));
    }
}

#[test]
fn a_body_that_is_not_sent_is_unread() {
    let (mut exchange, step) = begin(BodyMode::None);
    assert_eq!(inspected(&mut exchange, &step).1, ["headers"]);
    assert_eq!(exchange.request.state(), BodyState::Unread);
}

#[test]
fn a_buffered_body_is_inspected_in_one_piece() {
    let (mut exchange, step) = begin(BodyMode::Buffered);
    assert_eq!(answered(step), ["headers"]);
    let step = take(&mut exchange, body(b"x=1", true));
    let (text, answers) = inspected(&mut exchange, &step);
    assert!(text.ends_with("\r\n\r\nx=1"), "{text}");
    assert_eq!(answers, ["body"]);
    assert_eq!(exchange.request.state(), BodyState::Complete);
}

#[test]
fn a_partial_body_is_a_prefix_unless_nothing_is_missing() {
    let state = |length: Option<&str>, end| {
        let mut exchange = Exchange::new(LIMIT);
        let headers: Vec<_> = length.map(|length| ("content-length", length)).into_iter().collect();
        let modes = Some((BodyMode::BufferedPartial, BodyMode::None));
        exchange.take(message(head("POST", &headers, false), modes)).unwrap();
        assert_eq!(take(&mut exchange, body(b"x=1", end)), Step::Inspect);
        exchange.request.state()
    };
    assert_eq!(state(None, true), BodyState::Complete);
    assert_eq!(state(None, false), BodyState::Prefix);
    assert_eq!(state(Some("3"), false), BodyState::Complete);
    assert_eq!(state(Some("9"), false), BodyState::Prefix);
}

#[test]
fn nothing_goes_on_before_the_verdict_in_full_duplex() {
    let (mut exchange, step) = begin(BodyMode::FullDuplex);
    assert_eq!(step, Step::Wait);
    assert_eq!(take(&mut exchange, body(b"x=", false)), Step::Wait);
    let step = take(&mut exchange, body(b"1", true));
    let (text, answers) = inspected(&mut exchange, &step);
    assert!(text.ends_with("\r\n\r\nx=1"), "{text}");
    assert_eq!(answers, ["headers", "=x=1!"]);
    assert_eq!(words(&exchange.request.released()), [""; 0]);
}

#[test]
fn trailers_are_inspected_with_the_message_in_full_duplex() {
    let (mut exchange, _) = begin(BodyMode::FullDuplex);
    assert_eq!(take(&mut exchange, body(b"x=1", false)), Step::Wait);
    let step = take(&mut exchange, trailers());
    let (text, answers) = inspected(&mut exchange, &step);
    assert_eq!(text, "POST /a HTTP/1.1\r\nhost: h\r\nx-end: 1\r\n\r\nx=1");
    assert_eq!(answers, ["headers", "=x=1", "trailers"]);
}

#[test]
fn trailers_after_the_verdict_are_inspected_on_their_own() {
    let (mut exchange, _) = begin(BodyMode::Buffered);
    let step = take(&mut exchange, body(b"x=1", false));
    inspected(&mut exchange, &step);
    let step = take(&mut exchange, trailers());
    let (text, answers) = inspected(&mut exchange, &step);
    assert_eq!(text, "POST /a HTTP/1.1\r\nhost: h\r\nx-end: 1\r\n\r\n");
    assert_eq!(answers, ["trailers"]);
    assert_eq!(exchange.request.rounds(), 2);
}

#[test]
fn beyond_the_limit_a_prefix_is_inspected_and_the_rest_passes_on() {
    let piece = vec![b'x'; LIMIT];
    let (mut exchange, _) = begin(BodyMode::FullDuplex);
    assert_eq!(take(&mut exchange, body(&piece, false)), Step::Wait);
    let step = take(&mut exchange, body(b"yy", false));
    let (_, answers) = inspected(&mut exchange, &step);
    assert_eq!(exchange.request.state(), BodyState::Prefix);
    let sent: usize = answers.iter().filter(|word| word.starts_with('=')).map(|word| word.len() - 1).sum();
    assert_eq!(sent, LIMIT + 2, "all that was held back is sent");
    assert!(answers.iter().all(|word| !word.ends_with('!') && word.len() <= 1 + (64 << 10)));
    assert_eq!(answered(take(&mut exchange, body(b"zz", true))), ["=zz!"]);
    assert!(exchange.request.has_ended());

    let (mut exchange, _) = begin(BodyMode::Streamed);
    assert_eq!(words(&exchange.request.released()), ["headers"]);
    assert_eq!(answered(take(&mut exchange, body(&piece, false))), ["body"]);
    let step = take(&mut exchange, body(b"yy", false));
    let (text, answers) = inspected(&mut exchange, &step);
    assert!(
        text.ends_with("\r\n\r\n".to_owned().as_str()) || text.len() < LIMIT + 100,
        "no more than the limit is kept"
    );
    assert_eq!((answers, exchange.request.state()), (vec!["body".to_owned()], BodyState::Prefix));
    assert_eq!(answered(take(&mut exchange, body(b"zz", true))), ["body"]);
}

#[test]
fn the_head_of_a_streamed_request_is_inspected_before_it_goes_on() {
    let (mut exchange, step) = begin(BodyMode::Streamed);
    assert_eq!(step, Step::InspectHead);
    assert_eq!(words(&exchange.request.released()), ["headers"]);
    assert_eq!(answered(take(&mut exchange, body(b"x=", false))), ["body"]);
    let step = take(&mut exchange, body(b"1", true));
    let (text, answers) = inspected(&mut exchange, &step);
    assert!(text.ends_with("\r\n\r\nx=1"), "{text}");
    assert_eq!(answers, ["body"]);
}

#[test]
fn a_wait_that_takes_too_long_ends_with_a_prefix() {
    let (mut exchange, _) = begin(BodyMode::FullDuplex);
    take(&mut exchange, body(b"x=", false));
    assert!(exchange.request.collects());
    let step = exchange.request.cut();
    assert_eq!(inspected(&mut exchange, &step).1, ["headers", "=x="]);
    assert_eq!(exchange.request.state(), BodyState::Prefix);
    assert_eq!(exchange.request.cut(), Step::Wait);
    assert_eq!(answered(take(&mut exchange, body(b"1", true))), ["=1!"]);
}

#[test]
fn an_upgrade_is_not_waited_for() {
    let mut exchange = Exchange::new(LIMIT);
    let modes = Some((BodyMode::FullDuplex, BodyMode::FullDuplex));
    let (_, step) = exchange.take(message(head("GET", &[("upgrade", "websocket")], false), modes)).unwrap();
    assert_eq!(inspected(&mut exchange, &step).1, ["headers"]);
    assert_eq!(exchange.request.state(), BodyState::Unread);
    assert_eq!(answered(take(&mut exchange, body(b"frame", false))), ["=frame"]);
}

#[test]
fn no_more_of_a_response_is_inspected_than_is_wanted() {
    let exchange = |wanted, part| {
        let (mut exchange, _) = begin(BodyMode::Buffered);
        let step = take(&mut exchange, body(b"x=1", true));
        inspected(&mut exchange, &step);
        exchange.wanted = wanted;
        let step = take(&mut exchange, part);
        (exchange, step)
    };
    let piece = || Part::ResponseBody(HttpBody { body: "leak".into(), end_of_stream: true });
    let (mut nothing, step) = exchange(Wanted::Nothing, status(false));
    assert_eq!(answered(step), ["headers"]);
    assert_eq!(answered(take(&mut nothing, piece())), ["body"]);
    let (mut head, step) = exchange(Wanted::Head, status(false));
    assert_eq!((step, head.response.state()), (Step::Inspect, BodyState::Complete));
    assert_eq!(words(&head.response.released()), ["headers"]);
    assert_eq!(answered(take(&mut head, piece())), ["body"]);
    let (mut whole, step) = exchange(Wanted::Body, status(false));
    assert_eq!(answered(step), ["headers"]);
    assert_eq!(take(&mut whole, piece()), Step::Inspect);
    assert_eq!(&whole.response.take_message()[..], b"HTTP/1.1 200 \r\n\r\nleak");
    assert_eq!(words(&whole.response.released()), ["body"]);
}

#[test]
fn messages_out_of_order_are_errors() {
    let modes = Some((BodyMode::Streamed, BodyMode::Streamed));
    let refused = |parts: &[Part]| {
        let mut exchange = Exchange::new(LIMIT);
        let mut taken = parts.iter().map(|part| exchange.take(message(part.clone(), modes)).err());
        taken.find_map(|error| error)
    };
    let end = head("GET", &[], true);
    let cases: &[&[Part]] = &[
        &[body(b"x", true)],
        &[trailers()],
        &[status(true)],
        &[end.clone(), end.clone()],
        &[end.clone(), body(b"x", true)],
        &[end.clone(), trailers()],
        &[end.clone(), status(true), status(true)],
        &[head("POST", &[], false), trailers(), trailers()],
        &[head("POST", &[], false), body(b"x", true), body(b"y", true)],
    ];
    for case in cases {
        assert!(matches!(refused(case), Some(ApiError::BadMessage(_))), "{case:?}");
    }
    assert_eq!(refused(&[end.clone(), status(true)]), None);
    let mut exchange = Exchange::new(LIMIT);
    assert!(matches!(exchange.take(ProcessingRequest::default()), Err(ApiError::BadMessage(_))));
    assert!(matches!(exchange.take(message(end, None)), Err(ApiError::BadMessage(_))), "no mode of bodies");
}

#[test]
fn without_waiting_bodies_are_streamed() {
    let mut exchange = Exchange::new(LIMIT);
    let observed = ProcessingRequest { observability_mode: true, ..message(head("POST", &[], false), None) };
    assert_eq!(exchange.take(observed).unwrap().1, Step::InspectHead);
    assert!(exchange.observed && exchange.request.leaks());
}

#[test]
fn a_client_that_is_not_known_is_an_error() {
    let mut exchange = Exchange::new(LIMIT);
    let headers = HttpHeaders { headers: map(&[(":method", "GET"), (":path", "/")]), end_of_stream: true };
    let refused = exchange.take(message(Part::RequestHeaders(headers), Some((BodyMode::None, BodyMode::None))));
    assert_eq!(refused.err(), Some(ApiError::MissingHeader("x-forwarded-for")));
}

#[test]
fn addresses_with_and_without_a_port() {
    for (text, want) in [("203.0.113.9:51234", "203.0.113.9"), ("[2001:db8::1]:443", "2001:db8::1"), ("::1", "::1")] {
        assert_eq!(address(text), Some(want.parse().unwrap()));
    }
    assert_eq!(address("/run/socket"), None);
}
