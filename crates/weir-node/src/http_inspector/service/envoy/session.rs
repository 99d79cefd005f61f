//! A stream of `ext_proc`: one exchange.

use super::arriving::{Arriving, Refusal};
use super::{CallContext, MessageOptions};
use crate::http_inspector::admission::AdmissionPermit;
use crate::http_inspector::api_error::ApiError;
use crate::http_inspector::call::{CallHeaders, Direction};
use crate::http_inspector::envoy::answer;
use crate::http_inspector::envoy::exchange::Exchange;
use crate::http_inspector::envoy::leg::Step;
use crate::http_inspector::envoy::proto::ext_proc::{Part, ProcessingRequest, ProcessingResponse};
use crate::http_inspector::envoy::stream::Responses;
use crate::http_inspector::inspection_job::InspectionJob;
use crate::http_inspector::verdict_response::{VerdictResponse, Wanted};
use axum::body::Body;
use bytes::Bytes;
use http::request::Parts as Head;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use std::error::Error as _;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::server::{Grpc, StreamingService};
use tonic::{Code, Status, Streaming};
use tonic_prost::ProstCodec;
use weir_core::model::BodyState;

type Sender = mpsc::Sender<Result<ProcessingResponse, Status>>;

/// Serves one stream.
pub(super) async fn serve(call: CallContext, head: Head, body: Incoming) -> Response<Body> {
    let limit = call.max_message();
    let codec: ProstCodec<ProcessingResponse, ProcessingRequest> = ProstCodec::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(limit);
    let (body, refusal) = Arriving::new(body, call.service.admission.hold());
    grpc.streaming(Process(Some((call, refusal))), Request::from_parts(head, body)).await.map(Body::new)
}

/// The method `Process` for one call.
struct Process(Option<(CallContext, Refusal)>);

impl StreamingService<ProcessingRequest> for Process {
    type Response = ProcessingResponse;
    type ResponseStream = Responses<ProcessingResponse>;
    type Future = std::future::Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<ProcessingRequest>>) -> Self::Future {
        let Some((call, refusal)) = self.0.take() else {
            return std::future::ready(Err(Status::internal("called twice")));
        };
        let mut inbound = request.into_inner();
        let responses = Responses::of(move |out: Sender| async move {
            let mut session = Session::new(call, refusal);
            if let Err(error) = session.converse(&mut inbound, &out).await {
                let failed = session.call.failed(&error);
                // Envoy may have gone already.
                let _gone = out.send(Err(failed)).await;
            }
        });
        std::future::ready(Ok(tonic::Response::new(responses)))
    }
}

/// One exchange on its stream.
struct Session {
    call: CallContext,
    exchange: Exchange,
    /// What the exchange holds of the limits on calls.
    permit: Option<AdmissionPermit>,
    /// Context of the request, for the response.
    context: Option<HeaderValue>,
    /// When a message that is still being sent is inspected as far as it has arrived.
    cut_at: Option<Instant>,
    /// The client got a block reply.
    blocked: bool,
    /// Why nothing more is read, if a message that is still arriving takes too much memory.
    refusal: Refusal,
}

/// What came over the stream.
enum Received {
    Message(ProcessingRequest),
    /// The rest of a message took too long.
    Late,
    /// Envoy has ended the stream.
    End,
}

impl Session {
    fn new(call: CallContext, refusal: Refusal) -> Self {
        let exchange = Exchange::new(call.service.config.max_call_bytes);
        Self { call, exchange, permit: None, context: None, cut_at: None, blocked: false, refusal }
    }

    /// Answers messages until the exchange or the stream ends.
    async fn converse(&mut self, inbound: &mut Streaming<ProcessingRequest>, out: &Sender) -> Result<(), ApiError> {
        loop {
            let answers = match self.receive(inbound).await? {
                Received::Message(message) => self.message(message).await?,
                Received::Late => self.cut().await?,
                Received::End => {
                    self.finish().await?;
                    return Ok(());
                }
            };
            if !self.exchange.observed {
                for answer in answers {
                    if out.send(Ok(answer)).await.is_err() {
                        return Ok(());
                    }
                }
            }
            self.release();
            if self.is_done() {
                return Ok(());
            }
        }
    }

