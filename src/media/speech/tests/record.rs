//! Names of speech.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;
use serde::Deserialize;

use super::support::{speaker, utterance};
use crate::{
    ids::{ContentHash, SourceKey},
    media::speech::{Manner, Markup, Percent, Speaker, SpeechError, Utterance},
    problem::Kind,
};

/// A line of `fixtures/vectors/speech.json`.
#[derive(Debug, Deserialize)]
struct Vector {
    text: String,
    engine: Box<str>,
    version: Box<str>,
    voice: Box<str>,
    language: Box<str>,
    options: BTreeMap<String, String>,
    content_hash: ContentHash,
    key: SourceKey,
}

impl Vector {
    fn utterance(&self) -> Utterance {
        let percent =
            |name: &str| self.options.get(name).map_or(Percent::USUAL, |text| Percent::new(text.parse().unwrap()));
        let markup = if self.options.contains_key("ssml") { Markup::Ssml } else { Markup::Plain };
        let is_private = self.options.contains_key("private");
        let manner = Manner { speed: percent("speed"), pitch: percent("pitch"), markup, is_private };
        let speaker = Speaker {
            engine: self.engine.clone(),
            version: self.version.clone(),
            voice: self.voice.clone(),
            language: self.language.clone(),
        };
        Utterance::new(speaker, manner, &self.text, 1_000).unwrap()
    }
}

#[test]
fn hashes_and_keys_are_those_of_the_vectors() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/vectors/speech.json");
    let vectors: Vec<Vector> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert!(vectors.len() > 50);
    let mut by_hash: HashMap<ContentHash, Utterance> = HashMap::new();
    for vector in &vectors {
        let utterance = vector.utterance();
        assert_eq!(utterance.content_hash(), vector.content_hash, "{vector:?}");
        assert_eq!(utterance.key(), vector.key, "{vector:?}");
        assert_eq!(Utterance::parse(&utterance.to_text()).unwrap(), utterance, "{vector:?}");
        // Two spellings of a text are one speech.
        assert_eq!(by_hash.entry(vector.content_hash).or_insert_with(|| utterance.clone()), &utterance, "{vector:?}");
    }
    assert!(by_hash.len() < vectors.len(), "some of the texts are the same in another spelling");
}

#[test]
fn whatever_is_changed_gives_another_name() {
    let with = |change: fn(&mut Speaker, &mut Manner)| {
        let (mut speaker, mut manner) = (speaker(), Manner::default());
        change(&mut speaker, &mut manner);
        Utterance::new(speaker, manner, "Hello", 100).unwrap()
    };
    let all = [
        with(|_, _| {}),
        with(|speaker, _| speaker.engine = "http".into()),
        with(|speaker, _| speaker.version = "1.52".into()),
        with(|speaker, _| speaker.voice = "de".into()),
        with(|speaker, _| speaker.language = "de".into()),
        with(|speaker, _| speaker.language = "".into()),
        with(|_, manner| manner.speed = Percent::new(99)),
        with(|_, manner| manner.pitch = Percent::new(99)),
        with(|_, manner| manner.markup = Markup::Ssml),
        with(|_, manner| manner.is_private = true),
        utterance("hello").unwrap(),
        utterance("Hello.").unwrap(),
    ];
    let hashes: HashSet<ContentHash> = all.iter().map(Utterance::content_hash).collect();
    let keys: HashSet<SourceKey> = all.iter().map(Utterance::key).collect();
    assert_eq!((hashes.len(), keys.len()), (all.len(), all.len()));
    // A key is no content hash, and no URL's key.
    assert_ne!(all[0].key().to_string(), all[0].content_hash().to_string());
    // What is at its default is not said; what is the same is the same.
    assert_eq!(with(|_, manner| manner.speed = Percent::new(100)).content_hash(), all[0].content_hash());
    assert_eq!(with(|speaker, _| speaker.language = "EN-US".into()).content_hash(), all[0].content_hash());
}

#[test]
fn values_cannot_pass_for_other_lines() {
    let with = |voice: &str, text: &str| {
        Utterance::new(Speaker { voice: voice.into(), ..speaker() }, Manner::default(), text, 100)
    };
    assert!(matches!(with("a\nlanguage=x", "b"), Err(SpeechError::BadOption { name: "voice", .. })));
    assert!(matches!(with(&"v".repeat(129), "b"), Err(SpeechError::BadOption { .. })));
    // A text may look like a record as much as it likes.
    let tricky = with("v", "\n\nengine=other\n\nssml=true\n\ntext").unwrap();
    assert_eq!(Utterance::parse_record(&tricky.record()).unwrap(), tricky);
    assert_eq!(tricky.text(), "engine=other\n\nssml=true\n\ntext");
}

#[test]
fn texts_that_are_none_are_refused() {
    for text in ["", "  \n\t ", "\u{3000}\u{2003}"] {
        assert!(matches!(utterance(text), Err(SpeechError::Empty)), "{text:?}");
    }
    for text in ["a\0b", "a\u{1}b", "\u{7f}", "a\u{85}b", "a\u{1b}[31m"] {
        assert!(matches!(utterance(text), Err(SpeechError::Control { .. })), "{text:?}");
    }
    // Characters count, not bytes, and as they are composed.
    let most = "ü".repeat(4_096);
    assert_eq!(utterance(&most).unwrap().text().chars().count(), 4_096);
    assert_eq!(utterance(&"u\u{308}".repeat(4_096)).unwrap().text(), most);
    assert!(matches!(utterance(&format!("{most}u")), Err(SpeechError::TooLong { max: 4_096 })));
    assert!(matches!(utterance(&"x".repeat(1 << 20)), Err(SpeechError::TooLong { .. })));
    assert_eq!(utterance("").unwrap_err().problem().kind, Kind::BadRequest);
    assert_eq!(utterance(&"x".repeat(5_000)).unwrap_err().problem().kind, Kind::OverLimit);
}

