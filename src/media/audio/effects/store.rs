//! Samples that wait: a few seconds in memory, more than that put away, bit for bit.

use super::{AudioError, Scratch, Sink};

/// Samples that are put away or passed on at once.
const PIECE_SAMPLES: usize = 16 * 1024;
/// Samples that wait in memory, 256 KiB: 8 s at 8 kHz, so that prompts touch no disk.
const MEMORY_SAMPLES: usize = 64 * 1024;
const SAMPLE_BYTES: usize = size_of::<f32>();

/// A queue of samples of any length in constant memory.
#[derive(Default)]
pub(super) struct Store {
    /// Samples put away, which come before those in memory, and where they are.
    away: u64,
    scratch: Option<Box<dyn Scratch>>,
    memory: Vec<f32>,
    bytes: Vec<u8>,
}

impl Store {
    /// Puts samples behind those that wait.
    pub(super) fn push(&mut self, samples: &[f32], sink: &mut dyn Sink) -> Result<(), AudioError> {
        for piece in samples.chunks(PIECE_SAMPLES) {
            if MEMORY_SAMPLES < self.memory.len() + piece.len() {
                self.put_away(sink)?;
            }
            self.memory.extend_from_slice(piece);
        }
        Ok(())
    }

    fn put_away(&mut self, sink: &mut dyn Sink) -> Result<(), AudioError> {
        let scratch = match &mut self.scratch {
            Some(scratch) => scratch,
            none => none.insert(sink.scratch()?),
        };
        for piece in self.memory.chunks(PIECE_SAMPLES) {
            self.bytes.clear();
            self.bytes.extend(piece.iter().flat_map(|sample| sample.to_le_bytes()));
            scratch.append(&self.bytes).map_err(AudioError::Output)?;
        }
        self.away += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }

    /// Takes all samples out, in order and in pieces.
    pub(super) fn drain(&mut self, mut take: impl FnMut(&[f32]) -> Result<(), AudioError>) -> Result<(), AudioError> {
        if let Some(mut scratch) = self.scratch.take() {
            let mut piece = Vec::with_capacity(PIECE_SAMPLES);
            let mut at = 0;
            while at < self.away {
                let count = usize::try_from(self.away - at).unwrap_or(usize::MAX).min(PIECE_SAMPLES);
                self.bytes.resize(count * SAMPLE_BYTES, 0);
                scratch.read_at(at * SAMPLE_BYTES as u64, &mut self.bytes).map_err(AudioError::Output)?;
                piece.clear();
                piece.extend(self.bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
                take(&piece)?;
                at += count as u64;
            }
            self.away = 0;
        }
        for piece in self.memory.chunks(PIECE_SAMPLES) {
            take(piece)?;
        }
        self.memory.clear();
        Ok(())
    }
}
