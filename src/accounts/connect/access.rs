//! Access tokens: JWT that this node signs, for developers who act on what an account has allowed their application.
//!
//! ```text
//! header  alg: HS256, and nothing else. kid: which key of the key file
//! claims  iss: "ringback"   aud: "ringback"   sub: the subaccount   iat, exp: seconds
//!         grant: the code that it came of   epoch: the subaccount's
//! ```
//!
//! What it may do is not in it: that is read with the authorization, so that narrowing it holds at once.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use serde::{Deserialize, Serialize};

use crate::{
    accounts::{
        AccountsError,
        seal::{SealError, Sealer},
        tokens::{AUDIENCE, install_cryptography},
    },
    ids::{AccountSid, RandomId},
    secret::Secret,
};

/// Who signs: no account's key has such a name.
const ISSUER: &str = "ringback";

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::accounts) struct Access {
    pub(in crate::accounts) account: AccountSid,
    pub(in crate::accounts) grant: RandomId,
    pub(in crate::accounts) epoch: i64,
    pub(in crate::accounts) expires: SystemTime,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: u64,
    exp: u64,
    grant: String,
    epoch: i64,
}

/// Whether a token says that it is one of these. Nothing of that is known to be true.
pub(in crate::accounts) fn is_one(token: &str) -> bool {
    let claims = jsonwebtoken::dangerous::insecure_decode_claims::<Claims>(token);
    claims.is_ok_and(|claims| claims.iss == ISSUER)
}

/// A token that says this, signed.
pub(super) fn write(access: &Access, sealer: &Sealer, now: SystemTime) -> Result<Secret, AccountsError> {
    install_cryptography();
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (id, key) = sealer.token_key()?;
    let header = jsonwebtoken::Header { kid: Some(id), ..jsonwebtoken::Header::new(Algorithm::HS256) };
    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: access.account.to_string(),
        iat: seconds(now),
        exp: seconds(access.expires),
        grant: access.grant.to_string(),
        epoch: access.epoch,
    };
    let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(key.reveal().as_bytes()));
    token.map(Secret::new).map_err(|_| AccountsError::Seal(SealError::Damaged))
}

/// What a token says, if this node or one of its fleet has signed it and it is good now.
pub(in crate::accounts) fn read(token: &str, sealer: &Sealer, now: SystemTime) -> Option<Access> {
    install_cryptography();
    let key = sealer.token_key_of(&jsonwebtoken::decode_header(token).ok()?.kid?)?;
    let mut validation = Validation::new(Algorithm::HS256);
    // Times, issuer and audience are judged below, by the node's clock.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let key = DecodingKey::from_secret(key.reveal().as_bytes());
    let Claims { iss, aud, sub, exp, grant, epoch, .. } =
        jsonwebtoken::decode::<Claims>(token, &key, &validation).ok()?.claims;
    let expires = UNIX_EPOCH.checked_add(Duration::from_secs(exp))?;
    let is_good = iss == ISSUER && aud == AUDIENCE && now < expires;
    let access = Access { account: sub.parse().ok()?, grant: grant.parse().ok()?, epoch, expires };
    is_good.then_some(access)
}
