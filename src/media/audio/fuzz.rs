//! Entry for fuzzing: arbitrary bytes through every stage.

use std::{
    io::{self, Cursor},
    time::Duration,
};

use super::{AudioError, Input, Kind, Limits, Output, sniff::sniff, source::Source, transcode};
use crate::media::format::{Format, Headerless};

/// What a run decodes to at most.
const LIMITS: Limits = Limits { decoded_max: Duration::from_secs(60) };

/// Sniffs and transcodes arbitrary bytes to μ-law under small limits. Errors are fine; a panic or an endless run is a finding.
pub fn fuzz(data: &[u8]) {
    let Ok(format) = Format::parse("ulaw", &[]) else { return };
    run(input(data), format);
}

/// The same as a body without a container of the coding that the first byte chooses.
pub fn fuzz_headerless(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let declared = DECLARED.get(usize::from(*choice) % DECLARED.len()).copied().unwrap_or_default();
    let (Ok(format), Ok(declared)) = (Format::parse("sln16", &[]), Headerless::from_option(declared)) else { return };
    run(Box::new(Whole { declared: Some(declared), ..whole(body) }), format);
}

/// One of each coding, as the option `input` spells it.
const DECLARED: [&str; 6] = ["ulaw", "alaw", "l16:44100:3", "l16be:16000:1", "g722", "gsm"];

fn run(input: Box<dyn Input>, format: Format) {
    let outcome = transcode(input, format, &LIMITS, &mut Sink);
    // While fuzzing, a panic of ours ends the process before it gets here, and one of a crate below is no news: it is contained.
    let panicked = matches!(outcome, Err(AudioError::Panicked { .. }));
    assert!(cfg!(fuzzing) || !panicked, "a decoder panicked");
}

/// The same, of nothing but one kind of original.
pub fn fuzz_kind(kind: Kind, data: &[u8]) {
    if sniff(&mut Source::new(input(data)), None).is_ok_and(|sniffed| sniffed.kind == kind) {
        fuzz(data);
    }
}

/// Bytes as an original that is there from the start.
pub(super) fn input(data: &[u8]) -> Box<dyn Input> {
    Box::new(whole(data))
}

fn whole(data: &[u8]) -> Whole {
    Whole { bytes: Cursor::new(data.to_vec()), declared: None }
}

/// An original that is there from the start.
struct Whole {
    bytes: Cursor<Vec<u8>>,
    declared: Option<Headerless>,
}

impl io::Read for Whole {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(room)
    }
}

impl io::Seek for Whole {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

impl Input for Whole {
    fn length(&self) -> Option<u64> {
        Some(self.bytes.get_ref().len() as u64)
    }

    fn declared(&self) -> Option<Headerless> {
        self.declared
    }

    fn wait_complete(&mut self) -> io::Result<u64> {
        Ok(self.bytes.get_ref().len() as u64)
    }
}

/// Takes everything.
struct Sink;

impl Output for Sink {
    fn write(&mut self, _body: &[u8]) -> io::Result<()> {
        Ok(())
    }
}
