//! The upper tiers by themselves, without the lock on the data directory: for tasks that may outlive the cache by a moment. Nothing that
//! they read is promoted, or counted as a hit.

use std::{collections::VecDeque, io};

use bytes::Bytes;
use futures_util::stream;

use super::{
    ChunkRef,
    disk::{Disk, Found},
    durable::ObjectBytes,
    memory::Memory,
};
use crate::ids::ChunkId;

/// Memory and disk. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Local {
    pub(super) memory: Memory,
    pub(super) disk: Option<Disk>,
}

impl Local {
    /// Keeps a chunk that came from the durable tier: in memory, and on disk if it `is_asked_again` and the disk is not busy.
    pub(super) fn promote(&self, id: ChunkId, bytes: Bytes, is_asked_again: bool) {
        let entry = self.memory.insert(id, bytes);
        if let Some(disk) = self.disk.as_ref().filter(|_| is_asked_again) {
            disk.write_again(id, &entry);
        }
    }

    /// A chunk, if it is there and is what its name says.
    pub(super) async fn chunk(&self, id: &ChunkId) -> Option<Bytes> {
        if let Some(entry) = self.memory.get(id) {
            return Some(entry.value().clone());
        }
        match self.disk.as_ref()?.read(id).await {
            Found::Unwritten(bytes) | Found::Verified { bytes, .. } => Some(bytes),
            Found::Nothing => None,
        }
    }

    /// Chunks one behind the other, each read when its turn comes. One that is lost is an error.
    pub(super) fn body(&self, chunks: Vec<ChunkRef>) -> ObjectBytes<io::Error> {
        let start = (self.clone(), VecDeque::from(chunks));
        Box::pin(stream::try_unfold(start, |(local, mut left)| async move {
            let Some(chunk) = left.pop_front() else { return Ok(None) };
            match local.chunk(&chunk.id).await {
                Some(bytes) => Ok(Some((bytes, (local, left)))),
                None => Err(io::Error::other("a chunk was evicted")),
            }
        }))
    }
}
