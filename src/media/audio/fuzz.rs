//! Entry for fuzzing: arbitrary bytes through every stage.

use std::{
    io::{self, Cursor},
    time::Duration,
};

use super::{Input, Limits, Output, transcode};
use crate::media::format::Format;

/// Sniffs and transcodes arbitrary bytes to μ-law under small limits. Errors are fine; a panic or an endless run is a finding.
pub fn fuzz(data: &[u8]) {
    let Ok(format) = Format::parse("ulaw", &[]) else { return };
    let limits = Limits { decoded_max: Duration::from_secs(60) };
    let outcome = transcode(Box::new(Whole(Cursor::new(data.to_vec()))), format, &limits, &mut Sink);
    assert!(!matches!(outcome, Err(super::AudioError::Panicked { .. })), "a decoder panicked");
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
