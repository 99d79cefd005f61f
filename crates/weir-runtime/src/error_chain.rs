//! Errors as one line of text, with their causes.

use std::error::Error;

/// `error` and its causes, separated by colons, for logs and stored reasons. A cause whose text its parent already ends
/// with is left out.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::with_causes;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("cannot read the file")]
        Read(#[source] std::io::Error),
        #[error("cannot read the file: {0}")]
        ReadVerbose(#[source] std::io::Error),
    }

    #[test]
    fn each_cause_is_named_once() {
        let cause = || std::io::Error::other("disk failed");
        assert_eq!(with_causes(&Outer::Read(cause())), "cannot read the file: disk failed");
        assert_eq!(with_causes(&Outer::ReadVerbose(cause())), "cannot read the file: disk failed");
    }
}
