//! Reads what callers pass.

use super::guard::{Failure, null};
use super::{WEIR_BODY_COMPLETE, WEIR_BODY_PREFIX, WEIR_BODY_UNREAD, WEIR_NO_APPLICATION, time};
use super::{WeirBytes, WeirConfig, WeirRequest, WeirStatus};
use crate::{InspectorSettings, RequestInput};
use std::net::IpAddr;
use weir_core::model::{BodyState, Scheme};

/// Bytes of a text of the configuration.
const MAX_TEXT: usize = 64 << 20;
/// Bytes of the id of a request.
const MAX_REQUEST_ID: usize = 256;

fn invalid(text: String) -> Failure {
    Failure::new(WeirStatus::Invalid, text)
}

/// Reads `size`, the first member, before anything else of a structure is looked at.
///
/// # Safety
/// `structure` must be null, or point to a structure that begins with its size, and is as large as that says.
unsafe fn checked<'s, T>(structure: *const T, name: &str) -> Result<&'s T, Failure> {
    if structure.is_null() {
        return Err(null(name));
    }
    if !structure.is_aligned() {
        return Err(invalid(format!("{name} is not aligned")));
    }
    // SAFETY: not null and aligned; the caller promises that the structure begins with its size.
    let size = unsafe { structure.cast::<u32>().read() };
    let expected = size_of::<T>();
    if size as usize != expected {
        let text = format!("{name}.size is {size}, and {expected} in this version of the library");
        return Err(Failure::new(WeirStatus::BadSize, text));
    }
    // SAFETY: not null and aligned, and the caller promises that it is as large as its size says.
    Ok(unsafe { &*structure })
}

/// The bytes of the caller.
///
/// # Safety
/// `data` must be null or valid for `length` bytes until the function of the interface returns.
unsafe fn bytes<'b>(from: WeirBytes, name: &str, most: usize) -> Result<&'b [u8], Failure> {
    if from.length == 0 {
        return Ok(&[]);
    }
    if from.data.is_null() {
        return Err(null(&format!("{name}.data")));
    }
    if from.length > most {
        return Err(invalid(format!("{name} has {} bytes; at most {most} are possible", from.length)));
    }
    // SAFETY: not null, at most `most` bytes, which is less than `isize::MAX`, and the caller promises that they are valid.
    Ok(unsafe { std::slice::from_raw_parts(from.data, from.length) })
}

/// The text of the caller.
///
/// # Safety
/// As of [`bytes`].
unsafe fn text<'b>(from: WeirBytes, name: &str, most: usize) -> Result<&'b str, Failure> {
    // SAFETY: promised by the caller of this function.
    let bytes = unsafe { self::bytes(from, name, most) }?;
    std::str::from_utf8(bytes).map_err(|error| invalid(format!("{name} is not UTF-8: {error}")))
}

fn flag(value: u32, name: &str) -> Result<bool, Failure> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(invalid(format!("{name} is {other}; expected 0 or 1"))),
    }
}

/// Reads the configuration of the caller.
///
/// # Safety
/// `config` must be null or point to a `WeirConfig`, whose pointers are valid for their lengths until the function of the
/// interface returns.
pub(super) unsafe fn config<'c>(config: *const WeirConfig) -> Result<InspectorSettings<'c>, Failure> {
    // SAFETY: promised by the caller of this function.
    let config = unsafe { checked(config, "config") }?;
    // SAFETY: the caller promises that the pointers of the structure are valid.
    let text = |from, name: &str| unsafe { self::text(from, name, MAX_TEXT) };
    let default = InspectorSettings::default();
    Ok(InspectorSettings {
        builtin: !flag(config.no_builtin_rules, "config.no_builtin_rules")?,
        rules: text(config.rules, "config.rules")?,
        policy: text(config.policy, "config.policy")?,
        trusted: text(config.trusted, "config.trusted")?,
        real_ip: text(config.real_ip, "config.real_ip")?,
        original_host: text(config.original_host, "config.original_host")?,
        blocking: !flag(config.monitoring_only, "config.monitoring_only")?,
        max_body: if config.max_body == 0 { default.max_body } else { config.max_body as usize },
        time_limit: time(config.time_limit_us).unwrap_or(default.time_limit),
    })
}

/// Reads the request of the caller.
///
/// # Safety
/// `request` must be null or point to a `WeirRequest`, whose pointers are valid for their lengths until the function of the
/// interface returns.
pub(super) unsafe fn request<'r>(request: *const WeirRequest) -> Result<RequestInput<'r>, Failure> {
    // SAFETY: promised by the caller of this function.
    let request = unsafe { checked(request, "request") }?;
    // SAFETY: the caller promises that the pointers of the structure are valid. The inspector checks the length.
    let message = unsafe { bytes(request.message, "request.message", isize::MAX.unsigned_abs()) }?;
    // SAFETY: as above.
    let client = unsafe { text(request.client, "request.client", MAX_REQUEST_ID) }?;
    // SAFETY: as above.
    let request_id = unsafe { text(request.request_id, "request.request_id", MAX_REQUEST_ID) }?;
    let peer: IpAddr =
        client.parse().map_err(|_| invalid(format!("request.client `{client}` is not an IPv4 or IPv6 address")))?;
    Ok(RequestInput {
        message,
        body: match request.body {
            WEIR_BODY_COMPLETE => BodyState::Complete,
            WEIR_BODY_PREFIX => BodyState::Prefix,
            WEIR_BODY_UNREAD => BodyState::Unread,
            other => return Err(invalid(format!("request.body is {other}; expected one of WEIR_BODY_*"))),
        },
        chunked: flag(request.chunked, "request.chunked")?,
        peer,
        scheme: if flag(request.https, "request.https")? { Scheme::Https } else { Scheme::Http },
        request_id,
        application: Some(request.application).filter(|&application| application != WEIR_NO_APPLICATION),
        time_limit: time(request.time_limit_us),
    })
}
