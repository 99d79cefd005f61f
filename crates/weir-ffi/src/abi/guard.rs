//! What surrounds each function: panics are caught, errors become a status and a text.

use super::WeirStatus;
use crate::InspectorError;
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a function failed.
pub(super) struct Failure {
    status: WeirStatus,
    text: String,
}

impl Failure {
    pub fn new(status: WeirStatus, text: String) -> Self {
        Self { status, text }
    }
}

impl From<InspectorError> for Failure {
    fn from(error: InspectorError) -> Self {
        let status = match error {
            InspectorError::TooLarge { .. } => WeirStatus::TooLarge,
            _ => WeirStatus::Invalid,
        };
        Self::new(status, error.to_string())
    }
}

/// The failure that `name` is null.
pub(super) fn null(name: &str) -> Failure {
    Failure::new(WeirStatus::NullPointer, format!("{name} is null"))
}

/// The caller's buffer for the text of an error.
pub(super) struct ErrorBuffer<'b>(&'b mut [u8]);

impl ErrorBuffer<'_> {
    /// No buffer.
    pub fn none() -> Self {
        Self(&mut [])
    }

    /// The caller's buffer, emptied; null is none.
    ///
    /// # Safety
    /// `text` must be null or writable for `size` bytes, and nothing else may use these while this exists.
    pub unsafe fn new(text: *mut c_char, size: usize) -> Self {
        if text.is_null() || size == 0 || size > isize::MAX.unsigned_abs() {
            return Self::none();
        }
        let text = text.cast::<u8>();
        // SAFETY: the caller promises that `size` bytes can be written; writing makes all of them initialised.
        unsafe { text.write_bytes(0, size) };
        // SAFETY: not null, initialised just now, at most `isize::MAX` bytes, and used by nothing else.
        Self(unsafe { std::slice::from_raw_parts_mut(text, size) })
    }

    /// Writes `text`, cut at a character to what fits before the terminating zero.
    fn write(&mut self, text: &str) {
        let Some(room) = self.0.len().checked_sub(1) else { return };
        let text = &text[..text.floor_char_boundary(room)];
        self.0[..text.len()].copy_from_slice(text.as_bytes());
        self.0[text.len()] = 0;
    }
}

/// Runs `work`; a panic in it never reaches the caller, whose stack is not Rust's.
pub(super) fn guarded(mut error: ErrorBuffer<'_>, work: impl FnOnce() -> Result<(), Failure>) -> WeirStatus {
    let failure = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return WeirStatus::Ok,
        Ok(Err(failure)) => failure,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
            let failure = Failure::new(WeirStatus::Panic, format!("panic, a defect of the library: {text}"));
            // Dropping a value of an unknown type may panic again.
            std::mem::forget(panic);
            failure
        }
    };
    error.write(&failure.text);
    failure.status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(bytes: &mut [u8]) -> ErrorBuffer<'_> {
        // SAFETY: the bytes are writable, and borrowed for as long as the buffer exists.
        unsafe { ErrorBuffer::new(bytes.as_mut_ptr().cast(), bytes.len()) }
    }

    #[test]
    fn a_panic_becomes_a_status() {
        let mut text = [b'x'; 64];
        let status = guarded(buffer(&mut text), || panic!("made for a test"));
        assert_eq!(status, WeirStatus::Panic);
        let end = text.iter().position(|&byte| byte == 0).unwrap();
        assert_eq!(std::str::from_utf8(&text[..end]).unwrap(), "panic, a defect of the library: made for a test");
        assert_eq!(guarded(ErrorBuffer::none(), || std::panic::panic_any(7)), WeirStatus::Panic);
    }

    #[test]
    fn a_text_is_cut_at_a_character_and_terminated() {
        for (size, expected) in [(0, ""), (1, ""), (2, "a"), (3, "a"), (4, "a\u{e9}"), (9, "a\u{e9}b")] {
            let mut text = vec![b'x'; size];
            let status = guarded(buffer(&mut text), || Err(Failure::new(WeirStatus::Invalid, "a\u{e9}b".to_owned())));
            assert_eq!(status, WeirStatus::Invalid);
            let end = text.iter().position(|&byte| byte == 0);
            assert_eq!(end.is_some(), size > 0, "{size}");
            assert_eq!(std::str::from_utf8(&text[..end.unwrap_or(0)]).unwrap(), expected, "{size}");
        }
    }

    /// Nothing but a constant is returned outside of `guarded`.
    #[test]
    fn every_function_catches_panics() {
        let source = include_str!("../abi.rs");
        let functions: Vec<&str> = source.split("#[unsafe(no_mangle)]").skip(1).collect();
        assert_eq!(functions.len(), 7);
        for function in functions {
            let body = &function[..function.find("\n}\n").unwrap()];
            assert!(body.contains("guarded(") || body.contains("fn weir_abi_version"), "{body}");
        }
    }
}
