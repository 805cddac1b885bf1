//! A real HTTP service that speaks, stalls, lies, breaks off and answers with errors.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use serde_json::json;

use super::support::{service, whole};
use crate::{
    media::speech::{Config, Percent, Secret, Speech, SpeechError, Spoken, TextIn, Wish},
    outbound::{Hops, OutboundError},
    problem::Kind,
    testing::{
        origin::{Body, Gate, Length, Reply},
        speech_service::{SpeechService, tone},
    },
    units::ByteCount,
};

async fn begin(speech: &Speech, wish: &Wish, text: &str) -> Result<Spoken, SpeechError> {
    let utterance = speech.utterance(wish, text, TextIn::Body)?;
    speech.speak(&utterance, &Hops::default()).await
}

async fn speak(speech: &Speech) -> Result<Vec<u8>, SpeechError> {
    whole(begin(speech, &Wish::default(), "swordfish").await?).await
}

fn wav() -> Vec<u8> {
    tone(Duration::from_millis(500))
}

#[tokio::test]
async fn it_is_asked_as_it_wants_and_its_answer_is_passed_on() {
    let there = SpeechService::start().await.unwrap();
    let speech = service(there.url(), |config| config.http.api_key = Some(Secret::new("hush-hush".into()))).await;
    assert_eq!(speech.engines().collect::<Vec<_>>(), [("http", "tts-1")]);
    assert!(speak(&speech).await.unwrap() == wav());
    let wish = Wish { voice: Some("nova".into()), speed: Some(Percent::new(150)), ..Wish::default() };
    begin(&speech, &wish, "Grüße \"an\"\nalle").await.unwrap();
    let asked = there.asked();
    assert!(asked.iter().all(|asked| asked.authorization.as_deref() == Some("Bearer hush-hush")));
    let bodies: Vec<_> = asked.into_iter().map(|asked| asked.body).collect();
    assert_eq!(
        bodies,
        [
            json!({"model": "tts-1", "input": "swordfish", "voice": "alloy", "response_format": "wav"}),
            json!({"model": "tts-1", "input": "Grüße \"an\"\nalle", "voice": "nova", "response_format": "wav", "speed": 1.5}),
        ]
    );
    let seen = there.origin().seen();
    assert_eq!(
        (seen[0].method.as_str(), &seen[0].headers["content-type"]),
        ("POST", &HeaderValue::from_static("application/json"))
    );
    assert_eq!(seen[0].headers["cdn-loop"], "ringback-test");
}

#[tokio::test]
async fn the_key_is_shown_nowhere() {
    let there = SpeechService::start().await.unwrap();
    let mut kept = Config::default();
    let speech = service(there.url(), |config| {
        config.http.api_key = Some(Secret::new("hush-hush".into()));
        kept = config.clone();
    })
    .await;
    there.answer(Reply::status(401, "application/json", Body::of("{\"error\":\"swordfish hush-hush\"}")));
    let error = speak(&speech).await.unwrap_err();
    let shown =
        format!("{speech:?} {kept:?} {} {error} {error:?} {}", serde_json::to_string(&kept).unwrap(), error.problem());
    assert!(!shown.contains("hush") && !shown.contains("swordfish") && shown.contains("***"), "{shown}");
}

#[tokio::test]
async fn what_is_no_audio_is_an_error() {
    let there = SpeechService::start().await.unwrap();
    let speech = service(there.url(), |_| {}).await;
    let ok = |content_type: &str, body: &'static str| Reply::ok(content_type, Body::of(body));
    for (reply, what) in [
        (ok("application/json", "{\"audio\":\"…\"}"), "JSON"),
        (ok("application/problem+json", "{}"), "JSON"),
        (ok("audio/wav", " \n{\"error\":\"quota\"}"), "JSON"),
        (ok("application/octet-stream", "[1]"), "JSON"),
        (ok("text/html; charset=utf-8", "<html>"), "a page"),
        (ok("audio/mpeg", "<!doctype html>"), "a page"),
        (ok("text/plain", "sorry"), "text"),
        (ok("application/xml", "<x/>"), "XML"),
        (ok("audio/wav", ""), "nothing"),
        (ok("audio/wav", "").length(Length::Chunked), "nothing"),
    ] {
        there.answer(reply);
        let error = speak(&speech).await.unwrap_err();
        assert!(matches!(&error, SpeechError::NotAudio { what: found, .. } if *found == what), "{what}: {error:?}");
        assert_eq!(error.problem().kind, Kind::SpeechFailed);
        assert!(matches!(error.problem().kind, Kind::SpeechFailed | Kind::SpeechTimeout | Kind::Busy), "{error}");
    }
    for status in [201, 204, 206, 302, 400, 401, 404, 429, 500, 503] {
        there.answer(Reply::status(status, "audio/wav", Body::of(wav())).header("location", "/elsewhere"));
        let error = speak(&speech).await.unwrap_err();
        assert!(matches!(error, SpeechError::Status { status: found, .. } if found == status), "{status}: {error:?}");
    }
    there.answer(ok("audio/wav", "compressed").header("content-encoding", "gzip"));
    assert!(matches!(speak(&speech).await, Err(SpeechError::Outbound(OutboundError::Encoding { .. }))));
}

