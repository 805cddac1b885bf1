//! Passwords: Argon2id (RFC 9106), computed on threads that may block, a few at once and a short line before them.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _},
};
use rand::Rng as _;
use tokio::sync::Semaphore;

use crate::{accounts::AccountsError, secret::Secret};

/// Characters of a password at least.
pub const PASSWORD_CHARACTERS_MIN: usize = 12;
/// Bytes of a password at most: whoever sends more has the node hash what nobody typed.
pub const PASSWORD_BYTES_MAX: usize = 512;

/// What OWASP asks of Argon2id at least: 19 MiB, two passes, one lane. Some 25 ms of a processor.
const MEMORY_KIB: u32 = 19 << 10;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
/// What is computed at once, each on a thread that blocks and with memory of its own.
const AT_ONCE_MAX: usize = 2;
/// What waits for that: with two at once the last one waits for half a second.
const WAITING_MAX: usize = 32;

/// What a password is held against where there is no user: as much work as any other, and the answer of none. Its salt and hash were drawn.
const STAND_IN: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$mjucvGce4fObkBgEMfyQrg$PMuhg9ERMmbFHPQ1RllyjmU/ute1qndM6dL3Yp+gTL8";

/// Computes hashes of passwords.
#[derive(Debug)]
pub(super) struct Hasher {
    /// Those that are computed or wait.
    line: Arc<Semaphore>,
    threads: Arc<Semaphore>,
}

impl Hasher {
    pub(super) fn new() -> Hasher {
        Hasher {
            line: Arc::new(Semaphore::new(AT_ONCE_MAX + WAITING_MAX)),
            threads: Arc::new(Semaphore::new(AT_ONCE_MAX)),
        }
    }

    /// What is kept of a password: the function's usual text, with its parameters and salt.
    ///
    /// # Errors
    /// Too many wait already.
    pub(super) async fn hash(&self, password: &Secret) -> Result<String, AccountsError> {
        let password = password.reveal().to_owned();
        self.compute(move || {
            let mut salt = [0; SALT_BYTES];
            rand::rng().fill_bytes(&mut salt);
            let hash = argon2()?.hash_password_with_salt(password.as_bytes(), &salt);
            hash.map(|hash| hash.to_string()).map_err(|_| AccountsError::Misread("passwords"))
        })
        .await?
    }

    /// Whether it is the password that `kept` is the hash of. Without any it is not, and takes as long to find out.
    ///
    /// # Errors
    /// Too many wait already, or the hash is none.
    pub(super) async fn verify(&self, password: &Secret, kept: Option<String>) -> Result<bool, AccountsError> {
        let password = password.reveal().to_owned();
        self.compute(move || {
            let is_kept = kept.is_some();
            let kept = kept.as_deref().unwrap_or(STAND_IN);
            // The hash says its own parameters, so that those to come may be others.
            match argon2()?.verify_password(password.as_bytes(), kept) {
                Ok(()) => Ok(is_kept),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(_) => Err(AccountsError::Misread("passwords")),
            }
        })
        .await?
    }

    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, AccountsError> {
        const BUSY: AccountsError = AccountsError::Busy("too many people are signing in at this moment");
        let place = Arc::clone(&self.line).try_acquire_owned().map_err(|_| BUSY)?;
        let thread = Arc::clone(&self.threads).acquire_owned().await.map_err(|_| BUSY)?;
        // The permits go along: who hangs up does not make room for more than can be computed.
        let computed = tokio::task::spawn_blocking(move || {
            let computed = work();
            drop((thread, place));
            computed
        });
        computed.await.map_err(|_| BUSY)
    }
}

fn argon2() -> Result<Argon2<'static>, AccountsError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| AccountsError::Misread("passwords"))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Whether a text may be a password.
///
/// # Errors
/// It is too short, or longer than anybody types.
pub(super) fn check(password: &Secret) -> Result<(), AccountsError> {
    let text = password.reveal();
    let is_password = PASSWORD_CHARACTERS_MIN <= text.chars().count() && text.len() <= PASSWORD_BYTES_MAX;
    let reason =
        || format!("must have at least {PASSWORD_CHARACTERS_MIN} characters and at most {PASSWORD_BYTES_MAX} bytes");
    if is_password { Ok(()) } else { Err(AccountsError::Invalid { field: "password", reason: reason() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_recognised_and_nothing_else_is() {
        let hasher = Hasher::new();
        let kept = hasher.hash(&secret("correct horse battery")).await.unwrap();
        assert!(hasher.verify(&secret("correct horse battery"), Some(kept.clone())).await.unwrap());
        assert!(!hasher.verify(&secret("correct horse batterY"), Some(kept.clone())).await.unwrap());
        assert!(!hasher.verify(&secret("correct horse battery"), None).await.unwrap());
        assert_ne!(kept, hasher.hash(&secret("correct horse battery")).await.unwrap(), "each has a salt of its own");
    }

    #[tokio::test]
    async fn who_is_unknown_takes_the_work_of_who_is_known() {
        let kept = Hasher::new().hash(&secret("correct horse battery")).await.unwrap();
        let parameters = |hash: &str| hash.rsplitn(3, '$').nth(2).unwrap().to_owned();
        assert_eq!(parameters(STAND_IN), parameters(&kept));
        assert_eq!(STAND_IN.len(), kept.len());
    }

    #[tokio::test]
    async fn those_for_whom_there_is_no_room_are_told_so_at_once() {
        let hasher = Hasher::new();
        let held = Arc::clone(&hasher.threads).acquire_many_owned(2).await.unwrap();
        let wrong = secret("whatever it may be");
        let mut waiting: Vec<_> =
            (0..AT_ONCE_MAX + WAITING_MAX).map(|_| Box::pin(hasher.verify(&wrong, None))).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        assert!(matches!(hasher.verify(&wrong, None).await, Err(AccountsError::Busy(_))));
        drop((waiting, held));
        assert!(!hasher.verify(&wrong, None).await.unwrap());
    }

    #[test]
    fn passwords_are_long_and_not_too_long() {
        for (text, is_password) in [
            ("short", false),
            ("eleven char", false),
            ("twelve chars", true),
            ("zwölf Zeichn", true),
            (&"x".repeat(PASSWORD_BYTES_MAX), true),
            (&"x".repeat(PASSWORD_BYTES_MAX + 1), false),
        ] {
            assert_eq!(check(&secret(text)).is_ok(), is_password, "{text}");
        }
    }
}
