//! Tests of the audio room, by subject. All signals are computed or committed; nothing here waits or talks to anybody.

mod adts;
mod containers;
mod families;
mod flac;
mod g711;
mod g722;
mod golden;
mod headerless;
mod hostile;
mod lies;
mod parts;
mod quality;
mod spectrum;
mod streaming;
mod support;
mod webm;
