//! Several originals in one stream, of which nobody knows beforehand how long they will be: the sentences of a speech in one spool.
//!
//! ```text
//! stream: { part }*                       it ends where a part ends
//! part:   length:u8 declared:length       what it is where it has no container, in normal form ("l16;24000;1"), or nothing
//!         { length:u32le bytes:length }*  as they come, no length being 0
//!         0:u32le
//! ```
//!
//! [`Framer`] writes it, [`FramedParts`] reads it while it grows. What it says is not believed: a stream that ends inside a part is broken
//! off, a block of more than 1 MiB or a part of more than a million blocks is damage, and both are errors that say so.
#![deny(clippy::indexing_slicing)]

use std::{
    io::{self, Read, Seek, SeekFrom},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    audio::{Input, Parts},
    format::Headerless,
};

/// Most bytes of a block.
const BLOCK_MAX: usize = 1 << 20;
/// Most blocks of a part: 16 GiB as engines give them.
const BLOCKS_MAX: usize = 1 << 20;

/// Writes the frames around the bytes of parts. Pure: what it gives is to be appended to the stream.
#[derive(Debug, Default)]
pub struct Framer {
    within: bool,
}

impl Framer {
    /// What begins a part, and ends the one before it if that has not been done.
    pub fn begin(&mut self, declared: Option<Headerless>) -> Vec<u8> {
        let mut bytes = self.end();
        self.within = true;
        let declared = declared.map(|declared| declared.to_string()).unwrap_or_default();
        // A normal form has some twenty characters.
        bytes.push(u8::try_from(declared.len()).unwrap_or(0));
        bytes.extend_from_slice(declared.as_bytes());
        bytes
    }

    /// The part's next bytes in their frames.
    pub fn block(&self, bytes: &[u8]) -> Vec<u8> {
        let mut framed = Vec::with_capacity(bytes.len() + 4);
        for block in bytes.chunks(BLOCK_MAX) {
            framed.extend_from_slice(&u32::try_from(block.len()).unwrap_or(0).to_le_bytes());
            framed.extend_from_slice(block);
        }
        framed
    }

    /// What ends a part; nothing where there is none to end.
    pub fn end(&mut self) -> Vec<u8> {
        if std::mem::take(&mut self.within) { vec![0; 4] } else { Vec::new() }
    }
}

/// The stream is damaged, or ends where it must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// It ends inside a part.
    #[error("the parts of the original end in the middle of one")]
    BrokenOff,
    /// What stands there is no frame.
    #[error("the parts of the original are damaged")]
    Damaged,
}

impl From<FrameError> for io::Error {
    fn from(error: FrameError) -> io::Error {
        let kind = match error {
            FrameError::BrokenOff => io::ErrorKind::UnexpectedEof,
            FrameError::Damaged => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}

/// The parts of a stream that may still grow.
pub struct FramedParts {
    stream: Arc<Mutex<Stream>>,
}

impl FramedParts {
    /// The parts of what `stream` reads, from its beginning.
    pub fn new(stream: Box<dyn Input>) -> FramedParts {
        FramedParts { stream: Arc::new(Mutex::new(Stream { input: stream, at: 0, part: None, parts: 0 })) }
    }
}

impl std::fmt::Debug for FramedParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FramedParts")
    }
}

impl Parts for FramedParts {
    fn next(&mut self) -> io::Result<Option<Box<dyn Input>>> {
        let mut stream = lock(&self.stream);
        stream.pass_over()?;
        let Some(declared) = stream.begin()? else { return Ok(None) };
        let number = stream.parts;
        drop(stream);
        Ok(Some(Box::new(Part { stream: Arc::clone(&self.stream), number, declared, position: 0 })))
    }
}

/// The stream and how far its frames are known.
struct Stream {
    input: Box<dyn Input>,
    /// Where the input stands.
    at: u64,
    /// The part that was begun last.
    part: Option<Blocks>,
    /// How many were begun.
    parts: u64,
}

/// The blocks of a part, as far as they are known.
struct Blocks {
    /// Where each begins in the part and in the stream.
    known: Vec<(u64, u64)>,
    /// Length of what is known.
    length: u64,
    /// Where the next frame is.
    next: u64,
    /// Whether there is none.
    complete: bool,
}

impl Stream {
    /// Begins the next part; `None` where the stream ends.
    fn begin(&mut self) -> io::Result<Option<Option<Headerless>>> {
        let start = self.part.as_ref().map_or(0, |part| part.next);
        let mut length = [0];
        if self.read_at(start, &mut length)? == 0 {
            return Ok(None);
        }
        let mut declared = vec![0; usize::from(length[0])];
        self.read_exact_at(start + 1, &mut declared)?;
        let next = start + 1 + declared.len() as u64;
        let declared = match declared.as_slice() {
            [] => None,
            text => {
                let text = std::str::from_utf8(text).map_err(|_| FrameError::Damaged)?;
                Some(Headerless::from_normal_form(text).ok_or(FrameError::Damaged)?)
            }
        };
        self.part = Some(Blocks { known: Vec::new(), length: 0, next, complete: false });
        self.parts += 1;
        Ok(Some(declared))
    }

