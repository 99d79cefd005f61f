//! Passwords: argon2id, off the runtime's threads, a bounded number at once.

use crate::error::{Error, Mistake, Result};
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Shortest password, in characters (NIST SP 800-63B asks for 8 and advises 15).
pub const MIN_PASSWORD: usize = 12;
/// Longest, in bytes: what is hashed must be bounded.
pub const MAX_PASSWORD: usize = 256;
/// Memory of one hash, KiB; passes; lanes: the first choice of OWASP's password storage advice.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// Hashes computed at once: each takes 19 MiB and tens of milliseconds of a core.
const AT_ONCE: usize = 2;
/// Longest wait for a turn; after that, the login is rejected as throttled.
const PATIENCE: Duration = Duration::from_secs(5);
/// Seconds after which those are to come back.
const RETRY_AFTER: u64 = 5;

/// Hashes and verifies passwords.
#[derive(Clone, Debug)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// A hash of nothing that anybody knows, to be verified where there is no user: that takes the same time.
    decoy: Arc<str>,
}

impl Passwords {
    /// Makes the decoy hash, which takes one hashing.
    pub fn new() -> Result<Self> {
        let decoy = compute(&super::secret::random()?)?.into();
        Ok(Self { turns: Arc::new(Semaphore::new(AT_ONCE)), decoy })
    }

    /// The hash of `password`, in PHC form.
    pub async fn hash(&self, password: String) -> Result<String> {
        self.run(move || compute(&password)).await
    }

    /// Whether `password` is that of `hash`; takes its time where there is no hash, too.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool> {
        if password.len() > MAX_PASSWORD {
            return Ok(false);
        }
        // A user of the identity provider has no local password.
        let known = hash.filter(|hash| !hash.is_empty());
        let (real, hash) = (known.is_some(), known.unwrap_or_else(|| self.decoy.to_string()));
        let fits = self.run(move || {
            let parsed = PasswordHash::new(&hash).map_err(|error| Error::internal(format!("stored hash: {error}")))?;
            Ok(hasher()?.verify_password(password.as_bytes(), &parsed).is_ok())
        });
        Ok(fits.await? && real)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| Error::Throttled(RETRY_AFTER))?.map_err(Error::internal)?;
        let done = tokio::task::spawn_blocking(move || {
            let _held = turn;
            work()
        });
        done.await.map_err(Error::internal)?
    }
}

fn hasher() -> Result<Argon2<'static>> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).map_err(Error::internal)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn compute(password: &str) -> Result<String> {
    let hash: PasswordHash = hasher()?.hash_password(password.as_bytes()).map_err(Error::internal)?;
    Ok(hash.to_string())
}

/// What is wrong with `password` as the new one of `login`.
pub fn check(password: &str, login: &str) -> Result<()> {
    let wrong = if password.chars().count() < MIN_PASSWORD {
        format!("at least {MIN_PASSWORD} characters are required")
    } else if password.len() > MAX_PASSWORD {
        format!("at most {MAX_PASSWORD} bytes are taken")
    } else if !login.is_empty() && password.to_lowercase().contains(&login.to_lowercase()) && login.len() >= 4 {
        "it must not contain the login".to_owned()
    } else if password.chars().all(|c| password.starts_with(c)) {
        "one repeated character is no password".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Invalid(vec![Mistake::new("password", wrong)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_fits_and_an_empty_one_never_does() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash("correct horse battery".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let fits = |password: &str, hash: Option<&str>| {
            let (passwords, password, hash) = (passwords.clone(), password.to_owned(), hash.map(str::to_owned));
            async move { passwords.verify(password, hash).await.unwrap() }
        };
        assert!(fits("correct horse battery", Some(&hash)).await);
        assert!(!fits("correct horse batterY", Some(&hash)).await);
        assert!(!fits("correct horse battery", None).await);
        assert!(!fits("", Some("")).await);
        assert!(!fits(&"x".repeat(MAX_PASSWORD + 1), Some(&hash)).await);
    }

    #[test]
    fn weak_passwords_are_refused() {
        for (password, fine) in [
            ("short", false),
            ("aaaaaaaaaaaaaaaa", false),
            ("alice-is-my-login", false),
            ("correct horse battery", true),
            (&"x y".repeat(100), false),
        ] {
            assert_eq!(check(password, "alice").is_ok(), fine, "{password}");
        }
    }
}
