#![allow(clippy::indexing_slicing, reason = "in a test a panic is the answer")]

use std::{fmt::Write as _, io::Write as _};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{Config, Key, Pair, PairError, Signing, Standing, hmac};
use crate::problem::{ConfigProblems, Kind};

const REST: &str = "/rate:16000/aHR0cDovL2EvYg.wav";

fn pair(id: Option<&str>, fill: u8) -> Pair {
    Pair::unchecked(id, &[fill; 32], &[fill, 1, 2])
}

fn signing(pairs: &[Pair]) -> Signing {
    Signing::of(pairs, true, 32)
}

/// A `/fetch` path signed by the first of these pairs.
fn signed(pairs: &[Pair], rest: &str) -> String {
    signing(pairs).sign(&format!("/fetch/_{rest}")).unwrap()
}

/// `spec/wire.md` §7.
#[test]
fn the_public_vector() {
    let pair = Pair::unchecked(None, b"secret", b"hello");
    let rest = "/rs:fill:300:400:0/g:sm/aHR0cDovL2V4YW1w/bGUuY29tL2ltYWdl/cy9jdXJpb3NpdHku/anBn.png";
    let expected = "oKfUtW34Dvo2BGQehJFR4Nr0_rIjOtdtzJ3QFsUcXH8";
    let key = Key { id: None, hmac: hmac::Key::new(hmac::HMAC_SHA256, pair.key()), salt: pair.salt().to_vec() };
    assert_eq!(URL_SAFE_NO_PAD.encode(key.mac("fetch", rest)), expected);
    let signing = signing(&[pair]);
    assert_eq!(signing.sign(&format!("/fetch/_{rest}")).unwrap(), format!("/fetch/{expected}{rest}"));
    assert_eq!(signing.standing(&format!("/fetch/{expected}{rest}")), Standing::Signed);
}

#[test]
fn what_is_signed_is_the_path_as_it_was_received() {
    let pairs = [pair(None, 1)];
    let signing = signing(&pairs);
    let path = signed(&pairs, "/-/plain/http%3A%2F%2Fa%2Fb.wav");
    assert_eq!(signing.standing(&path), Standing::Signed);
    // What players append is no part of it, and of nothing else either.
    assert_eq!(signing.standing(&format!("{path}?a=b/c.d")), Standing::Signed);
    for other in [
        path.replace("%3A", "%3a"),
        path.replace("%3A", ":"),
        path.replace("/-/", "//-/"),
        path.replace("/-/", "/gain:0/"),
        path.replace(".wav", ".WAV"),
        format!("{path}/"),
        path.replace("/fetch/", "/fetch//"),
        path.replace("/fetch/", "/say/"),
        path.replace("/fetch/", "/fetc/"),
    ] {
        assert_eq!(signing.standing(&other), Standing::Refused, "{other}");
    }
}

#[test]
fn every_changed_byte_is_refused() {
    let pairs = [pair(None, 1)];
    let signing = signing(&pairs);
    let path = signed(&pairs, REST);
    for at in "/fetch/".len()..path.len() {
        for flip in [1, 2, 4, 8, 16, 32, 64] {
            let mut bytes = path.clone().into_bytes();
            bytes[at] ^= flip;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            // A question mark ends the path: what is left of it is another one.
            assert_eq!(signing.standing(&changed), Standing::Refused, "{changed}");
        }
        assert_eq!(signing.standing(&path[..at]), Standing::Refused, "{}", &path[..at]);
    }
}

#[test]
fn a_signature_has_one_spelling_and_its_full_length() {
    let pairs = [pair(None, 1)];
    let path = signed(&pairs, REST);
    let signature = path.split('/').nth(2).unwrap();
    let with = |other: &str| path.replace(signature, other);
    // The last character has two spare bits.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for spare in alphabet.chars().filter(|other| *other != last) {
        let other = format!("{}{spare}", &signature[..42]);
        assert_eq!(signing(&pairs).standing(&with(&other)), Standing::Refused, "{other}");
    }
    let standard = signature.replace('-', "+").replace('_', "~");
    for other in [
        "",
        "_",
        "unsafe",
        "A",
        &"A".repeat(43),
        &"A".repeat(44),
        &"A".repeat(5_000),
        &signature[..22],
        &format!("{signature}="),
        &format!("{signature}A"),
        &format!("{signature}{signature}"),
        &format!(" {signature}"),
        &format!("%{:02x}{}", signature.as_bytes()[0], &signature[1..]),
        &signature.chars().rev().collect::<String>(),
        &standard,
    ] {
        let is_same = other == signature;
        assert!(is_same || signing(&pairs).standing(&with(other)) == Standing::Refused, "{other}");
    }
}

