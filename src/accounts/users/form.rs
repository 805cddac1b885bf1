//! Tokens of forms, so that no other site can send one in somebody's name (CSRF).
//!
//! A token is a MAC, under the node's key, of what the browser keeps in its cookie: it is good with that cookie alone, on every node of a fleet, and is kept
//! nowhere.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::RngExt as _;

use crate::{
    accounts::{Accounts, AccountsError},
    secret::Secret,
};

/// What a token's MAC is made for.
const NAME: &str = "form";

impl Accounts {
    /// What the browser of somebody who is to sign in keeps meanwhile: so that no other site can sign it in as somebody else.
    pub fn draw_visitor(&self) -> Secret {
        let [a, b]: [u128; 2] = rand::rng().random();
        Secret::new(format!("{a:032x}{b:032x}"))
    }

    /// The token of forms for a browser that keeps `cookie`.
    ///
    /// # Errors
    /// There is no key.
    pub fn form_token(&self, cookie: &Secret) -> Result<String, AccountsError> {
        Ok(URL_SAFE_NO_PAD.encode(self.inner.sealer.mac(NAME, cookie.reveal())?))
    }

    /// Whether it is one. Takes as long for a wrong one as for the right one.
    pub fn is_form_token(&self, cookie: &str, token: &str) -> bool {
        let mac = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        self.inner.sealer.recognises(NAME, cookie, &mac)
    }
}
