//! Users: local ones with a password, and those of an identity provider.

use super::password::{self, Passwords};
use super::role::Role;
use super::secret;
use crate::error::{Error, Mistake, Result};
use crate::meta::{Pool, is_duplicate, number, optional, text};
use serde::Serialize;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use weir_runtime::clock::Clock;

/// Longest login and name, in characters.
const MAX_NAME: usize = 100;
/// Most users: a bound on a list that is read whole.
pub const MAX_USERS: i64 = 10_000;

/// A user, without password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// UUIDv7.
    pub id: String,
    /// Lower case.
    pub login: String,
    /// For people.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether they may log in.
    pub enabled: bool,
    /// Whether they log in by an identity provider.
    pub external: bool,
    /// Whether they log in with a second factor, too.
    pub second_factor: bool,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970.
    pub updated_at: i64,
    /// Milliseconds since 1970; none for never.
    pub last_login_at: Option<i64>,
}

/// What a new user is made of.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Login; folded to lower case.
    pub login: String,
    /// Name.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Password; none for a user of the identity provider.
    pub password: Option<String>,
    /// Subject at the identity provider.
    pub subject: Option<String>,
}

/// What is to change of a user; none stays.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// Name.
    pub name: Option<String>,
    /// Role.
    pub role: Option<Role>,
    /// State.
    pub enabled: Option<bool>,
    /// Password.
    pub password: Option<String>,
}

/// All users.
#[derive(Clone, Debug)]
pub struct Users {
    pool: Pool,
    passwords: Passwords,
    clock: Clock,
}

const COLUMNS: &str = "SELECT id, login, name, password, role, enabled, subject, created_at, updated_at, last_login_at, (SELECT COUNT(*) \
     FROM second_factors f WHERE f.user_id = users.id AND f.confirmed_at IS NOT NULL) AS second_factor FROM users";

fn read(row: &AnyRow) -> Result<User> {
    let role = text(row, "role")?;
    Ok(User {
        id: text(row, "id")?,
        login: text(row, "login")?,
        name: text(row, "name")?,
        role: Role::from_code(&role).ok_or_else(|| Error::internal(format!("unknown role `{role}`")))?,
        enabled: number(row, "enabled")? != 0,
        external: text(row, "password")?.is_empty(),
        second_factor: number(row, "second_factor")? != 0,
        created_at: number(row, "created_at")?,
        updated_at: number(row, "updated_at")?,
        last_login_at: optional(row, "last_login_at")?,
    })
}

/// One by id, as a connection sees it.
async fn find_on(on: &mut AnyConnection, id: &str) -> Result<Option<User>> {
    let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE id = $1"));
    sqlx::query(sql).bind(id).fetch_optional(on).await?.as_ref().map(read).transpose()
}

impl Users {
    /// Users in `pool`.
    pub fn new(pool: Pool, passwords: Passwords, clock: Clock) -> Self {
        Self { pool, passwords, clock }
    }