#[test]
fn short_signatures_are_taken_where_the_node_says_so_and_longer_ones_stay_valid() {
    let pairs = [pair(None, 1)];
    let of = |bytes: usize| Signing::of(&pairs, true, bytes);
    let path = |bytes: usize| of(bytes).sign(&format!("/fetch/_{REST}")).unwrap();
    for (made, fewest, standing) in [
        (32, 32, Standing::Signed),
        (31, 32, Standing::Refused),
        (16, 32, Standing::Refused),
        (16, 16, Standing::Signed),
        (20, 16, Standing::Signed),
        (32, 16, Standing::Signed),
        (15, 16, Standing::Refused),
    ] {
        assert_eq!(of(fewest).standing(&path(made)), standing, "{made} of {fewest}");
    }
    let other = signed(&[pair(None, 2)], REST);
    assert_eq!(of(16).standing(&other), Standing::Refused);
}

#[test]
fn every_key_of_ones_own_is_accepted_and_the_first_one_signs() {
    let (old, new) = (pair(None, 1), pair(None, 2));
    let both = [new.clone(), old.clone()];
    let (by_old, by_new) = (signed(std::slice::from_ref(&old), REST), signed(std::slice::from_ref(&new), REST));
    assert_eq!(signed(&both, REST), by_new);
    let check = |pairs: &[Pair], path: &str, standing| assert_eq!(signing(pairs).standing(path), standing);
    check(&both, &by_old, Standing::Signed);
    check(&both, &by_new, Standing::Signed);
    check(&[old], &by_new, Standing::Refused);
    check(&[new], &by_old, Standing::Refused);
    // The right key with another salt is another pair.
    let salted = Pair::unchecked(None, &[1; 32], b"other");
    check(&[salted], &by_old, Standing::Refused);
}

#[test]
fn a_key_with_an_id_is_for_the_paths_that_name_it() {
    let pairs = [pair(None, 1), pair(Some("a"), 2), pair(Some("a"), 3), pair(Some("b"), 4)];
    let all = signing(&pairs);
    let by = |fill: u8, rest: &str| {
        // Its id plays no part in what it signs.
        let key = Pair::unchecked(super::key_id(rest), &[fill; 32], &[fill, 1, 2]);
        signed(&[key], rest)
    };
    for (fill, options, standing) in [
        (1, "-", Standing::Signed),
        (2, "-", Standing::Refused),
        (2, "k:a", Standing::Signed),
        (3, "gain:1,k:a", Standing::Signed),
        (1, "k:a", Standing::Refused),
        (4, "k:a", Standing::Refused),
        (4, "k:b", Standing::Signed),
        (4, "k:c", Standing::Refused),
        (1, "k:", Standing::Refused),
        (4, "k:a,k:b", Standing::Refused),
    ] {
        let path = by(fill, &format!("/{options}/aHR0cDovL2EvYg.wav"));
        assert_eq!(all.standing(&path), standing, "{fill} {options}");
    }
    assert_eq!(all.sign("/fetch/_/k:c/aHR0cDovL2EvYg.wav"), None);
    // A path that names a key says that it is signed, here and where there are no keys.
    for signing in [all, Signing::of(&[], true, 32), Signing::of(&pairs, false, 32)] {
        assert_eq!(signing.standing("/fetch/_/k:a/aHR0cDovL2EvYg.wav"), Standing::Refused);
    }
}

