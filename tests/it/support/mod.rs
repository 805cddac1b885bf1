//! What several integration tests share.

pub(crate) mod audio;

pub(crate) mod band;

pub(crate) mod clients;

pub(crate) mod clip;

pub(crate) mod netns;
pub(crate) mod node;

pub(crate) mod process;

pub(crate) mod raw_origin;

pub(crate) mod rust_source;

pub(crate) mod tls;

pub(crate) mod tools;

pub(crate) mod wire;

/// What whoever starts the tests says of their extent.
#[expect(
    clippy::disallowed_methods,
    reason = "a longer run than that of every day is asked for where the tests are started"
)]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
