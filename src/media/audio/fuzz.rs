//! Entry for fuzzing: arbitrary bytes through every stage.

use std::{
    io::{self, Cursor},
    time::Duration,
};

use super::{AudioError, Input, Kind, Limits, Output, sniff::sniff, source::Source, transcode};
use crate::media::format::Format;

/// What a run decodes to at most.
const LIMITS: Limits = Limits { decoded_max: Duration::from_secs(60) };

/// Sniffs and transcodes arbitrary bytes to μ-law under small limits. Errors are fine; a panic or an endless run is a finding.
pub fn fuzz(data: &[u8]) {
    let Ok(format) = Format::parse("ulaw", &[]) else { return };
    let outcome = transcode(input(data), format, &LIMITS, &mut Sink);
    // While fuzzing, a panic of ours ends the process before it gets here, and one of a crate below is no news: it is contained.
    let panicked = matches!(outcome, Err(AudioError::Panicked { .. }));
    assert!(cfg!(fuzzing) || !panicked, "a decoder panicked");
}

/// The same, of nothing but one kind of original.
pub fn fuzz_kind(kind: Kind, data: &[u8]) {
    if sniff(&mut Source::new(input(data))).is_ok_and(|sniffed| sniffed.kind == kind) {
        fuzz(data);
    }
}

fn input(data: &[u8]) -> Box<dyn Input> {
    Box::new(Whole(Cursor::new(data.to_vec())))
}

/// An original that is there from the start.
struct Whole(Cursor<Vec<u8>>);

impl io::Read for Whole {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.read(room)
    }
}

impl io::Seek for Whole {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl Input for Whole {
    fn length(&self) -> Option<u64> {
        Some(self.0.get_ref().len() as u64)
    }

    fn wait_complete(&mut self) -> io::Result<u64> {
        Ok(self.0.get_ref().len() as u64)
    }
}

/// Takes everything.
struct Sink;

impl Output for Sink {
    fn write(&mut self, _body: &[u8]) -> io::Result<()> {
        Ok(())
    }
}