#[test]
fn what_need_not_be_signed_may_be_unsigned() {
    let pairs = [pair(None, 1)];
    let check = |signing: &Signing, standing| {
        // What has no signature part is refused where there must be one, and else left to the grammar.
        for path in ["/fetch/_/-/x.wav", "/fetch/unsafe/-/x.wav", "/fetch", "/fetch/", "/fetch/x", "", "/"] {
            assert_eq!(signing.standing(path), standing, "{path}");
        }
    };
    check(&Signing::of(&[], true, 32), Standing::Unsigned);
    check(&Signing::of(&pairs, false, 32), Standing::Unsigned);
    check(&Signing::of(&pairs, true, 32), Standing::Refused);
    // A wrong signature is none.
    let forged = format!("/fetch/{}/-/x.wav", "A".repeat(43));
    for signing in [Signing::of(&[], true, 32), Signing::of(&pairs, false, 32)] {
        assert_eq!(signing.standing(&forged), Standing::Refused);
        assert_eq!(signing.refusal().kind, Kind::SignatureInvalid);
    }
}

/// `/say/SIGNATURE/-/X` has the message of `/fetch/SIGNATURE/say/-/X`.
#[test]
fn a_signed_verb_is_no_other_verb() {
    let pairs = [pair(None, 1)];
    let signing = signing(&pairs);
    let say = signing.sign("/say/_/-/aGVsbG8.wav").unwrap();
    assert_eq!(signing.standing(&say), Standing::Signed);
    let signature = say.split('/').nth(2).unwrap();
    for path in [
        format!("/fetch/{signature}/-/aGVsbG8.wav"),
        format!("/fetch/{signature}/say/-/aGVsbG8.wav"),
        format!("/prompts/{signature}/-/aGVsbG8.wav"),
        format!("//{signature}/say/-/aGVsbG8.wav"),
    ] {
        assert_eq!(signing.standing(&path), Standing::Refused, "{path}");
    }
    let fetch = signed(&pairs, "/-/aGVsbG8.wav");
    assert_eq!(signing.standing(&fetch.replace("/fetch/", "/say/")), Standing::Refused);
}

#[test]
fn pairs_are_hexadecimal_and_strong() {
    let (key, salt) = ("0f".repeat(32), "AbcD");
    let read: Pair = format!(" 2026-a.b_c={key}:{salt} ").parse().unwrap();
    assert_eq!(read, Pair::unchecked(Some("2026-a.b_c"), &[15; 32], &[0xab, 0xcd]));
    assert_eq!(format!("{key}:{salt}").parse(), Ok(Pair::unchecked(None, &[15; 32], &[0xab, 0xcd])));
    let check = |text: &str, error: PairError| {
        let found = text.parse::<Pair>().unwrap_err();
        assert_eq!(found, error, "{text}");
        let said = format!("{found} {found:?}");
        assert!(!said.contains("0f0f") && !said.contains("AbcD"), "{said}");
    };
    check("", PairError::Shape);
    check(&key, PairError::Shape);
    check(&format!("{key}:"), PairError::NoSalt);
    check(":AbcD", PairError::KeyTooShort);
    check(&format!("{}:AbcD", "0f".repeat(31)), PairError::KeyTooShort);
    check(&format!("{key}0:AbcD"), PairError::NotHexadecimal { what: "key" });
    check(&format!("+{}:AbcD", &key[1..]), PairError::NotHexadecimal { what: "key" });
    check(&format!("{key}:AbcDx"), PairError::NotHexadecimal { what: "salt" });
    check(&format!("{key}:AbcD:AbcD"), PairError::NotHexadecimal { what: "salt" });
    check(&format!("{key}:{}", "00".repeat(513)), PairError::TooLong { what: "salt" });
    check(&format!("={key}:AbcD"), PairError::Id);
    check(&format!("a,b={key}:AbcD"), PairError::Id);
    check(&format!("{}={key}:AbcD", "a".repeat(65)), PairError::Id);
}

