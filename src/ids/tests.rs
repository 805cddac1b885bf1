use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use rand::SeedableRng as _;

use super::{ArtifactId, BodyDigest, ChunkId, ContentHash, RandomId, Sha256, SourceKey, Tenant};

/// sha256 of "abc": FIPS 180-4's own example.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn a_digest_is_the_sha256_in_lower_case() {
    assert_eq!(BodyDigest::of(b"abc").to_string(), ABC);
    assert_eq!(ContentHash::of(b"abc").to_string(), ABC);
    assert_eq!(ArtifactId::of(b"abc").to_string(), ABC);
    assert_eq!(ChunkId::of(b"abc").to_string(), ABC);
    assert_eq!(SourceKey::of(b"abc").to_string(), ABC);
    assert_eq!(format!("{:?}", ChunkId::of(b"abc")), ABC);
    let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(BodyDigest::of(b"").to_string(), nothing);
}

#[test]
fn a_digest_has_one_spelling() {
    assert_eq!(ABC.parse::<ArtifactId>(), Ok(ArtifactId::of(b"abc")));
    let (short, long) = (&ABC[1..], format!("{ABC}0"));
    let upper = ABC.to_uppercase();
    let odd = ["", short, &long, &upper, &ABC.replace('b', "g"), &ABC.replace('b', "B"), &format!(" {short}")];
    for text in odd {
        assert!(text.parse::<ArtifactId>().is_err(), "{text:?}");
    }
    // As many bytes as there should be, some of them halves of a character.
    assert!("é".repeat(32).parse::<ArtifactId>().is_err());
    // The neighbours of the digits in ASCII.
    for neighbour in ['/', ':', '`', 'g', '@', 'G'] {
        assert!(format!("{neighbour}{short}").parse::<ArtifactId>().is_err(), "{neighbour}");
    }
}

#[test]
fn a_digest_is_written_down_as_its_text() {
    let id = ArtifactId::of(b"abc");
    let text = serde_json::to_string(&id).unwrap();
    assert_eq!(text, format!("\"{ABC}\""));
    assert_eq!(serde_json::from_str::<ArtifactId>(&text).unwrap(), id);
    assert!(serde_json::from_str::<ArtifactId>(&text.to_uppercase()).is_err());
    assert!(serde_json::from_str::<ArtifactId>("7").is_err());
}

#[test]
fn random_ids_have_32_digits_even_when_they_are_small() {
    let small = format!("{:032x}", 7);
    assert_eq!(small.parse::<RandomId>().unwrap().to_string(), small);
    let all = "f".repeat(32);
    assert_eq!(all.parse::<RandomId>().unwrap().to_string(), all);
    let upper = "F".repeat(32);
    for text in ["", "7", &small[1..], &upper, "+0000000000000000000000000000007", "é0000000000000000000000000000007"]
    {
        assert!(text.parse::<RandomId>().is_err(), "{text:?}");
    }
}

#[test]
fn the_tenant_of_a_node_without_accounts_is_default() {
    let tenant = Tenant::default_tenant();
    assert_eq!((tenant.as_str(), tenant.to_string().as_str()), ("default", "default"));
}

proptest! {
    #[test]
    fn digests_are_read_back(bytes in any::<[u8; 32]>()) {
        let id = ChunkId::from_bytes(bytes);
        let text = id.to_string();
        prop_assert!(text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')));
        prop_assert_eq!(text.parse::<ChunkId>().map(|id| *id.as_bytes()), Ok(bytes));
    }

    /// Text that reads as a name is that name's text: what is looked up is what was asked for.
    #[test]
    fn whatever_is_read_is_printed_the_same(text in "[0-9a-fA-F]{62,66}|.{0,70}") {
        if let Ok(id) = text.parse::<ArtifactId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn random_ids_are_read_back(seed in any::<u64>()) {
        let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
        let (id, next) = (RandomId::draw(&mut rng), RandomId::draw(&mut rng));
        prop_assert_eq!(id.to_string().parse::<RandomId>(), Ok(id));
        prop_assert_eq!(id.to_string().into_bytes(), id.to_hex().to_vec());
        prop_assert!(id != next);
    }
}

proptest! {
    /// By the other library, however the bytes are cut.
    #[test]
    fn a_digest_in_pieces_is_that_of_the_whole(bytes: Vec<u8>, cuts in proptest::collection::vec(0_usize..200, 0..9)) {
        use sha2::Digest as _;
        let right: [u8; 32] = sha2::Sha256::digest(&bytes).into();
        let (mut digest, mut left) = (Sha256::new(), bytes.as_slice());
        for cut in cuts {
            let (piece, rest) = left.split_at(cut.min(left.len()));
            digest.update(piece);
            left = rest;
        }
        prop_assert_eq!(digest.with(left).finish(), right);
        prop_assert_eq!(Sha256::of(&bytes), right);
    }
}
