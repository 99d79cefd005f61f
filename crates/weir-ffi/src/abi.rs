//! The C interface. `include/weir.h` is generated from this file and describes it for callers.
//!
//! Every function catches panics. Structures that callers fill begin with their size, so that a caller built against
//! another version is refused instead of misread.

#![allow(unsafe_code)]

mod guard;
mod input;
mod verdict;

use crate::Inspector;
use guard::{ErrorBuffer, guarded};
use input::{config, request};
use std::ffi::c_char;
use std::time::Duration;
pub use verdict::WeirVerdict;

/// Version of this interface. It changes when a structure or the meaning of a function does.
pub const WEIR_ABI_VERSION: u32 = 1;

/// The body in the message is complete.
pub const WEIR_BODY_COMPLETE: u32 = 0;
/// The message has the first bytes of the body.
pub const WEIR_BODY_PREFIX: u32 = 1;
/// The gateway did not read the body.
pub const WEIR_BODY_UNREAD: u32 = 2;

/// No application id.
pub const WEIR_NO_APPLICATION: i64 = -1;

/// Result of a function. With anything but `WEIR_STATUS_OK`, the buffer for the error has a text.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeirStatus {
    /// Done.
    Ok = 0,
    /// A pointer is null that must not be.
    NullPointer = 1,
    /// The size of a structure is not that of this version: compile against the header of this library.
    BadSize = 2,
    /// A value is not valid: mistakes in rules or policy, an address that is not valid, text that is not UTF-8.
    Invalid = 3,
    /// The message is larger than what is accepted. It was not inspected.
    TooLarge = 4,
    /// A defect of the library. Nothing was decided.
    Panic = 5,
}

/// Bytes of the caller or of the library; not terminated.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct WeirBytes {
    /// The first byte; may be null if `length` is 0.
    pub data: *const u8,
    /// Number of bytes.
    pub length: usize,
}

/// What to inspect and decide by. Set `size`, and zero for what is not needed. The library copies what it keeps.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct WeirConfig {
    /// `sizeof(WeirConfig)`.
    pub size: u32,
    /// 1 leaves out the rules that ship with the library.
    pub no_builtin_rules: u32,
    /// 1 never blocks: the verdict says what would be blocked.
    pub monitoring_only: u32,
    /// Bytes of a body that are inspected; 0 for the default (65536), at most 1048576.
    pub max_body: u32,
    /// Time for an inspection in microseconds; 0 for the default (20000), at most 1000000.
    pub time_limit_us: u32,
    /// Text of a rule file (YAML).
    pub rules: WeirBytes,
    /// Text of the policy (YAML).
    pub policy: WeirBytes,
    /// Networks of trusted proxies, separated by commas.
    pub trusted: WeirBytes,
    /// Headers with which they report the client's address, separated by commas.
    pub real_ip: WeirBytes,
    /// Headers with which they report the host that the client asked for, separated by commas.
    pub original_host: WeirBytes,
}

/// A request. Set `size`, and zero for what is not known.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct WeirRequest {
    /// `sizeof(WeirRequest)`.
    pub size: u32,
    /// One of `WEIR_BODY_*`.
    pub body: u32,
    /// 1 if the body is in the chunked coding still.
    pub chunked: u32,
    /// 1 if the client used TLS.
    pub https: u32,
    /// Time until the verdict is needed in microseconds; 0 for that of the configuration.
    pub time_limit_us: u32,
    /// Application id, or `WEIR_NO_APPLICATION`.
    pub application: i64,
    /// Head and body as in HTTP/1.1.
    pub message: WeirBytes,
    /// Address of the gateway's peer, such as `203.0.113.7`.
    pub client: WeirBytes,
    /// Id of the request, for the reply and the record.
    pub request_id: WeirBytes,
}

/// Rules and policy. Any number of threads may use it at the same time.
pub struct WeirHandle(Inspector);

/// Version of this interface, to be compared with `WEIR_ABI_VERSION` before anything else is called.
#[unsafe(no_mangle)]
pub extern "C" fn weir_abi_version() -> u32 {
    WEIR_ABI_VERSION
}

