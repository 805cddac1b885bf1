//! WebM and Matroska (RFC 9559) with Opus: files, and the streams of a browser's recorder, which
//! know no sizes and have no index.
//!
//! Only what decoding needs is read, everything else is skipped by its size. Elements that hold others are entered and their ends not
//! watched: what follows says by its id where it belongs.

mod block;
mod ebml;
mod track;

use std::collections::VecDeque;

use self::{ebml::Element, track::Entry};
use super::{
    Block, Decode,
    opus::{GRANULE_RATE, Packets},
};
use crate::{
    media::{
        audio::{
            AudioError, Kind,
            source::{STALL_MAX, Source},
        },
        format::Channel,
    },
    units::SampleRate,
};

/// Bytes of a block or of a codec's setup at most: a hundred times what any has.
const BODY_MAX: u64 = 1024 * 1024;
/// Bytes of a number at most.
const NUMBER_MAX: u64 = 8;
/// Damaged packets one after another before the rest is given up.
const DAMAGED_MAX: u32 = 500;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Elements (RFC 9559 §5.1).
mod id {
    pub(super) const EBML: u32 = 0x1a45_dfa3;
    pub(super) const SEGMENT: u32 = 0x1853_8067;
    pub(super) const TRACKS: u32 = 0x1654_ae6b;
    pub(super) const TRACK_ENTRY: u32 = 0xae;
    pub(super) const TRACK_NUMBER: u32 = 0xd7;
    pub(super) const TRACK_TYPE: u32 = 0x83;
    pub(super) const CODEC_ID: u32 = 0x86;
    pub(super) const CODEC_PRIVATE: u32 = 0x63a2;
    pub(super) const CODEC_DELAY: u32 = 0x56aa;
    pub(super) const CONTENT_ENCODINGS: u32 = 0x6d80;
    pub(super) const CLUSTER: u32 = 0x1f43_b675;
    pub(super) const SIMPLE_BLOCK: u32 = 0xa3;
    pub(super) const BLOCK_GROUP: u32 = 0xa0;
    pub(super) const BLOCK: u32 = 0xa1;
    pub(super) const DISCARD_PADDING: u32 = 0x75a2;
}

pub(super) fn open(source: Source, target: SampleRate, channel: Channel) -> Box<dyn Decode> {
    Box::new(WebM {
        source,
        target,
        channel,
        entry: None,
        voice: None,
        is_over: false,
        segment_end: None,
        queued: VecDeque::new(),
        ready: 0,
        progress: 0,
        damaged: 0,
        decoded_any: false,
        at_end: false,
        truncated: false,
    })
}

struct WebM {
    source: Source,
    target: SampleRate,
    channel: Channel,
    /// The description of a track that is being read.
    entry: Option<Entry>,
    /// The track that is heard.
    voice: Option<Voice>,
    /// Another file begins: what is ready is the last of this one.
    is_over: bool,
    /// Where the file says that it ends.
    segment_end: Option<u64>,
    /// Packets of the track that is heard. Those of the last block wait until what follows has told whether all of them is to be heard.
    queued: VecDeque<Packet>,
    /// Packets at the front that do not wait.
    ready: usize,
    /// Where the source stood when there was audio last.
    progress: u64,
    damaged: u32,
    decoded_any: bool,
    at_end: bool,
    truncated: bool,
}

/// The track that is heard.
struct Voice {
    number: u64,
    decoder: Packets,
    /// Frames at the start still to be left out.
    skip: u64,
}

struct Packet {
    bytes: Vec<u8>,
    /// Ticks of 48 kHz at its end that are not to be heard.
    padding: u64,
}

