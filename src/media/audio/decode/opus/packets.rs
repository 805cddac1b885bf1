//! The decoder of single packets, as the identification header describes them.

use super::reduced::Reduced;
use crate::{
    media::audio::{
        AudioError, Kind,
        decode::{Block, checked_channels},
        mix::Layout,
    },
    media::format::Channel,
    units::{Channels, SampleRate},
};

/// Durations count at this rate whatever the decoder's.
pub(in crate::media::audio::decode) const GRANULE_RATE: u64 = 48_000;
/// The longest packet: 120 ms (RFC 6716 §3.2.5).
const PACKET_TICKS_MAX: usize = 5_760;

/// Decodes the packets of one stream.
pub(in crate::media::audio::decode) struct Packets {
    /// Our own decoder, as long as there is nothing but what it can do.
    reduced: Option<Box<Reduced>>,
    decoder: Decoder,
    rate: SampleRate,
    /// What `decoder` gives.
    layout: Layout,
    /// Ticks at the start that are not to be heard.
    pub(in crate::media::audio::decode) pre_skip: u64,
}

enum Decoder {
    Single(opus::Decoder),
    Multi(opus::MSDecoder),
}

impl Packets {
    /// Reads an identification header (RFC 7845 §5.1) found in an original of `kind`; `None` if it is none.
    ///
    /// `target` is the rate wanted in the end, `channel` what of the channels is heard.
    pub(in crate::media::audio::decode) fn open(
        kind: Kind,
        head: &[u8],
        target: SampleRate,
        channel: Channel,
    ) -> Result<Option<Packets>, AudioError> {
        let Some(body) = head.strip_prefix(b"OpusHead") else { return Ok(None) };
        let damaged = |reason| AudioError::undecodable(kind, reason);
        let [version, channels, skip_low, skip_high, _, _, _, _, gain_low, gain_high, family] =
            *body.first_chunk::<11>().ok_or_else(|| damaged("its header is cut short"))?;
        if version & 0xf0 != 0 {
            return Err(AudioError::unsupported("this version of Opus"));
        }
        let rate = match target.hz() {
            8_000 | 16_000 | 24_000 => target,
            _ => SampleRate::HZ_48000,
        };
        let channels = checked_channels(kind, usize::from(channels))?;
        let failed = |error: opus::Error| AudioError::undecodable(kind, error.to_string());
        let gain = i16::from_le_bytes([gain_low, gain_high]);
        let mut reduced = None;
        let (decoder, layout) = match family {
            0 if channels.count() <= 2 => {
                let side = if channels == Channels::STEREO { channel } else { Channel::Mix };
                // libopus itself mixes stereo to mono, where the mix is what is wanted.
                let (out, layout) = match side {
                    Channel::Left | Channel::Right => (opus::Channels::Stereo, Layout::vorbis(channels)),
                    Channel::Mix => (opus::Channels::Mono, Layout::MONO),
                };
                let mut decoder = opus::Decoder::new(rate.hz(), out).map_err(failed)?;
                decoder.set_gain(i32::from(gain)).map_err(failed)?;
                reduced = Reduced::new(rate, side, gain).map(Box::new);
                (Decoder::Single(decoder), layout)
            }
            1 => {
                let [streams, coupled, mapping @ ..] = body.get(11..).unwrap_or_default() else {
                    return Err(damaged("its channel mapping is cut short"));
                };
                let mapping =
                    mapping.get(..channels.count()).ok_or_else(|| damaged("its channel mapping is cut short"))?;
                let mut decoder = opus::MSDecoder::new(rate.hz(), *streams, *coupled, mapping).map_err(failed)?;
                decoder.set_gain(i32::from(gain)).map_err(failed)?;
                (Decoder::Multi(decoder), Layout::vorbis(channels))
            }
            _ => return Err(AudioError::unsupported(format!("Opus channel mapping family {family}"))),
        };
        let pre_skip = u64::from(u16::from_le_bytes([skip_low, skip_high]));
        Ok(Some(Packets { reduced, decoder, rate, layout, pre_skip }))
    }

    /// Decodes a packet into `block`, and gives what is ready of the samples so far: all but a few milliseconds, which come with the
    /// next packet or with [`Packets::finish`]. A damaged one gives silence of its length, and `false`.
    pub(in crate::media::audio::decode) fn decode(&mut self, packet: &[u8], block: &mut Block) -> bool {
        block.samples.clear();
        block.rate = self.rate;
        let lasting = Packets::ticks(packet);
        if let Some(reduced) = &mut self.reduced {
            block.layout = Layout::MONO;
            // What is malformed lasts for nothing.
            if lasting == 0 || reduced.decode(packet, &mut block.samples) {
                return lasting > 0;
            }
            if let Decoder::Single(decoder) = &mut self.decoder {
                reduced.hand_over(decoder, self.layout, &mut block.samples);
            }
            self.reduced = None;
        }
        block.layout = self.layout;
        let (begin, channels) = (block.samples.len(), self.layout.channels().count());
        let frames_max = self.frames_in(PACKET_TICKS_MAX as u64) as usize;
        block.samples.resize(begin + frames_max * channels, 0.0);
        let room = block.samples.get_mut(begin..).unwrap_or_default();
        let outcome = match (packet.is_empty(), &mut self.decoder) {
            (true, _) => None,
            (false, Decoder::Single(decoder)) => decoder.decode_float(packet, room, false).ok(),
            (false, Decoder::Multi(decoder)) => decoder.decode_float(packet, room, false).ok(),
        };
        if outcome.is_none() {
            room.fill(0.0);
        }
        let lasting = lasting * u64::from(self.rate.hz()) / GRANULE_RATE;
        let frames = outcome.unwrap_or(lasting as usize).min(frames_max);
        block.samples.truncate(begin + frames * channels);
        outcome.is_some()
    }

    /// Appends the samples of the packets so far that were not ready before.
    pub(in crate::media::audio::decode) fn finish(&mut self, block: &mut Block) {
        if let Some(reduced) = &mut self.reduced {
            block.rate = self.rate;
            block.layout = Layout::MONO;
            reduced.finish(&mut block.samples);
        }
    }

    /// Duration of a packet in ticks of 48 kHz; 0 if it is malformed.
    pub(in crate::media::audio::decode) fn ticks(packet: &[u8]) -> u64 {
        opus::packet::get_nb_samples(packet, GRANULE_RATE as u32).map_or(0, |ticks| ticks.min(PACKET_TICKS_MAX) as u64)
    }

    /// Frames of the decoder in so many ticks, rounded.
    pub(in crate::media::audio::decode) fn frames_in(&self, ticks: u64) -> u64 {
        let scaled = u128::from(ticks) * u128::from(self.rate.hz()) + u128::from(GRANULE_RATE / 2);
        u64::try_from(scaled / u128::from(GRANULE_RATE)).unwrap_or(u64::MAX)
    }
}