/// Compiles rules and policy, and writes a handle to `handle`. Takes some hundred milliseconds.
///
/// `error` may be null; else up to `error_size` bytes are written to it, the terminating zero included.
///
/// # Safety
/// `config` must be null or point to a `WeirConfig` whose pointers are valid for their lengths, `handle` must be null or
/// writable, and `error` must be null or writable for `error_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weir_new(
    config: *const WeirConfig,
    handle: *mut *mut WeirHandle,
    error: *mut c_char,
    error_size: usize,
) -> WeirStatus {
    // SAFETY: the caller promises that `error` is null or writable for `error_size` bytes.
    let error = unsafe { ErrorBuffer::new(error, error_size) };
    guarded(error, || {
        // SAFETY: the caller promises that `handle` is null or writable.
        let handle = unsafe { handle.as_mut() }.ok_or(guard::null("handle"))?;
        *handle = std::ptr::null_mut();
        // SAFETY: the caller promises that `config` is null or valid, and what it points to.
        let settings = unsafe { self::config(config) }?;
        *handle = Box::into_raw(Box::new(WeirHandle(Inspector::new(&settings)?)));
        Ok(())
    })
}

/// Compiles rules and policy anew and swaps them while other threads inspect. After an error the old ones stay in use.
///
/// # Safety
/// `handle` must be null or come from `weir_new` and not be freed; for the others see `weir_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weir_reload(
    handle: *const WeirHandle,
    config: *const WeirConfig,
    error: *mut c_char,
    error_size: usize,
) -> WeirStatus {
    // SAFETY: the caller promises that `error` is null or writable for `error_size` bytes.
    let error = unsafe { ErrorBuffer::new(error, error_size) };
    guarded(error, || {
        // SAFETY: the caller promises that `handle` is null or a live handle.
        let handle = unsafe { handle.as_ref() }.ok_or(guard::null("handle"))?;
        // SAFETY: the caller promises that `config` is null or valid, and what it points to.
        let settings = unsafe { self::config(config) }?;
        handle.0.reload(&settings)?;
        Ok(())
    })
}

/// Number of the rules and policy in use: 1 after `weir_new`, one more with each reload; 0 without a handle.
///
/// # Safety
/// `handle` must be null or come from `weir_new` and not be freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weir_generation(handle: *const WeirHandle) -> u64 {
    let mut number = 0;
    guarded(ErrorBuffer::none(), || {
        // SAFETY: the caller promises that `handle` is null or a live handle.
        let handle = unsafe { handle.as_ref() }.ok_or(guard::null("handle"))?;
        number = handle.0.generation();
        Ok(())
    });
    number
}

/// Inspects a request and writes the verdict to `verdict`, to be freed with `weir_verdict_free`. The calling thread does
/// the work. With anything but `WEIR_STATUS_OK` there is no verdict, and the caller's failure policy applies.
///
/// # Safety
/// `handle` must be null or come from `weir_new` and not be freed, `request` must be null or point to a `WeirRequest` whose
/// pointers are valid for their lengths, `verdict` must be null or writable; for `error` see `weir_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weir_inspect(
    handle: *const WeirHandle,
    request: *const WeirRequest,
    verdict: *mut *mut WeirVerdict,
    error: *mut c_char,
    error_size: usize,
) -> WeirStatus {
    // SAFETY: the caller promises that `error` is null or writable for `error_size` bytes.
    let error = unsafe { ErrorBuffer::new(error, error_size) };
    guarded(error, || {
        // SAFETY: the caller promises that `verdict` is null or writable.
        let verdict = unsafe { verdict.as_mut() }.ok_or(guard::null("verdict"))?;
        *verdict = std::ptr::null_mut();
        // SAFETY: the caller promises that `handle` is null or a live handle.
        let handle = unsafe { handle.as_ref() }.ok_or(guard::null("handle"))?;
        // SAFETY: the caller promises that `request` is null or valid, and what it points to.
        let input = unsafe { self::request(request) }?;
        *verdict = verdict::publish(handle.0.inspect(&input)?);
        Ok(())
    })
}

/// Frees a verdict; null is ignored.
///
/// # Safety
/// `verdict` must be null or come from `weir_inspect`, and must not be used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weir_verdict_free(verdict: *mut WeirVerdict) {
    guarded(ErrorBuffer::none(), || {
        // SAFETY: the caller promises that `verdict` is null or comes from `weir_inspect` and was not freed.
        unsafe { verdict::free(verdict) };
        Ok(())
    });
}

/// Frees a handle; null is ignored. Verdicts stay valid.
///
/// # Safety
/// `handle` must be null or come from `weir_new`, and no thread may use it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weir_free(handle: *mut WeirHandle) {
    guarded(ErrorBuffer::none(), || {
        if !handle.is_null() {
            // SAFETY: the caller promises that the handle comes from `weir_new`, which made it of a box, and is not in use.
            drop(unsafe { Box::from_raw(handle) });
        }
        Ok(())
    });
}

/// A time in microseconds; `None` for 0.
fn time(micros: u32) -> Option<Duration> {
    (micros > 0).then(|| Duration::from_micros(micros.into()))
}

#[cfg(test)]
mod tests;
