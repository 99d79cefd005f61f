//! What an operator does to the store itself, without a login: for `weir admin`.

use super::audit::Record;
use super::auth::password::{self, Passwords};
use super::auth::second_factor;
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
    let user = &local_user(store, clock, login).await?;
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

/// Takes the second factor of the local user `login` away, and ends their sessions. The audit log records it. Answers the
/// login.
///
/// # Errors
/// There is no such user, or they have no second factor.
pub async fn reset_totp(store: &Database, clock: &Clock, login: &str) -> Result<String> {
    let user = local_user(store, clock, login).await?;
    let mut connection = store.control().write().acquire().await?;
    let mut transaction = connection.begin().await?;
    if !second_factor::remove(&mut transaction, &user.id).await? {
        return Err(Error::invalid("login", format!("`{}` has no second factor", user.login)));
    }
    sqlx::query("DELETE FROM sessions WHERE user_id = $1").bind(&user.id).execute(&mut *transaction).await?;
    let record = Record::new("user.second_factor_reset", format!("user/{}", user.id), "on", "off")?;
    record.store(&mut transaction, clock.millis(), ACTOR, "").await?;
    transaction.commit().await?;
    Ok(user.login)
}

async fn local_user(store: &Database, clock: &Clock, login: &str) -> Result<User> {
    let mut users = Users::new(store.control().clone(), Passwords::new()?, clock.clone()).list().await?;
    users.retain(|user| !user.external);
    let wanted = login.trim().to_lowercase();
    let known: Vec<&str> = users.iter().map(|user| user.login.as_str()).collect();
    let missing = format!("there is no local user `{wanted}`; there are: {}", known.join(", "));
    users.into_iter().find(|user| user.login == wanted).ok_or_else(|| Error::invalid("login", missing))
}
