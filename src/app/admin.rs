//! What `weir admin` does to the store that the configuration names.

use super::control_plane::database_url;
use super::error::BoxError;
use super::{StartError, configuration};
use crate::config::{Resolved, Sources};
use std::path::PathBuf;
use thiserror::Error;
use weir_control_plane::admin::{self, ResetPassword};
use weir_control_plane::store::{Database, DatabaseUrl};
use weir_runtime::clock::Clock;

/// The store of a control plane, to be changed by whoever may read and write it.
pub struct Administration {
    resolved: Resolved,
}

/// Why nothing was changed.
#[derive(Debug, Error)]
pub enum AdminError {
    /// The configuration cannot be used, or the runtime does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// There is no store.
    #[error(
        "control_plane: there is no store in {}: name it by `--config`, `--set control_plane.database=...` or \
         `--set data_dir=...`", .0.display()
    )]
    NoStore(PathBuf),
    /// The store cannot be opened or written, or what was asked for is wrong.
    #[error("control_plane: {0}")]
    Store(#[source] BoxError),
}

fn failed(error: impl Into<BoxError>) -> AdminError {
    AdminError::Store(error.into())
}

impl Administration {
    /// Reads the configuration; opens nothing yet.
    pub fn new(sources: &Sources) -> Result<Self, AdminError> {
        Ok(Self { resolved: configuration(sources)?.0 })
    }

    /// Gives a local user a password. Without a login it is that of the first administrator.
    pub fn reset_password(&self, login: Option<&str>, given: Option<String>) -> Result<ResetPassword, AdminError> {
        let login = login.unwrap_or(&self.resolved.control_plane.admin_login);
        self.on_store(async |store| admin::reset_password(store, &Clock::System, login, given).await.map_err(failed))
    }

    /// Takes the second factor of a local user away; answers the login.
    pub fn reset_totp(&self, login: Option<&str>) -> Result<String, AdminError> {
        let login = login.unwrap_or(&self.resolved.control_plane.admin_login);
        self.on_store(async |store| admin::reset_totp(store, &Clock::System, login).await.map_err(failed))
    }

    /// Opens the store, which must be there, for `work`.
    fn on_store<T>(&self, work: impl AsyncFnOnce(&Database) -> Result<T, AdminError>) -> Result<T, AdminError> {
        let url = database_url(&self.resolved);
        if let DatabaseUrl::Sqlite(directory) = DatabaseUrl::parse(&url).map_err(failed)?
            && !directory.join("control.db").exists()
        {
            return Err(AdminError::NoStore(directory));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        StartError::system("runtime", runtime)?.block_on(async {
            let store = Database::open(&url).await.map_err(failed)?;
            let done = work(&store).await;
            store.close().await;
            done
        })
    }
}
