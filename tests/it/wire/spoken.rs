//! Routers that have texts spoken: the command line of FreeSWITCH's mod_tts_commandline, and jambonz' custom vendor.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;

use super::{
    Stand,
    decoders::{Heard, Is, heard},
    freeswitch,
    recipes::{NODE, chapter},
    transcript::Transcript,
};
use crate::support::wire::{Reply, Wire};

/// What a shell, a URL or JSON could take for its own.
const TEXTS: &[&str] = &[
    "Good morning",
    "It's \"half past\" 5 o'clock; $HOME & `id` are no words, $(nor is this), 100%20.",
    "Grüß Gott.\nEine zweite Zeile \\ ein Rückstrich.",
];

/// `command` of the page's line, as FreeSWITCH reads it.
fn command() -> String {
    let chapter = chapter("Speech");
    let (_, rest) = chapter.split_once("<param name=\"command\" value=\"").expect("the line is there");
    let (value, _) = rest.split_once("\"/>").unwrap();
    assert!(!value.contains(['&', '<']), "it would have to be unescaped");
    value.to_owned()
}

/// `switch_util_quote_shell_arg`.
fn quoted(argument: &str) -> String {
    format!("'{}'", argument.replace('\'', r"'\''"))
}

/// `tts_commandline_speech_feed_tts`: what is run, in the order in which it puts things in.
fn filled(command: &str, text: &str, voice: &str, rate: u32, file: &Path) -> String {
    command
        .replace("${text}", &quoted(text))
        .replace("${voice}", &quoted(voice))
        .replace("${rate}", &rate.to_string())
        .replace("${file}", &quoted(file.to_str().unwrap()))
}

/// `switch_system`: by the shell. How it ends counts only where it could not be run.
async fn run(line: String) {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(line).stdin(Stdio::null()).env("NO_PROXY", "127.0.0.1");
    let ended = tokio::task::spawn_blocking(move || shell.output()).await.unwrap().unwrap();
    assert_ne!(ended.status.code(), Some(127), "{ended:?}");
}

#[tokio::test]
async fn mod_tts_commandline_has_its_file_whatever_the_text_is() {
    let stand = Stand::start().await;
    let command = command().replace(NODE, &stand.node.url(""));
    let directory = tempfile::tempdir().unwrap();
    // Its rate is the call's.
    for (text, rate) in TEXTS.iter().flat_map(|text| [8_000, 16_000, 48_000].map(|rate| (text, rate))) {
        let file = directory.path().join("5b0f7a1e-2e0c-4f5d-9a51-6f1f3f0a7a11.tmp.wav");
        run(filled(&command, text, "en", rate, &file)).await;
        // It opens the file by its extension, at its own rate.
        let played = std::fs::read(&file).unwrap_or_else(|error| panic!("{text:?} at {rate}: {error}"));
        assert_eq!(heard(freeswitch::decoder("wav"), Is::Wav(rate)), Heard::Audio);
        assert_eq!((&played[..4], &played[8..12]), (&b"RIFF"[..], &b"WAVE"[..]));
        assert_eq!(played[24..28], rate.to_le_bytes());
        let path = format!("/say/_/voice:en,rate:{rate}/{}.wav", URL_SAFE_NO_PAD.encode(text));
        let same = stand.node.get(&path).await;
        assert!(same.header("cache-status").contains("hit"), "{same:?}");
        assert!(same.body == played, "{text:?} at {rate}");
        std::fs::remove_file(&file).unwrap();
    }
    // What is refused leaves no file that would be played.
    let file = directory.path().join("refused.tmp.wav");
    run(filled(&command, TEXTS[0], "nobody-has-this-name", 8_000, &file)).await;
    assert!(!file.exists());
    stand.stop().await;
}

/// `synthCustomVendor` of jambonz' speech-utils, whose client (bent 7 on Node 20) writes what is its own in lower case.
async fn jambonz(stand: &Stand, language: &str, voice: &str, text: &str, transcript: &mut Transcript) -> Reply {
    let kind = if text.starts_with("<speak>") { "ssml" } else { "text" };
    let string = |text: &str| serde_json::to_string(text).unwrap();
    let body = format!(
        r#"{{"language":{},"voice":{},"type":"{kind}","text":{}}}"#,
        string(language),
        string(voice),
        string(text)
    );
    let address = stand.node.node.address;
    let request = format!(
        "POST /v1/jambonz/speech HTTP/1.1\r\nAuthorization: Bearer token-of-the-portal\r\ncontent-type: application/json\r\n\
         accept-encoding: br, gzip, deflate\r\nHost: {address}\r\ncontent-length: {}\r\nConnection: keep-alive\r\n\r\n{body}",
        body.len()
    );
    let mut wire = Wire::connect(address).await;
    wire.write(request.as_bytes()).await;
    let reply = wire.answer("POST").await;
    // How long it is is the engine's matter: the header of the file, where it is one.
    let shown = if reply.status == 200 { reply.body[..44].to_vec() } else { reply.body.clone() };
    let shown = Reply { body: shown, ..reply.clone() };
    transcript.exchange(stand, &request, &shown, &["content-type", "content-encoding"]);
    reply
}

/// `getFileExtFromMime`, as far as it can come of this node: compared as whole strings.
fn file_of(content_type: &str) -> (&'static str, Is) {
    match content_type {
        "audio/mpeg" | "audio/mp3" => ("mp3", Is::Original),
        // And all that it does not know.
        _ => ("wav", Is::Wav(8_000)),
    }
}

#[tokio::test]
async fn jambonz_has_its_custom_vendor() {
    let stand = Stand::start().await;
    let mut transcript = Transcript::new("jambonz_speech");
    let texts = TEXTS.iter().copied().chain(["<speak>One <break time=\"200ms\"/> two</speak>"]);
    for (text, at) in texts.zip(1..) {
        transcript.title(&format!("text {at}"));
        let reply = jambonz(&stand, "en-US", "en-us", text, &mut transcript).await;
        // bent takes no other success.
        assert_eq!(reply.status, 200, "{text:?}: {}", reply.shown());
        assert_eq!((reply.field("content-type"), reply.field("content-encoding")), ("audio/wav", ""));
        let (extension, is) = file_of(reply.field("content-type"));
        assert_eq!(heard(freeswitch::decoder(extension), is), Heard::Audio);
        // What the file says is what it is taken for.
        assert_eq!((&reply.body[..4], &reply.body[24..28]), (&b"RIFF"[..], &8_000_u32.to_le_bytes()[..]));
        assert!(4_000 < reply.body.len(), "{}", reply.shown());
    }
    transcript.title("a voice that there is not");
    let refused = jambonz(&stand, "en-US", "nobody-has-this-name", "Hello", &mut transcript).await;
    assert_eq!(refused.slug(), "unknown-voice");
    // What was said once is there, by whatever way it is asked for.
    let wanted = serde_json::json!({
        "source": { "text": TEXTS[0] }, "format": "wav", "options": { "voice": "en-us", "language": "en-US" },
    });
    let request = stand.node.request(Method::POST, "/v1/media").body(wanted.to_string());
    assert_eq!(stand.node.send(request).await.status, 200);
    transcript.check();
    stand.stop().await;
}
