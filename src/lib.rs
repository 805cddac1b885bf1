//! Ringback: a media processing and caching node for telephony.
//!
//! Reading order: the vocabulary first ([`units`], [`ids`], [`clock`], [`problem`]), then the story of a media
//! request ([`media`]), then what carries it ([`outbound`], [`api`], [`app`]).
//!
//! For the fuzzer the large rooms are private: no machine code is then made of what no target reaches, which is nearly all of them.
#![cfg_attr(fuzzing, allow(dead_code, unused_imports, unreachable_pub, reason = "little of the rooms is reached"))]

pub mod units;

pub mod ids;

pub mod clock;

pub mod problem;

pub mod secret;

pub mod observability;

#[cfg(not(fuzzing))]
pub mod store;
#[cfg(fuzzing)]
mod store;

#[cfg(not(fuzzing))]
pub mod lease;
#[cfg(fuzzing)]
mod lease;

#[cfg(not(fuzzing))]
pub mod outbound;
#[cfg(fuzzing)]
mod outbound;

#[cfg(not(fuzzing))]
pub mod accounts;
#[cfg(fuzzing)]
mod accounts;

#[cfg(not(fuzzing))]
pub mod concurrency;
#[cfg(fuzzing)]
mod concurrency;

#[cfg(not(fuzzing))]
pub mod media;
#[cfg(fuzzing)]
mod media;

#[cfg(not(fuzzing))]
pub mod api;
#[cfg(fuzzing)]
mod api;

pub mod config;

#[cfg(not(fuzzing))]
pub mod app;
#[cfg(fuzzing)]
mod app;

#[cfg(not(fuzzing))]
pub mod cli;
#[cfg(fuzzing)]
mod cli;

pub mod testing;
