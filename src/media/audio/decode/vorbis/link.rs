//! Vorbis in Ogg (Vorbis I §A): headers first, then audio, and granule positions that say what of it is heard.

use std::{collections::VecDeque, mem};

use super::{
    Damaged, Refused,
    floor::Extent,
    packet::PacketDecoder,
    setup::{HeaderKind, Identification, Setup},
    stream::{self, Stream},
};
use crate::media::audio::{
    AudioError, Kind,
    decode::{
        Block, checked_channels, checked_rate,
        ogg::{self, PageEnd, Purpose},
    },
    mix::Layout,
};

/// One logical stream.
pub(in crate::media::audio::decode) struct Link {
    head: Identification,
    factor: usize,
    /// How much is heard of each channel.
    gains: Vec<f32>,
    stage: Stage,
    /// Granule position at the end of the last page.
    granule: u64,
}

/// What is there of a stream.
enum Stage {
    AwaitsComments,
    AwaitsSetup,
    /// Where the audio begins is known when its first page is.
    AwaitsAudio(Box<PacketDecoder>),
    Audio(Box<Stream>),
    /// While it goes from one to the next.
    Changing,
}

impl From<Refused> for AudioError {
    fn from(refused: Refused) -> AudioError {
        match refused {
            Refused::Damaged(reason) => AudioError::undecodable(Kind::OggVorbis, reason),
            Refused::OverLimit { limit, of } => AudioError::over_limit(format!("{limit} {of}")),
        }
    }
}

impl ogg::Link for Link {
    const KIND: Kind = Kind::OggVorbis;

    fn open(head: &[u8], purpose: Purpose) -> Result<Option<Link>, AudioError> {
        let Some(body) = HeaderKind::Identification.body(head) else { return Ok(None) };
        let head = Identification::parse(body)?;
        checked_rate(Kind::OggVorbis, head.hz)?;
        let channels = checked_channels(Kind::OggVorbis, head.channels)?;
        let factors = Layout::vorbis(channels).factors(purpose.channel);
        Ok(Some(Link {
            head,
            factor: stream::factor(&head, purpose.target),
            gains: factors.into_iter().take(head.channels).collect(),
            stage: Stage::AwaitsComments,
            granule: 0,
        }))
    }

    fn channels(&self) -> Option<usize> {
        Some(self.head.channels)
    }

    fn take_header(&mut self, packet: &[u8]) -> Result<bool, AudioError> {
        match self.stage {
            Stage::AwaitsComments => self.stage = Stage::AwaitsSetup,
            Stage::AwaitsSetup => {
                let body = HeaderKind::Setup.body(packet).ok_or(Refused::Damaged("it has no setup header"))?;
                let lines = self.head.sizes.map(|size| size / 2);
                let extent = Extent { lines, reach: lines.map(|lines| lines / self.factor) };
                let setup = Setup::parse(body, &self.gains, extent)?;
                self.stage = Stage::AwaitsAudio(Box::new(PacketDecoder::new(setup, &self.gains)));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The first page's position tells where the audio starts: if it is less than what the page holds, the beginning is not heard
    /// (§A.2). On the last page, if that is not also the first one, the end is not.
    fn begin_page(&mut self, packets: &VecDeque<Vec<u8>>, end: PageEnd) -> Result<(), AudioError> {
        let Link { head, factor, .. } = self;
        match mem::replace(&mut self.stage, Stage::Changing) {
            Stage::AwaitsAudio(decoder) => {
                let frames = stream::frames(&decoder, head.sizes, None, packets);
                let position = end.position.unwrap_or(frames);
                let start = if end.is_last { 0 } else { frames.saturating_sub(position) };
                let mut stream = Stream::new(head, *factor, *decoder, start)?;
                if end.is_last {
                    stream.cut.end = position;
                }
                self.granule = position;
                self.stage = Stage::Audio(Box::new(stream));
            }
            Stage::Audio(mut stream) => {
                let frames = stream.frames(packets);
                let expected = self.granule.saturating_add(frames);
                let position = end.position.unwrap_or(expected);
                if end.is_last {
                    let padding = expected.saturating_sub(position);
                    stream.cut.end = (stream.cut.position + frames).saturating_sub(padding);
                }
                self.granule = position;
                self.stage = Stage::Audio(stream);
            }
            other => self.stage = other,
        }
        Ok(())
    }

    fn decode(&mut self, packet: &[u8], block: &mut Block) -> bool {
        match &mut self.stage {
            // What is no audio among the audio is ignored (§4.3).
            Stage::Audio(stream) => stream.decode(packet, block) != Err(Damaged),
            _ => false,
        }
    }
}