#[test]
fn secrets_are_shown_as_stars() {
    let key = "0f".repeat(32);
    let config = Config {
        keys: vec![format!("{key}:AbcD").parse().unwrap(), format!("a={key}:AbcD").parse().unwrap()],
        ..Config::default()
    };
    let mut shown = format!("{config:?} {:?} ", Signing::new(&config).unwrap());
    write!(shown, "{}", serde_json::to_string(&config).unwrap()).unwrap();
    assert!(!shown.contains("0f0f") && !shown.to_lowercase().contains("abcd"), "{shown}");
    assert!(shown.contains(r#""keys":["***","a=***"]"#), "{shown}");
}

fn mistakes(config: &Config) -> Vec<String> {
    let mut problems = ConfigProblems::default();
    config.validate("s", &mut problems);
    problems.iter().map(|(key, text)| format!("{key}: {text}")).collect()
}

#[test]
fn keys_come_from_a_file_as_well() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_owned();
    let config = Config { keys: vec![pair(None, 1)], keys_file: Some(path.clone()), ..Config::default() };
    assert_eq!(mistakes(&config), [format!("s.keys_file: {} holds no keys", path.display())]);
    let key = "0f".repeat(32);
    write!(file, "# of this year\n\n  a={key}:AbcD\n{key}:00\n").unwrap();
    assert_eq!(mistakes(&config), [""; 0]);
    assert_eq!(
        config.pairs().unwrap()[1..],
        [Pair::unchecked(Some("a"), &[15; 32], &[0xab, 0xcd]), Pair::unchecked(None, &[15; 32], &[0])]
    );
    writeln!(file, "{key}").unwrap();
    let said = "is not KEY:SALT or ID=KEY:SALT, key and salt in hexadecimal";
    assert_eq!(mistakes(&config), [format!("s.keys_file: line 5 of {} {said}", path.display())]);
    assert!(Signing::new(&config).is_err());
    write!(file, "{}", "#".repeat(65 << 10)).unwrap();
    assert_eq!(mistakes(&config), [format!("s.keys_file: {} is longer than 65536 bytes", path.display())]);
    drop(file);
    assert!(mistakes(&config)[0].contains(" cannot be read: No such file"), "{:?}", mistakes(&config));
}

#[test]
fn limits_are_told_with_their_keys() {
    let config =
        |bytes, count| Config { keys: vec![pair(None, 1); count], signature_bytes: bytes, ..Config::default() };
    assert_eq!(mistakes(&config(16, 16)), [""; 0]);
    assert_eq!(mistakes(&config(15, 1)), ["s.signature_bytes: must be 16 to 32"]);
    assert_eq!(mistakes(&config(33, 1)), ["s.signature_bytes: must be 16 to 32"]);
    assert_eq!(mistakes(&config(32, 17)), ["s.keys: are 17 with those of keys_file: at most 16 pairs are tried"]);
}

fn a_rest() -> impl Strategy<Value = String> {
    let options = prop_oneof![Just("-".to_owned()), "[a-j]{1,6}:[A-Za-z0-9._~+-]{1,8}(,[a-j]{1,6}:[0-9]{1,4}){0,3}"];
    (options, "[^?]{1,80}").prop_map(|(options, tail)| format!("/{options}/{tail}"))
}

proptest! {
    #[test]
    fn what_was_signed_is_signed_and_nothing_else(
        rest in a_rest(), verb in "(fetch|say|prompts)", size in 16_usize..=32, other in a_rest(),
    ) {
        let signing = Signing::of(&[pair(None, 1), pair(None, 2)], true, size);
        let path = signing.sign(&format!("/{verb}/_{rest}")).unwrap();
        prop_assert_eq!(signing.standing(&path), Standing::Signed);
        prop_assert_eq!(Signing::of(&[pair(None, 3)], true, size).standing(&path), Standing::Refused);
        let signature = path.split('/').nth(2).unwrap();
        let moved = format!("/{verb}/{signature}{other}");
        prop_assert!(rest == other || signing.standing(&moved) == Standing::Refused, "{}", moved);
    }

    #[test]
    fn no_path_is_signed_by_chance(path in "[\\PC]{0,80}", tail in "/fetch/[A-Za-z0-9_-]{0,50}/[\\PC]{0,40}") {
        let signing = signing(&[pair(None, 1)]);
        prop_assert_eq!(signing.standing(&path), Standing::Refused);
        prop_assert_eq!(signing.standing(&tail), Standing::Refused);
    }
}
