//! Sinks: webhooks and syslog receivers.

use super::json::{Json, Path, all};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::sinks::{NewSink, Sink, SinkError};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

impl From<SinkError> for Error {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Input(member, fix) => Error::invalid(member, fix),
            SinkError::Unknown => Error::NotFound("sink"),
            SinkError::Store(error) => Error::internal(error),
        }
    }
}

/// Everything that is wrong with `new`, at once.
fn check(new: &NewSink) -> Result<()> {
    let mistakes: Vec<_> = new.mistakes().into_iter().map(|(field, fix)| crate::Mistake::new(field, fix)).collect();
    if mistakes.is_empty() { Ok(()) } else { Err(Error::Invalid(mistakes)) }
}

/// `GET /api/v1/sinks`
pub async fn list(State(app): State<App>) -> Result<axum::Json<Value>> {
    Ok(all(app.sinks.list().await?))
}

/// `GET /api/v1/sinks/{id}`
pub async fn get(State(app): State<App>, Path(id): Path<String>) -> Result<axum::Json<Sink>> {
    Ok(axum::Json(app.sinks.get(&id).await?))
}

/// `POST /api/v1/sinks`
pub async fn create(State(app): State<App>, caller: Caller, Json(new): Json<NewSink>) -> Result<Response> {
    let made = app.create_sink(&caller, &new).await?;
    Ok((StatusCode::CREATED, axum::Json(made)).into_response())
}

/// `PUT /api/v1/sinks/{id}`
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(new): Json<NewSink>,
) -> Result<axum::Json<Sink>> {
    Ok(axum::Json(app.change_sink(&caller, &id, &new).await?))
}

/// `DELETE /api/v1/sinks/{id}`
pub async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    app.remove_sink(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/sinks/{id}/test`
pub async fn test(State(app): State<App>, Path(id): Path<String>) -> Result<axum::Json<Value>> {
    let outcome = app.sinks.test(&id).await?;
    Ok(axum::Json(json!({"delivered": outcome.is_ok(), "error": outcome.err().map(|error| error.to_string())})))
}

impl App {
    /// Makes a sink.
    pub async fn create_sink(&self, caller: &Caller, new: &NewSink) -> Result<Sink> {
        check(new)?;
        let mut change = self.audit.begin().await?;
        let made = self.sinks.create(change.on(), new).await?;
        change.commit(caller, "sink.create", &format!("sink/{}", made.id), (), &made).await?;
        self.sinks.changed().await;
        Ok(made)
    }

    /// Changes a sink.
    pub async fn change_sink(&self, caller: &Caller, id: &str, new: &NewSink) -> Result<Sink> {
        let before = self.sinks.get(id).await?;
        check(new)?;
        let mut change = self.audit.begin().await?;
        let after = self.sinks.update(change.on(), id, new).await?;
        change.commit(caller, "sink.change", &format!("sink/{id}"), &before, &after).await?;
        self.sinks.changed().await;
        Ok(after)
    }

    /// Removes a sink.
    pub async fn remove_sink(&self, caller: &Caller, id: &str) -> Result<()> {
        let before = self.sinks.get(id).await?;
        let mut change = self.audit.begin().await?;
        self.sinks.remove(change.on(), id).await?;
        change.commit(caller, "sink.remove", &format!("sink/{id}"), &before, ()).await?;
        self.sinks.changed().await;
        Ok(())
    }
}