    async fn receive(&mut self, inbound: &mut Streaming<ProcessingRequest>) -> Result<Received, ApiError> {
        let message = match self.cut_at {
            None => inbound.message().await,
            Some(at) => match tokio::time::timeout_at(at, inbound.message()).await {
                Ok(message) => message,
                Err(_) => return Ok(Received::Late),
            },
        };
        match message {
            Ok(Some(message)) => Ok(Received::Message(message)),
            Ok(None) => Ok(Received::End),
            Err(status) => self.ended(&status),
        }
    }

    /// What the end of a stream by `status` means.
    fn ended(&self, status: &Status) -> Result<Received, ApiError> {
        if let Some(refusal) = self.refusal.get() {
            return Err(refusal.clone());
        }
        if status.code() == Code::OutOfRange {
            return Err(ApiError::TooLarge(self.call.service.config.max_call_bytes));
        }
        // Envoy resets the stream when the exchange is over.
        if status.source().is_some() || status.code() == Code::Cancelled {
            return Ok(Received::End);
        }
        Err(ApiError::BadMessage("a message that is not of this protocol"))
    }

    /// Takes a message and returns the answers to it.
    async fn message(&mut self, message: ProcessingRequest) -> Result<Vec<ProcessingResponse>, ApiError> {
        if matches!(message.part, Some(Part::ResponseHeaders(_))) && self.exchange.request.is_open() {
            // The application answered before it had the whole request.
            let answers = self.cut_leg(Direction::Request).await?;
            if self.blocked {
                return Ok(answers);
            }
        }
        self.hold(&message)?;
        let (direction, step) = self.exchange.take(message)?;
        self.answer(direction, step).await
    }

    async fn answer(&mut self, direction: Direction, step: Step) -> Result<Vec<ProcessingResponse>, ApiError> {
        match step {
            Step::Wait => Ok(Vec::new()),
            Step::Answer(answers) => Ok(answers),
            Step::InspectHead if direction == Direction::Request && !self.head_blocks()? => {
                Ok(self.exchange.request.released())
            }
            // A streamed response is inspected as a copy.
            Step::InspectHead if direction == Direction::Response => Ok(self.exchange.response.released()),
            Step::InspectHead => self.cut_leg(direction).await,
            Step::Inspect => self.inspect(direction).await,
        }
    }

    /// Counts the bytes of a message against the limits.
    fn hold(&mut self, message: &ProcessingRequest) -> Result<(), ApiError> {
        let bytes = prost::Message::encoded_len(message);
        self.call.connection.received(bytes);
        let head = matches!(message.part, Some(Part::RequestHeaders(_) | Part::ResponseHeaders(_)));
        if self.permit.is_none() && !head {
            // What is not inspected any more is not kept either.
            return Ok(());
        }
        let permit = match &mut self.permit {
            Some(permit) => permit,
            None => self.permit.insert(self.call.service.admission.admit()?),
        };
        permit.reserve(bytes)
    }

    /// Leaves the place of a call in progress, and the memory once nothing is kept.
    fn release(&mut self) {
        let keeps = self.exchange.request.is_open() || self.exchange.response.is_open();
        if !keeps {
            self.permit = None;
            self.cut_at = None;
            return;
        }
        if let Some(permit) = &mut self.permit {
            permit.pause();
        }
        let collects = self.exchange.request.collects() || self.exchange.response.collects();
        if collects && self.cut_at.is_none() {
            self.cut_at = Some(Instant::now() + self.call.service.config.body_timeout);
        }
    }

    /// Whether nothing that may follow needs an answer. Envoy goes on without the node when the stream ends.
    fn is_done(&self) -> bool {
        let exchange = &self.exchange;
        let response = exchange.wanted == Wanted::Nothing || exchange.response.has_ended();
        self.blocked || (exchange.request.has_ended() && response)
    }

    async fn cut(&mut self) -> Result<Vec<ProcessingResponse>, ApiError> {
        self.cut_at = None;
        let direction = if self.exchange.request.is_open() { Direction::Request } else { Direction::Response };
        self.cut_leg(direction).await
    }

