//! The original as the parsers here see it: buffered, with look-ahead, its failures kept apart from malformed content.

use std::{
    io::{self, Read, Seek, SeekFrom},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{AudioError, Input};

/// Bytes that the look-ahead buffer takes in one read at most; also the most that [`Source::peek`] can show.
pub(super) const PEEK_MAX: usize = 128 * 1024;
/// Bytes read without any audio coming of them before a parser is stopped. More than any tag or table before the audio.
pub(super) const STALL_MAX: u64 = 32 * 1024 * 1024;
/// Bytes asked of the input in one read while parsing.
const READ_SIZE: usize = 16 * 1024;

/// A buffered reader over an [`Input`] with look-ahead.
pub(super) struct Source {
    input: Box<dyn Input>,
    /// Bytes read ahead are `buffer[start..end]`; the input stands behind them.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset in the original of `buffer[start]`.
    position: u64,
    /// Offset from which on nothing is shown.
    limit: Option<u64>,
}

impl Source {
    pub(super) fn new(input: Box<dyn Input>) -> Source {
        Source { input, buffer: Vec::new(), start: 0, end: 0, position: 0, limit: None }
    }

    /// Offset of the next byte.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes from here to the end, if all of them are there: then reading never waits.
    pub(super) fn complete_left(&self) -> Option<u64> {
        let left = self.input.complete_length()?.saturating_sub(self.position);
        Some(self.left().map_or(left, |limit| limit.min(left)))
    }

    /// A CPU for a thread of the decoder's; see [`Input::spare_cpu`].
    pub(super) fn spare_cpu(&self) -> Option<Box<dyn Send>> {
        self.input.spare_cpu()
    }

    /// Waits until the original is complete; returns its length.
    pub(super) fn wait_complete(&mut self) -> Result<u64, AudioError> {
        self.input.wait_complete().map_err(AudioError::Input)
    }

    /// Lets the original end `count` bytes from here: it has `count` more that matter, or so a header says.
    pub(super) fn end_after(&mut self, count: u64) {
        self.limit = Some(self.position.saturating_add(count));
    }

    /// Bytes from here to where the original was made to end.
    pub(super) fn left(&self) -> Option<u64> {
        self.limit.map(|limit| limit.saturating_sub(self.position))
    }

    /// After the end: whether it came before the one that was set.
    pub(super) fn ends_short(&self) -> bool {
        self.left().is_some_and(|left| left > 0)
    }

    /// The next `count` bytes (at most [`PEEK_MAX`]) without taking them; fewer only at the end.
    pub(super) fn peek(&mut self, count: usize) -> Result<&[u8], AudioError> {
        self.peek_far(count.min(PEEK_MAX))
    }

    /// The same without that limit, for one who has its own: the buffer becomes as large.
    pub(super) fn peek_far(&mut self, count: usize) -> Result<&[u8], AudioError> {
        let left = self.left().map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        let count = count.min(left);
        while self.end - self.start < count {
            if self.buffer.len() - self.start < count.max(READ_SIZE) {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
                self.buffer.resize(count.next_multiple_of(READ_SIZE) + READ_SIZE, 0);
            }
            let room_end = self.buffer.len().min(self.end + READ_SIZE);
            let read = match self.buffer.get_mut(self.end..room_end) {
                Some(room) => read_some(&mut self.input, room).map_err(AudioError::Input)?,
                None => 0,
            };
            if read == 0 {
                break;
            }
            self.end += read;
        }
        let shown = count.min(self.end - self.start);
        Ok(self.buffer.get(self.start..self.start + shown).unwrap_or_default())
    }

    /// Everything that was read ahead.
    pub(super) fn buffered(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Takes `count` bytes that were peeked at.
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.position += count as u64;
    }

    /// Takes the next `N` bytes (at most [`PEEK_MAX`]); where there are fewer, none.
    pub(super) fn take<const N: usize>(&mut self) -> Result<Option<[u8; N]>, AudioError> {
        let bytes = self.peek(N)?.first_chunk().copied();
        if bytes.is_some() {
            self.consume(N);
        }
        Ok(bytes)
    }

    /// Goes forward by `count` bytes without reading them; past the end is no error.
    pub(super) fn skip(&mut self, count: u64) -> Result<(), AudioError> {
        let buffered = (self.end - self.start) as u64;
        if count <= buffered {
            self.consume(count as usize);
            return Ok(());
        }
        self.seek_to(self.position.saturating_add(count))
    }

    /// Goes to an offset of the original.
    pub(super) fn seek_to(&mut self, offset: u64) -> Result<(), AudioError> {
        // Offsets beyond what seeking takes are lies of a header: the end is where they lead.
        let offset = offset.min(i64::MAX as u64);
        self.input.seek(SeekFrom::Start(offset)).map_err(AudioError::Input)?;
        self.start = 0;
        self.end = 0;
        self.position = offset;
        Ok(())
    }

    /// Reads until `target` is full or the end comes; returns how much was read.
    pub(super) fn read_full(&mut self, target: &mut [u8]) -> Result<usize, AudioError> {
        let mut done = 0;
        while let Some(rest) = target.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let want = rest.len().min(READ_SIZE);
            let shown = self.peek(want)?;
            let count = shown.len();
            if count == 0 {
                break;
            }
            for (to, from) in rest.iter_mut().zip(shown) {
                *to = *from;
            }
            self.consume(count);
            done += count;
        }
        Ok(done)
    }

    /// Hands the original to a foreign parser, from `offset` on as its offset 0 where `rebase` is wished.
    pub(super) fn into_tap(mut self, offset: u64, stall_max: u64) -> Result<(Tap, Watch), AudioError> {
        self.seek_to(offset)?;
        let watch = Watch { shared: Arc::new(Shared { fault: Mutex::new(None), unproductive: AtomicU64::new(0) }) };
        Ok((Tap { input: self.input, watch: watch.clone(), base: offset, stall_max }, watch))
    }
}

