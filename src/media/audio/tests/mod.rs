//! Tests of the audio room, by subject. All signals are computed or committed; nothing here waits or talks to anybody.

mod adts;
mod families;
mod g711;
mod golden;
mod hostile;
mod quality;
mod streaming;
mod support;
