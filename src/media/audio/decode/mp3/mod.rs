//! MPEG audio files: our own framing around a frame decoder.
//!
//! Each frame found is handed to the decoder alone, so nothing is guessed from file sizes: VBR without a Xing header, files joined
//! together, changes of rate or channels and junk between frames all keep the timeline. The Xing, Info or VBRI frame is no audio.
//! With a LAME tag the encoder's delay and padding are taken out, to the sample.

mod ahead;
mod frames;
mod layer3;
mod part;

use nanomp3::VbrTag;

use self::{
    ahead::{Ahead, Frames, Sizes},
    frames::FrameDecoder,
    part::{Cut, Grid, Part},
};
use super::{Block, Decode, Extent, checked_rate, mpeg::Header};
use crate::{
    media::{
        audio::{
            AudioError, Kind,
            mix::{Layout, Speaker},
            sniff::id3v2_length,
            source::{STALL_MAX, Source},
        },
        format::Channel,
    },
    units::SampleRate,
};

/// Bytes looked at in one go when searching for the next frame.
const SEARCH_STEP: usize = 4096;

pub(super) fn open(source: Source, target: SampleRate, channel: Channel) -> Box<dyn Decode> {
    Box::new(Mp3::new(source, target, channel, Sizes::USUAL))
}

struct Mp3 {
    source: Source,
    /// Where the source stands, if that was looked for and is not used yet: at the frame that ended what was read ahead.
    found: Option<Result<Option<Header>, AudioError>>,
    ahead: Ahead,
    target: SampleRate,
    channel: Channel,
    decoder: FrameDecoder,
    /// Of the last frame.
    samples: Vec<f32>,
    /// What belongs to one encoding: a file, or one of several joined together.
    part: Option<Part>,
    /// Rates of the samples given last and of their source.
    shape: Option<[SampleRate; 2]>,
    /// Samples of the source given at these rates, without a change between them.
    position: u64,
    decoded_any: bool,
    truncated: bool,
}

fn stereo() -> Layout {
    Layout::of([Speaker::Front; 2]).unwrap_or(Layout::MONO)
}

impl Mp3 {
    fn new(source: Source, target: SampleRate, channel: Channel, sizes: Sizes) -> Mp3 {
        Mp3 {
            source,
            found: None,
            ahead: Ahead::new(sizes),
            target,
            channel,
            decoder: FrameDecoder::full(),
            samples: Vec::new(),
            part: None,
            shape: None,
            position: 0,
            decoded_any: false,
            truncated: false,
        }
    }

    /// Goes to the next frame; `None` at the end.
    fn find_frame(&mut self) -> Result<Option<Header>, AudioError> {
        let start = self.source.position();
        loop {
            if let Some(tag) = tag_length(self.source.peek(32)?) {
                self.source.skip(tag)?;
                continue;
            }
            let head = self.source.peek(4)?;
            if head.len() < 4 {
                return Ok(None);
            }
            if let Some(header) = Header::parse(head) {
                let expected = self.part.as_ref().is_some_and(|part| part.header.signature() == header.signature());
                let size = header.frame_size();
                let frame = self.source.peek(size + 32)?;
                if frame.len() < size {
                    self.truncated |= expected;
                } else if expected || follows(header, frame.get(size..).unwrap_or_default()) {
                    return Ok(Some(header));
                }
            }
            self.skip_to_sync()?;
            if self.source.position() - start > STALL_MAX {
                return Err(AudioError::over_limit("bytes without any audio in them"));
            }
        }
    }

    /// Goes on to the next byte that may begin a header or tag.
    fn skip_to_sync(&mut self) -> Result<(), AudioError> {
        let bytes = self.source.peek(SEARCH_STEP)?;
        let candidate = |byte: &u8| matches!(byte, 0xff | b'I' | b'A');
        let junk = bytes.iter().skip(1).position(candidate).map_or(bytes.len(), |at| at + 1);
        self.source.consume(junk);
        Ok(())
    }

