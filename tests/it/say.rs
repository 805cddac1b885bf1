//! Speech: texts by their addresses, spoken by a real engine.

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Method, StatusCode};
use ringback::testing::{
    origin::{Body, Gate, Origin, Reply},
    speech_service::{SpeechService, tone},
};

use crate::support::node::{Answer, TestNode};

const TEXT: &str = "Welcome to the office. Please hold the line.";

fn say(text: &str, options: &str, extension: &str) -> String {
    format!("/say/_/{options}/{}.{extension}", URL_SAFE_NO_PAD.encode(text))
}

fn json(answer: &Answer) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn a_text_is_spoken_in_any_format_and_kept_under_one_address() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    for extension in ["ulaw", "wav", "sln16", "opus", "g722"] {
        let first = node.get(&say(TEXT, "-", extension)).await;
        assert_eq!(first.status, StatusCode::OK, "{first:?}");
        let whole = node.send(node.request(Method::GET, &say(TEXT, "-", extension)).header("prefer", "wait")).await;
        assert!(whole.body == first.body);
        let location = whole.header("content-location");
        assert!(location.starts_with("/media/") && location.ends_with(extension), "{location}");
        let kept = node.get(location).await;
        assert!(kept.body == first.body);
        assert_eq!(kept.header("cache-control"), "public, max-age=31536000, immutable");
        let head = node.send(node.request(Method::HEAD, &say(TEXT, "-", extension))).await;
        for field in ["content-length", "content-type", "etag", "cache-control", "last-modified", "content-location"] {
            assert_eq!(head.header(field), whole.header(field), "{field}");
        }
    }
    // Some two seconds of it, and not silence.
    let heard = node.get(&say(TEXT, "-", "sln")).await.body;
    let samples: Vec<i16> = heard.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    assert!((12_000..60_000).contains(&samples.len()), "{}", samples.len());
    assert!(samples.iter().any(|sample| 3_000 < sample.unsigned_abs()));
    node.stop().await;
}

#[tokio::test]
async fn the_same_speech_has_the_same_address_everywhere_and_any_change_another() {
    let origin = Origin::start().await.unwrap();
    let (here, there) = (TestNode::start(&origin).await, TestNode::start(&origin).await);
    let address = async |node: &TestNode, text: &str, options: serde_json::Value, format: &str| {
        let wanted = serde_json::json!({ "source": { "text": text }, "format": format, "options": options });
        let made = node.post(&wanted).await;
        assert!(made.status.is_success(), "{made:?} {}", String::from_utf8_lossy(&made.body));
        let made = json(&made);
        let (id, url) = (made["id"].as_str().unwrap().to_owned(), made["url"].as_str().unwrap().to_owned());
        assert_eq!(url, format!("/media/{id}.{format}"));
        (id, url)
    };
    let plain = serde_json::json!({});
    let same = address(&here, TEXT, plain.clone(), "ulaw").await;
    assert_eq!(address(&there, TEXT, plain.clone(), "ulaw").await, same);
    // By GET, too; however the letters of one text are written down.
    assert_eq!(here.get(&say(TEXT, "-", "ulaw")).await.header("content-location"), same.1);
    let (composed, decomposed) = ("Caf\u{e9}.", "Cafe\u{301}.");
    let cafe = address(&here, composed, plain.clone(), "ulaw").await;
    assert_eq!(address(&there, decomposed, plain.clone(), "ulaw").await, cafe);
    // What names it, without the extension, which is another for each format anyway.
    let mut seen = BTreeSet::from([same.0, cafe.0]);
    for (text, options, format) in [
        (TEXT, plain.clone(), "alaw"),
        ("Welcome to the office. Please hold the line!", plain.clone(), "ulaw"),
        (TEXT, serde_json::json!({ "language": "de" }), "ulaw"),
        (TEXT, serde_json::json!({ "speed": "120" }), "ulaw"),
        (TEXT, serde_json::json!({ "pitch": "80" }), "ulaw"),
        (TEXT, serde_json::json!({ "gain": "-3" }), "ulaw"),
    ] {
        let (id, _) = address(&here, text, options.clone(), format).await;
        assert!(seen.insert(id.clone()), "{options} {format}: {id} again");
    }
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn sentences_are_spoken_once_whatever_they_stand_in() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let spoken = |text: &str| say(text, "-", "sln");
    let (first, second) = ("You are number three in the queue.", "Please hold the line.");
    let both = node.get(&spoken(&format!("{first} {second}"))).await;
    assert_eq!(both.status, StatusCode::OK, "{both:?}");
    let alone = node.get(&spoken(second)).await;
    assert!(both.body.len() > alone.body.len());
    // What the second sentence sounds like is what it sounds like by itself: the same samples, but for the resampler's run over the seam.
    let tail = &both.body[both.body.len() - alone.body.len() / 2..];
    let alone_tail = &alone.body[alone.body.len() - alone.body.len() / 2..];
    let difference = |a: &[u8], b: &[u8]| {
        let sample = |pair: &[u8]| f64::from(i16::from_le_bytes([pair[0], pair[1]]));
        a.chunks_exact(2).zip(b.chunks_exact(2)).map(|(a, b)| (sample(a) - sample(b)).powi(2)).sum::<f64>()
    };
    let silence = vec![0; tail.len()];
    assert!(difference(tail, alone_tail) < 0.05 * difference(tail, &silence), "the second sentence is another sound");
    node.stop().await;
}

