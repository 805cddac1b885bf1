//! What symphonia demuxes and decodes: ADPCM, and what of MP4 is neither AAC nor FLAC. Its readers are called directly; its probe, which reads
//! to the end and keeps pictures, is not.

use std::{
    io::{self, Read, Seek, SeekFrom},
    time::Duration,
};

use symphonia::{
    core::{
        audio::Channels as Positions,
        codecs::audio::{AudioDecoder, AudioDecoderOptions},
        errors::Error,
        formats::{FormatReader, Track, TrackType},
        io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions},
        packet::Packet,
    },
    default::get_codecs,
};

use super::{Block, Decode, checked_channels, checked_rate};
use crate::media::audio::{
    AudioError, Kind,
    mix::{Layout, wave_speaker},
    source::{Tap, Watch},
};

/// Damaged packets one after another that are played as silence before the rest is given up.
const DAMAGED_MAX: u32 = 500;
/// Most frames that a packet of any codec here decodes to.
const PACKET_FRAMES_MAX: u64 = 65_536;

/// An original as symphonia reads it.
pub(super) struct Fed {
    tap: Tap,
    /// Its length, where it may be read in any order.
    seekable: Option<u64>,
}

impl Fed {
    pub(super) fn streamed(tap: Tap) -> Fed {
        Fed { tap, seekable: None }
    }

    pub(super) fn whole(tap: Tap, length: u64) -> Fed {
        Fed { tap, seekable: Some(length) }
    }

    pub(super) fn into_stream(self) -> MediaSourceStream<'static> {
        MediaSourceStream::new(Box::new(self), MediaSourceStreamOptions::default())
    }
}

impl Read for Fed {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.tap.read(room)
    }
}

impl Seek for Fed {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let Some(length) = self.seekable else { return Err(io::ErrorKind::Unsupported.into()) };
        match to {
            SeekFrom::End(back) => self.tap.seek(SeekFrom::Start(length.saturating_add_signed(back))),
            other => self.tap.seek(other),
        }
    }
}

impl MediaSource for Fed {
    fn is_seekable(&self) -> bool {
        self.seekable.is_some()
    }

    fn byte_len(&self) -> Option<u64> {
        self.seekable
    }
}

/// What of the decoded audio is to be heard, in ticks of `ticks_per_second`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) length: Option<u64>,
    pub(super) ticks_per_second: u32,
}

/// A symphonia reader and its decoder, and what is known about the stream.
pub(super) struct Foreign {
    kind: Kind,
    reader: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    watch: Watch,
    /// Cut in the middle of the audio: lengths in frames once the rate is known.
    span: Option<Span>,
    skip: u64,
    left: Option<u64>,
    declared_frames: Option<u64>,
    declared: Option<Duration>,
    frames: u64,
    damaged: u32,
    last_packet_frames: u64,
    truncated: bool,
}

/// What [`Foreign::open`] needs besides the reader.
pub(super) struct Stream {
    pub(super) kind: Kind,
    pub(super) watch: Watch,
    /// The track to decode; the first audio track where none is named.
    pub(super) track: Option<u32>,
    pub(super) span: Option<Span>,
    /// Frames that the header says the decoder will give.
    pub(super) declared_frames: Option<u64>,
    pub(super) declared: Option<Duration>,
}

impl Stream {
    pub(super) fn new(kind: Kind, watch: Watch) -> Stream {
        Stream { kind, watch, track: None, span: None, declared_frames: None, declared: None }
    }
}

impl Foreign {
    pub(super) fn open(stream: Stream, reader: Box<dyn FormatReader>) -> Result<Box<dyn Decode>, AudioError> {
        let (track, decoder) = make_decoder(&stream, &*reader)?;
        Ok(Box::new(Foreign {
            kind: stream.kind,
            reader,
            decoder,
            track,
            watch: stream.watch,
            span: stream.span,
            skip: 0,
            left: None,
            declared_frames: stream.declared_frames,
            declared: stream.declared,
            frames: 0,
            damaged: 0,
            last_packet_frames: 0,
            truncated: false,
        }))
    }

    /// A new stream begins in the old one.
    fn restart(&mut self) -> Result<(), AudioError> {
        let stream = Stream::new(self.kind, self.watch.clone());
        let (track, decoder) = make_decoder(&stream, &*self.reader)?;
        self.track = track;
        self.decoder = decoder;
        self.declared_frames = None;
        Ok(())
    }

    fn count_damage(&mut self) -> Result<(), AudioError> {
        self.damaged += 1;
        if self.damaged > DAMAGED_MAX {
            return Err(AudioError::undecodable(self.kind, "too much of it in a row is damaged"));
        }
        Ok(())
    }

    fn end(&mut self, by_error: bool) -> Result<bool, AudioError> {
        self.truncated = self.declared_frames.map_or(by_error, |declared| self.frames < declared);
        // Headers and then an orderly end are an empty clip, which is audio; anything else without a frame is not.
        if self.frames == 0 && (by_error || self.damaged > 0) {
            return Err(AudioError::undecodable(self.kind, "no part of it can be decoded"));
        }
        Ok(false)
    }

