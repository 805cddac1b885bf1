//! Which chunks have come from the durable tier before. Most that come once do not come again while memory has them, and need no place
//! on disk.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::ids::ChunkId;

/// Chunks that are remembered at most, in half a megabyte.
const REMEMBERED: usize = 1 << 16;

/// The chunks that came last, as far as each has kept its place: another with the same place takes it. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Twice {
    /// A part of each name, by another part of it; 0 where nothing was yet.
    marks: Arc<[AtomicU64]>,
}

impl Twice {
    pub(super) fn new() -> Twice {
        Twice { marks: (0..REMEMBERED).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Notes that a chunk came; whether it is known to have come before.
    pub(super) fn came(&self, id: &ChunkId) -> bool {
        let [place, mark, ..] = id.as_bytes().as_chunks::<8>().0 else { return true };
        let place = usize::try_from(u64::from_le_bytes(*place) % REMEMBERED as u64).unwrap_or_default();
        let mark = u64::from_le_bytes(*mark).max(1);
        self.marks.get(place).is_none_or(|known| known.swap(mark, Ordering::Relaxed) == mark)
    }
}

#[cfg(test)]
mod tests {
    use super::Twice;
    use crate::ids::ChunkId;

    #[test]
    fn what_comes_again_is_known() {
        let twice = Twice::new();
        let ids: Vec<ChunkId> = (0..100_u8).map(|number| ChunkId::of(&[number])).collect();
        assert!(ids.iter().all(|id| !twice.came(id)));
        // Few of them have the same place.
        assert!(ids.iter().filter(|id| twice.came(id)).count() > 90);
    }
}