#[tokio::test]
async fn what_is_spoken_outlives_eviction_and_is_spoken_anew_after_a_purge() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let made = json(&node.post(&serde_json::json!({ "source": { "text": TEXT }, "format": "ulaw" })).await);
    let url = made["url"].as_str().unwrap();
    let before = node.get(url).await;
    let node = node.restart_after(&origin, |data| std::fs::remove_dir_all(data.join("chunks")).unwrap()).await;
    let again = node.get(url).await;
    assert!(again.body == before.body && again.header("etag") == before.header("etag"));
    assert!(again.header("cache-status").contains("detail=speech"), "{again:?}");
    let purged = node.send(node.request(Method::POST, "/v1/media/purge").body(r#"{"all":true}"#)).await;
    assert_eq!(purged.status, StatusCode::OK);
    let anew = node.send(node.request(Method::GET, &say(TEXT, "-", "ulaw")).header("prefer", "wait")).await;
    assert!(anew.header("cache-status").contains("detail=speech"), "{anew:?}");
    assert_eq!(anew.header("content-location"), url);
    assert!(node.get(&say(TEXT, "-", "ulaw")).await.header("cache-status").contains("hit"));
    node.stop().await;
}

#[tokio::test]
async fn what_cannot_be_spoken_is_told() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start_with(&origin, |config| config.media.speech.text_max = 100).await;
    let slug = async |path: &str| node.get(path).await.slug();
    assert_eq!(slug(&say(TEXT, "voice:nobody-has-this-name", "ulaw")).await, "unknown-voice");
    assert_eq!(slug(&say(TEXT, "engine:nothing", "ulaw")).await, "no-engine");
    assert_eq!(slug(&say(TEXT, "speed:fast", "ulaw")).await, "bad-request");
    assert_eq!(slug(&say(TEXT, "nonsense:1", "ulaw")).await, "bad-request");
    assert_eq!(slug(&say(TEXT, "-", "mp9")).await, "not-acceptable");
    assert_eq!(slug(&say(TEXT, "-", "raw")).await, "not-acceptable");
    assert_eq!(slug(&say("   ", "-", "ulaw")).await, "bad-request");
    assert_eq!(slug(&say("a\u{7}b", "-", "ulaw")).await, "bad-request");
    assert_eq!(slug(&say(&"a ".repeat(60), "-", "ulaw")).await, "over-limit");
    assert_eq!(slug("/say/_/-/*.ulaw").await, "bad-request");
    assert_eq!(slug("/say/AAAA/-/YQ.ulaw").await, "signature-invalid");
    // The long way is for long texts.
    let long = serde_json::json!({ "source": { "text": "A word or two. ".repeat(10) }, "format": "ulaw" });
    let made = node.post(&long).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", String::from_utf8_lossy(&made.body));
    node.stop().await;
}