    /// All of them by login.
    pub async fn list(&self) -> Result<Vec<User>> {
        let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} ORDER BY login LIMIT {MAX_USERS}"));
        sqlx::query(sql).fetch_all(self.pool.read()).await?.iter().map(read).collect()
    }

    /// One by id.
    pub async fn find(&self, id: &str) -> Result<Option<User>> {
        find_on(&mut *self.pool.read().acquire().await?, id).await
    }

    /// One by the subject that the identity provider gives.
    pub async fn find_subject(&self, subject: &str) -> Result<Option<User>> {
        let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE subject = $1"));
        sqlx::query(sql).bind(subject).fetch_optional(self.pool.read()).await?.as_ref().map(read).transpose()
    }

    /// Whether there is any.
    pub async fn any(&self) -> Result<bool> {
        Ok(sqlx::query("SELECT id FROM users LIMIT 1").fetch_optional(self.pool.read()).await?.is_some())
    }

    /// The first administrator, before any login, as long as there is no other user.
    pub async fn unused(&self) -> Result<Option<User>> {
        let mut all = self.list().await?;
        let unused = matches!(all.as_slice(), [one] if one.last_login_at.is_none() && !one.external);
        Ok(all.pop().filter(|_| unused))
    }

    /// The hash of a password for `user`.
    pub async fn hash(&self, user: &User, password: String) -> Result<String> {
        password::check(&password, &user.login)?;
        self.passwords.hash(password).await
    }

    /// Gives `user`, who never logged in, a password by its hash, on a connection; false where another process did meanwhile.
    pub async fn give_first_password(&self, on: &mut AnyConnection, user: &User, hash: String) -> Result<bool> {
        let now = self.clock.millis().max(user.updated_at + 1);
        let update = sqlx::query(
            "UPDATE users SET password = $2, updated_at = $3 WHERE id = $1 AND updated_at = $4 AND last_login_at IS NULL",
        );
        let update = update.bind(&user.id).bind(hash).bind(now).bind(user.updated_at);
        Ok(update.execute(on).await?.rows_affected() > 0)
    }

    /// The user with this login and password. Takes the same time for a login that does not exist.
    pub async fn verify(&self, login: &str, password: String) -> Result<Option<User>> {
        let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE login = $1"));
        let row = sqlx::query(sql).bind(login.to_lowercase()).fetch_optional(self.pool.read()).await?;
        let hash = row.as_ref().map(|row| text(row, "password")).transpose()?;
        let fits = self.passwords.verify(password, hash).await?;
        let user = row.as_ref().map(read).transpose()?;
        Ok(user.filter(|user| fits && user.enabled))
    }

    /// Notes a login and whence, on a connection.
    pub async fn note_login(&self, on: &mut AnyConnection, id: &str, address: &str) -> Result<()> {
        let note = sqlx::query("UPDATE users SET last_login_at = $2, last_address = $3 WHERE id = $1");
        note.bind(id).bind(self.clock.millis()).bind(address).execute(on).await?;
        Ok(())
    }

    /// Whether the last login of `login` came from `address`.
    pub async fn is_known_address(&self, login: &str, address: &str) -> Result<bool> {
        let known = sqlx::query("SELECT id FROM users WHERE login = $1 AND last_address = $2");
        Ok(known.bind(login.to_lowercase()).bind(address).fetch_optional(self.pool.read()).await?.is_some())
    }

    /// Checks a new user and hashes the password, which takes its time, before anything is written.
    pub async fn prepare(&self, new: NewUser) -> Result<ReadyUser> {
        let login = check(&new)?;
        let hash = match new.password {
            Some(password) => self.passwords.hash(password).await?,
            None => String::new(),
        };
        let now = self.clock.millis();
        let user = User {
            id: secret::id(),
            login,
            name: new.name.trim().to_owned(),
            role: new.role,
            enabled: true,
            external: hash.is_empty(),
            second_factor: false,
            created_at: now,
            updated_at: now,
            last_login_at: None,
        };
        Ok(ReadyUser { user, hash, subject: new.subject })
    }

    /// Checks a change of `user` and hashes the password, before anything is written. Only what `change` names is written: hashing
    /// takes its time, and another change of the user that comes meanwhile must not be undone.
    pub async fn prepare_change(&self, user: &User, change: UserChange) -> Result<ReadyChange> {
        let UserChange { name, role, enabled, password } = change;
        name.as_deref().map_or(Ok(()), check_name)?;
        let hash = match password {
            Some(_) if user.external => {
                return Err(Error::invalid("password", "this user logs in by the identity provider"));
            }
            Some(password) => {
                password::check(&password, &user.login)?;
                Some(self.passwords.hash(password).await?)
            }
            None => None,
        };
        let name = name.map(|name| name.trim().to_owned());
        Ok(ReadyChange { id: user.id.clone(), name, role, enabled, hash, at: self.clock.millis() })
    }

    /// Removes a user on a connection. The last enabled administrator stays.
    pub async fn remove(&self, on: &mut AnyConnection, id: &str) -> Result<()> {
        let sql = sqlx::AssertSqlSafe(format!("DELETE FROM users WHERE id = $1{LAST_ADMINISTRATOR}"));
        if sqlx::query(sql).bind(id).execute(on).await?.rows_affected() == 0 {
            return Err(last_administrator());
        }
        Ok(())
    }
}

