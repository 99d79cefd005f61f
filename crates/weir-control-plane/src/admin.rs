//! What an operator does to the store itself, without a login: for `weir admin`.

use super::audit::Record;
use super::auth::password::{self, Passwords};
use super::auth::secret;
use super::auth::user::{User, Users};
use super::error::{Error, Result};
use super::store::Database;
use sqlx::Connection;
use weir_runtime::clock::Clock;

/// Who did it, for the audit log: whoever may read and write the store.
const ACTOR: &str = "weir admin";

/// A password that was set.
pub struct ResetPassword {
    /// Whose.
    pub login: String,
    /// The password, where it was made here: to be shown once.
    pub made: Option<String>,
}

/// Gives the local user `login` a password, `given` or a new one, ends their sessions, and lets them log in again if they
/// were disabled. The audit log records it.
///
/// # Errors
/// There is no such user, they log in by an identity provider, or the password is too weak.
pub async fn reset_password(
    store: &Database,
    clock: &Clock,
    login: &str,
    given: Option<String>,
) -> Result<ResetPassword> {
    let (pool, passwords) = (store.control(), Passwords::new()?);
    let users = Users::new(pool.clone(), passwords.clone(), clock.clone()).list().await?;
    let wanted = login.trim().to_lowercase();
    let Some(user) = users.iter().find(|user| user.login == wanted) else {
        let known: Vec<&str> = users.iter().filter(|user| !user.external).map(|user| user.login.as_str()).collect();
        return Err(Error::invalid("login", format!("there is no user `{wanted}`; local users: {}", known.join(", "))));
    };
    if user.external {
        return Err(Error::invalid("login", format!("`{wanted}` logs in by the identity provider")));
    }
    let (password, made) = match given {
        Some(given) => (given, None),
        None => {
            let made = secret::random()?;
            (made.clone(), Some(made))
        }
    };
    password::check(&password, &user.login)?;
    let hash = passwords.hash(password).await?;
    let now = clock.millis();
    let mut connection = pool.write().acquire().await?;
    let mut transaction = connection.begin().await?;
    let update = sqlx::query("UPDATE users SET password = $2, enabled = 1, updated_at = $3 WHERE id = $1");
    update.bind(&user.id).bind(hash).bind(now).execute(&mut *transaction).await?;
    sqlx::query("DELETE FROM sessions WHERE user_id = $1").bind(&user.id).execute(&mut *transaction).await?;
    let after = User { enabled: true, updated_at: now, ..user.clone() };
    let record = Record::new("user.password", format!("user/{}", user.id), user, &after)?;
    record.store(&mut transaction, now, ACTOR, "").await?;
    transaction.commit().await?;
    Ok(ResetPassword { login: user.login.clone(), made })
}