#[tokio::test]
async fn jambonz_has_its_texts_spoken() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let asked = serde_json::json!({ "language": "en-US", "voice": "en-us", "type": "text", "text": TEXT }).to_string();
    let request = node.request(Method::POST, "/v1/jambonz/speech").header("content-type", "application/json");
    let spoken = node.send(request.header("authorization", "Bearer anything").body(asked)).await;
    assert_eq!((spoken.status, spoken.header("content-type")), (StatusCode::OK, "audio/wav"), "{spoken:?}");
    assert_eq!(&spoken.body[..4], b"RIFF");
    let wrong = node.send(node.request(Method::POST, "/v1/jambonz/speech").body("{}")).await;
    assert_eq!(wrong.slug(), "bad-request");
    node.stop().await;
}

#[tokio::test]
async fn a_clip_stands_in_for_speech_that_cannot_be_had_and_is_never_kept() {
    let origin = Origin::start().await.unwrap();
    let clip = ringback::testing::fixture::audio_dir().join("chirp.aiff");
    let node = TestNode::start_with(&origin, |config| {
        config.media.speech.fallback_clip = clip.to_str().unwrap().to_owned();
        // Nothing that has to be spoken first is there by then.
        config.media.speech.deadline = std::time::Duration::from_nanos(1);
    })
    .await;
    // A text of its own for each: what was spoken before is there at once.
    for (extension, text) in [("ulaw", TEXT), ("wav", "Good evening.")] {
        let heard = node.get(&say(text, "-", extension)).await;
        assert_eq!((heard.status, heard.header("cache-control")), (StatusCode::OK, "no-store"), "{heard:?}");
        assert_eq!(heard.header("content-location"), "");
        assert!(heard.header("cache-status").contains("detail=stand-in"), "{heard:?}");
        let clip = Body::of(std::fs::read(&clip).unwrap());
        origin.set("/chirp.aiff", Reply::ok("audio/aiff", clip));
        let tone = node.get(&crate::support::node::fetch_path(&origin.url("/chirp.aiff"), extension)).await;
        assert!(heard.body == tone.body, "{extension}");
        // The speech itself was made behind it.
        let wanted = serde_json::json!({ "source": { "text": text }, "format": extension });
        let made = json(&node.post(&wanted).await);
        let spoken = node.get(&say(text, "-", extension)).await;
        assert_eq!(spoken.header("content-location"), made["url"].as_str().unwrap());
        assert!(spoken.body != heard.body);
    }
    node.stop().await;
}

/// A node that has a service speak, which begins with `replies`.
async fn served(replies: impl IntoIterator<Item = Reply>) -> (Origin, SpeechService, TestNode) {
    let (origin, service) = (Origin::start().await.unwrap(), SpeechService::start().await.unwrap());
    service.answer_in_turn(replies);
    let url = service.url();
    let node = TestNode::start_with(&origin, |config| config.media.speech.http.url = Some(url)).await;
    (origin, service, node)
}

fn spoken_tone(seconds: u64) -> Reply {
    Reply::ok("audio/wav", Body::of(tone(Duration::from_secs(seconds))))
}

