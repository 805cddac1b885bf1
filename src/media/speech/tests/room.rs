//! The room as a whole: who speaks, what stands in, what cannot be configured.

use std::time::Duration;

use super::support::{program, service, start, whole};
use crate::{
    media::speech::{Config, Markup, Percent, SpeechError, StandIn, TextIn, Wish},
    outbound::Hops,
    problem::{ConfigProblems, Kind},
    testing::{
        origin::{Body, Reply},
        speech_service::{SpeechService, tone},
    },
};

#[test]
fn wishes_are_taken_out_of_options() {
    let options = [
        ("rate", "16000"),
        ("voice", "de"),
        ("speed", "90"),
        ("gain", "3"),
        ("ssml", "1"),
        ("engine", "http"),
        ("private", "true"),
    ];
    let (wish, others) = Wish::take(&options).unwrap();
    assert_eq!(others, [("rate", "16000"), ("gain", "3")]);
    let expected = Wish {
        engine: Some("http".into()),
        voice: Some("de".into()),
        language: None,
        speed: Some(Percent::new(90)),
        pitch: None,
        markup: Markup::Ssml,
        is_private: true,
    };
    assert_eq!(wish, expected);
    for wrong in [
        ("speed", "fast"),
        ("speed", "-1"),
        ("pitch", "70000"),
        ("ssml", "maybe"),
        ("private", "yes"),
        ("voice", ""),
        ("engine", ""),
    ] {
        assert!(matches!(Wish::take(&[wrong]), Err(SpeechError::BadOption { .. })), "{wrong:?}");
    }
    assert!(matches!(Wish::take(&[("voice", "a"), ("voice", "a")]), Err(SpeechError::BadOption { .. })));
}

#[tokio::test]
async fn the_service_speaks_where_there_is_one_unless_another_is_named() {
    let there = SpeechService::start().await.unwrap();
    let mut config = Config::default();
    config.http.url = Some(there.url());
    let speech = start(config.clone()).await;
    let engine = |wish: &Wish| speech.utterance(wish, "x", TextIn::Path).map(|made| made.speaker().engine.to_string());
    assert_eq!(engine(&Wish::default()).unwrap(), "http");
    let named = |name: &str| Wish { engine: Some(name.to_owned()), ..Wish::default() };
    assert_eq!(engine(&named("espeak-ng")).unwrap(), "espeak-ng");
    let error = engine(&named(&"x".repeat(1_000))).unwrap_err();
    assert!(matches!(&error, SpeechError::NoEngine { name: Some(name) } if name.len() == 64), "{error:?}");
    config.engine = "espeak-ng".to_owned();
    let speech = start(config).await;
    assert_eq!(&*speech.utterance(&Wish::default(), "x", TextIn::Path).unwrap().speaker().engine, "espeak-ng");
}

/// The fill speaks in tasks of its own.
#[tokio::test]
async fn speaking_may_be_done_by_a_task() {
    let speech = program(|_| {}).await;
    let utterance = speech.utterance(&Wish::default(), "Hello", TextIn::Path).unwrap();
    let task = tokio::spawn(async move { whole(speech.speak(&utterance, &Hops::default()).await?).await });
    assert!(task.await.unwrap().unwrap().starts_with(b"RIFF"));
}

#[tokio::test]
async fn a_body_may_be_longer_than_a_path() {
    let speech = program(|config| {
        config.text_max = 10;
        config.long_text_max = 20;
    })
    .await;
    let length = |count: usize, text_in| speech.utterance(&Wish::default(), &"x".repeat(count), text_in);
    assert!(length(10, TextIn::Path).is_ok() && length(20, TextIn::Body).is_ok());
    assert!(matches!(length(11, TextIn::Path), Err(SpeechError::TooLong { max: 10 })));
    assert!(matches!(length(21, TextIn::Body), Err(SpeechError::TooLong { max: 20 })));
}

