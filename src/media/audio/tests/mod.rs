//! Tests of the audio room, by subject. All signals are computed or committed; nothing here waits or talks to anybody.

mod families;
mod g711;
mod golden;
mod hostile;
mod lies;
mod quality;
mod spectrum;
mod streaming;
mod support;
