//! AAC in ADTS frames (ISO/IEC 13818-7 §6.2). The stream says nothing of its priming, so it stays, as in every other player.
//!
//! Each frame's header counts: rate and channels may change from one to the next, junk between them is passed over.

use super::{
    Block, Decode,
    aac::{Config, FREQUENCIES, Heard, Stream, Until},
};
use crate::{
    media::{
        audio::{
            AudioError, Kind,
            sniff::id3v2_length,
            source::{STALL_MAX, Source},
        },
        format::Channel,
    },
    units::SampleRate,
};

/// Bytes of a header, and of the check sum that may follow it and each raw data block.
const HEADER_SIZE: usize = 7;
const CHECK_SIZE: usize = 2;
/// Bytes that hold the position of a raw data block behind the first, where there are check sums.
const POSITION_SIZE: usize = 2;
/// Bytes looked at in one go when searching for the next frame.
const SEARCH_STEP: usize = 4096;
/// Changes of rate or channels one after another without a block of audio between them: then it is no audio.
const VAIN_CHANGES_MAX: u32 = 100;
/// The profile of the two bits in the header: audio object type 2.
const PROFILE_LC: u8 = 1;

pub(super) fn open(source: Source, target: SampleRate, channel: Channel) -> Box<dyn Decode> {
    let (current, vain_changes, decoded_any, truncated) = (None, 0, false, false);
    Box::new(Adts { source, target, channel, current, vain_changes, decoded_any, truncated })
}

struct Adts {
    source: Source,
    target: SampleRate,
    channel: Channel,
    /// Header and decoder of the frames that stand together.
    current: Option<(Header, Stream)>,
    vain_changes: u32,
    decoded_any: bool,
    truncated: bool,
}

/// A frame's header.
#[derive(Clone, Copy, Debug)]
struct Header {
    profile: u8,
    frequency: u32,
    configuration: u32,
    /// Bytes of the frame, header included.
    frame_size: usize,
    /// Bytes before the first raw data block.
    size: usize,
    checked: bool,
    blocks: usize,
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Header> {
        let [a, b, c, d, e, f, g] = *bytes.first_chunk::<HEADER_SIZE>()?;
        if a != 0xff || b & 0xf6 != 0xf0 {
            return None;
        }
        let checked = b & 1 == 0;
        let blocks = usize::from(g & 3) + 1;
        let checks = if checked { CHECK_SIZE + (blocks - 1) * POSITION_SIZE } else { 0 };
        let header = Header {
            profile: c >> 6,
            frequency: *FREQUENCIES.get(usize::from(c >> 2 & 0x0f))?,
            configuration: u32::from(c & 1) << 2 | u32::from(d >> 6),
            frame_size: usize::from(d & 3) << 11 | usize::from(e) << 3 | usize::from(f >> 5),
            size: HEADER_SIZE + checks,
            checked,
            blocks,
        };
        (header.size < header.frame_size).then_some(header)
    }

    /// Whether two frames belong to one stream.
    fn agrees(&self, other: &Header) -> bool {
        (self.profile, self.frequency, self.configuration) == (other.profile, other.frequency, other.configuration)
    }
}

impl Adts {
    /// Goes to the next frame; `None` at the end.
    fn find_frame(&mut self) -> Result<Option<Header>, AudioError> {
        let start = self.source.position();
        loop {
            if let Some(tag) = id3v2_length(self.source.peek(10)?) {
                self.source.skip(tag)?;
                continue;
            }
            let head = self.source.peek(HEADER_SIZE)?;
            if head.len() < HEADER_SIZE {
                return Ok(None);
            }
            if let Some(header) = Header::parse(head) {
                let expected = self.current.as_ref().is_some_and(|(current, _)| current.agrees(&header));
                let size = header.frame_size;
                let frame = self.source.peek(size)?;
                if frame.len() < size {
                    self.truncated |= expected;
                } else if expected || self.is_followed(&header)? {
                    return Ok(Some(header));
                }
            }
            self.skip_to_sync()?;
            if self.source.position() - start > STALL_MAX {
                return Err(AudioError::over_limit("bytes without any audio in them"));
            }
        }
    }

    /// Whether what stands behind a frame makes it plausible: another one, a tag, or the end.
    fn is_followed(&mut self, header: &Header) -> Result<bool, AudioError> {
        let bytes = self.source.peek(header.frame_size + HEADER_SIZE)?;
        let rest = bytes.get(header.frame_size..).unwrap_or_default();
        let tagged = [&b"TAG"[..], b"APETAGEX", b"ID3"].iter().any(|tag| rest.starts_with(tag));
        Ok(rest.len() < HEADER_SIZE || tagged || Header::parse(rest).is_some_and(|next| next.agrees(header)))
    }

    /// Goes on to the next byte that may begin a header or tag.
    fn skip_to_sync(&mut self) -> Result<(), AudioError> {
        let bytes = self.source.peek(SEARCH_STEP)?;
        let candidate = |byte: &u8| matches!(byte, 0xff | b'I');
        let junk = bytes.iter().skip(1).position(candidate).map_or(bytes.len(), |at| at + 1);
        self.source.consume(junk);
        Ok(())
    }

    /// Decodes the frame that the source stands at.
    fn decode(&mut self, header: Header, block: &mut Block) -> Result<(), AudioError> {
        if !self.current.as_ref().is_some_and(|(current, _)| current.agrees(&header)) {
            if header.profile != PROFILE_LC {
                return Err(AudioError::unsupported("an AAC profile other than LC and HE"));
            }
            self.vain_changes += 1;
            if VAIN_CHANGES_MAX < self.vain_changes {
                return Err(AudioError::undecodable(Kind::Adts, "too much of it in a row is damaged"));
            }
            let config = Config::of_header(header.frequency, header.configuration, self.channel);
            self.current = Some((header, Stream::new(Kind::Adts, &config, self.target, Heard::ALL)?));
        }
        let Some((_, stream)) = &mut self.current else { return Ok(()) };
        let frame = self.source.peek(header.frame_size)?;
        let mut rest = frame.get(header.size..).unwrap_or_default();
        stream.begin(block);
        for left in (0..header.blocks).rev() {
            let until = if left == 0 { Until::Heard } else { Until::End };
            // Behind a damaged block nobody knows where the next begins: they are damaged too.
            let taken = stream.decode(rest, until, block)?.unwrap_or(rest.len());
            let check = if header.checked && header.blocks > 1 { CHECK_SIZE } else { 0 };
            rest = rest.get(taken + check..).unwrap_or_default();
        }
        if stream.has_decoded() {
            self.decoded_any = true;
            self.vain_changes = 0;
        }
        self.source.consume(header.frame_size);
        Ok(())
    }
}

impl Decode for Adts {
    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        block.samples.clear();
        match self.find_frame()? {
            Some(header) => {
                self.decode(header, block)?;
                Ok(true)
            }
            None if self.decoded_any => Ok(false),
            None => Err(AudioError::undecodable(Kind::Adts, "no frame of it can be decoded")),
        }
    }

    fn channels(&self) -> Option<usize> {
        self.current.as_ref().and_then(|(_, stream)| stream.channels())
    }

    fn truncated(&self) -> bool {
        self.truncated
    }
}
