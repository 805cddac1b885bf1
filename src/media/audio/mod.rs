//! The audio pipeline: an original that may still be arriving goes in, telephony audio comes out while it arrives.
//!
//! [`transcode`] is the whole story: sniff → decode → mix to mono → resample → effects → encode → mux. It blocks, runs on one thread,
//! holds a few hundred kilobytes whatever the length (except for AAC in MP4, whose sample tables grow with it), and its
//! bytes depend only on the original's bytes, never on how they arrived. [`transcode_parts`] makes one body of several originals. Of a long MP3 that is all there, parts are decoded on CPUs that
//! its caller can spare, which takes some megabytes and changes no byte. It knows nothing of tokio, caches or the network.
//!
//! Everything from outside is hostile here: lengths lie, streams never end, decoders panic. Each of those is an [`AudioError`].

mod config;
mod decode;
mod effects;
mod encode;
mod error;
mod fuzz;
mod g722;
mod halve;
mod inspect;
mod kind;
mod mix;
mod pipeline;
mod resample;
mod sniff;
mod source;
#[cfg(test)]
mod tests;
mod timeline;

pub use config::{Config, Limits};
pub use effects::Levelled;
pub use error::AudioError;
pub use fuzz::{fuzz, fuzz_headerless, fuzz_kind};
pub use inspect::{Inspected, inspect};
pub use kind::Kind;
pub use pipeline::{Summary, transcode, transcode_parts};

use crate::media::format;

/// Versions of the stages here. Raise one whenever its bytes change: the golden test says when.
pub const PIPELINE: format::Pipeline = format::Pipeline { decoder: 5, resampler: 2, effects: 1, encoder: 1 };

/// Blocking, random-access original that may still be arriving.
///
/// A read returns what is there and blocks only when nothing is there yet; 0 means the end.
pub trait Input: std::io::Read + std::io::Seek + Send + Sync {
    /// Total length in bytes if already known (declared or final).
    fn length(&self) -> Option<u64>;

    /// What it is declared to be; counts only if it has no container.
    fn declared(&self) -> Option<format::Headerless> {
        None
    }

    /// Total length in bytes once the whole original is there, so that no read waits.
    fn complete_length(&self) -> Option<u64> {
        None
    }

    /// A CPU that nobody else wants now, for a thread beside the one that transcodes; dropped to give it back. Asked for some
    /// milliseconds of work at a time, where the whole original is there. By default there is none.
    fn spare_cpu(&self) -> Option<Box<dyn Send>> {
        None
    }

    /// Blocks until the whole original is there; returns its length in bytes.
    ///
    /// # Errors
    /// The original will never be complete.
    fn wait_complete(&mut self) -> std::io::Result<u64>;
}

/// Originals that are heard one behind the other, the next of which may still be to come.
pub trait Parts: Send {
    /// The next original; blocks until it begins, or until it is known that there is none.
    ///
    /// What the one before it is not read to its end is passed over.
    ///
    /// # Errors
    /// There will be no more, and there should be: ends the transcode with [`AudioError::Input`].
    fn next(&mut self) -> std::io::Result<Option<Box<dyn Input>>>;
}

/// What an original is, by its content alone: where that is a known kind of audio.
///
/// **Cost**: reads up to 80 KiB behind its tags, and blocks for them.
///
/// # Errors
/// [`AudioError::NotAudio`], or [`AudioError::Unsupported`] for audio that is recognised and not read.
pub fn recognize(input: Box<dyn Input>) -> Result<Kind, AudioError> {
    sniff::sniff(&mut source::Source::new(input), None).map(|sniffed| sniffed.kind)
}

/// Where encoded body bytes go, in order.
pub trait Output {
    /// Takes the next bytes of the body.
    ///
    /// Called at least once for each decoded block (a packet or frame of the codec: 20 to 100 ms of audio as encoders make them), with
    /// an empty slice where a block gave no bytes yet, so that the implementor can yield the processor or cancel.
    ///
    /// # Errors
    /// Any error ends the transcode with [`AudioError::Output`].
    fn write(&mut self, body: &[u8]) -> std::io::Result<()>;

    /// A place for samples that can go on only when more is known: a loudness is measured before it is changed, and silence may turn
    /// out to be the last. Not asked for where a few seconds of memory suffice. By default a file without a name.
    ///
    /// # Errors
    /// There is none; ends the transcode with [`AudioError::Output`].
    fn scratch(&mut self) -> std::io::Result<Box<dyn Scratch>> {
        Ok(Box::new(tempfile::tempfile()?))
    }
}

/// Bytes that are put away and read back. What is dropped leaves nothing behind.
pub trait Scratch: Send {
    /// Puts bytes behind those that are there.
    ///
    /// # Errors
    /// Any error ends the transcode with [`AudioError::Output`].
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()>;

    /// Reads bytes that were put there: as many as there is room for, all of which must be there.
    ///
    /// # Errors
    /// Any error ends the transcode with [`AudioError::Output`].
    fn read_at(&mut self, offset: u64, room: &mut [u8]) -> std::io::Result<()>;
}

/// Written from its beginning on: the file's own position is its end.
impl Scratch for std::fs::File {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        std::io::Write::write_all(self, bytes)
    }

    fn read_at(&mut self, offset: u64, room: &mut [u8]) -> std::io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, room, offset)
    }
}
