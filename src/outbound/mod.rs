//! The one guarded HTTP client. Everything that this node fetches goes out through here.
//!
//! An address of a source comes from strangers, so every request is a chance to make the node talk to what only the
//! node can reach. The [`Guard`] judges each address **at the moment of connecting** and at every redirect hop
//! (`spec/trust.md` §5, `spec/media.md` §7): literal addresses in [`Client::get`], resolved ones inside the resolver,
//! whose answer is exactly what is connected to. There is no second look-up in which the name could have moved.
//!
//! A [`Forwarder`] passes requests on to one origin that the operator has named, as they are; the [`Client`] fetches.
//!
//! A [`Callback`] tells the server of an application something, signed, once; who has to be told for certain keeps it until it is.

mod config;

mod error;

mod address_space;

mod guard;

mod cdn_loop;

mod redirect;

mod resolve;

mod body;

mod client;

mod callback;

mod connect;

mod forward;

#[cfg(test)]
pub(crate) mod tests;

pub use body::Body;
pub use callback::{Callback, signature};
pub use cdn_loop::Hops;
pub use client::{Client, Follow, Get, Response, install_crypto_provider, key_of, own_headers};
pub use config::Config;
pub use error::{Cause, OutboundError, TimeoutKind};
pub use forward::{Forwarded, ForwardedBody, Forwarder, Outgoing, RequestBody, tls_to};
pub use guard::{AllowRule, AllowRuleError, Guard, Refusal};