    async fn cut_leg(&mut self, direction: Direction) -> Result<Vec<ProcessingResponse>, ApiError> {
        match self.exchange.leg(direction).cut() {
            Step::Inspect => self.inspect(direction).await,
            _ => Ok(Vec::new()),
        }
    }

    /// Inspects what has gone on of a message that Envoy stopped sending.
    async fn finish(&mut self) -> Result<(), ApiError> {
        if self.exchange.request.is_open() && self.exchange.request.leaks() {
            self.cut_leg(Direction::Request).await?;
        }
        Ok(())
    }

    /// Whether the head of the request is reason enough to block it.
    fn head_blocks(&mut self) -> Result<bool, ApiError> {
        let call = self.headers(Direction::Request, BodyState::Complete)?;
        if !call.blocking || self.exchange.observed {
            return Ok(false);
        }
        let head = self.exchange.request.head_message();
        self.job(call, head).preview()
    }

    /// Inspects what has arrived of a message and returns what Envoy gets.
    async fn inspect(&mut self, direction: Direction) -> Result<Vec<ProcessingResponse>, ApiError> {
        let leg = self.exchange.leg(direction);
        let (message, state, streamed) = (leg.take_message(), leg.state(), leg.leaks());
        let mut call = self.headers(direction, state)?;
        call.attempt = self.exchange.leg(direction).rounds();
        call.anomalies.clone_from(&self.exchange.leg(direction).head().anomalies);
        let copied = self.exchange.observed || (direction == Direction::Response && streamed);
        call.blocking &= !copied;
        if direction == Direction::Request && call.attempt == 1 {
            let head = self.exchange.request.head().lines.len() + 2;
            self.call.count(&call, message.len().saturating_sub(head));
        }
        let mut permit = match self.permit.take() {
            Some(permit) => permit,
            None => self.call.service.admission.admit()?,
        };
        permit.resume()?;
        permit.reserve(message.len())?;
        let job = self.job(call, message);
        if !job.call.blocking {
            return self.copy(direction, job, permit).await;
        }
        let service = &self.call.service;
        let (verdict, permit) = service.in_time(service.verdict(job, permit)).await?;
        self.permit = Some(permit);
        Ok(self.verdict(direction, &verdict))
    }

    /// Queues a message that is inspected without anybody waiting.
    async fn copy(
        &mut self,
        direction: Direction,
        job: InspectionJob,
        permit: AdmissionPermit,
    ) -> Result<Vec<ProcessingResponse>, ApiError> {
        let service = &self.call.service;
        let (accepted, job, permit) = service.run_job(job, permit, InspectionJob::accept).await?;
        service.enqueue_copy(job, permit)?;
        if direction == Direction::Request {
            self.context = accepted.context;
            self.exchange.wanted = accepted.wanted.unwrap_or(Wanted::Nothing);
        }
        Ok(self.exchange.leg(direction).released())
    }

    fn verdict(&mut self, direction: Direction, verdict: &VerdictResponse) -> Vec<ProcessingResponse> {
        if direction == Direction::Request {
            self.context.clone_from(&verdict.context);
            self.exchange.wanted = verdict.wanted.unwrap_or(Wanted::Nothing);
        }
        let mut answers = match &verdict.reply {
            Some(reply) => {
                self.blocked = true;
                vec![answer::immediate(reply)]
            }
            None => self.exchange.leg(direction).released(),
        };
        answer::with_metadata(&mut answers, verdict, &self.call.request_id);
        answers
    }

    fn headers(&self, direction: Direction, body: BodyState) -> Result<CallHeaders, ApiError> {
        self.call.headers(&MessageOptions {
            direction,
            client: self.exchange.client.ok_or(ApiError::MissingHeader("x-forwarded-for"))?,
            scheme: self.exchange.request.head().scheme,
            body,
            context: self.context.as_ref().filter(|_| direction == Direction::Response),
        })
    }

    fn job(&self, call: CallHeaders, message: Bytes) -> InspectionJob {
        let CallContext { service, connection, access, .. } = &self.call;
        service.job(call, message, connection.caller, std::sync::Arc::clone(access))
    }
}
