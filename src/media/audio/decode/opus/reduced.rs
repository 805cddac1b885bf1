//! Our own decoder for as long as it can do what comes, and the way from it to libopus.
//!
//! Both stand on the same samples. Before libopus takes over it decodes the last packets once more, so that its filters and energies
//! are what they would be, and gives the samples that ours had not given yet.

use std::collections::VecDeque;

use super::{
    celt::{Decoder, Mix},
    packets::{GRANULE_RATE, Packets},
};
use crate::{
    media::{audio::mix::Layout, format::Channel},
    units::SampleRate,
};

/// Ticks that libopus decodes before it takes over: by then the prediction of energies has forgotten where it began.
const PRIMING_TICKS: u64 = GRANULE_RATE / 2;
/// The header's gain is in steps of 1/256 dB, which are so many octaves of amplitude.
const OCTAVES_OF_GAIN: f64 = 6.488_140_81e-4;

/// Decodes CELT packets to one channel.
#[derive(Debug)]
pub(super) struct Reduced {
    /// Made for the first packet: streams can begin without end and have none.
    decoder: Option<Decoder>,
    rate: SampleRate,
    mix: Mix,
    gain: f64,
    /// The last packets, and their ticks.
    recent: VecDeque<Vec<u8>>,
    ticks: u64,
}

impl Reduced {
    /// A decoder to a rate, if there is one to it. `side` is what is heard of two channels, `gain` the header's.
    pub(super) fn new(rate: SampleRate, side: Channel, gain: i16) -> Option<Reduced> {
        // In a mix a channel that is the other one turned over would cancel it: libopus mixes as if it were not turned.
        let mix = match side {
            Channel::Mix => Mix { gains: [0.5, 0.5], may_invert: false },
            Channel::Left => Mix { gains: [1.0, 0.0], may_invert: true },
            Channel::Right => Mix { gains: [0.0, 1.0], may_invert: true },
        };
        let gain = (OCTAVES_OF_GAIN * f64::from(gain)).exp2();
        Decoder::is_for(rate.hz()).then(|| Reduced {
            decoder: None,
            rate,
            mix,
            gain,
            recent: VecDeque::new(),
            ticks: 0,
        })
    }

    /// Decodes a packet and appends what is ready; `false`, and nothing, if it is for libopus.
    pub(super) fn decode(&mut self, packet: &[u8], samples: &mut Vec<f32>) -> bool {
        if self.decoder.is_none() {
            self.decoder = Decoder::new(self.rate.hz(), self.mix, self.gain);
        }
        let is_done = self.decoder.as_mut().is_some_and(|decoder| decoder.decode(packet, samples).is_ok());
        if is_done {
            self.remember(packet);
        }
        is_done
    }

    /// Appends what was not ready.
    pub(super) fn finish(&mut self, samples: &mut Vec<f32>) {
        if let Some(decoder) = &mut self.decoder {
            decoder.finish(samples);
        }
    }

    fn remember(&mut self, packet: &[u8]) {
        self.ticks += Packets::ticks(packet);
        let mut kept = Vec::new();
        while let Some(oldest) = self.recent.front()
            && let Some(rest) = self.ticks.checked_sub(Packets::ticks(oldest)).filter(|rest| PRIMING_TICKS <= *rest)
        {
            self.ticks = rest;
            kept = self.recent.pop_front().unwrap_or_default();
        }
        kept.clear();
        kept.extend_from_slice(packet);
        self.recent.push_back(kept);
    }

    /// Brings libopus to where this decoder is, and appends what that had not given out, in the layout of libopus.
    pub(super) fn hand_over(&self, libopus: &mut opus::Decoder, layout: Layout, samples: &mut Vec<f32>) {
        let channels = layout.channels().count();
        let mut primed = Vec::new();
        for packet in &self.recent {
            let begin = primed.len();
            let frames = Packets::ticks(packet) * u64::from(self.rate.hz()) / GRANULE_RATE;
            primed.resize(begin + frames as usize * channels, 0.0);
            // What our decoder has done libopus can do; if not, there is silence.
            if libopus.decode_float(packet, primed.get_mut(begin..).unwrap_or_default(), false).is_err() {
                break;
            }
        }
        let late = self.decoder.as_ref().map_or(0, Decoder::late);
        let due = (late * channels).min(primed.len());
        samples.extend_from_slice(primed.get(primed.len() - due..).unwrap_or_default());
    }
}