    /// Begins a part with a frame, or with the tag before its first one.
    fn begin(&mut self, header: Header, tag: Option<Tag>) -> Result<(), AudioError> {
        let is_tag = tag.is_some();
        let cut = Cut::of(tag.and_then(Tag::xing));
        let reduction = frames::reduction(header, self.target);
        let factor = reduction.map_or(1, layer3::Reduction::factor);
        let rate = checked_rate(Kind::Mp3, header.rate() / factor as u32)?;
        let source_rate = checked_rate(Kind::Mp3, header.rate())?;
        let position = if self.shape == Some([rate, source_rate]) { self.position } else { 0 };
        let grid = Grid::new(factor, cut.delay, position);
        // A file of its own begins with its tag: nothing of the one before may sound in it.
        if is_tag || !self.decoder.fits(reduction, grid.phase()) {
            self.decoder = FrameDecoder::new(reduction, grid.phase(), self.channel);
        }
        let width = if reduction.is_some() { 1 } else { header.channels() };
        self.part = Some(Part::new(header, cut, grid, width));
        Ok(())
    }

    fn decode(&mut self, header: Header, block: &mut Block) -> Result<(), AudioError> {
        let frame = self.source.peek(header.frame_size())?;
        self.decoded_any |= self.decoder.decode(header, frame, &mut self.samples);
        self.source.consume(header.frame_size());
        self.give(block)
    }

    /// Gives the samples of a frame of the part.
    fn give(&mut self, block: &mut Block) -> Result<(), AudioError> {
        let Some(part) = &mut self.part else { return Ok(()) };
        let header = part.header;
        let frames = part.take(&self.samples, &mut block.samples);
        self.describe(header, frames, block)
    }

    /// Has frames that come later decoded on a spare CPU, if the source is all there and long: one that arrives is decoded as it comes.
    fn lend(&mut self) {
        if !self.ahead.can_lend() || self.found.is_some() || self.part.is_none() {
            return;
        }
        if self.source.complete_left().is_none_or(|left| left < self.ahead.sizes().left_min) {
            return;
        }
        let Some(decoder) = self.decoder.another() else { return };
        let Some(cpu) = self.source.spare_cpu() else { return };
        if self.ahead.is_dry() {
            // The other thread falls behind: this one has something to decode, too, and the other one something to warm up with.
            let own = self.read_ahead();
            self.ahead.push(own);
        }
        let frames = self.read_ahead();
        if 0 < frames.count() {
            self.ahead.push_lent(frames, decoder, cpu);
        }
    }

    /// Reads the frames of the next segment, as far as the part goes.
    fn read_ahead(&mut self) -> Frames {
        let mut frames = self.ahead.behind_last();
        while frames.count() < self.ahead.sizes().segment && self.found.is_none() {
            let found = self.find_frame();
            match found {
                Ok(Some(header)) if self.goes_on(header) => {
                    frames.push(header, self.found_frame(header));
                    self.source.consume(header.frame_size());
                }
                end => self.found = Some(end),
            }
        }
        frames
    }

    /// Bytes of the frame that was found.
    fn found_frame(&self, header: Header) -> &[u8] {
        self.source.buffered().get(..header.frame_size()).unwrap_or_default()
    }

    /// Whether the frame that was found belongs to the part.
    fn goes_on(&self, header: Header) -> bool {
        let is_tag = tag_of(self.found_frame(header)).is_some();
        !is_tag && self.part.as_ref().is_some_and(|part| part.belongs(header))
    }

    /// Brings what was held back out at the end of a part.
    fn end_part(&mut self, block: &mut Block) -> Result<(), AudioError> {
        let Some(part) = self.part.take() else { return Ok(()) };
        let header = part.header;
        let frames = part.end(&mut block.samples);
        self.describe(header, frames, block)
    }

