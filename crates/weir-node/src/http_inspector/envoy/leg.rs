//! One message of an exchange while Envoy sends it: what has arrived, and what Envoy is owed an answer to.
//!
//! A leg does not decide anything. It says when the message is to be inspected, and after a pass what Envoy gets.

use super::head::Head;
use super::proto::ext_proc::{
    Answer, BodyMode, BodyMutation, CommonAnswer, CommonResponse, HttpBody, HttpHeaders, HttpTrailers,
    ProcessingResponse, TrailersAnswer,
};
use crate::http_inspector::api_error::ApiError;
use crate::http_inspector::call::Direction;
use bytes::{Bytes, BytesMut};
use weir_core::model::BodyState;

/// Bytes of one piece of a body that is sent back: what Envoy recommends.
const PIECE: usize = 64 << 10;

/// What a message of Envoy asks for.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Nothing yet.
    Wait,
    /// These answers.
    Answer(Vec<ProcessingResponse>),
    /// Inspection of the head alone, since an answer lets it go on; then the answers of [`Leg::released`].
    InspectHead,
    /// Inspection of what has arrived; then the answers of [`Leg::released`].
    Inspect,
}

/// Which part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartKind {
    Headers,
    Body,
    Trailers,
}

/// How far a message has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Stage {
    /// Nothing has arrived.
    Empty,
    /// The head has; its body is awaited.
    Body,
    /// All of it that is inspected has arrived, or has been inspected.
    Inspected,
    /// The last part has arrived.
    Ended,
}

/// One message of an exchange.
#[derive(Debug)]
pub struct Leg {
    direction: Direction,
    mode: BodyMode,
    /// Most bytes of a body that are kept.
    limit: usize,
    stage: Stage,
    head: Head,
    body: BytesMut,
    /// In full duplex: the body that was inspected and has to be sent back.
    back: Bytes,
    state: BodyState,
    /// Goes on without inspection.
    skipped: bool,
    /// How often a part of it was inspected.
    rounds: u8,
    /// The part whose answer waits for the verdict.
    owed: Option<PartKind>,
    /// In full duplex: parts that are held back until the verdict.
    held: Held,
}

/// What is sent back after the verdict in full duplex.
#[derive(Debug, Default)]
struct Held {
    head: bool,
    body: bool,
    end: bool,
    trailers: bool,
}

impl Leg {
    /// A leg on which nothing has arrived.
    pub fn new(direction: Direction, limit: usize) -> Self {
        Self {
            direction,
            mode: BodyMode::None,
            limit,
            stage: Stage::Empty,
            head: Head::default(),
            body: BytesMut::new(),
            back: Bytes::new(),
            state: BodyState::Complete,
            skipped: false,
            rounds: 0,
            owed: None,
            held: Held::default(),
        }
    }

    /// Sets how bodies are sent, before anything arrives.
    pub fn set_mode(&mut self, mode: BodyMode) {
        self.mode = mode;
    }

    /// Its head.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// How much of the body has been read.
    pub fn state(&self) -> BodyState {
        self.state
    }

    /// How often a part of it was inspected.
    pub fn rounds(&self) -> u8 {
        self.rounds
    }

