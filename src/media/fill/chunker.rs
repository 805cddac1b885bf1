//! Cuts a body into chunks and names them as it passes.

use std::mem;

use crate::{
    ids::{BodyDigest, ChunkId, Sha256},
    media::cache::{CHUNK_MAX, ChunkRef, Summing},
};

/// Digests of a body that passes through in pieces of any size.
#[derive(Debug, Default)]
pub(super) struct Chunker {
    chunks: Vec<ChunkRef>,
    /// The chunk that is being filled.
    open: Sha256,
    sum: Summing,
    open_length: usize,
    /// That of the whole body, once it is more than one chunk: until then the open chunk's is the same, and is not made twice.
    body: Option<Sha256>,
    length: u64,
}

/// What a body turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Body {
    /// Its chunks in order.
    pub(super) chunks: Vec<ChunkRef>,
    /// sha256 of the whole.
    pub(super) digest: BodyDigest,
    /// Bytes.
    pub(super) length: u64,
}

impl Chunker {
    /// Takes the next bytes of the body.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len() as u64;
        while !bytes.is_empty() {
            let (part, rest) = bytes.split_at(bytes.len().min(CHUNK_MAX - self.open_length));
            self.open.update(part);
            self.sum.update(part);
            if let Some(body) = &mut self.body {
                body.update(part);
            }
            self.open_length += part.len();
            bytes = rest;
            if self.open_length == CHUNK_MAX {
                self.body.get_or_insert_with(|| self.open.clone());
                self.close();
            }
        }
    }

    fn close(&mut self) {
        let id = ChunkId::from_bytes(mem::take(&mut self.open).finish());
        // CHUNK_MAX is far below u32::MAX.
        let sum = Some(mem::take(&mut self.sum).finish());
        self.chunks.push(ChunkRef { id, length: self.open_length as u32, sum });
        self.open_length = 0;
    }

    /// The digests of all that passed.
    pub(super) fn finish(mut self) -> Body {
        let body = self.body.take().unwrap_or_else(|| self.open.clone());
        if self.open_length > 0 {
            self.close();
        }
        Body { chunks: self.chunks, digest: BodyDigest::from_bytes(body.finish()), length: self.length }
    }
}

#[cfg(test)]
mod tests;