#[tokio::test]
async fn the_first_sentence_is_heard_before_the_second_is_spoken() {
    let gate = Gate::closed();
    let (_origin, service, node) = served([spoken_tone(2), spoken_tone(1).hold_headers(&gate)]).await;
    let mut answer = node.request(Method::GET, &say(TEXT, "-", "sln")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    // Two seconds, but for what the resampler holds until more comes.
    let mut heard = 0;
    while heard < 2 * 8_000 * 2 - 2_000 {
        heard += answer.chunk().await.unwrap().expect("the first sentence is not all").len();
    }
    gate.open();
    while let Some(bytes) = answer.chunk().await.unwrap() {
        heard += bytes.len();
    }
    assert_eq!(heard, 3 * 8_000 * 2);
    let texts: Vec<_> = service.asked().iter().map(|asked| asked.body["input"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts, ["Welcome to the office.", "Please hold the line."]);
    node.stop().await;
}

#[tokio::test]
async fn a_sentence_is_spoken_once_however_many_want_it_in_whatever_text_and_format() {
    let (_origin, service, node) = served([spoken_tone(1)]).await;
    let texts = ["Please hold the line.", "One moment. Please hold the line.", "Please hold the line. One moment."];
    let formats = ["ulaw", "alaw", "wav"];
    let wanted = texts.iter().flat_map(|text| formats.map(|format| say(text, "-", format)));
    let answers = futures_util::future::join_all(wanted.map(async |path| node.get(&path).await.status)).await;
    assert!(answers.iter().all(|status| *status == StatusCode::OK), "{answers:?}");
    let mut spoken: Vec<_> = service.asked().iter().map(|asked| asked.body["input"].to_string()).collect();
    spoken.sort();
    assert_eq!(spoken, [r#""One moment.""#, r#""Please hold the line.""#]);
    node.stop().await;
}

#[tokio::test]
async fn a_service_that_fails_is_told_or_stood_in_for_and_nothing_of_it_is_kept() {
    let gate = Gate::closed();
    let failing = || Reply::status(500, "application/json", Body::of("{}"));
    let (_origin, service, node) = served([spoken_tone(1), failing().hold_headers(&gate), failing()]).await;
    // After the first sentence the second fails: what has gone out ends without its end.
    let mut answer = node.request(Method::GET, &say(TEXT, "-", "sln")).send().await.unwrap();
    assert!(answer.chunk().await.unwrap().is_some());
    gate.open();
    answer.bytes().await.unwrap_err();
    let told = node.get(&say("Another text.", "-", "ulaw")).await;
    assert_eq!((told.status.as_u16(), told.slug().as_str()), (502, "speech-failed"));
    service.answer(spoken_tone(1));
    // The failure is remembered for a while, and the first sentence is not spoken again.
    node.node.clock.advance_wall(Duration::from_secs(60));
    let whole = node.get(&say(TEXT, "-", "sln")).await;
    assert_eq!((whole.status, whole.body.len()), (StatusCode::OK, 2 * 8_000 * 2));
    let first = service.asked().iter().filter(|asked| asked.body["input"] == "Welcome to the office.").count();
    assert_eq!(first, 1);
    node.stop().await;
}

#[tokio::test]
async fn what_an_engine_gives_that_is_no_audio_fails_once_and_is_not_kept() {
    // Neither is a page or JSON, so that nothing tells before it is decoded.
    let noise: Vec<u8> = (0..4_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8 & 0x7f).collect();
    let header = tone(Duration::from_secs(1))[..44].to_vec();
    let mut rateless = tone(Duration::from_secs(1));
    rateless[24..28].fill(0);
    for junk in [b"rate limited".to_vec(), noise, header, rateless] {
        let junk = || Reply::ok("audio/wav", Body::of(junk.clone()));
        let (_origin, service, node) = served([spoken_tone(1), junk()]).await;
        for path in [say(TEXT, "-", "wav"), say("Please hold the line.", "-", "ulaw")] {
            let told = node.get(&path).await;
            assert_eq!((told.status.as_u16(), told.slug().as_str()), (502, "speech-failed"), "{path}");
        }
        service.answer(spoken_tone(2));
        node.node.clock.advance_wall(Duration::from_secs(60));
        // The first sentence is there from before.
        let whole = node.get(&say(TEXT, "-", "sln")).await;
        assert_eq!((whole.status, whole.body.len()), (StatusCode::OK, 3 * 8_000 * 2), "{whole:?}");
        node.stop().await;
    }
}

#[tokio::test]
async fn everybody_hears_the_stand_in_while_a_failure_is_remembered() {
    let (origin, service) = (Origin::start().await.unwrap(), SpeechService::start().await.unwrap());
    service.answer(Reply::status(500, "application/json", Body::of("{}")));
    let clip = ringback::testing::fixture::audio_dir().join("chirp.aiff");
    let node = TestNode::start_with(&origin, |config| {
        config.media.speech.http.url = Some(service.url());
        config.media.speech.fallback_clip = clip.to_str().unwrap().to_owned();
    })
    .await;
    let path = say("Good evening.", "-", "ulaw");
    let first = node.get(&path).await;
    assert_eq!((first.status, first.header("cache-control")), (StatusCode::OK, "no-store"), "{first:?}");
    for _ in 0..3 {
        let next = node.get(&path).await;
        assert_eq!((next.status, next.header("cache-control")), (StatusCode::OK, "no-store"), "{next:?}");
        assert!(next.header("cache-status").contains("detail=stand-in"), "{next:?}");
        assert_eq!(next.header("content-location"), "");
        assert!(next.body == first.body);
    }
    // It is remembered: the service is left alone. Nothing of the clip is under the text's name.
    assert_eq!(service.asked().len(), 1);
    assert_eq!(node.get_with(&path, "cache-control", "only-if-cached").await.slug(), "not-cached");
    service.answer(spoken_tone(1));
    node.node.clock.advance_wall(Duration::from_secs(60));
    assert_eq!(node.get(&path).await.body.len(), 8_000);
    node.stop().await;
}

#[tokio::test]
async fn speech_is_purged_by_its_labels_and_by_its_name() {
    let (_origin, service, node) = served([spoken_tone(1)]).await;
    let purge = async |rule: serde_json::Value| {
        let request = node.request(Method::POST, "/v1/media/purge").body(rule.to_string());
        assert_eq!(node.send(request).await.status, StatusCode::OK, "{rule}");
    };
    let wanted = serde_json::json!({ "source": { "text": TEXT }, "format": "ulaw", "tags": ["closing-time"] });
    let made = json(&node.post(&wanted).await);
    let described = json(&node.get(&format!("/v1/media/{}", made["id"].as_str().unwrap())).await);
    let name = described["source"].as_str().unwrap();
    assert!(name.starts_with("speech:"), "{name}");
    let mut spoken = service.asked().len();
    assert_eq!(spoken, 2);
    for rule in [serde_json::json!({ "tag": "closing-time" }), serde_json::json!({ "url": name })] {
        purge(rule.clone()).await;
        let anew = node.send(node.request(Method::GET, &say(TEXT, "-", "ulaw")).header("prefer", "wait")).await;
        assert_eq!(anew.header("content-location"), made["url"].as_str().unwrap(), "{anew:?}");
        spoken += 2;
        assert_eq!(service.asked().len(), spoken, "{rule}");
        // Once.
        assert!(node.get(&say(TEXT, "-", "ulaw")).await.header("cache-status").contains("hit"));
        assert_eq!(service.asked().len(), spoken, "{rule}");
    }
    let nonsense = node.request(Method::POST, "/v1/media/purge").body(r#"{"url":"speech:nonsense"}"#);
    assert_eq!(node.send(nonsense).await.slug(), "bad-request");
    node.stop().await;
}

#[tokio::test]
async fn what_is_on_its_way_at_a_purge_counts_as_spoken_before_it() {
    let gate = Gate::closed();
    let (_origin, service, node) = served([spoken_tone(1).hold_headers(&gate), spoken_tone(1)]).await;
    let text = "Please hold the line.";
    let path = say(text, "-", "ulaw");
    let purge = async {
        service.origin().wait_for_requests(1).await;
        // A moment that the clock can tell.
        node.node.clock.advance_wall(Duration::from_secs(1));
        let request = node.request(Method::POST, "/v1/media/purge").body(r#"{"all":true}"#);
        assert_eq!(node.send(request).await.status, StatusCode::OK);
        node.node.clock.advance_wall(Duration::from_secs(1));
        gate.open();
    };
    let (before, ()) = futures_util::future::join(node.get(&path), purge).await;
    assert_eq!(before.status, StatusCode::OK);
    // Nor does another text have the sentence from then.
    let other = node.get(&say(&format!("One moment. {text}"), "-", "ulaw")).await;
    assert_eq!(other.status, StatusCode::OK);
    assert_eq!(service.asked().len(), 3);
    node.stop().await;
}

#[tokio::test]
async fn private_speech_has_an_address_that_nobody_can_compute_and_shares_nothing() {
    let (_origin, service, node) = served([spoken_tone(1)]).await;
    let public = node.post(&serde_json::json!({ "source": { "text": TEXT }, "format": "ulaw" })).await;
    let options = serde_json::json!({ "private": "true" });
    let wanted = serde_json::json!({ "source": { "text": TEXT }, "format": "ulaw", "options": options });
    let made = node.post(&wanted).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    // The public one's sentences are not taken.
    assert_eq!(service.asked().len(), 4);
    let (made, public) = (json(&made), json(&public));
    let (url, id) = (made["url"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert!(url.starts_with("/media/") && url.matches('/').count() == 3, "{url}");
    assert_ne!(made["id"], public["id"]);
    let said = node.get(&say(TEXT, "private:true", "ulaw")).await;
    assert_eq!((said.status, said.header("cache-control")), (StatusCode::OK, "private, max-age=60"), "{said:?}");
    assert_eq!(said.header("content-location"), url);
    let head = node.send(node.request(Method::HEAD, &say(TEXT, "private:true", "ulaw"))).await;
    for field in ["content-length", "etag", "cache-control", "last-modified", "content-location"] {
        assert_eq!(head.header(field), said.header(field), "{field}");
    }
    let played = node.get(url).await;
    assert_eq!((played.status, played.header("cache-control")), (StatusCode::OK, "private, max-age=60"));
    assert!(played.body == said.body);
    // Without what stands in front of it, it is no address.
    let unknown = node.get(&format!("/media/{}.ulaw", "0".repeat(64))).await;
    let bare = node.get(&format!("/media/{id}.ulaw")).await;
    assert_eq!((bare.status, bare.body), (StatusCode::NOT_FOUND, unknown.body));
    // In a path, what is not private is the same as what says nothing of it.
    let open = node.get(&say(TEXT, "private:false", "ulaw")).await;
    assert_eq!(open.header("content-location"), public["url"].as_str().unwrap());
    assert_eq!(node.get(&say(TEXT, "private:perhaps", "ulaw")).await.slug(), "bad-request");
    // Purged, it is made again under its address.
    let purge = node.request(Method::POST, "/v1/media/purge").body(r#"{"all":true}"#);
    assert_eq!(node.send(purge).await.status, StatusCode::OK);
    let again = node.get(url).await;
    assert!(again.status == StatusCode::OK && again.body == said.body, "{again:?}");
    assert!(again.header("cache-status").contains("detail=speech"), "{again:?}");
    node.stop().await;
}

#[tokio::test]
async fn what_is_sent_when_it_is_whole_is_stood_in_for_where_it_falls_silent_in_the_middle() {
    let (origin, service) = (Origin::start().await.unwrap(), SpeechService::start().await.unwrap());
    let gate = Gate::closed();
    service.answer_in_turn([spoken_tone(1), spoken_tone(1).hold_headers(&gate), spoken_tone(1)]);
    let clip = ringback::testing::fixture::audio_dir().join("chirp.aiff");
    let node = TestNode::start_with(&origin, |config| {
        config.media.speech.http.url = Some(service.url());
        config.media.speech.fallback_clip = clip.to_str().unwrap().to_owned();
        config.media.speech.deadline = Duration::from_millis(300);
    })
    .await;
    let heard = node.get(&say(TEXT, "-", "wav")).await;
    assert_eq!((heard.status, heard.header("cache-control")), (StatusCode::OK, "no-store"), "{heard:?}");
    assert!(heard.header("cache-status").contains("detail=stand-in"), "{heard:?}");
    // The speech is made behind it.
    gate.open();
    let wanted = serde_json::json!({ "source": { "text": TEXT }, "format": "wav" });
    assert!(node.post(&wanted).await.status.is_success());
    let spoken = node.get(&say(TEXT, "-", "wav")).await;
    assert_eq!(spoken.body.len(), 44 + 2 * 8_000 * 2);
    node.stop().await;
}

#[tokio::test]
async fn what_is_not_to_be_kept_has_no_address_to_be_told() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let wanted = serde_json::json!({ "source": { "text": TEXT }, "format": "ulaw" }).to_string();
    let warm = serde_json::json!({ "sources": [{ "text": TEXT }], "formats": ["ulaw"] }).to_string();
    for (path, body) in [("/v1/media", wanted), ("/v1/media/warm", warm)] {
        let request = node.request(Method::POST, path).header("cache-control", "no-store").body(body);
        assert_eq!(node.send(request).await.slug(), "bad-request", "{path}");
    }
    assert_eq!(node.get_with(&say(TEXT, "-", "ulaw"), "cache-control", "only-if-cached").await.slug(), "not-cached");
    node.stop().await;
}

#[tokio::test]
async fn speech_that_is_deleted_takes_its_sentences_along() {
    let (_origin, service, node) = served([spoken_tone(1)]).await;
    let made = json(&node.post(&serde_json::json!({ "source": { "text": TEXT }, "format": "ulaw" })).await);
    let path = format!("/v1/media/{}", made["id"].as_str().unwrap());
    assert_eq!(node.send(node.request(Method::DELETE, &path)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(node.get(&say(TEXT, "-", "ulaw")).await.status, StatusCode::OK);
    assert_eq!(service.asked().len(), 4);
    node.stop().await;
}