    /// Whether parts of the message are kept that have not been inspected.
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Body
    }

    /// Whether the head has arrived.
    pub fn has_begun(&self) -> bool {
        self.stage > Stage::Empty
    }

    /// Whether the whole message has arrived.
    pub fn has_ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// Whether bytes are kept while the client sends more. Envoy keeps buffered bodies itself.
    pub fn collects(&self) -> bool {
        self.is_open() && matches!(self.mode, BodyMode::FullDuplex | BodyMode::Streamed)
    }

    /// Whether an answer lets a part of the message go on before the verdict on the whole.
    pub fn leaks(&self) -> bool {
        self.mode == BodyMode::Streamed
    }

    /// Takes the head. `read_body`: whether a body that is sent is to be inspected.
    pub fn headers(&mut self, message: &HttpHeaders, head: Head, read_body: bool) -> Result<Step, ApiError> {
        if self.stage != Stage::Empty {
            return Err(ApiError::BadMessage("headers were sent twice"));
        }
        self.head = head;
        self.owed = Some(PartKind::Headers);
        self.held.head = true;
        if message.end_of_stream {
            self.stage = Stage::Ended;
            return Ok(Step::Inspect);
        }
        if !read_body || self.head.endless || matches!(self.mode, BodyMode::None | BodyMode::Grpc) {
            self.stage = Stage::Inspected;
            self.state = if read_body { BodyState::Unread } else { BodyState::Complete };
            return Ok(Step::Inspect);
        }
        self.stage = Stage::Body;
        Ok(match self.mode {
            BodyMode::FullDuplex => Step::Wait,
            BodyMode::Streamed => Step::InspectHead,
            _ => Step::Answer(self.owed()),
        })
    }

    /// Lets the message go on without inspection.
    pub fn skip(&mut self, message: &HttpHeaders) -> Result<Step, ApiError> {
        if self.stage != Stage::Empty {
            return Err(ApiError::BadMessage("headers were sent twice"));
        }
        self.stage = if message.end_of_stream { Stage::Ended } else { Stage::Inspected };
        self.skipped = true;
        self.owed = Some(PartKind::Headers);
        Ok(Step::Answer(self.owed()))
    }

    /// Takes a piece of the body.
    pub fn body(&mut self, message: HttpBody) -> Result<Step, ApiError> {
        let before = self.stage;
        match before {
            Stage::Empty => return Err(ApiError::BadMessage("a body was sent before headers")),
            Stage::Ended => return Err(ApiError::BadMessage("a body was sent after the end of the message")),
            Stage::Body | Stage::Inspected => {}
        }
        if message.end_of_stream {
            self.stage = Stage::Ended;
        }
        if before == Stage::Inspected {
            return Ok(Step::Answer(vec![self.passed_on(message)]));
        }
        let room = self.limit.saturating_sub(self.body.len());
        let too_long = message.body.len() > room;
        let duplex = self.mode == BodyMode::FullDuplex;
        // What is sent back must be kept even beyond the limit: one message at most.
        let kept = if duplex { message.body.len() } else { message.body.len().min(room) };
        self.body.extend_from_slice(&message.body[..kept]);
        self.owed = Some(PartKind::Body);
        (self.held.body, self.held.end) = (true, message.end_of_stream);
        let partial = self.mode == BodyMode::BufferedPartial
            && !message.end_of_stream
            && self.head.length != Some(message.body.len() as u64);
        if too_long || partial {
            self.state = BodyState::Prefix;
        }
        let pieces = matches!(self.mode, BodyMode::FullDuplex | BodyMode::Streamed);
        if pieces && !message.end_of_stream && !too_long {
            return Ok(if duplex { Step::Wait } else { Step::Answer(self.owed()) });
        }
        if !message.end_of_stream {
            self.stage = Stage::Inspected;
        }
        Ok(Step::Inspect)
    }

    /// Takes the trailers.
    pub fn trailers(&mut self, message: &HttpTrailers) -> Result<Step, ApiError> {
        match self.stage {
            Stage::Empty => return Err(ApiError::BadMessage("trailers were sent before headers")),
            Stage::Ended => return Err(ApiError::BadMessage("trailers were sent after the end of the message")),
            Stage::Body | Stage::Inspected => {}
        }
        if self.stage == Stage::Inspected {
            // The rest has been inspected: these are, on their own.
            self.head.keep_intro();
            self.state = BodyState::Complete;
        }
        self.stage = Stage::Ended;
        self.owed = Some(PartKind::Trailers);
        self.held.trailers = true;
        if self.skipped {
            return Ok(Step::Answer(self.released()));
        }
        if let Some(trailers) = &message.trailers {
            self.head.trailers(trailers)?;
        }
        Ok(Step::Inspect)
    }

    /// Ends the wait for more: what has arrived is inspected, if anything that is kept has not been.
    pub fn cut(&mut self) -> Step {
        if !self.is_open() {
            return Step::Wait;
        }
        self.stage = Stage::Inspected;
        self.state = if self.body.is_empty() { BodyState::Unread } else { BodyState::Prefix };
        Step::Inspect
    }

    /// The message that has arrived, once. In full duplex its body is sent back by [`Leg::released`].
    pub fn take_message(&mut self) -> Bytes {
        let at = self.head.lines.len() + 2;
        let mut message = BytesMut::with_capacity(at + self.body.len());
        message.extend_from_slice(&self.head.lines);
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(&self.body);
        self.body = BytesMut::new();
        self.rounds = self.rounds.saturating_add(1);
        let message = message.freeze();
        if self.mode == BodyMode::FullDuplex {
            self.back = message.slice(at..);
        }
        message
    }

    /// The head alone.
    pub fn head_message(&self) -> Bytes {
        self.head.alone().into()
    }

    /// The answers that let everything go on that has been inspected.
    pub fn released(&mut self) -> Vec<ProcessingResponse> {
        if self.mode != BodyMode::FullDuplex {
            return self.owed();
        }
        self.owed = None;
        let held = std::mem::take(&mut self.held);
        let mut answers = Vec::new();
        if held.head {
            answers.push(self.answer(PartKind::Headers, None));
        }
        let body = std::mem::take(&mut self.back);
        if held.body {
            answers.extend(self.pieces(&body, held.end));
        }
        if held.trailers {
            answers.push(self.answer(PartKind::Trailers, None));
        }
        answers
    }

    /// The pieces of `body`, the last of which ends the message if `end` is set.
    fn pieces(&self, body: &Bytes, end: bool) -> Vec<ProcessingResponse> {
        let count = body.len().div_ceil(PIECE).max(1);
        let piece = |at: usize| {
            let part = body.slice(at * PIECE..body.len().min((at + 1) * PIECE));
            let streamed = HttpBody { body: part, end_of_stream: end && at + 1 == count };
            self.answer(PartKind::Body, Some(streamed))
        };
        (0..count).map(piece).collect()
    }

    /// The answer to a piece of a body that is not inspected any more.
    fn passed_on(&self, message: HttpBody) -> ProcessingResponse {
        self.answer(PartKind::Body, (self.mode == BodyMode::FullDuplex).then_some(message))
    }

    fn owed(&mut self) -> Vec<ProcessingResponse> {
        self.owed.take().map(|part| self.answer(part, None)).into_iter().collect()
    }

    fn answer(&self, part: PartKind, streamed: Option<HttpBody>) -> ProcessingResponse {
        let response =
            streamed.map(|body| CommonResponse { body_mutation: Some(BodyMutation { streamed_response: Some(body) }) });
        let common = CommonAnswer { response };
        let answer = match (self.direction, part) {
            (Direction::Request, PartKind::Headers) => Answer::RequestHeaders(common),
            (Direction::Request, PartKind::Body) => Answer::RequestBody(common),
            (Direction::Request, PartKind::Trailers) => Answer::RequestTrailers(TrailersAnswer {}),
            (Direction::Response, PartKind::Headers) => Answer::ResponseHeaders(common),
            (Direction::Response, PartKind::Body) => Answer::ResponseBody(common),
            (Direction::Response, PartKind::Trailers) => Answer::ResponseTrailers(TrailersAnswer {}),
        };
        ProcessingResponse { answer: Some(answer), dynamic_metadata: None }
    }
}
