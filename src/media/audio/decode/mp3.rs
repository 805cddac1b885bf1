//! MPEG audio files: our own framing around a frame decoder.
//!
//! Each frame found is handed to the decoder alone, so nothing is guessed from file sizes: VBR without a Xing header, files joined
//! together, changes of rate or channels and junk between frames all keep the timeline. The Xing, Info or VBRI frame is no audio.
//! With a LAME tag the encoder's delay and padding are taken out, to the sample.

use nanomp3::{Decoder, VbrTag};

use super::{Block, Decode, checked_rate, mpeg::Header};
use crate::media::audio::{
    AudioError, Kind,
    mix::{Layout, Speaker},
    sniff::id3v2_length,
    source::{STALL_MAX, Source},
};

/// Delay of every layer III decoder in samples: 528 for the filterbank and 1 (LAME, `lame/doc`).
const DECODER_DELAY: usize = 528 + 1;
/// Bytes looked at in one go when searching for the next frame.
const SEARCH_STEP: usize = 4096;

pub(super) fn open(source: Source) -> Box<dyn Decode> {
    Box::new(Mp3 {
        source,
        decoder: Decoder::new(),
        pcm: vec![0.0; nanomp3::MAX_SAMPLES_PER_FRAME],
        part: None,
        decoded_any: false,
        truncated: false,
    })
}

struct Mp3 {
    source: Source,
    decoder: Decoder,
    pcm: Vec<f32>,
    /// What belongs to one encoding: a file, or one of several joined together.
    part: Option<Part>,
    decoded_any: bool,
    truncated: bool,
}

/// Frames with one signature and channel count, and what is to be cut from them.
struct Part {
    header: Header,
    /// Frames of audio the tag announces.
    frames_declared: Option<u64>,
    frames_seen: u64,
    /// Samples of each channel still to be dropped at the start.
    delay_left: usize,
    /// Samples of each channel to be dropped at the end, if the part ends where its tag says.
    padding: usize,
    /// The last samples decoded, interleaved: at most `padding` of each channel.
    held: Vec<f32>,
}

impl Part {
    fn new(header: Header) -> Part {
        Part { header, frames_declared: None, frames_seen: 0, delay_left: 0, padding: 0, held: Vec::new() }
    }

    fn tagged(header: Header, tag: VbrTag) -> Part {
        let mut part = Part::new(header);
        part.frames_declared = tag.frames.map(u64::from);
        if let Some((delay, padding)) = tag.encoder_delay_padding {
            part.delay_left = usize::from(delay) + DECODER_DELAY;
            part.padding = usize::from(padding).saturating_sub(DECODER_DELAY);
        }
        part
    }

    fn belongs(&self, header: Header) -> bool {
        self.header.signature() == header.signature() && self.header.channels() == header.channels()
    }

    fn shape(&self, block: &mut Block) -> Result<(), AudioError> {
        block.rate = checked_rate(Kind::Mp3, self.header.rate())?;
        block.layout = if self.header.channels() == 1 { Layout::MONO } else { stereo() };
        Ok(())
    }

    /// Takes the samples of a frame; gives what is neither delay nor possibly padding.
    fn take(&mut self, mut samples: &[f32], out: &mut Vec<f32>) {
        let channels = self.header.channels();
        let dropped = self.delay_left.min(samples.len() / channels);
        self.delay_left -= dropped;
        samples = samples.get(dropped * channels..).unwrap_or_default();
        if self.padding == 0 {
            out.extend_from_slice(samples);
            return;
        }
        self.held.extend_from_slice(samples);
        let ready = self.held.len().saturating_sub(self.padding * channels);
        out.extend(self.held.drain(..ready));
    }

    /// Gives what was held back, unless the part ended where its tag says and that was padding.
    fn end(self, out: &mut Vec<f32>) {
        if self.frames_declared != Some(self.frames_seen) {
            out.extend_from_slice(&self.held);
        }
    }
}

fn stereo() -> Layout {
    Layout::of([Speaker::Front; 2]).unwrap_or(Layout::MONO)
}

impl Mp3 {
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

    fn decode(&mut self, header: Header, block: &mut Block) -> Result<(), AudioError> {
        let frame = self.source.peek(header.frame_size())?;
        let (_, outcome) = self.decoder.decode(frame, &mut self.pcm);
        self.source.consume(header.frame_size());
        let count = header.samples() * header.channels();
        let complete = outcome.is_ok_and(|info| info.samples_produced * usize::from(info.channels.num()) == count);
        let Some(samples) = self.pcm.get_mut(..count) else { return Ok(()) };
        if complete {
            self.decoded_any = true;
        } else {
            // A frame that cannot be decoded lasts as long as any other.
            samples.fill(0.0);
        }
        if let Some(part) = &mut self.part {
            part.frames_seen += 1;
            part.shape(block)?;
            part.take(samples, &mut block.samples);
        }
        Ok(())
    }
}

impl Decode for Mp3 {
    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        block.samples.clear();
        let Some(header) = self.find_frame()? else {
            if let Some(part) = self.part.take() {
                part.shape(block)?;
                part.end(&mut block.samples);
            }
            if !self.decoded_any {
                return Err(AudioError::undecodable(Kind::Mp3, "no frame of it can be decoded"));
            }
            return Ok(!block.samples.is_empty());
        };
        let frame = self.source.peek(header.frame_size())?;
        let tag = VbrTag::parse(frame);
        let is_tag = tag.is_some() || is_vbri(frame);
        if is_tag || !self.part.as_ref().is_some_and(|part| part.belongs(header)) {
            // What the last part held back goes out first; the frame stays for the next call.
            if let Some(part) = self.part.take() {
                part.shape(block)?;
                part.end(&mut block.samples);
                return Ok(true);
            }
            self.part = Some(tag.map_or_else(|| Part::new(header), |tag| Part::tagged(header, tag)));
            if is_tag {
                // A file of its own begins: nothing of the one before may sound in it.
                self.decoder = Decoder::new();
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

/// Fraunhofer's tag frame: always 32 bytes behind the header.
fn is_vbri(frame: &[u8]) -> bool {
    frame.get(36..).is_some_and(|rest| rest.starts_with(b"VBRI"))
}
