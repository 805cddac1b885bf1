//! Ringback: a media processing and caching node for telephony.
//!
//! Reading order: the vocabulary first ([`units`], [`ids`], [`clock`], [`problem`]), then the story of a media
//! request ([`media`]), then what carries it ([`outbound`], [`api`], [`app`]).

pub mod units;

pub mod ids;

pub mod clock;

pub mod problem;

pub mod secret;

pub mod observability;

pub mod store;

pub mod outbound;

pub mod accounts;

pub mod media;

pub mod api;

pub mod config;

pub mod app;

pub mod cli;

pub mod testing;