    /// Goes to the end of the part that was begun last.
    fn pass_over(&mut self) -> io::Result<()> {
        while self.learn()? {}
        Ok(())
    }

    /// Reads one more frame of the current part; `false` where it has no more.
    fn learn(&mut self) -> io::Result<bool> {
        let Some((next, known)) =
            self.part.as_ref().filter(|part| !part.complete).map(|part| (part.next, part.known.len()))
        else {
            return Ok(false);
        };
        let mut length = [0; 4];
        self.read_exact_at(next, &mut length)?;
        let length = u64::from(u32::from_le_bytes(length));
        if length > BLOCK_MAX as u64 || BLOCKS_MAX <= known {
            return Err(FrameError::Damaged.into());
        }
        let Some(part) = &mut self.part else { return Ok(false) };
        part.next += 4;
        if length == 0 {
            part.complete = true;
            return Ok(false);
        }
        part.known.push((part.length, part.next));
        part.length += length;
        part.next += length;
        Ok(true)
    }

    /// Reads what is there of part `number` at `position`; 0 at its end.
    fn read_part(&mut self, number: u64, position: u64, room: &mut [u8]) -> io::Result<usize> {
        self.check_current(number)?;
        loop {
            let Some(part) = &self.part else { return Ok(0) };
            if position < part.length {
                break;
            }
            if !self.learn()? {
                return Ok(0);
            }
        }
        let Some((offset, left)) = self.part.as_ref().and_then(|part| part.find(position)) else { return Ok(0) };
        let wanted = room.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let Some(room) = room.get_mut(..wanted).filter(|room| !room.is_empty()) else { return Ok(0) };
        match self.read_at(offset, room)? {
            0 => Err(FrameError::BrokenOff.into()),
            read => Ok(read),
        }
    }

    /// A part is read before the next is asked for.
    fn check_current(&self, number: u64) -> io::Result<()> {
        if self.parts == number { Ok(()) } else { Err(io::Error::other("another part was begun")) }
    }

    fn read_at(&mut self, offset: u64, room: &mut [u8]) -> io::Result<usize> {
        if self.at != offset {
            self.at = self.input.seek(SeekFrom::Start(offset))?;
        }
        loop {
            match self.input.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => {
                    let read = read?;
                    self.at += read as u64;
                    return Ok(read);
                }
            }
        }
    }

    fn read_exact_at(&mut self, offset: u64, room: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while let Some(rest) = room.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read_at(offset + done as u64, rest)? {
                0 => return Err(FrameError::BrokenOff.into()),
                read => done += read,
            }
        }
        Ok(())
    }
}

impl Blocks {
    /// Where in the stream a position of the part is, and how much of its block is left there.
    fn find(&self, position: u64) -> Option<(u64, u64)> {
        let behind = self.known.partition_point(|(start, _)| *start <= position);
        let (start, offset) = self.known.get(behind.checked_sub(1)?)?;
        let end = self.known.get(behind).map_or(self.length, |(next, _)| *next);
        let within = position.checked_sub(*start)?;
        Some((offset + within, end.checked_sub(position)?))
    }
}

/// One part, as an original of its own.
struct Part {
    stream: Arc<Mutex<Stream>>,
    number: u64,
    declared: Option<Headerless>,
    position: u64,
}

impl Read for Part {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = lock(&self.stream).read_part(self.number, self.position, room)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Part {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let position = match target {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.wait_complete()?.checked_add_signed(by),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

impl Part {
    /// The part's length once its end is known. Where all of the stream is there, looking for it does not wait.
    fn known_length(&self) -> Option<u64> {
        let mut stream = lock(&self.stream);
        stream.check_current(self.number).ok()?;
        if stream.input.complete_length().is_some() {
            stream.pass_over().ok()?;
        }
        stream.part.as_ref().filter(|part| part.complete).map(|part| part.length)
    }
}

impl Input for Part {
    fn length(&self) -> Option<u64> {
        self.known_length()
    }

    fn declared(&self) -> Option<Headerless> {
        self.declared
    }

    fn complete_length(&self) -> Option<u64> {
        self.known_length()
    }

    fn spare_cpu(&self) -> Option<Box<dyn Send>> {
        lock(&self.stream).input.spare_cpu()
    }

    fn wait_complete(&mut self) -> io::Result<u64> {
        let mut stream = lock(&self.stream);
        stream.check_current(self.number)?;
        stream.pass_over()?;
        Ok(stream.part.as_ref().map_or(0, |part| part.length))
    }
}

/// One thread uses a part and its stream in turn: the lock is never contended, it only lets both own the stream.
fn lock(stream: &Mutex<Stream>) -> MutexGuard<'_, Stream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