impl WebM {
    /// Takes the next element: what it says, or nothing of it. `false` where there is none.
    fn read_element(&mut self) -> Result<bool, AudioError> {
        let Some(Element { id, size }) = Element::read(&mut self.source)? else {
            // Bytes that are no element are damage, and nothing behind them can be found.
            self.truncated |= !self.source.peek(1)?.is_empty();
            return Ok(false);
        };
        match (id, size) {
            (id::SEGMENT, size) => self.segment_end = size.map(|size| self.source.position().saturating_add(size)),
            (id::EBML | id::TRACKS | id::CLUSTER | id::BLOCK_GROUP, _) => {
                self.finish_entry()?;
                if id == id::EBML {
                    self.ready = self.queued.len();
                    self.is_over = true;
                }
            }
            (id::TRACK_ENTRY, _) => {
                self.finish_entry()?;
                self.entry = Some(Entry::default());
            }
            (id::SIMPLE_BLOCK | id::BLOCK, Some(size)) => return self.read_block(size),
            (id::DISCARD_PADDING, Some(size)) => {
                let Some(body) = self.read_body(size, NUMBER_MAX)? else { return Ok(false) };
                self.discard(ebml::signed(&body));
            }
            (_, Some(size)) => return self.read_entry(id, size),
            (_, None) => {
                self.truncated = true;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes what says something of a track, and skips everything else.
    fn read_entry(&mut self, id: u32, size: u64) -> Result<bool, AudioError> {
        if self.entry.is_none() || !Entry::has(id) {
            self.source.skip(size)?;
            return Ok(true);
        }
        let Some(body) = self.read_body(size, BODY_MAX)? else { return Ok(false) };
        if let Some(entry) = &mut self.entry {
            entry.take(id, body);
        }
        Ok(true)
    }

    /// The body of an element; `None` where it is cut short.
    fn read_body(&mut self, size: u64, size_max: u64) -> Result<Option<Vec<u8>>, AudioError> {
        if size > size_max {
            return Err(damaged("one of its elements is larger than any should be"));
        }
        let mut body = vec![0; size as usize];
        let read = self.source.read_full(&mut body)?;
        self.truncated |= read < body.len();
        Ok((read == body.len()).then_some(body))
    }

    /// A track has been described: the first one with audio is heard.
    fn finish_entry(&mut self) -> Result<(), AudioError> {
        let Some(entry) = self.entry.take().filter(|entry| entry.is_audio() && self.voice.is_none()) else {
            return Ok(());
        };
        let decoder = entry.open(self.target, self.channel)?;
        // A recorder that knows nothing of its delay says 0; the codec's own header then knows better.
        let delay = entry.delay.filter(|nanos| *nanos != 0).map_or(decoder.pre_skip, to_ticks);
        let skip = decoder.frames_in(delay);
        self.voice = Some(Voice { number: entry.number, decoder, skip });
        Ok(())
    }

    fn read_block(&mut self, size: u64) -> Result<bool, AudioError> {
        let track = block::track(self.source.peek(NUMBER_MAX as usize)?);
        let voice = self.voice.as_ref().ok_or_else(|| damaged("it has no audio track"))?;
        if track != Some(voice.number) {
            self.source.skip(size)?;
            return Ok(true);
        }
        let Some(body) = self.read_body(size, BODY_MAX)? else { return Ok(false) };
        self.ready = self.queued.len();
        match block::packets(&body) {
            Some(packets) => {
                self.progress = self.source.position();
                self.queued.extend(packets.into_iter().map(|bytes| Packet { bytes: bytes.to_vec(), padding: 0 }));
            }
            None => self.count_damage()?,
        }
        Ok(true)
    }

    /// Takes nanoseconds from the end of the last block. Those taken from its start, below zero, are left in: only editors cut there.
    fn discard(&mut self, nanos: i64) {
        let mut ticks = to_ticks(u64::try_from(nanos).unwrap_or(0));
        for packet in self.queued.range_mut(self.ready..).rev() {
            packet.padding = ticks.min(Packets::ticks(&packet.bytes));
            ticks -= packet.padding;
        }
    }

    fn decode(&mut self, packet: &Packet, block: &mut Block) -> Result<(), AudioError> {
        let Some(voice) = &mut self.voice else { return Ok(()) };
        let decoded = voice.decoder.decode(&packet.bytes, block);
        if 0 < packet.padding {
            // What is taken from the end must be there.
            voice.decoder.finish(block);
        }
        voice.cut(packet.padding, block);
        if !decoded {
            return self.count_damage();
        }
        self.decoded_any = true;
        self.damaged = 0;
        Ok(())
    }

    fn count_damage(&mut self) -> Result<(), AudioError> {
        self.damaged += 1;
        if self.damaged > DAMAGED_MAX {
            return Err(damaged("too much of it in a row is damaged"));
        }
        Ok(())
    }

    fn end(&mut self) {
        self.at_end = true;
        self.ready = self.queued.len();
        self.truncated |= self.segment_end.is_some_and(|end| self.source.position() < end);
    }
}

impl Voice {
    /// Gives what of the samples was not ready before.
    fn finish(&mut self, block: &mut Block) {
        self.decoder.finish(block);
        self.cut(0, block);
    }

    /// Takes out the delay at the start, and padding.
    fn cut(&mut self, padding: u64, block: &mut Block) {
        let channels = block.layout.channels().count();
        let kept = block.frames().saturating_sub(self.decoder.frames_in(padding) as usize);
        block.samples.truncate(kept * channels);
        let skipped = self.skip.min(kept as u64);
        self.skip -= skipped;
        block.samples.drain(..skipped as usize * channels);
    }
}

impl Decode for WebM {
    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        block.samples.clear();
        if self.ready > 0 {
            self.ready -= 1;
            if let Some(packet) = self.queued.pop_front() {
                self.decode(&packet, block)?;
            }
            return Ok(true);
        }
        if std::mem::take(&mut self.is_over)
            && let Some(mut voice) = self.voice.take()
        {
            voice.finish(block);
            return Ok(true);
        }
        if self.at_end {
            if !self.decoded_any && (self.damaged > 0 || self.voice.is_none()) {
                return Err(damaged("no audio in it can be decoded"));
            }
            if let Some(voice) = &mut self.voice {
                voice.finish(block);
            }
            return Ok(!block.samples.is_empty());
        }
        if !self.read_element()? {
            self.end();
        } else if self.source.position().saturating_sub(self.progress) > STALL_MAX {
            return Err(AudioError::over_limit("bytes without any audio in them"));
        }
        Ok(true)
    }

    fn truncated(&self) -> bool {
        self.truncated
    }
}

/// Nanoseconds in ticks of 48 kHz, rounded.
fn to_ticks(nanos: u64) -> u64 {
    let (nanos, second) = (u128::from(nanos), u128::from(NANOS_PER_SECOND));
    u64::try_from((nanos * u128::from(GRANULE_RATE) + second / 2) / second).unwrap_or(u64::MAX)
}

fn damaged(reason: &'static str) -> AudioError {
    AudioError::undecodable(Kind::WebM, reason)
}
