//! A native stream: where its frames are, and what happens to damage.

use std::time::Duration;

use super::{
    Fault,
    frame::FrameDecoder,
    header::{self, Header},
    info::Info,
};
use crate::media::{
    audio::{
        AudioError, Kind,
        decode::{Block, Decode},
        mix::Layout,
        source::{STALL_MAX, Source},
        timeline::frames_duration,
    },
    format::Channel,
};

/// Bytes that are waited for before the first frame is tried. Any later one is expected to be like the one before.
const FRAME_SIZE_FIRST: usize = 4096;
/// Bytes looked at in one go when searching for the next frame.
const SEARCH_STEP: usize = 4096;
/// Damaged frames one after another before the rest is given up.
const DAMAGED_MAX: u32 = 500;
/// Frames missing in one place that silence stands for: a minute and a half at 44.1 kHz. More is another stream.
const GAP_MAX: u64 = 1 << 22;
/// Frames of silence in one block.
const SILENCE_STEP: u64 = 4096;
/// What a stream begins with (§6); one may follow another.
const MAGIC: &[u8] = b"fLaC";

pub(in crate::media::audio::decode) fn open(
    mut source: Source,
    channel: Channel,
) -> Result<Box<dyn Decode>, AudioError> {
    let info = Info::read(&mut source)?;
    Ok(Box::new(Flac {
        source,
        info,
        declared_frames: info.frames,
        decoder: FrameDecoder::new(channel),
        frame_size: FRAME_SIZE_FIRST,
        place: None,
        is_lost: false,
        skipped: 0,
        damaged: 0,
        silence: 0,
        frames: 0,
        ends_inside: false,
        truncated: false,
    }))
}

struct Flac {
    source: Source,
    info: Info,
    /// Frames of all streams so far, if all say it.
    declared_frames: Option<u64>,
    decoder: FrameDecoder,
    /// Bytes that the next frame is expected to take.
    frame_size: usize,
    /// Where the stream stands, once it has begun.
    place: Option<Place>,
    /// Whether something was passed over since the last frame.
    is_lost: bool,
    /// Bytes passed over since then.
    skipped: u64,
    damaged: u32,
    /// Frames of silence to be given before the next frame.
    silence: u64,
    /// Frames given out.
    frames: u64,
    /// Whether the last frame tried is cut by the end.
    ends_inside: bool,
    truncated: bool,
}

/// A place in a stream, as the headers count.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Samples that a frame number stands for: the size of the first block.
    block_size: u64,
    /// Samples before the next frame.
    next: u64,
}

impl Place {
    /// Samples before a frame.
    fn before(header: &Header, block_size: u64) -> u64 {
        if header.is_variable { header.number } else { header.number * block_size }
    }
}

impl Flac {
    /// Another stream begins where the last one ended, as in files that were joined.
    fn join(&mut self) -> Result<(), AudioError> {
        // One that holds nothing counts as damage: they may not go on for ever.
        self.count_damage()?;
        self.info = Info::read(&mut self.source)?;
        self.declared_frames =
            self.declared_frames.zip(self.info.frames).map(|(before, more)| before.saturating_add(more));
        self.place = None;
        Ok(())
    }

    /// Decodes the frame that the source stands at, if it is one.
    fn decode(&mut self, header: &Header, block: &mut Block) -> Result<bool, AudioError> {
        let most = header.frame_size_max(&self.info);
        let mut wanted = self.frame_size.min(most);
        let size = loop {
            let is_there = self.source.peek_far(wanted)?.len() == wanted;
            let bytes = self.source.buffered();
            match self.decoder.decode(bytes, header, &self.info, block) {
                Ok(size) => break size,
                Err(Fault::Short) if is_there && bytes.len() < most => wanted = most.min(2 * bytes.len()),
                Err(fault) => {
                    block.samples.clear();
                    self.ends_inside = fault == Fault::Short && !is_there;
                    self.count_damage()?;
                    return Ok(false);
                }
            }
        };
        let block_size = self.place.map_or(header.block_size as u64, |place| place.block_size);
        let before = Place::before(header, block_size);
        let missing = self.place.filter(|_| self.is_lost).map_or(0, |place| before.saturating_sub(place.next));
        self.is_lost = false;
        if (1..=GAP_MAX).contains(&missing) {
            // The frame is decoded once more when the silence is over.
            self.place = Some(Place { block_size, next: before });
            self.silence = missing;
            self.be_silent(block);
            return Ok(true);
        }
        self.place = Some(Place { block_size, next: before.saturating_add(header.block_size as u64) });
        self.source.consume(size);
        self.frame_size = size + size / 8;
        self.frames += header.block_size as u64;
        self.damaged = 0;
        self.skipped = 0;
        self.ends_inside = false;
        Ok(true)
    }

    /// Silence that is as long as what is missing keeps the time of what follows.
    fn be_silent(&mut self, block: &mut Block) {
        let frames = self.silence.min(SILENCE_STEP);
        self.silence -= frames;
        self.frames += frames;
        block.rate = self.info.rate;
        block.layout = Layout::MONO;
        block.samples.clear();
        block.samples.resize(frames as usize, 0.0);
    }

    /// Goes on to the next byte that may begin a frame.
    fn skip_to_sync(&mut self) -> Result<(), AudioError> {
        let bytes = self.source.peek(SEARCH_STEP)?;
        let junk = bytes.iter().skip(1).position(|byte| *byte == 0xff).map_or(bytes.len(), |at| at + 1);
        self.source.consume(junk);
        self.is_lost = true;
        self.skipped += junk as u64;
        if self.skipped <= STALL_MAX { Ok(()) } else { Err(AudioError::over_limit("bytes without any audio in them")) }
    }

    fn count_damage(&mut self) -> Result<(), AudioError> {
        self.damaged += 1;
        if self.damaged <= DAMAGED_MAX {
            return Ok(());
        }
        Err(AudioError::undecodable(Kind::Flac, "too much of it in a row is damaged"))
    }

    fn end(&mut self) -> Result<bool, AudioError> {
        self.truncated = self.declared_frames.map_or(self.ends_inside, |declared| self.frames < declared);
        // What an encoder writes that was given nothing is audio; anything else without a frame is not.
        if self.frames == 0 && (self.truncated || self.is_lost) {
            return Err(AudioError::undecodable(Kind::Flac, "no part of it can be decoded"));
        }
        Ok(false)
    }
}

impl Decode for Flac {
    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        block.samples.clear();
        if self.silence > 0 {
            self.be_silent(block);
            return Ok(true);
        }
        let head = self.source.peek(header::SIZE_MAX)?;
        if head.is_empty() {
            return self.end();
        }
        if !self.is_lost && head.starts_with(MAGIC) {
            self.join()?;
            return Ok(true);
        }
        match Header::parse(head, &self.info) {
            Some(header) if self.decode(&header, block)? => {}
            _ => self.skip_to_sync()?,
        }
        Ok(true)
    }

    fn declared(&self) -> Option<Duration> {
        self.declared_frames.map(|frames| frames_duration(frames, self.info.rate))
    }

    fn truncated(&self) -> bool {
        self.truncated
    }
}
