//! Envoy's gRPC protocols: the filter `ext_proc` sends each part of a request and response over a stream, `ext_authz` asks
//! once about a request. Calls are served on the port of the connector API and take the way of every connector: access,
//! admission, inspection, record.
//!
//! [`proto`] has the messages, [`head`] rebuilds the head of a message, [`leg`] and [`exchange`] follow what Envoy sends and
//! is owed, [`answer`] writes verdicts.

pub mod answer;
pub mod exchange;
pub mod head;
pub mod leg;
pub mod proto;
pub mod stream;

use super::api_error::ApiError;
use http::HeaderMap;
use std::time::Duration;
use tonic::{Code, Status};

/// Path of `ext_proc`.
pub const PROCESS: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";
/// Path of `ext_authz`.
pub const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// A method of Envoy's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `ExternalProcessor/Process`.
    Process,
    /// `Authorization/Check`.
    Check,
}

impl Call {
    /// The method whose path `path` is.
    pub fn of(path: &str) -> Option<Call> {
        match path {
            PROCESS => Some(Call::Process),
            CHECK => Some(Call::Check),
            _ => None,
        }
    }

    /// Its name in metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Call::Process => "ext_proc",
            Call::Check => "ext_authz",
        }
    }

    /// Name of the connector in events.
    pub const fn connector(self) -> &'static str {
        match self {
            Call::Process => "envoy-ext-proc/1",
            Call::Check => "envoy-ext-authz/1",
        }
    }
}

/// The status of gRPC for a call without a verdict. Envoy takes each as a failure, about which its `failure_mode_allow`
/// decides.
pub fn status(error: &ApiError) -> Status {
    let code = match error {
        ApiError::Unauthenticated => Code::Unauthenticated,
        ApiError::Network | ApiError::Host => Code::PermissionDenied,
        ApiError::TooLarge(_) => Code::ResourceExhausted,
        ApiError::Overloaded(..) => Code::Unavailable,
        ApiError::BodyTimeout | ApiError::ReplyTimeout(_) => Code::DeadlineExceeded,
        ApiError::NotFound | ApiError::Method(_) => Code::Unimplemented,
        ApiError::Internal => Code::Internal,
        ApiError::ContentType
        | ApiError::MissingHeader(_)
        | ApiError::BadHeader(..)
        | ApiError::BadJson(_)
        | ApiError::BadQuery(_)
        | ApiError::BadBatch(_)
        | ApiError::BadMessage(_)
        | ApiError::BodyBroken => Code::InvalidArgument,
    };
    Status::new(code, error.code())
}

/// How long the caller waits for the whole call: `grpc-timeout`, at most 8 digits and a unit.
pub fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if number.len() > 8 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = number.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn deadlines_of_grpc() {
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", HeaderValue::from_static(value));
            timeout(&headers)
        };
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("1S"), Some(Duration::from_secs(1)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for bad in ["", "m", "1", "1x", "-1m", "+1m", "123456789m", "1 m"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        assert_eq!(timeout(&HeaderMap::new()), None);
    }
}
