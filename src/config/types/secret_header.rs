//! A header with a secret value.

use super::{Bad, Setting};

/// A header whose value must not appear in logs: neither `Debug` nor messages show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHeader {
    name: String,
    value: String,
}

impl SecretHeader {
    /// Its name and its value.
    pub fn expose(&self) -> (&str, &str) {
        (&self.name, &self.value)
    }
}

impl std::fmt::Debug for SecretHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretHeader({}=****)", self.name)
    }
}

impl Setting for SecretHeader {
    const TYPE: &'static str = "header as `name=value`";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Bad> {
        let bad = || Bad::with("not a header", "write `name=value`, such as `authorization=Bearer TOKEN`");
        let (name, value) = text.split_once('=').ok_or_else(bad)?;
        weir_node::traces::header(name, value).ok_or_else(bad)?;
        Ok(Self { name: name.trim().to_owned(), value: value.trim().to_owned() })
    }

    fn show(&self) -> String {
        format!("{}=****", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_a_name_and_a_value_that_is_not_shown() {
        let read = SecretHeader::parse("authorization = Bearer abc=").unwrap();
        assert_eq!(read.expose(), ("authorization", "Bearer abc="));
        assert_eq!(
            (format!("{read:?}"), read.show()),
            ("SecretHeader(authorization=****)".into(), "authorization=****".into())
        );
        for wrong in ["authorization", "a b=c", "=c", "a=\u{7}"] {
            assert!(SecretHeader::parse(wrong).is_err(), "{wrong}");
        }
    }
}
