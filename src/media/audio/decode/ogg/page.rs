//! Pages (RFC 3533 §6).
//!
//! ```text
//! "OggS" version:u8 flags:u8 position:u64 serial:u32 sequence:u32 sum:u32 segments:u8 lacing:[u8; segments] body
//! flags: 1 begins inside a packet    2 begins a logical stream    4 ends one            numbers are little-endian
//! ```

use super::checksum;
use crate::media::audio::{AudioError, source::Source};

const CAPTURE: &[u8; 4] = b"OggS";
/// Bytes before the lacing.
const HEADER: usize = 27;
/// Where the check sum stands; for its own sake there are zeros.
const SUM_AT: usize = 22;
const CONTINUES: u8 = 1;
const BEGINS: u8 = 2;
const ENDS: u8 = 4;

/// The header of a page whose sum is right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    /// It begins inside a packet.
    pub(super) continues: bool,
    pub(super) begins: bool,
    pub(super) ends: bool,
    pub(super) position: Option<u64>,
    pub(super) serial: u32,
    pub(super) sequence: u32,
    /// Count of lacing values.
    segments: usize,
    /// Bytes in all.
    pub(super) size: usize,
}

impl Page {
    /// Lacing values and body of a page's bytes.
    pub(super) fn parts<'a>(&self, bytes: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        bytes.get(HEADER..).and_then(|rest| rest.split_at_checked(self.segments)).unwrap_or_default()
    }
}

/// What comes next.
pub(super) enum Found {
    /// A page, which begins where the source stands.
    Page(Page),
    /// None where there should be one; the source was moved to where one may begin.
    Damage,
    /// No whole page.
    End,
}

/// Looks at the next page. Without one, goes on to what looks like the next, which must come before the offset `limit`.
pub(super) fn find(source: &mut Source, limit: u64) -> Result<Found, AudioError> {
    let Some(head) = source.peek(HEADER)?.first_chunk::<HEADER>().copied() else { return Ok(Found::End) };
    let [capture @ .., segments] = &head;
    if !capture.starts_with(CAPTURE) || head[4] != 0 {
        return search(source, limit);
    }
    let segments = usize::from(*segments);
    let lacing = source.peek(HEADER + segments)?.get(HEADER..).unwrap_or_default();
    let body: usize = lacing.iter().map(|value| usize::from(*value)).sum();
    let size = HEADER + segments + body;
    let bytes = source.peek(size)?;
    let (Some(before), Some(sum), Some(behind)) =
        (bytes.get(..SUM_AT), bytes.get(SUM_AT..).and_then(<[u8]>::first_chunk), bytes.get(SUM_AT + 4..size))
    else {
        return Ok(Found::End);
    };
    let actual = [before, &[0; 4], behind].into_iter().fold(0, checksum::update);
    // The fuzzer does not know how to make sums.
    if !cfg!(fuzzing) && actual != u32::from_le_bytes(*sum) {
        return search(source, limit);
    }
    let [_, _, _, _, _, flags, p0, p1, p2, p3, p4, p5, p6, p7, a0, a1, a2, a3, b0, b1, b2, b3, ..] = head;
    let position = u64::from_le_bytes([p0, p1, p2, p3, p4, p5, p6, p7]);
    Ok(Found::Page(Page {
        continues: flags & CONTINUES != 0,
        begins: flags & BEGINS != 0,
        ends: flags & ENDS != 0,
        // −1 where no packet ends; nothing else below zero means anything.
        position: Some(position).filter(|position| *position <= i64::MAX as u64),
        serial: u32::from_le_bytes([a0, a1, a2, a3]),
        sequence: u32::from_le_bytes([b0, b1, b2, b3]),
        segments,
        size,
    }))
}

/// Goes to the next capture pattern behind the byte that the source stands at.
fn search(source: &mut Source, limit: u64) -> Result<Found, AudioError> {
    source.consume(1);
    while source.peek(HEADER)?.len() == HEADER {
        let there = source.buffered();
        if let Some(at) = there.windows(CAPTURE.len()).position(|bytes| bytes == CAPTURE) {
            source.consume(at);
            return Ok(Found::Damage);
        }
        let taken = there.len() + 1 - CAPTURE.len();
        source.consume(taken);
        check_progress(source, limit)?;
    }
    Ok(Found::End)
}

/// Whether the offset up to which there must be audio is not passed.
pub(super) fn check_progress(source: &Source, limit: u64) -> Result<(), AudioError> {
    if source.position() <= limit {
        return Ok(());
    }
    Err(AudioError::over_limit("bytes without any audio in them"))
}