    /// Says of a block what its samples are, which stand for so many of the source.
    fn describe(&mut self, header: Header, frames: usize, block: &mut Block) -> Result<(), AudioError> {
        let source_rate = checked_rate(Kind::Mp3, header.rate())?;
        match frames::reduction(header, self.target) {
            None => {
                block.rate = source_rate;
                block.layout = if header.channels() == 1 { Layout::MONO } else { stereo() };
                block.reduced = None;
            }
            Some(reduction) => {
                block.rate = checked_rate(Kind::Mp3, header.rate() / reduction.factor() as u32)?;
                block.layout = Layout::MONO;
                block.reduced = Some(Extent { rate: source_rate, frames });
            }
        }
        let shape = Some([block.rate, source_rate]);
        if 0 < frames && self.shape != shape {
            (self.shape, self.position) = (shape, 0);
        }
        self.position += frames as u64;
        Ok(())
    }
}

impl Decode for Mp3 {
    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        block.samples.clear();
        block.reduced = None;
        if self.ahead.is_time_to_look() {
            self.lend();
        }
        if let Some(is_whole) = self.ahead.next_frame(&mut self.decoder, &mut self.samples) {
            self.decoded_any |= is_whole;
            self.give(block)?;
            return Ok(true);
        }
        let found = self.found.take().unwrap_or_else(|| self.find_frame());
        let Some(header) = found? else {
            self.end_part(block)?;
            if !self.decoded_any {
                return Err(AudioError::undecodable(Kind::Mp3, "no frame of it can be decoded"));
            }
            return Ok(0 < block.extent().frames);
        };
        if !self.goes_on(header) {
            // What the last part held back goes out first; the frame stays for the next call.
            if self.part.is_some() {
                self.end_part(block)?;
                return Ok(true);
            }
            let tag = tag_of(self.found_frame(header));
            let is_tag = tag.is_some();
            self.begin(header, tag)?;
            if is_tag {
                self.source.consume(header.frame_size());
                return Ok(true);
            }
        }
        self.decode(header, block)?;
        Ok(true)
    }

    fn truncated(&self) -> bool {
        self.truncated
    }
}

/// Whether what stands behind a frame makes it plausible: another one, a tag, or the end.
fn follows(header: Header, rest: &[u8]) -> bool {
    rest.len() < 4
        || rest.starts_with(b"TAG")
        || tag_length(rest).is_some()
        || Header::parse(rest).is_some_and(|next| next.signature() == header.signature())
}

/// Length of an ID3v2 or APEv2 tag that starts here.
fn tag_length(bytes: &[u8]) -> Option<u64> {
    if let Some(length) = id3v2_length(bytes) {
        return Some(length);
    }
    let size = bytes.strip_prefix(b"APETAGEX")?.get(4..)?.first_chunk()?;
    Some(u64::from(u32::from_le_bytes(*size)) + 32)
}

/// A frame that is no audio.
enum Tag {
    /// Xing's or LAME's.
    Xing(VbrTag),
    Vbri,
}

impl Tag {
    fn xing(self) -> Option<VbrTag> {
        match self {
            Tag::Xing(tag) => Some(tag),
            Tag::Vbri => None,
        }
    }
}

fn tag_of(frame: &[u8]) -> Option<Tag> {
    let xing = if may_be_tag(frame) { VbrTag::parse(frame) } else { None };
    xing.map(Tag::Xing).or(is_vbri(frame).then_some(Tag::Vbri))
}

/// Whether a frame may be Xing's tag, which stands behind side information of 9, 17 or 32 bytes, two further on with a check sum. Parsing
/// it means reading that, which is not worth doing for each frame.
fn may_be_tag(frame: &[u8]) -> bool {
    [13, 15, 21, 23, 36, 38]
        .iter()
        .any(|at| frame.get(*at..).is_some_and(|rest| rest.starts_with(b"Xing") || rest.starts_with(b"Info")))
}

/// Fraunhofer's tag frame: always 32 bytes behind the header.
fn is_vbri(frame: &[u8]) -> bool {
    frame.get(36..).is_some_and(|rest| rest.starts_with(b"VBRI"))
}
