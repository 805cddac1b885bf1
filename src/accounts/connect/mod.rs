//! Applications that act for accounts: who offers them, who has allowed them what, and by what they show it (`spec/authorization.md`).
//!
//! A developer's account registers a [`ConnectApp`] (`apps.rs`). A user's account allows it (`authorizations.rs`): once for each two, a subaccount of the
//! user's account is made that nobody has a credential of, and an [`Authorization`] says what the application may do on it ([`Profile`]) and within which
//! [`Limits`]. Those are kept, shown and narrowed here; spending is held to them by the room that meters it, and work at once by the one that counts it.
//! For who prefers OAuth 2.1 to that subaccount's name and the developer's own secret there are codes and tokens (`grants.rs`).

pub(super) mod access;

mod apps;

mod authorizations;

mod challenge;

mod deauthorizations;

mod grants;

mod limits;

mod profile;

pub(super) use apps::{ACTIVE_APP, check_url};
pub use apps::{ConnectApp, ConnectAppFields};
pub use authorizations::{Authorization, AuthorizationStatus};
pub use challenge::{NotAChallenge, S256};
pub(super) use deauthorizations::DEAUTHORIZATIONS;
pub use grants::{GrantError, Tokens};
pub use limits::{Amount, Limits, NotAnAmount};
pub use profile::{NotAProfile, Profile};
