use std::{
    os::unix::fs::PermissionsExt as _,
    time::{Duration, SystemTime},
};

use super::{Config, FILE, Private, Secret};
use crate::{
    ids::{ArtifactId, Tenant},
    media::cache::Visibility,
    problem::ConfigProblems,
};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn configured(key: &str) -> Config {
    Config { key: Secret::new(key.to_owned()) }
}

fn private(key: &str) -> Private {
    Private::open(&configured(key), std::path::Path::new("/nonexistent")).unwrap()
}

#[test]
fn names_of_private_audio_are_those_of_the_vectors() {
    // Computed by Python's hmac and hashlib from the form at the top of the file.
    let tenant = Tenant::default_tenant();
    let public = ArtifactId::of(b"ringback");
    let private = private(KEY);
    assert_eq!(private.name(Visibility::Public, &tenant, public), public);
    let name = private.name(Visibility::Private, &tenant, public);
    assert_eq!(name.to_string(), "e638023646da01870bb2f5bcdc7c59a501f9e70756679293e443e69b312f2a12");
    assert_eq!(private.capability(&tenant, &name, "ulaw", None), "853206da-0-PjBvcj__MliORw4-sAC3cw");
    assert_ne!(private.name(Visibility::Private, &"another".parse().unwrap(), public), name);
}

#[test]
fn a_capability_opens_what_it_was_made_for_and_nothing_else() {
    let (ours, theirs) = (private(KEY), private(&KEY.replace('0', "f")));
    let (tenant, another): (Tenant, Tenant) = (Tenant::default_tenant(), "another".parse().unwrap());
    let (artifact, other) = (ArtifactId::of(b"a"), ArtifactId::of(b"b"));
    for ends in [None, Some(now() + Duration::from_secs(60))] {
        let capability = ours.capability(&tenant, &artifact, "ulaw", ends);
        assert!(!capability.contains(['.', '/']), "{capability}: players cut there");
        assert!(ours.opens(&capability, &tenant, &artifact, "ulaw", now()));
        assert!(!theirs.opens(&capability, &tenant, &artifact, "ulaw", now()));
        assert!(!ours.opens(&capability, &another, &artifact, "ulaw", now()));
        assert!(!ours.opens(&capability, &tenant, &other, "ulaw", now()));
        assert!(!ours.opens(&capability, &tenant, &artifact, "alaw", now()));
        let later = now() + Duration::from_secs(60);
        assert_eq!(ours.opens(&capability, &tenant, &artifact, "ulaw", later), ends.is_none());
        // No other text opens it.
        for (index, known) in capability.char_indices() {
            let mut changed = capability.clone();
            changed.replace_range(index..=index, if known == '1' { "2" } else { "1" });
            assert!(!ours.opens(&changed, &tenant, &artifact, "ulaw", now()), "{changed}");
        }
        for cut in ["", "-", "--", &capability[1..], &format!("{capability}A"), &capability.replacen('-', "-0", 1)] {
            assert!(!ours.opens(cut, &tenant, &artifact, "ulaw", now()), "{cut}");
        }
    }
}

#[test]
fn a_key_is_drawn_once_and_read_by_the_node_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (tenant, public) = (Tenant::default_tenant(), ArtifactId::of(b"a"));
    let name = |private: &Private| private.name(Visibility::Private, &tenant, public);
    let first = Private::open(&Config::default(), directory.path()).unwrap();
    let again = Private::open(&Config::default(), directory.path()).unwrap();
    assert_eq!(name(&first), name(&again));
    let mode = std::fs::metadata(directory.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Private::open(&Config::default(), elsewhere.path()).unwrap();
    assert_ne!(name(&first), name(&other));
    // What is no key is told, and not replaced: addresses hang on it.
    std::fs::write(directory.path().join(FILE), "nonsense").unwrap();
    assert!(Private::open(&Config::default(), directory.path()).is_err());
    assert_eq!(std::fs::read(directory.path().join(FILE)).unwrap(), b"nonsense");
}

#[test]
fn keys_are_judged_and_never_shown() {
    for (key, is_right) in [("", true), (KEY, true), ("00", false), (&KEY.replace('0', "+"), false), ("ü", false)] {
        let mut problems = ConfigProblems::default();
        configured(key).validate("media.private", &mut problems);
        assert_eq!(problems.is_empty(), is_right, "{key}");
        let shown = format!("{:?} {}", configured(key), serde_json::to_string(&configured(key)).unwrap());
        assert!(key.is_empty() || !shown.contains(key), "{shown}");
    }
}
