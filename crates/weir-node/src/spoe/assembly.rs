//! Joins the fragments of messages, within limits.

use super::frame::{Frame, Ids, Kind};
use crate::http_inspector::admission::{Admission, AdmissionPermit};
use crate::http_inspector::api_error::ApiError;
use bytes::{Bytes, BytesMut};
use spop::StatusCode;
use std::sync::Arc;

/// A message that may be inspected, or why not.
pub type Admitted = Result<(Bytes, AdmissionPermit), ApiError>;

/// The message of which fragments arrived. HAProxy sends one at a time on a connection.
pub struct Assembly {
    admission: Arc<Admission>,
    /// Largest message, in bytes.
    max: usize,
    begun: Option<Begun>,
}

struct Begun {
    ids: Ids,
    bytes: BytesMut,
    permit: Result<AdmissionPermit, ApiError>,
}

impl Assembly {
    /// Nothing has arrived yet. Messages have at most `max` bytes.
    pub fn new(admission: Arc<Admission>, max: usize) -> Self {
        Self { admission, max, begun: None }
    }

    /// Whether fragments are missing.
    pub fn is_incomplete(&self) -> bool {
        self.begun.is_some()
    }

    /// Adds a NOTIFY frame or a fragment. Returns the message once it is complete.
    pub fn add(&mut self, frame: Frame) -> Result<Option<(Ids, Admitted)>, StatusCode> {
        let Frame { kind, fin, abort, ids, payload } = frame;
        match (kind, &mut self.begun) {
            (Kind::Notify, None) if abort => return Ok(None),
            (Kind::Notify, None) if fin => {
                return Ok(Some((ids, admit(&self.admission, payload.len()).map(|permit| (payload, permit)))));
            }
            (Kind::Notify, None) => {
                let permit = admit(&self.admission, payload.len());
                let bytes = if permit.is_ok() { BytesMut::from(&payload[..]) } else { BytesMut::new() };
                self.begun = Some(Begun { ids, bytes, permit });
                return Ok(None);
            }
            (Kind::Fragment, Some(begun)) if begun.ids == ids && abort => self.begun = None,
            (Kind::Fragment, Some(begun)) if begun.ids == ids => {
                begun.add(&payload, self.max);
                if fin {
                    return Ok(self
                        .begun
                        .take()
                        .map(|Begun { ids, bytes, permit }| (ids, permit.map(|permit| (bytes.freeze(), permit)))));
                }
            }
            (Kind::Fragment, None) => return Err(StatusCode::FrameIdNotFound),
            (Kind::Notify | Kind::Fragment, Some(_)) => return Err(StatusCode::InterlacedFrames),
            (Kind::Hello | Kind::Disconnect, _) => return Err(StatusCode::Invalid),
        }
        Ok(None)
    }
}

impl Begun {
    /// Adds bytes. Once a limit is reached, the rest of the message is dropped, and its ACK gives the reason.
    fn add(&mut self, more: &[u8], max: usize) {
        let Ok(permit) = &mut self.permit else { return };
        let added = match self.bytes.len() + more.len() > max {
            true => Err(ApiError::TooLarge(max)),
            false => permit.reserve(more.len()),
        };
        match added {
            Ok(()) => self.bytes.extend_from_slice(more),
            Err(error) => {
                self.permit = Err(error);
                self.bytes = BytesMut::new();
            }
        }
    }
}

fn admit(admission: &Arc<Admission>, bytes: usize) -> Result<AdmissionPermit, ApiError> {
    let mut permit = admission.admit()?;
    permit.reserve(bytes).map(|()| permit)
}
