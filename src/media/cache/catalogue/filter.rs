//! Which records there may be (a blocked Bloom filter): most of what is looked up for a miss is not there, and to be told so need not cost a
//! read of the file, which changes threads.
//!
//! The writer adds a key before it commits the record, and nothing is ever taken out: what the filter does not have is not in the file,
//! and neither is anything about it in the outbox. It is filled from the file's indices in the background, at the start and whenever it has become
//! crowded; until it is full it answers that everything may be there.

use std::sync::{
    Arc, PoisonError, RwLock, RwLockReadGuard,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::Notify;
use twox_hash::XxHash3_128;

use super::front::Key;

/// Bits that a key sets, all in one block.
const PROBES: u32 = 6;
/// Words of a block: a line of the processor's cache.
const BLOCK_WORDS: usize = 8;
/// Bits for each key that there is room for: about one in two hundred that are not there is taken for one that may be.
const BITS_PER_KEY: usize = 12;
/// Room for keys at least.
const KEYS_MIN: usize = 1 << 16;
/// Room for keys at most, in 96 MiB, and while it is filled anew twice that: beyond, more and more of what is not there is looked up.
const KEYS_MAX: usize = 1 << 26;

/// The filter of a catalogue. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    bits: Arc<RwLock<Both>>,
    /// Told when it has become crowded.
    crowded: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Both {
    /// Knows every key.
    full: Option<Arc<Bits>>,
    /// Is being filled.
    filling: Option<Arc<Bits>>,
}

impl Filter {
    /// Whether there may be a record. **Cost**: a line of memory.
    pub(super) fn may_have(&self, key: &Key) -> bool {
        self.read().full.as_ref().is_none_or(|bits| bits.may_have(hash(key)))
    }

    /// For the writer, before it commits.
    pub(super) fn add<'a>(&self, keys: impl Iterator<Item = &'a Key>) {
        let both = self.read();
        for key in keys {
            both.full.iter().chain(&both.filling).for_each(|bits| bits.add(hash(key)));
        }
        if both.filling.is_none() && both.full.as_ref().is_some_and(|bits| bits.is_crowded()) {
            self.crowded.notify_one();
        }
    }

    /// Waits until it is to be filled anew.
    pub(super) async fn crowded(&self) {
        // It may have been told before it was filled last.
        while !self.read().full.as_ref().is_some_and(|bits| bits.is_crowded()) {
            self.crowded.notified().await;
        }
    }

    /// Begins to fill one with room for twice as many keys. What is committed from now on is in it; what was before is to be added.
    pub(super) fn begin(&self, keys: u64) -> Arc<Bits> {
        let bits = Arc::new(Bits::with_room(usize::try_from(keys).unwrap_or(KEYS_MAX).saturating_mul(2)));
        self.write(|both| both.filling = Some(Arc::clone(&bits)));
        bits
    }

    /// The one that is being filled has all.
    pub(super) fn finish(&self) {
        self.write(|both| {
            if let Some(bits) = both.filling.take() {
                both.full = Some(bits);
            }
        });
    }

    /// It cannot be filled now.
    pub(super) fn give_up(&self) {
        self.write(|both| both.filling = None);
    }

    fn read(&self) -> RwLockReadGuard<'_, Both> {
        self.bits.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, change: impl FnOnce(&mut Both)) {
        change(&mut self.bits.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// One filter.
#[derive(Debug)]
pub(super) struct Bits {
    blocks: Box<[[AtomicU64; BLOCK_WORDS]]>,
    room: u64,
    added: AtomicU64,
}

impl Bits {
    fn with_room(keys: usize) -> Bits {
        let keys = keys.clamp(KEYS_MIN, KEYS_MAX);
        let blocks = (keys * BITS_PER_KEY).div_ceil(BLOCK_WORDS * 64);
        Bits {
            blocks: (0..blocks).map(|_| Default::default()).collect(),
            room: if keys == KEYS_MAX { u64::MAX } else { keys as u64 },
            added: AtomicU64::new(0),
        }
    }

    /// Adds a key by its hash.
    pub(super) fn add(&self, hash: u64) {
        let is_new = self.places(hash).fold(false, |is_new, (word, bit)| {
            // Looked at first: what is there already leaves the line to all who read it.
            is_new | (word.load(Ordering::Relaxed) & bit == 0 && word.fetch_or(bit, Ordering::Release) & bit == 0)
        });
        self.added.fetch_add(u64::from(is_new), Ordering::Relaxed);
    }

    fn may_have(&self, hash: u64) -> bool {
        self.places(hash).all(|(word, bit)| word.load(Ordering::Acquire) & bit != 0)
    }

    fn is_crowded(&self) -> bool {
        self.room < self.added.load(Ordering::Relaxed)
    }

    fn places(&self, hash: u64) -> impl Iterator<Item = (&AtomicU64, u64)> {
        let block = (u128::from(hash) * self.blocks.len() as u128) >> 64;
        let block = self.blocks.get(block as usize);
        // Other bits than those that choose the block.
        let mut rest = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (0..PROBES).filter_map(move |_| {
            let place = rest as usize % (BLOCK_WORDS * 64);
            rest >>= 9;
            Some((block?.get(place / 64)?, 1 << (place % 64)))
        })
    }
}

/// Keys are digests already; kinds must not be taken for one another, and neither may tenants: what is another's takes the look-ups of what is
/// nobody's.
pub(super) fn hash(key: &Key) -> u64 {
    let (kind, tenant, digest) = match key {
        Key::Source(tenant, key) => (Kind::Source, tenant.as_str(), key.as_bytes()),
        Key::Reference(tenant, artifact) => (Kind::Reference, tenant.as_str(), artifact.as_bytes()),
        Key::Manifest(artifact) => (Kind::Manifest, "", artifact.as_bytes()),
        Key::Kept(hash) => (Kind::Kept, "", hash.as_bytes()),
        Key::Responses(key) => (Kind::Responses, "", key.as_bytes()),
    };
    hash_of(kind, tenant, digest)
}

/// The kind of a record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Source = 1,
    Reference,
    Manifest,
    Kept,
    Responses,
}

/// The same, by the kind, and by the tenant where it is of one.
pub(super) fn hash_of(kind: Kind, tenant: &str, digest: &[u8; 32]) -> u64 {
    let first = digest.first_chunk().copied().map_or(0, u64::from_le_bytes);
    let whose = XxHash3_128::oneshot_with_seed(kind as u64, tenant.as_bytes()) as u64;
    (first ^ whose).wrapping_mul(0xff51_afd7_ed55_8ccd) ^ first.rotate_left(32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ContentHash;

    fn key(number: u32) -> Key {
        Key::Kept(ContentHash::of(&number.to_le_bytes()))
    }

    #[test]
    fn what_was_added_is_there_and_little_else() {
        let filter = Filter::default();
        assert!(filter.may_have(&key(1)), "nothing is known yet");
        let bits = filter.begin(0);
        let room = KEYS_MIN as u32;
        // Half by who fills it, half by the writer.
        (0..room / 2).for_each(|number| bits.add(hash(&key(number))));
        let keys: Vec<Key> = (room / 2..room).map(key).collect();
        filter.add(keys.iter());
        assert!(filter.may_have(&key(room)), "it is not full yet");
        filter.finish();
        assert!((0..room).all(|number| filter.may_have(&key(number))));
        let wrong = (room..2 * room).filter(|number| filter.may_have(&key(*number))).count();
        assert!(wrong < KEYS_MIN / 120, "{wrong} of {KEYS_MIN}");
        let kinds = [Kind::Source, Kind::Reference, Kind::Manifest, Kind::Kept, Kind::Responses];
        let of = |tenant| kinds.map(|kind| hash_of(kind, tenant, ContentHash::of(b"a").as_bytes())).into_iter();
        let all: Vec<u64> = of("").chain(of("a")).chain(of("b")).collect();
        assert!(all.iter().enumerate().all(|(at, hash)| !all[..at].contains(hash)));
    }

    #[test]
    fn a_crowded_one_says_so_and_serves_until_another_is_full() {
        let filter = Filter::default();
        filter.begin(0);
        filter.finish();
        let keys: Vec<Key> = (0..KEYS_MIN as u32 + 2000).map(key).collect();
        filter.add(keys.iter());
        assert!(filter.read().full.as_ref().unwrap().is_crowded());
        let bits = filter.begin(keys.len() as u64);
        filter.add([key(u32::MAX)].iter());
        keys.iter().for_each(|key| bits.add(hash(key)));
        assert!(filter.may_have(&key(u32::MAX)) && filter.may_have(&keys[0]));
        filter.finish();
        assert!(keys.iter().all(|key| filter.may_have(key)) && filter.may_have(&key(u32::MAX)));
        assert!(!filter.read().full.as_ref().unwrap().is_crowded());
    }
}