#[tokio::test]
async fn what_breaks_off_is_not_complete() {
    let there = SpeechService::start().await.unwrap();
    let speech = service(there.url(), |_| {}).await;
    for reply in [
        Reply::ok("audio/wav", Body::of(wav())).cut_after(9_000),
        Reply::ok("audio/wav", Body::of(wav())).length(Length::Chunked).cut_after(9_000),
        Reply::ok("audio/wav", Body::of(wav())).length(Length::Claimed(1 << 20)),
    ] {
        there.answer(reply);
        let mut spoken = begin(&speech, &Wish::default(), "x").await.unwrap();
        let error = loop {
            match spoken.chunk().await {
                Ok(piece) => assert!(piece.is_some(), "it is not complete"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, SpeechError::Outbound(OutboundError::Truncated { .. })), "{error:?}");
        assert_eq!(error.problem().kind, Kind::SpeechFailed);
    }
    there.answer(Reply::dropped());
    let error = speak(&speech).await.unwrap_err();
    assert_eq!(error.problem().kind, Kind::SpeechFailed, "{error:?}");
}

#[tokio::test]
async fn what_stalls_is_given_up() {
    let there = SpeechService::start().await.unwrap();
    let speech = service(there.url(), |config| config.time_max = Duration::from_millis(600)).await;
    let gate = Gate::closed();
    there.answer(Reply::ok("audio/wav", Body::of(wav())).hold_headers(&gate));
    let error = speak(&speech).await.unwrap_err();
    assert_eq!(error.problem().kind, Kind::SpeechTimeout, "{error:?}");
    there.answer(Reply::ok("audio/wav", Body::of(wav())).hold_after(5_000, &gate));
    let error = speak(&speech).await.unwrap_err();
    assert_eq!(error.problem().kind, Kind::SpeechTimeout, "{error:?}");
    // Headers alone are no sound.
    there.answer(Reply::ok("audio/wav", Body::of(wav())).hold_after(0, &gate));
    assert!(begin(&speech, &Wish::default(), "x").await.is_err());
}

#[tokio::test]
async fn what_has_no_end_is_over_the_limit() {
    let there = SpeechService::start().await.unwrap();
    let speech = service(there.url(), |config| config.bytes_max = ByteCount::kib(64)).await;
    there.answer(Reply::ok("audio/wav", Body::endless("RIFF")));
    let error = speak(&speech).await.unwrap_err();
    assert!(matches!(error, SpeechError::OverLimit { .. }), "{error:?}");
    there.origin().wait_for_aborts(1).await;
}

#[tokio::test]
async fn leaving_ends_the_request() {
    let there = SpeechService::start().await.unwrap();
    let speech = service(there.url(), |_| {}).await;
    there.answer(Reply::ok("audio/wav", Body::endless("RIFF")));
    drop(begin(&speech, &Wish::default(), "x").await.unwrap());
    there.origin().wait_for_aborts(1).await;
}

#[tokio::test]
async fn one_that_is_at_its_limit_is_asked_once_more() {
    let there = SpeechService::start().await.unwrap();
    let speech = service(there.url(), |_| {}).await;
    let later = |after: &str| Reply::status(429, "application/json", Body::of("{}")).header("retry-after", after);
    let good = Reply::ok("audio/wav", Body::of(wav()));
    there.answer_in_turn([later("0"), good.clone()]);
    assert!(speak(&speech).await.unwrap() == wav());
    assert_eq!(there.asked().len(), 2);
    there.answer_in_turn([later("0"), later("0"), good.clone()]);
    assert!(matches!(speak(&speech).await, Err(SpeechError::Status { status: 429, .. })));
    assert_eq!(there.asked().len(), 4);
    // Longer than callers wait.
    there.answer_in_turn([later("60"), good]);
    let error = speak(&speech).await.unwrap_err();
    assert_eq!(error.problem().retry_after, Some(Duration::from_secs(60)));
    assert_eq!(there.asked().len(), 5);
}

#[tokio::test]
async fn the_guard_lets_its_own_address_pass_and_no_metadata() {
    // That of the other tests is a loopback address, which nothing allows.
    let speech = service("http://169.254.169.254/v1/audio/speech".to_owned(), |_| {}).await;
    let error = speak(&speech).await.unwrap_err();
    assert!(matches!(error, SpeechError::Outbound(OutboundError::Forbidden { .. })), "{error:?}");
    assert_eq!(error.problem().kind, Kind::SpeechFailed);
}

#[tokio::test]
async fn a_request_that_comes_back_is_not_sent() {
    let there = SpeechService::start().await.unwrap();
    let speech = service(there.url(), |_| {}).await;
    let utterance = speech.utterance(&Wish::default(), "x", TextIn::Path).unwrap();
    let hops = |names: &'static str| {
        Hops::of(&HeaderMap::from_iter([("cdn-loop".parse().unwrap(), HeaderValue::from_static(names))]))
    };
    let error = speech.speak(&utterance, &hops("other, ringback-test")).await.unwrap_err();
    assert_eq!(error.problem().kind, Kind::LoopDetected);
    assert!(there.asked().is_empty());
    speech.speak(&utterance, &hops("other")).await.unwrap();
    let names: Vec<_> = there.origin().seen()[0].headers.get_all("cdn-loop").iter().cloned().collect();
    assert_eq!(names, ["other", "ringback-test"]);
}