#[test]
fn options_have_bounds() {
    let with = |speed, pitch| {
        let manner = Manner { speed: Percent::new(speed), pitch: Percent::new(pitch), ..Manner::default() };
        Utterance::new(speaker(), manner, "text", 100)
    };
    assert!(with(50, 0).is_ok() && with(200, 200).is_ok());
    assert!(matches!(with(49, 100), Err(SpeechError::BadOption { name: "speed", .. })));
    assert!(matches!(with(201, 100), Err(SpeechError::BadOption { name: "speed", .. })));
    assert!(matches!(with(100, 201), Err(SpeechError::BadOption { name: "pitch", .. })));
}

#[test]
fn what_was_not_written_here_is_not_read() {
    let good = utterance("Hello").unwrap().to_text();
    assert!(Utterance::is_text(&good) && !Utterance::is_text("https://example.com/speech:"));
    let other_spelling = utterance("Hello").unwrap().record().replace("en-us\n\n", "en-US\n\n");
    assert!(matches!(Utterance::parse_record(&other_spelling), Err(SpeechError::Record)));
    let records = [
        "",
        "ringback-speech1",
        "ringback-speech2\nengine=a\nversion=\nvoice=\nlanguage=\n\nx",
        "ringback-speech1\nengine=\nversion=\nvoice=\nlanguage=\n\nx",
        "ringback-speech1\nversion=\nengine=a\nvoice=\nlanguage=\n\nx",
        "ringback-speech1\nengine=a\nversion=\nvoice=\nlanguage=\nspeed=100\n\nx",
        "ringback-speech1\nengine=a\nversion=\nvoice=\nlanguage=\nspeed=90\npitch=90\n\nx",
        "ringback-speech1\nengine=a\nversion=\nvoice=\nlanguage=\nspeed=090\n\nx",
        "ringback-speech1\nengine=a\nversion=\nvoice=\nlanguage=\nssml=false\n\nx",
        "ringback-speech1\nengine=a\nversion=\nvoice=\nlanguage=\nvolume=1\n\nx",
        "ringback-speech1\nengine=a\nversion=\nvoice=\nlanguage=\nprivate=false\n\nx",
        "ringback-speech1\nengine=a\nversion=\nvoice=\nlanguage=\nspeed=90\nprivate=true\n\nx",
        "ringback-speech1\nengine=a\nversion=\nvoice=\nlanguage=\n\n x",
        "ringback-speech1\nengine=a\nversion=\nvoice=\nlanguage=\n\n",
        "ringback-speech1\nengine=a\nversion=\nvoice=\nlanguage=\n\nu\u{308}",
    ];
    for record in records {
        assert!(matches!(Utterance::parse_record(record), Err(SpeechError::Record)), "{record:?}");
    }
    let plain = "ringback-speech1\nengine=a\nversion=\nvoice=\nlanguage=\nspeed=90\n\nx";
    assert_eq!(Utterance::parse_record(plain).unwrap().manner().speed, Percent::new(90));
    for text in [&good[1..], &good[..good.len() - 1], "speech:", "speech:=", "speech:AAAA", &format!("{good}=")] {
        assert!(matches!(Utterance::parse(text), Err(SpeechError::Record)), "{text:?}");
    }
}

#[test]
fn nothing_shows_the_text() {
    let secret = utterance("my password is swordfish").unwrap();
    assert!(!format!("{secret:?}").contains("swordfish"));
    for error in [
        Utterance::new(speaker(), Manner::default(), "swordfish\0", 100).unwrap_err(),
        Utterance::new(speaker(), Manner::default(), "swordfish", 3).unwrap_err(),
    ] {
        assert!(!format!("{error} {error:?} {}", error.problem()).contains("swordfish"));
    }
}

proptest! {
    #[test]
    fn records_are_read_back_as_they_were_written(
        text in "\\PC{0,80}|(\\n|[a-z ü\u{308}가가]){1,60}",
        voice in "\\PC{0,20}",
        speed in 50_u16..=200,
        pitch in 0_u16..=200,
        is_private in any::<bool>(),
    ) {
        let (speed, pitch) = (Percent::new(speed), Percent::new(pitch));
        let manner = Manner { speed, pitch, markup: Markup::Plain, is_private };
        let Ok(made) = Utterance::new(Speaker { voice: voice.into(), ..speaker() }, manner, &text, 1_000) else {
            prop_assert!(text.trim().is_empty());
            return Ok(());
        };
        let again = Utterance::parse(&made.to_text()).unwrap();
        prop_assert_eq!(&again, &made);
        prop_assert_eq!(again.content_hash(), made.content_hash());
        // The canonical form of itself.
        let twice = Utterance::new(made.speaker().clone(), manner, made.text(), 1_000).unwrap();
        prop_assert_eq!(&twice, &made);
        let pieces = made.pieces();
        if let [only] = pieces.as_slice() {
            prop_assert_eq!(only.text(), made.text());
        }
        for piece in &pieces {
            let alone = Utterance::new(piece.speaker().clone(), manner, piece.text(), 1_000).unwrap();
            prop_assert_eq!(&alone, piece, "a piece is in canonical form");
        }
    }
}
