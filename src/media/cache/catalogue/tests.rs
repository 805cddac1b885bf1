//! The order of fills and changes of the front.

use std::sync::Arc;

use super::front::{Front, Key, Record};
use crate::{ids::ContentHash, media::cache::KeptSource, units::ByteCount};

fn record(length: u64) -> (Key, Record) {
    let content_hash = ContentHash::of(b"original");
    (Key::Kept(content_hash), Record::Kept(Arc::new(KeptSource { content_hash, length, chunks: Vec::new() })))
}

fn length(front: &Front, key: &Key) -> Option<u64> {
    front.get(key).and_then(Record::into_kept).map(|kept| kept.length)
}

#[test]
fn a_fill_that_was_overtaken_by_a_change_is_dropped() {
    let (key, old) = record(1);
    let (_, new) = record(2);
    let front = Front::new(ByteCount::mib(1));

    let before = front.generation(&key);
    front.fill(key.clone(), old.clone(), before);
    assert_eq!(length(&front, &key), Some(1));

    front.change(key.clone(), Some(new));
    front.fill(key.clone(), old.clone(), before);
    assert_eq!(length(&front, &key), Some(2));

    let before = front.generation(&key);
    front.change(key.clone(), None);
    front.fill(key.clone(), old.clone(), before);
    assert_eq!(length(&front, &key), None);

    front.fill(key.clone(), old, front.generation(&key));
    assert_eq!(length(&front, &key), Some(1));
}