fn read_some(input: &mut Box<dyn Input>, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// The original in the hands of a foreign parser. Notes failures of the input where its owner can find them, because
/// parsers blur them into errors of the format, and stops a parser that reads on and on without giving anything.
pub(super) struct Tap {
    input: Box<dyn Input>,
    watch: Watch,
    base: u64,
    stall_max: u64,
}

/// The owner's view on a [`Tap`] that was given away.
#[derive(Clone)]
pub(super) struct Watch {
    shared: Arc<Shared>,
}

struct Shared {
    fault: Mutex<Option<Fault>>,
    unproductive: AtomicU64,
}

enum Fault {
    Input(io::Error),
    Stalled,
}

impl Watch {
    /// Says that the parser gave something: the count of bytes read for nothing starts again.
    pub(super) fn progressed(&self) {
        self.shared.unproductive.store(0, Ordering::Relaxed);
    }

    /// The true reason of a parser's IO error, if it came from here.
    pub(super) fn take_fault(&self) -> Option<AudioError> {
        let fault = self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(match fault {
            Fault::Input(error) => AudioError::Input(error),
            Fault::Stalled => AudioError::over_limit("bytes without any audio in them"),
        })
    }

    fn note(&self, fault: Fault) {
        let mut slot = self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner);
        // The first failure is the cause of those after it.
        slot.get_or_insert(fault);
    }
}

impl Read for Tap {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.watch.shared.unproductive.load(Ordering::Relaxed) > self.stall_max {
            self.watch.note(Fault::Stalled);
            return Err(io::Error::other("no audio for too many bytes"));
        }
        match read_some(&mut self.input, room) {
            Ok(count) => {
                self.watch.shared.unproductive.fetch_add(count as u64, Ordering::Relaxed);
                Ok(count)
            }
            Err(error) => {
                self.watch.note(Fault::Input(error));
                Err(io::Error::other("the original could not be read"))
            }
        }
    }
}

impl Seek for Tap {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(offset) => SeekFrom::Start(offset.saturating_add(self.base)),
            other => other,
        };
        match self.input.seek(to) {
            Ok(offset) => Ok(offset.saturating_sub(self.base)),
            // A seek before the start is the parser's mistake, not a failure of the input.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(error),
            Err(error) => {
                self.watch.note(Fault::Input(error));
                Err(io::Error::other("the original could not be read"))
            }
        }
    }
}
