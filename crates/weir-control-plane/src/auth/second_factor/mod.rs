//! Second factors: a TOTP secret of each user who set one up, and ten recovery codes for a lost device. What was used is
//! noted in the database, so that no code counts twice, whichever replica is asked.

mod enrolment;
mod totp;

pub use enrolment::Enrolment;

/// The code of a secret in base32 at a time in seconds, for tests.
#[cfg(test)]
pub fn code_of(secret: &str, seconds: i64) -> String {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut bytes, mut word, mut bits) = (Vec::new(), 0u32, 0);
    for letter in secret.chars() {
        word = word << 5 | alphabet.find(letter).unwrap() as u32;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
        }
    }
    totp::code(&bytes, seconds)
}

use super::secret;
use crate::data_key::DataKey;
use crate::error::{Error, Result};
use crate::meta::{Pool, number, optional, text};
use ring::rand::{SecureRandom, SystemRandom};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use weir_runtime::clock::Clock;

/// Recovery codes that a user gets.
pub const RECOVERY_CODES: usize = 10;
/// Bytes of randomness in a recovery code: a hash of it cannot be searched.
const RECOVERY_BYTES: usize = 10;
/// Wrong codes in a row that cost nothing.
const FREE_FAILURES: i64 = 4;
/// Wait after the next wrong code, in milliseconds; it doubles with each further one.
const FIRST_WAIT: i64 = 30_000;
/// Doublings of the wait: 16 minutes at most.
const DOUBLINGS: i64 = 5;
/// Longest text that is taken for a code, in bytes.
const MAX_CODE: usize = 64;

/// The second factors of all users.
#[derive(Clone, Debug)]
pub struct SecondFactors {
    pool: Pool,
    key: Option<DataKey>,
    clock: Clock,
}

/// How a second factor was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By a code of the device, of this time step.
    Step(i64),
    /// By a recovery code that is now used up.
    Recovery,
}

/// One second factor.
struct Factor {
    secret: String,
    confirmed: bool,
    last_step: i64,
}

fn read(row: &AnyRow) -> Result<Factor> {
    Ok(Factor {
        secret: text(row, "secret")?,
        confirmed: optional(row, "confirmed_at")?.is_some(),
        last_step: number(row, "last_step")?,
    })
}

impl SecondFactors {
    /// Those in `pool`, encrypted with `key`; without one none can be set up or used.
    pub fn new(pool: Pool, key: Option<DataKey>, clock: Clock) -> Self {
        Self { pool, key, clock }
    }

    /// Whether `user` has to prove a second factor.
    pub async fn is_on(&self, user: &str) -> Result<bool> {
        Ok(self.find(user).await?.is_some_and(|factor| factor.confirmed))
    }

    /// Recovery codes that are left.
    pub async fn codes_left(&self, user: &str) -> Result<usize> {
        let rows = sqlx::query("SELECT hash FROM recovery_codes WHERE user_id = $1 AND used_at IS NULL").bind(user);
        Ok(rows.fetch_all(self.pool.read()).await?.len())
    }

    /// The secret of `user` that is not confirmed yet, where there is one.
    async fn pending(&self, user: &str) -> Result<Option<Vec<u8>>> {
        let factor = self.find(user).await?.filter(|factor| !factor.confirmed);
        factor.map(|factor| self.open(user, &factor)).transpose()
    }

    async fn find(&self, user: &str) -> Result<Option<Factor>> {
        let row = sqlx::query("SELECT secret, confirmed_at, last_step FROM second_factors WHERE user_id = $1");
        row.bind(user).fetch_optional(self.pool.read()).await?.as_ref().map(read).transpose()
    }

    fn key(&self) -> Result<&DataKey> {
        self.key.as_ref().ok_or_else(|| {
            Error::Conflict(
                "second factors cannot be read: they were encrypted under another policy key. Bring back its file, or run \
                 `weir admin reset-totp`"
                    .into(),
            )
        })
    }

    fn open(&self, user: &str, factor: &Factor) -> Result<Vec<u8>> {
        self.key()?.open_text(user, &factor.secret).ok_or_else(|| Error::internal("a TOTP secret cannot be decrypted"))
    }

    /// Stores a new secret of `user`, who has to confirm it; answers it.
    async fn begin(&self, on: &mut AnyConnection, user: &str) -> Result<Vec<u8>> {
        let mut secret = vec![0; totp::SECRET];
        fill(&mut secret)?;
        let sealed = self.key()?.seal(user, &secret)?;
        let put = sqlx::query(
            "INSERT INTO second_factors (user_id, secret, created_at, last_step, failures, retry_at) \
             VALUES ($1, $2, $3, 0, 0, 0) ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, \
             created_at = excluded.created_at, last_step = 0 WHERE second_factors.confirmed_at IS NULL",
        );
        let put = put.bind(user).bind(sealed).bind(self.clock.millis());
        if put.execute(on).await?.rows_affected() == 0 {
            return Err(Error::Conflict("your second factor is set up already; turn it off first".into()));
        }
        Ok(secret)
    }