#[tokio::test]
async fn another_engine_stands_in() {
    let there = SpeechService::start().await.unwrap();
    there.answer(Reply::status(500, "text/plain", Body::of("no")));
    let mut config = Config::default();
    config.http.url = Some(there.url());
    config.fallback_engine = "espeak-ng".to_owned();
    let speech = start(config).await;
    let wish = Wish { voice: Some("nova".into()), language: Some("de-DE".into()), ..Wish::default() };
    let utterance = speech.utterance(&wish, "Guten Tag", TextIn::Path).unwrap();
    assert_eq!(speech.speak(&utterance, &Hops::default()).await.unwrap_err().problem().kind, Kind::SpeechFailed);
    let Some(StandIn::Spoken(spoken)) = speech.stand_in(&utterance, &Hops::default()).await else { panic!("nothing") };
    assert_eq!(spoken.engine(), "espeak-ng");
    assert!(whole(*spoken).await.unwrap().starts_with(b"RIFF"));

    // What it cannot do, it does without.
    let mut config = Config { fallback_engine: "http".to_owned(), ..Config::default() };
    config.engine = "espeak-ng".to_owned();
    config.http.url = Some(there.url());
    there.answer(Reply::ok("audio/wav", Body::of(tone(Duration::from_millis(100)))));
    let speech = start(config).await;
    let wish = Wish { pitch: Some(Percent::new(150)), speed: Some(Percent::new(90)), ..Wish::default() };
    let utterance = speech.utterance(&wish, "Hello", TextIn::Path).unwrap();
    assert!(matches!(speech.stand_in(&utterance, &Hops::default()).await, Some(StandIn::Spoken(_))));
    // A text with markup is not read out with its brackets.
    let wish = Wish { markup: Markup::Ssml, ..Wish::default() };
    let utterance = speech.utterance(&wish, "<speak>Hello</speak>", TextIn::Path).unwrap();
    assert!(speech.stand_in(&utterance, &Hops::default()).await.is_none());
}

#[tokio::test]
async fn a_clip_stands_in() {
    let there = SpeechService::start().await.unwrap();
    there.answer(Reply::dropped());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), tone(Duration::from_millis(100))).unwrap();
    let clip = file.path().to_str().unwrap().to_owned();
    let speech = service(there.url(), |config| config.fallback_clip = clip).await;
    let utterance = speech.utterance(&Wish::default(), "x", TextIn::Path).unwrap();
    let Some(StandIn::Spoken(spoken)) = speech.stand_in(&utterance, &Hops::default()).await else { panic!("nothing") };
    assert!(whole(*spoken).await.unwrap() == tone(Duration::from_millis(100)));
    drop(file);
    assert!(speech.stand_in(&utterance, &Hops::default()).await.is_none());

    let url = "https://example.com/hold.mp3";
    let speech = service(there.url(), |config| config.fallback_clip = url.to_owned()).await;
    assert!(matches!(speech.stand_in(&utterance, &Hops::default()).await, Some(StandIn::Url(found)) if found == url));
    let speech = service(there.url(), |_| {}).await;
    assert!(speech.stand_in(&utterance, &Hops::default()).await.is_none());
}

#[test]
fn what_cannot_work_is_told_with_its_key() {
    #[track_caller]
    fn check(change: impl FnOnce(&mut Config), expected: &[&str]) {
        let mut config = Config::default();
        change(&mut config);
        let mut problems = ConfigProblems::default();
        config.validate("media.speech", &mut problems);
        let keys: Vec<&str> = problems.iter().map(|(key, _)| key.strip_prefix("media.speech.").unwrap()).collect();
        assert_eq!(keys, expected, "{problems:?}");
    }
    check(|_| {}, &[]);
    check(|config| config.engine = "siri".into(), &["engine"]);
    check(|config| config.engine = "http".into(), &["engine"]);
    check(|config| config.fallback_engine = "http".into(), &["fallback_engine"]);
    check(
        |config| (config.engine, config.fallback_engine) = ("espeak-ng".into(), "espeak-ng".into()),
        &["fallback_engine"],
    );
    check(|config| (config.engine, config.espeak.enabled) = ("espeak-ng".into(), false), &["engine"]);
    check(|config| config.fallback_clip = "/nowhere/clip.wav".into(), &["fallback_clip"]);
    check(|config| config.fallback_clip = "https://example.com/clip.wav".into(), &[]);
    check(|config| config.deadline = Duration::ZERO, &["deadline"]);
    check(|config| config.time_max = Duration::from_secs(1), &["deadline"]);
    check(|config| config.time_max = Duration::from_secs(4_000), &["time_max"]);
    check(|config| config.long_text_max = 100, &["long_text_max"]);
    check(|config| config.long_text_max = 100_001, &["long_text_max"]);
    check(|config| config.espeak.speaking_max = 0, &["espeak.speaking_max"]);
    check(|config| config.http.speaking_max = 1_000, &["http.speaking_max"]);
    check(|config| config.http.url = Some("ftp://example.com".into()), &["http.url"]);
    check(|config| config.http.url = Some("https://a:b@example.com/".into()), &["http.url"]);
    check(|config| config.http.voices = vec!["nova".into()], &["http.voice"]);
    check(|config| config.http.input = "mp3".into(), &["http.input"]);
    check(|config| config.http.response_format = String::new(), &["http.response_format"]);
}