    fn decode(&mut self, packet: &Packet, block: &mut Block) -> Result<(), AudioError> {
        match self.decoder.decode(packet) {
            Ok(decoded) => {
                let spec = decoded.spec();
                block.rate = checked_rate(self.kind, spec.rate())?;
                block.layout = layout(self.kind, spec.channels())?;
                decoded.copy_to_vec_interleaved(&mut block.samples);
                self.damaged = 0;
                self.last_packet_frames = block.frames() as u64;
                if let Some(span) = self.span.take() {
                    let (rate, ticks_per_second) = (block.rate.hz(), span.ticks_per_second);
                    self.skip = scale(span.start, rate, ticks_per_second);
                    self.left = span.length.map(|ticks| scale(ticks, rate, ticks_per_second));
                }
            }
            Err(Error::DecodeError(_) | Error::IoError(_)) if self.frames > 0 => {
                self.count_damage()?;
                // Silence as long as the packet before keeps the time of what follows.
                let samples = self.last_packet_frames.min(PACKET_FRAMES_MAX) as usize * block.layout.channels().count();
                block.samples.resize(samples, 0.0);
            }
            Err(Error::DecodeError(_) | Error::IoError(_)) => self.count_damage()?,
            Err(Error::ResetRequired) => self.restart()?,
            Err(error) => return Err(translate(self.kind, &self.watch, &error)),
        }
        self.frames += block.frames() as u64;
        Ok(())
    }

    /// Cuts the block to the span that is to be heard.
    fn cut(&mut self, block: &mut Block) {
        let channels = block.layout.channels().count();
        let skipped = self.skip.min(block.frames() as u64);
        if skipped > 0 {
            self.skip -= skipped;
            block.samples.drain(..skipped as usize * channels);
        }
        if let Some(left) = &mut self.left {
            let kept = (*left).min(block.frames() as u64);
            *left -= kept;
            block.samples.truncate(kept as usize * channels);
        }
    }
}

impl Decode for Foreign {
    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        block.samples.clear();
        match self.reader.next_packet() {
            Ok(Some(packet)) => {
                if packet.track_id == self.track {
                    self.watch.progressed();
                    self.decode(&packet, block)?;
                    self.cut(block);
                }
                Ok(true)
            }
            Ok(None) => self.end(false),
            Err(Error::ResetRequired) => {
                self.restart()?;
                Ok(true)
            }
            Err(Error::IoError(error)) => match self.watch.take_fault() {
                Some(fault) => Err(fault),
                None if error.kind() == io::ErrorKind::UnexpectedEof => self.end(true),
                None => Err(AudioError::undecodable(self.kind, error.to_string())),
            },
            Err(Error::DecodeError(_)) => {
                self.count_damage()?;
                Ok(true)
            }
            Err(error) => Err(translate(self.kind, &self.watch, &error)),
        }
    }

    fn declared(&self) -> Option<Duration> {
        self.declared
    }

    fn truncated(&self) -> bool {
        self.truncated
    }
}

fn make_decoder(stream: &Stream, reader: &dyn FormatReader) -> Result<(u32, Box<dyn AudioDecoder>), AudioError> {
    let track = match stream.track {
        Some(id) => reader.tracks().iter().find(|track| track.id == id),
        None => reader.first_track(TrackType::Audio),
    };
    let track: &Track = track.ok_or_else(|| AudioError::undecodable(stream.kind, "it has no audio track"))?;
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let parameters = parameters.ok_or_else(|| AudioError::unsupported("the codec of the audio track"))?;
    if let Some(rate) = parameters.sample_rate {
        checked_rate(stream.kind, rate)?;
    }
    if let Some(channels) = &parameters.channels {
        checked_channels(stream.kind, channels.count())?;
    }
    let decoder = get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|error| translate(stream.kind, &stream.watch, &error))?;
    Ok((track.id, decoder))
}

/// What symphonia says, in our terms; failures of the input come first.
pub(super) fn translate(kind: Kind, watch: &Watch, error: &Error) -> AudioError {
    if let Some(fault) = watch.take_fault() {
        return fault;
    }
    match error {
        Error::Unsupported(what) => AudioError::unsupported((*what).to_owned()),
        Error::LimitError(what) => AudioError::over_limit((*what).to_owned()),
        other => AudioError::undecodable(kind, other.to_string()),
    }
}

fn layout(kind: Kind, channels: &Positions) -> Result<Layout, AudioError> {
    let count = checked_channels(kind, channels.count())?;
    let Positions::Positioned(positions) = channels else { return Ok(Layout::wave_default(count)) };
    let bits = (0..u64::BITS).filter(|bit| positions.bits() & (1 << bit) != 0);
    Ok(Layout::of(bits.map(wave_speaker)).unwrap_or_else(|| Layout::wave_default(count)))
}

/// `ticks` of one clock as ticks of another, rounded.
pub(super) fn scale(ticks: u64, to: u32, from: u32) -> u64 {
    let from = u128::from(from.max(1));
    u64::try_from((u128::from(ticks) * u128::from(to) + from / 2) / from).unwrap_or(u64::MAX)
}