    /// Puts the secret of `user` in use.
    async fn confirm(&self, on: &mut AnyConnection, user: &str) -> Result<()> {
        let set =
            sqlx::query("UPDATE second_factors SET confirmed_at = $2 WHERE user_id = $1 AND confirmed_at IS NULL");
        if set.bind(user).bind(self.clock.millis()).execute(on).await?.rows_affected() == 0 {
            return Err(Error::Conflict("your second factor is set up already".into()));
        }
        Ok(())
    }

    /// Gives `user` new recovery codes in place of all before.
    async fn new_codes(&self, on: &mut AnyConnection, user: &str) -> Result<Vec<String>> {
        sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1").bind(user).execute(&mut *on).await?;
        let mut codes = Vec::with_capacity(RECOVERY_CODES);
        for _ in 0..RECOVERY_CODES {
            let mut bytes = [0; RECOVERY_BYTES];
            fill(&mut bytes)?;
            let code = totp::base32(&bytes).to_lowercase();
            let insert = sqlx::query("INSERT INTO recovery_codes (user_id, hash) VALUES ($1, $2)");
            insert.bind(user).bind(hash(user, &code)).execute(&mut *on).await?;
            let groups: Vec<&str> =
                code.as_bytes().chunks(4).filter_map(|part| std::str::from_utf8(part).ok()).collect();
            codes.push(groups.join("-"));
        }
        Ok(codes)
    }

    /// Checks `code` of `user` and uses it up, on a connection whose transaction makes it count; none if it is wrong, which
    /// is to be stored too: after some wrong ones the next has to wait. The row is locked, so that many at once are not free.
    ///
    /// # Errors
    /// [`Error::Throttled`] while it has to wait.
    pub async fn prove(&self, on: &mut AnyConnection, user: &str, code: &str) -> Result<Option<Proof>> {
        let row = sqlx::query(
            "UPDATE second_factors SET failures = failures + 1 WHERE user_id = $1 \
             RETURNING secret, confirmed_at, last_step, failures, retry_at",
        );
        let Some(row) = row.bind(user).fetch_optional(&mut *on).await? else { return Ok(None) };
        let (factor, now) = (read(&row)?, self.clock.millis());
        let wait = number(&row, "retry_at")? - now;
        if wait > 0 {
            return Err(Error::Throttled(wait.unsigned_abs().div_ceil(1000)));
        }
        let proof = self.check(on, user, &factor, code).await?;
        let over = number(&row, "failures")? - FREE_FAILURES;
        if proof.is_some() {
            let set = sqlx::query("UPDATE second_factors SET failures = 0, retry_at = 0 WHERE user_id = $1");
            set.bind(user).execute(on).await?;
        } else if over > 0 {
            let set = sqlx::query("UPDATE second_factors SET retry_at = $2 WHERE user_id = $1");
            set.bind(user).bind(now + (FIRST_WAIT << (over - 1).min(DOUBLINGS))).execute(on).await?;
        }
        Ok(proof)
    }

    async fn check(&self, on: &mut AnyConnection, user: &str, factor: &Factor, code: &str) -> Result<Option<Proof>> {
        let plain: String = code.chars().take(MAX_CODE).filter(char::is_ascii_alphanumeric).collect();
        if plain.len() != totp::DIGITS {
            let take = sqlx::query(
                "UPDATE recovery_codes SET used_at = $3 WHERE user_id = $1 AND hash = $2 AND used_at IS NULL",
            );
            let take = take.bind(user).bind(hash(user, &plain.to_lowercase())).bind(self.clock.millis());
            let taken = factor.confirmed && take.execute(on).await?.rows_affected() > 0;
            return Ok(taken.then_some(Proof::Recovery));
        }
        let seconds = self.clock.millis().div_euclid(1000);
        let step = totp::step_of(&self.open(user, factor)?, &plain, seconds).filter(|step| *step > factor.last_step);
        let Some(step) = step else { return Ok(None) };
        let set = sqlx::query("UPDATE second_factors SET last_step = $2 WHERE user_id = $1");
        set.bind(user).bind(step).execute(on).await?;
        Ok(Some(Proof::Step(step)))
    }

    /// The key that vouches for a login whose second factor is still to come.
    fn ticket_key(&self) -> Result<ring::hmac::Key> {
        Ok(self.key()?.mac_key("second factor ticket"))
    }
}

/// Takes the second factor of `user` away; false if there was none.
pub async fn remove(on: &mut AnyConnection, user: &str) -> Result<bool> {
    sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1").bind(user).execute(&mut *on).await?;
    let gone = sqlx::query("DELETE FROM second_factors WHERE user_id = $1").bind(user).execute(on).await?;
    Ok(gone.rows_affected() > 0)
}

fn hash(user: &str, code: &str) -> String {
    secret::hash(&format!("{user} {code}"))
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    SystemRandom::new().fill(bytes).map_err(|_| Error::internal("no randomness from the system"))
}