#[tokio::test]
async fn what_has_no_container_is_what_is_configured() {
    let there = SpeechService::start().await.unwrap();
    there.answer(Reply::ok("audio/pcm", Body::of(vec![b'{'; 4_800])));
    let speech = service(there.url(), |config| {
        config.http.response_format = "pcm".to_owned();
        config.http.input = "l16:24000".to_owned();
    })
    .await;
    let spoken = begin(&speech, &Wish::default(), "x").await.unwrap();
    assert_eq!(spoken.declared().unwrap().to_string(), "l16;24000;1");
    assert_eq!(whole(spoken).await.unwrap(), vec![b'{'; 4_800]);
    there.answer(Reply::ok("audio/L16;rate=16000", Body::of(vec![b'{'; 4_800])));
    let speech = service(there.url(), |_| {}).await;
    assert_eq!(begin(&speech, &Wish::default(), "x").await.unwrap().declared().unwrap().to_string(), "l16;16000;1");
}

#[tokio::test]
async fn what_it_cannot_do_is_said_before_it_is_asked() {
    let there = SpeechService::start().await.unwrap();
    let speech = service(there.url(), |config| config.http.voices = vec!["alloy".into(), "nova".into()]).await;
    let wish = |name: &'static str, value: &'static str| Wish::take(&[(name, value)]).unwrap().0;
    let refused = |wish: &Wish| speech.utterance(wish, "x", TextIn::Path).unwrap_err();
    assert!(matches!(refused(&wish("voice", "echo")), SpeechError::UnknownVoice { .. }));
    assert!(matches!(refused(&wish("pitch", "90")), SpeechError::UnknownOption { option: "pitch", .. }));
    assert!(matches!(refused(&wish("ssml", "true")), SpeechError::UnknownOption { option: "ssml", .. }));
    assert!(speech.utterance(&wish("voice", "nova"), "x", TextIn::Path).is_ok());
    let speech = service(there.url(), |config| config.http.ssml = true).await;
    assert!(speech.utterance(&wish("ssml", "true"), "<speak>x</speak>", TextIn::Path).is_ok());
}
