use proptest::prelude::{any, prop, prop_assert_eq, proptest};

use super::{Body, Chunker};
use crate::{
    ids::{BodyDigest, ChunkId},
    media::cache::{CHUNK_MAX, Checksum, ChunkRef},
};

/// What the definition says: `CHUNK_MAX` bytes each, the last one what is left.
fn by_definition(bytes: &[u8]) -> Body {
    Body {
        chunks: bytes
            .chunks(CHUNK_MAX)
            .map(|chunk| ChunkRef {
                id: ChunkId::of(chunk),
                length: u32::try_from(chunk.len()).unwrap(),
                sum: Some(Checksum::of(chunk)),
            })
            .collect(),
        digest: BodyDigest::of(bytes),
        length: bytes.len() as u64,
    }
}

fn chunked<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Body {
    let mut chunker = Chunker::default();
    for piece in pieces {
        chunker.update(piece);
    }
    chunker.finish()
}

/// Bytes that differ from chunk to chunk, so that no two of them have one name.
fn bytes(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8 ^ (index / CHUNK_MAX) as u8 ^ seed).collect()
}

#[test]
fn nothing_has_no_chunks() {
    let nothing = by_definition(b"");
    assert_eq!((nothing.chunks.len(), nothing.length), (0, 0));
    assert_eq!(chunked([]), nothing);
    assert_eq!(chunked([b"".as_slice(), b""]), nothing);
}

#[test]
fn a_chunk_ends_exactly_at_its_limit() {
    for (length, chunks) in
        [(1, 1), (CHUNK_MAX - 1, 1), (CHUNK_MAX, 1), (CHUNK_MAX + 1, 2), (2 * CHUNK_MAX, 2), (3 * CHUNK_MAX + 7, 4)]
    {
        let bytes = bytes(length, 0);
        let body = chunked([bytes.as_slice()]);
        assert_eq!(body.chunks.len(), chunks, "{length}");
        assert_eq!(body, by_definition(&bytes), "{length}");
    }
}

#[test]
fn equal_chunks_have_one_name() {
    let silence = vec![0xFF; 3 * CHUNK_MAX];
    let body = chunked([silence.as_slice()]);
    assert_eq!(body.chunks.len(), 3);
    assert!(body.chunks.iter().all(|chunk| chunk.id == body.chunks[0].id));
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]

    /// However a body arrives, it is named the same.
    #[test]
    fn pieces_change_no_name(
        length in 0..3 * CHUNK_MAX,
        seed in any::<u8>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let bytes = bytes(length, seed);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(length + 1)).collect();
        cuts.sort_unstable();
        let starts = std::iter::once(0).chain(cuts.iter().copied());
        let ends = cuts.iter().copied().chain([length]);
        let pieces = starts.zip(ends).map(|(start, end)| &bytes[start..end]);
        prop_assert_eq!(chunked(pieces), by_definition(&bytes));
    }
}
