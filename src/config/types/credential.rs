//! A secret that another system made.

use super::{Bad, Setting};

/// A value that must not appear in logs and that another system issued, or that has a secret in it: its length and alphabet are
/// not ours to decide. A secret that is made for weir alone is a [`Secret`](super::Secret).
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(String);

/// Longest value, in bytes: longer than any key, token or address.
const MAX: usize = 4_096;

impl Credential {
    /// The value itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(****)")
    }
}

impl Setting for Credential {
    const TYPE: &'static str = "secret";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Bad> {
        match text {
            _ if text.trim().is_empty() => {
                Err(Bad::with("a secret cannot be empty", "write the value that you were given, or leave the key out"))
            }
            _ if text.len() > MAX => {
                Err(Bad::with(format!("a secret has at most {MAX} bytes"), "write the value that you were given"))
            }
            _ if text.contains(char::is_control) => {
                Err(Bad::with("a secret cannot contain line breaks or control characters", "look for one at its end"))
            }
            _ => Ok(Self(text.to_owned())),
        }
    }

    fn show(&self) -> String {
        "****".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_issue_is_taken_as_it_is_and_not_shown() {
        for given in ["s3cr3t", "with a space", "pässwörd", "redis://r:1"] {
            let read = Credential::parse(given).unwrap();
            assert_eq!(read.expose(), given);
            assert_eq!((format!("{read:?}"), read.show()), ("Credential(****)".into(), "****".into()));
        }
        for wrong in ["", " ", "a\n", "a\0b", &"x".repeat(MAX + 1)] {
            let bad = Credential::parse(wrong).unwrap_err();
            assert!(!bad.message.contains("xxx") && bad.help.is_some(), "{bad:?}");
        }
    }
}