/// A new user, checked.
pub struct ReadyUser {
    user: User,
    hash: String,
    subject: Option<String>,
}

impl ReadyUser {
    /// Makes the user on a connection.
    pub async fn insert(self, on: &mut AnyConnection) -> Result<User> {
        let Self { user, hash, subject } = self;
        let insert = sqlx::query(
            "INSERT INTO users (id, login, name, password, role, enabled, subject, created_at, updated_at, last_address) \
             VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $7, '')",
        );
        let insert = insert.bind(&user.id).bind(&user.login).bind(&user.name).bind(hash).bind(user.role.code());
        match insert.bind(subject).bind(user.created_at).execute(on).await {
            Ok(_) => Ok(user),
            Err(error) if is_duplicate(&error) => {
                Err(Error::Conflict(format!("there is a user with the login `{}`", user.login)))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A change of a user, checked.
pub struct ReadyChange {
    id: String,
    name: Option<String>,
    role: Option<Role>,
    enabled: Option<bool>,
    hash: Option<String>,
    at: i64,
}

impl ReadyChange {
    /// Makes the change on a connection; answers the user before and after it.
    pub async fn update(self, on: &mut AnyConnection) -> Result<(User, User)> {
        let Self { id, name, role, enabled, hash, at } = self;
        let before = find_on(on, &id).await?.ok_or(Error::NotFound("user"))?;
        let keeps = role.is_none_or(|role| role == Role::Administrator) && enabled != Some(false);
        let guard = if keeps { "" } else { LAST_ADMINISTRATOR };
        let sql = format!(
            "UPDATE users SET name = COALESCE($2, name), role = COALESCE($3, role), enabled = COALESCE($4, enabled), \
             password = COALESCE($5, password), updated_at = $6 WHERE id = $1{guard}"
        );
        let update = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(&id).bind(name).bind(role.map(Role::code));
        let update = update.bind(enabled.map(i64::from)).bind(hash).bind(at);
        if update.execute(&mut *on).await?.rows_affected() == 0 {
            return Err(last_administrator());
        }
        let after = find_on(on, &id).await?.ok_or(Error::NotFound("user"))?;
        Ok((before, after))
    }
}

/// Part of a condition: another enabled administrator exists.
const LAST_ADMINISTRATOR: &str =
    " AND EXISTS (SELECT 1 FROM users o WHERE o.role = 'administrator' AND o.enabled = 1 AND o.id <> $1)";

fn last_administrator() -> Error {
    Error::Conflict("this is the last enabled administrator; make another one first".into())
}

/// Whether a login may have this character.
pub(super) fn fits_login(c: char) -> bool {
    c.is_alphanumeric() || "._-@+".contains(c)
}

/// Checks a new user; answers the folded login.
fn check(new: &NewUser) -> Result<String> {
    let login = new.login.trim().to_lowercase();
    let mut mistakes = Vec::new();
    if login.is_empty() || login.chars().count() > MAX_NAME || !login.chars().all(fits_login) {
        mistakes.push(Mistake::new("login", format!("1 to {MAX_NAME} letters, digits and `._-@+` are required")));
    }
    if let Err(Error::Invalid(more)) = check_name(&new.name) {
        mistakes.extend(more);
    }
    if let Some(Err(Error::Invalid(more))) = new.password.as_deref().map(|p| password::check(p, &login)) {
        mistakes.extend(more);
    }
    if mistakes.is_empty() { Ok(login) } else { Err(Error::Invalid(mistakes)) }
}

fn check_name(name: &str) -> Result<()> {
    if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Error::invalid("name", format!("at most {MAX_NAME} characters on one line are allowed")));
    }
    Ok(())
}
