//! The one integration binary: whatever needs more than one room, or looks at the repository itself.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod support;

mod layers;

mod tidy;

mod media;

mod mp3;

mod flights;

mod fairness;

mod freshness;

mod references;

mod accounts;

mod concurrency;
mod pages;

mod uploads;

mod prompts;

mod tus;

mod say;

mod purge;

mod opus;

mod durable;

mod origins;

mod streaming;

mod bytes;

mod quality;

mod matrix;

mod traps;

mod containers;

mod aac;

mod flac;

mod vorbis;

mod effects;

mod declared;

mod failures;

mod edge;

mod guard;

mod signed;

mod loops;

mod process;

mod command_line;

mod listing;

mod warming;

mod sim;

mod durable_kill;

mod proxy;

mod wire;
