//! People: who may say what an account gives to applications, how they sign in, and their sessions.
//!
//! A user belongs to one account and has a role on it. There is no way to become one but by the operator's command line. Who signs in shows an address, a
//! password and, if so it was set up, a code that is good once (`sign_in.rs`), and gets a session: a row in the store, which is asked for by every request
//! (`session.rs`). So what ends a session ends it on all nodes at once; pages for people are no hot path.
//! The tokens of their forms (`form.rs`) are made of what the browser keeps, and are kept nowhere.

mod form;

mod password;

mod session;

mod sign_in;

mod totp;

mod user;

use std::{
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    time::Duration,
};

use crate::ids::UserSid;

use super::ceiling::{Ceiling, network};

#[cfg(test)]
pub(super) use totp::{code_at, of_base32, step_at};

pub use password::{PASSWORD_BYTES_MAX, PASSWORD_CHARACTERS_MIN};
pub use session::{SESSION_IDLE, SESSION_LENGTH, SignedIn};
pub use sign_in::{Attempt, NotSignedIn};
pub use user::{Email, NotAnEmail, Role, User};

use password::Hasher;

/// Failures of one address with one name, and over which time; then the two wait together for the rest of it.
const NAME_FAILURES_MAX: u32 = 10;
/// Failures of one address with any names.
const ADDRESS_FAILURES_MAX: u32 = 60;
/// Wrong codes after the right password of one user, from anywhere. Strangers cannot count it up: they have no password.
const CODE_FAILURES_MAX: u32 = 10;
/// The same on all nodes, in a day of UTC: then no code is taken until the day is over, or the operator gives the user another password or authenticator.
const CODE_FAILURES_DAY_MAX: i64 = 50;
const FAILURES_WINDOW: Duration = Duration::from_secs(600);

/// What stands before sign-ins of one node. None of it counts for API keys.
#[derive(Debug)]
pub(super) struct Door {
    hasher: Hasher,
    /// Drawn at start: names are counted by hashes that nobody can aim at.
    names: RandomState,
    by_name: Ceiling<(IpAddr, u64)>,
    by_address: Ceiling,
    by_user: Ceiling<UserSid>,
}

impl Door {
    pub(super) fn new() -> Door {
        Door {
            hasher: Hasher::new(),
            names: RandomState::new(),
            by_name: Ceiling::new(NAME_FAILURES_MAX, FAILURES_WINDOW),
            by_address: Ceiling::new(ADDRESS_FAILURES_MAX, FAILURES_WINDOW),
            by_user: Ceiling::new(CODE_FAILURES_MAX, FAILURES_WINDOW),
        }
    }

    fn name_key(&self, from: IpAddr, name: &str) -> (IpAddr, u64) {
        (network(from), self.names.hash_one(name))
    }
}
