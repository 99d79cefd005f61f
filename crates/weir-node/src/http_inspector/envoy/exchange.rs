//! One exchange as `ext_proc` sends it: the request and then the response, each part by part.

use super::head::{Head, HeadOptions};
use super::leg::{Leg, Step};
use super::proto::Struct;
use super::proto::ext_proc::{BodyMode, HttpHeaders, Part, ProcessingRequest, ProtocolConfiguration};
use crate::http_inspector::api_error::ApiError;
use crate::http_inspector::call::Direction;
use crate::http_inspector::verdict_response::Wanted;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The attribute with the address of Envoy's peer.
const SOURCE: &str = "source.address";

/// The state of an exchange.
#[derive(Debug)]
pub struct Exchange {
    /// The request.
    pub request: Leg,
    /// The response.
    pub response: Leg,
    /// The client.
    pub client: Option<IpAddr>,
    /// How much of the response is to be inspected, once the verdict on the request is known.
    pub wanted: Wanted,
    /// Envoy does not wait for answers.
    pub observed: bool,
}

impl Exchange {
    /// An exchange of which nothing has arrived. `limit`: most bytes of a body that are kept.
    pub fn new(limit: usize) -> Self {
        Self {
            request: Leg::new(Direction::Request, limit),
            response: Leg::new(Direction::Response, limit),
            client: None,
            wanted: Wanted::Body,
            observed: false,
        }
    }

    /// The leg of `direction`.
    pub fn leg(&mut self, direction: Direction) -> &mut Leg {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }

    /// Takes a message of Envoy: which leg it belongs to and what is to be done.
    pub fn take(&mut self, message: ProcessingRequest) -> Result<(Direction, Step), ApiError> {
        let part = message.part.ok_or(ApiError::BadMessage("a message without a known part"))?;
        if !self.request.has_begun() {
            self.begin(message.protocol_config.as_ref(), message.observability_mode)?;
        }
        let response = matches!(part, Part::ResponseHeaders(_) | Part::ResponseBody(_) | Part::ResponseTrailers(_));
        if response && !self.request.has_begun() {
            return Err(ApiError::BadMessage(
                "the headers of the request are needed: request_header_mode must be SEND",
            ));
        }
        let direction = if response { Direction::Response } else { Direction::Request };
        let step = match part {
            Part::RequestHeaders(headers) => self.request_headers(&headers, &message.attributes),
            Part::ResponseHeaders(headers) => self.response_headers(&headers),
            Part::RequestBody(body) | Part::ResponseBody(body) => self.leg(direction).body(body),
            Part::RequestTrailers(trailers) | Part::ResponseTrailers(trailers) => {
                self.leg(direction).trailers(&trailers)
            }
        };
        step.map(|step| (direction, step))
    }

    /// How bodies are sent. Without it the node could not tell whether a body follows before the request goes on.
    fn begin(&mut self, config: Option<&ProtocolConfiguration>, observed: bool) -> Result<(), ApiError> {
        const UNKNOWN: ApiError = ApiError::BadMessage("an unknown body mode");
        let mode = |mode: i32| BodyMode::try_from(mode).map_err(|_| UNKNOWN);
        let (request, response) = match config {
            Some(config) => (mode(config.request_body_mode)?, mode(config.response_body_mode)?),
            // The only mode that there is then.
            None if observed => (BodyMode::Streamed, BodyMode::Streamed),
            None => return Err(ApiError::BadMessage("protocol_config is missing: Envoy is too old")),
        };
        self.request.set_mode(request);
        self.response.set_mode(response);
        self.observed = observed;
        Ok(())
    }

    fn request_headers(&mut self, headers: &HttpHeaders, attributes: &Attributes) -> Result<Step, ApiError> {
        let source = attributes.values().find_map(|filter| filter.fields.get(SOURCE)?.as_text().and_then(address));
        let options = HeadOptions { source, own: None };
        let head = Head::request(headers.headers.as_ref().unwrap_or(&Default::default()), options)?;
        self.client = source.or(head.forwarded_for);
        if self.client.is_none() {
            return Err(ApiError::MissingHeader("x-forwarded-for"));
        }
        self.request.headers(headers, head, true)
    }

    fn response_headers(&mut self, headers: &HttpHeaders) -> Result<Step, ApiError> {
        if self.wanted == Wanted::Nothing {
            return self.response.skip(headers);
        }
        let head = Head::response(headers.headers.as_ref().unwrap_or(&Default::default()))?;
        self.response.headers(headers, head, self.wanted == Wanted::Body)
    }
}

type Attributes = BTreeMap<String, Struct>;

/// An IP address with or without port.
fn address(text: &str) -> Option<IpAddr> {
    let ip = text.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| text.parse()).ok()?;
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests;
