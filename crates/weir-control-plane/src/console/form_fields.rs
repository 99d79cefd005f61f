//! Fields of forms and parameters of addresses: names and values in order; a name may be repeated.

use crate::body::BodyLimit;
use crate::error::{Error, Result};
use axum::extract::{FromRequest, Request};
use axum::http::header;
use serde::de::DeserializeOwned;

/// Most fields of a form.
const MAX_FIELDS: usize = 2_000;

/// Names and values.
#[derive(Clone, Debug, Default)]
pub struct FormFields(Vec<(String, String)>);

impl FormFields {
    /// Parses the query string of an address.
    pub fn of_query(query: &str) -> Result<Self> {
        let uri = format!("/?{query}").parse().map_err(|_| Error::invalid("query", "invalid query string"))?;
        Self::checked(read(&uri)?)
    }

    fn checked(all: Vec<(String, String)>) -> Result<Self> {
        if all.len() > MAX_FIELDS {
            return Err(Error::invalid("", format!("the form has more than {MAX_FIELDS} fields")));
        }
        Ok(Self(all))
    }

    /// The first value of `name`, trimmed; empty if it is missing.
    pub fn get(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The first value of `name` as received. Browsers send line ends as CRLF.
    pub fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    /// Whether `name` has a value: a checked checkbox does.
    pub fn has(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }

    /// Whether `name` was sent at all, even if empty.
    pub fn names(&self, name: &str) -> bool {
        self.0.iter().any(|(given, _)| given == name)
    }

    /// Every value of `name`, trimmed.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(given, _)| given == name).map(|(_, value)| value.trim()).collect()
    }

    /// `name` parsed as a number; none if it is empty.
    pub fn number<T: std::str::FromStr>(&self, name: &'static str) -> Result<Option<T>> {
        match self.get(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| Error::invalid(name, "enter a whole number")),
        }
    }

    /// With `name` set to `value`.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.retain(|(given, _)| given != name);
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }
}

fn read<T: DeserializeOwned>(uri: &axum::http::Uri) -> Result<T> {
    let read = axum::extract::Query::<T>::try_from_uri(uri);
    read.map(|query| query.0).map_err(|error| Error::invalid("query", error.body_text()))
}

impl<S: Send + Sync> FromRequest<S> for FormFields {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("application/json") {
            return Err(Error::invalid("", "expected form data, not JSON"));
        }
        let most = BodyLimit::of(&request);
        let form = axum::extract::Form::<Vec<(String, String)>>::from_request(request, state).await;
        let form = form.map_err(|error| match error.status().as_u16() {
            413 => Error::TooLarge(most),
            _ => Error::invalid("", error.body_text()),
        })?;
        Self::checked(form.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_repeated() {
        let given = FormFields::of_query("a=1&b=+x+&a=2&n=7&bad=q&empty=").unwrap();
        assert_eq!((given.get("a"), given.get("b"), given.all("a")), ("1", "x", vec!["1", "2"]));
        assert_eq!(given.number::<u64>("n").unwrap(), Some(7));
        assert!(given.number::<u64>("bad").is_err() && given.number::<u64>("empty").unwrap().is_none());
        assert!(given.names("empty") && !given.has("empty") && !given.names("c"));
        assert_eq!(given.with("a", "3").all("a"), ["3"]);
    }
}
