//! Requests of jambonz's custom vendors, as its speech-utils and its FreeSWITCH module send them.

use crate::media::speech::{
    Markup, SpeechError, Wish,
    jambonz::{self, Asked, EXTENSION},
};

fn parse(body: &str) -> Result<Asked, SpeechError> {
    jambonz::parse(body.as_bytes())
}

#[test]
fn both_of_their_senders_are_understood() {
    let asked = parse(r#"{"language":"en-US","voice":"en-us","type":"text","text":"Hello"}"#).unwrap();
    let wish = Wish { voice: Some("en-us".into()), language: Some("en-US".into()), ..Wish::default() };
    assert_eq!(asked, Asked { wish, text: "Hello".into() });
    // The module leaves out what it has not.
    let asked = parse(r#"{"text":"Hello","type":"text"}"#).unwrap();
    assert_eq!(asked, Asked { wish: Wish::default(), text: "Hello".into() });
    let asked = parse(r#"{"text":"<speak>Hello</speak>","type":"ssml"}"#).unwrap();
    assert_eq!(asked.wish.markup, Markup::Ssml);
    // speech-utils takes only a bare <speak> for SSML.
    let asked = parse(r#"{"text":"<speak version=\"1.1\">Hello</speak>","type":"text"}"#).unwrap();
    assert_eq!(asked.wish.markup, Markup::Ssml);
}

#[test]
fn what_says_nothing_is_left_to_the_configuration() {
    for body in [
        r#"{"text":"x","voice":null,"language":null}"#,
        r#"{"text":"x","voice":"","language":" "}"#,
        r#"{"text":"x","voice":"undefined","language":"default"}"#,
        r#"{"text":"x","voice":{"name":"y"},"model":"z","deploymentId":7}"#,
    ] {
        assert_eq!(parse(body).unwrap().wish, Wish::default(), "{body}");
    }
}

#[test]
fn what_is_no_request_is_refused() {
    for body in [
        "",
        "x",
        "[]",
        "{}",
        r#"{"text":7}"#,
        r#"{"text":null}"#,
        r#"{"text":"x","type":"mp3"}"#,
        "{\"text\":\"\u{0}\"}",
    ] {
        assert!(matches!(parse(body), Err(SpeechError::BadOption { .. })), "{body}");
    }
    assert!(jambonz::parse(b"{\"text\":\"\xff\"}").is_err());
}

/// Compared as a whole string by them.
#[test]
fn the_answer_is_a_wav_of_theirs() {
    let format = crate::media::format::Format::parse(EXTENSION, &[]).unwrap();
    assert_eq!((format.content_type(EXTENSION).as_deref(), format.rate().hz()), (Some("audio/wav"), 8_000));
}
