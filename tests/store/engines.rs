//! A fresh store for each test, on either engine.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use weir_control_plane::store::Database;
use weir_testkit::postgres::Server;

/// A store of its own, and what must live as long.
pub struct Fresh {
    pub url: String,
    _directory: Option<tempfile::TempDir>,
}

impl Fresh {
    pub async fn open(&self) -> Database {
        Database::open(&self.url).await.unwrap()
    }
}

pub fn sqlite() -> Option<Fresh> {
    let directory = tempfile::tempdir().unwrap();
    Some(Fresh { url: format!("sqlite:{}", directory.path().display()), _directory: Some(directory) })
}

/// A database on the server that all tests share; none, and loudly so, where PostgreSQL is not installed.
pub fn postgres() -> Option<Fresh> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = SERVER.get_or_init(Server::start_shared).as_ref()?;
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Some(Fresh { url: server.create(&name), _directory: None })
}

/// Declares tests that run on both: `both! { async fn name(database: Database) { ... } }`.
macro_rules! both {
    ($(async fn $name:ident($fresh:ident) $body:block)+) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn body($fresh: $crate::engines::Fresh) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                if let Some(fresh) = $crate::engines::sqlite() {
                    body(fresh).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                if let Some(fresh) = $crate::engines::postgres() {
                    body(fresh).await;
                }
            }
        }
    )+};
}
