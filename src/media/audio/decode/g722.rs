//! G.722 at 64 kbit/s (ITU-T G.722, clause 4): a byte is two samples at 16 kHz.

use super::{Block, Decode, pcm::from_i16};
use crate::{
    media::audio::{
        AudioError,
        g722::{Higher, Lower, TAPS, phases},
        mix::Layout,
        source::Source,
    },
    units::SampleRate,
};

/// Bytes of a block: 40 ms.
const BLOCK_BYTES: usize = 320;

/// Decodes the bytes of one stream, in pieces of any size.
#[derive(Debug)]
pub(in crate::media::audio) struct Decoder {
    lower: Lower,
    higher: Higher,
    /// Sums and differences of the bands in turn, oldest first: those that the next sample needs and those of the piece.
    history: Vec<i16>,
}

impl Decoder {
    pub(in crate::media::audio) fn new() -> Decoder {
        Decoder { lower: Lower::new(), higher: Higher::new(), history: vec![0; TAPS - 2] }
    }

    /// Appends two samples for each byte. The sound is 22 samples late against what was encoded, and both ends expect it so.
    pub(in crate::media::audio) fn decode(&mut self, bytes: &[u8], samples: &mut Vec<i16>) {
        for byte in bytes {
            let lower = self.lower.sample(*byte);
            self.lower.follow(*byte);
            let higher = self.higher.follow(byte >> 6);
            // Two samples of 15 bits: these fit into 16.
            self.history.extend([(lower + higher) as i16, (lower - higher) as i16]);
        }
        let windows = self.history.array_windows().step_by(2);
        samples.extend(windows.flat_map(|window| {
            let [even, odd] = phases(window);
            [odd, even].map(|sum| (sum >> 11).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16)
        }));
        self.history.drain(..2 * bytes.len());
    }
}

/// Opens the bytes that begin where the source stands and go on to its end.
pub(super) fn open(source: Source) -> Box<dyn Decode> {
    Box::new(G722 { source, decoder: Decoder::new(), bytes: vec![0; BLOCK_BYTES], samples: Vec::new() })
}

struct G722 {
    source: Source,
    decoder: Decoder,
    bytes: Vec<u8>,
    samples: Vec<i16>,
}

impl Decode for G722 {
    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        block.rate = SampleRate::HZ_16000;
        block.layout = Layout::MONO;
        block.samples.clear();
        self.samples.clear();
        let read = self.source.read_full(&mut self.bytes)?;
        self.decoder.decode(self.bytes.get(..read).unwrap_or_default(), &mut self.samples);
        block.samples.extend(self.samples.iter().map(|sample| from_i16(*sample)));
        Ok(read > 0)
    }

    fn truncated(&self) -> bool {
        self.source.ends_short()
    }
}
