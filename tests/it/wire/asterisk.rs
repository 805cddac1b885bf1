//! Asterisk's res_http_media_cache, behind `Playback(http://…)` and `sound:http://…`.
//!
//! It keeps a file until `s-maxage`, `max-age` or `Expires` is over. Then, or at once where Cache-Control has `no-cache` or
//! `must-revalidate`, it asks HEAD with `If-None-Match`: 304 is fresh, everything else is downloaded. Any 2xx is a success. The type decides
//! on the decoder, at first with its parameters, then without; where no format has it, the extension of the path, without the query.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use super::{
    FORMS, How, Played, Stand,
    decoders::{BODIES, Heard, Is, Reads, check, heard},
    libcurl::Curl,
    transcript::Transcript,
};
use crate::support::wire::Reply;

const CURL: Curl = Curl {
    user_agent: "asterisk-libcurl-agent/1.0",
    fields: &[],
    redirects_max: 8,
    reads: &["cache-control", "content-type", "etag", "expires", "last-modified"],
};

/// Formats of its core: extensions, types, decoder. Extensions are compared with case, types without.
const FORMATS: &[(&[&str], &[&str], Reads)] = &[
    (&["pcm", "ulaw", "ul", "mu", "ulw"], &["audio/basic"], Reads::Ulaw),
    (&["alaw", "al", "alw"], &[], Reads::Alaw),
    (&["g722"], &[], Reads::G722),
    (&["sln", "slin", "raw"], &[], Reads::Linear(16, 8_000)),
    (&["sln16"], &[], Reads::Linear(16, 16_000)),
    (&["sln24"], &[], Reads::Linear(16, 24_000)),
    (&["sln32"], &[], Reads::Linear(16, 32_000)),
    (&["sln48"], &[], Reads::Linear(16, 48_000)),
    (&["wav16"], &["audio/x-wav;codec=pcm;bit=16;rate=16000"], Reads::Wav(Some(16_000))),
    (&["wav"], &["audio/wav", "audio/x-wav", "audio/x-wav;codec=pcm;bit=16;rate=8000"], Reads::Wav(Some(8_000))),
    (&["ogg"], &[], Reads::OggVorbis),
];

/// Its cache.
#[derive(Default)]
pub(super) struct Asterisk {
    files: HashMap<String, File>,
}

struct File {
    expires: SystemTime,
    always_asks: bool,
    etag: String,
    extension: Option<String>,
    body: Vec<u8>,
}

impl Asterisk {
    /// Plays an address, or says nothing.
    pub(super) async fn play(&mut self, stand: &Stand, url: &str, transcript: &mut Transcript) -> Option<Played> {
        let now = stand.now();
        if let Some(file) = self.files.get_mut(url) {
            let played =
                |how, file: &File| Some(Played { how, extension: file.extension.clone(), body: file.body.clone() });
            if now < file.expires && !file.always_asks {
                return played(How::Kept, file);
            }
            if !file.etag.is_empty() {
                let none_match = format!("If-None-Match: {}", file.etag);
                let head = CURL.perform(stand, "HEAD", url, &[none_match], transcript).await;
                if head.status == 304 {
                    file.expires = expires(now, &head);
                    return played(How::Confirmed, file);
                }
            }
            self.files.remove(url);
        }
        let get = CURL.perform(stand, "GET", url, &[], transcript).await;
        if !(200..300).contains(&get.status) {
            return None;
        }
        let control = get.field("cache-control");
        let file = File {
            expires: expires(now, &get),
            always_asks: control.contains("no-cache") || control.contains("must-revalidate"),
            etag: get.field("etag").to_owned(),
            extension: extension(url, get.field("content-type")),
            body: get.body,
        };
        let played = Played { how: How::Fetched, extension: file.extension.clone(), body: file.body.clone() };
        self.files.insert(url.to_owned(), file);
        Some(played)
    }
}

fn expires(now: SystemTime, reply: &Reply) -> SystemTime {
    let control = reply.field("cache-control");
    if !control.is_empty() {
        let at = control.find("s-maxage").or_else(|| control.find("max-age"));
        let value = at.and_then(|at| control[at..].split_once('=')).map(|(_, value)| value);
        let value = value.and_then(|value| value.split(|digit: char| !digit.is_ascii_digit()).next()?.parse().ok());
        return now + Duration::from_secs(value.unwrap_or(0));
    }
    httpdate::parse_http_date(reply.field("expires")).unwrap_or(now)
}

/// The extension under which it keeps an answer.
fn extension(url: &str, content_type: &str) -> Option<String> {
    let bare = content_type.split(';').next().unwrap_or_default().trim_end();
    let by_type = |wanted: &str| {
        let found = FORMATS.iter().find(|(_, types, _)| types.iter().any(|found| found.eq_ignore_ascii_case(wanted)));
        found.map(|(extensions, ..)| extensions[0].to_owned())
    };
    let by_path = || {
        let path = url.split(['?', '#']).next().unwrap();
        let (_, found) = path.rsplit_once('.')?;
        decoder(found).map(|_| found.to_owned())
    };
    by_type(content_type).or_else(|| by_type(bare)).or_else(by_path)
}

/// The decoder of an extension.
pub(super) fn decoder(extension: &str) -> Option<Reads> {
    let found = FORMATS.iter().find(|(extensions, ..)| extensions.contains(&extension));
    found.map(|(.., reads)| *reads)
}

#[tokio::test]
async fn it_plays_every_address_and_revalidates_by_head() {
    let mut transcript = Transcript::new("asterisk");
    for form in FORMS {
        for name in ["ulaw", "wav", "wav16", "sln16", "g722"] {
            let stand = Stand::start().await;
            let url = stand.url(form, name).await;
            let mut client = Asterisk::default();
            let mut play = async |what: &str, transcript: &mut Transcript| {
                transcript.title(&format!("{} .{name}: {what}", form.name));
                client.play(&stand, &url, transcript).await.unwrap()
            };
            let first = play("first", &mut transcript).await;
            assert_eq!(first.how, How::Fetched, "{url}");
            let (_, is) = BODIES.iter().find(|(extension, _)| *extension == name).unwrap();
            assert_eq!(heard(first.extension.as_deref().and_then(decoder), *is), Heard::Audio, "{url}");
            stand.pass(form.lasts - Duration::from_secs(10));
            assert_eq!(play("within max-age", &mut transcript).await, Played { how: How::Kept, ..first.clone() });
            stand.pass(Duration::from_secs(11));
            let again = play("when that is over", &mut transcript).await;
            assert_eq!(again, Played { how: How::Confirmed, ..first.clone() });
            stand.pass(form.lasts - Duration::from_secs(10));
            assert_eq!(play("within max-age of that", &mut transcript).await.how, How::Kept);
            stand.greet_otherwise();
            stand.pass(Duration::from_secs(11));
            let changed = play("the source has changed", &mut transcript).await;
            let expected = if form.is_persistent { How::Confirmed } else { How::Fetched };
            assert_eq!((changed.how, changed.body == first.body), (expected, form.is_persistent), "{url}");
            stand.stop().await;
        }
    }
    transcript.check();
}

#[tokio::test]
async fn an_error_is_never_audio() {
    let stand = Stand::start().await;
    let mut transcript = Transcript::new("asterisk");
    let missing = crate::support::node::fetch_path(&stand.origin.url("/missing.wav"), "wav");
    for path in [missing.as_str(), "/media/nothing.wav", "/fetch/_/-/nothing.wav"] {
        let played = Asterisk::default().play(&stand, &stand.node.url(path), &mut transcript).await;
        assert_eq!(played, None, "{path}");
    }
    stand.stop().await;
}

/// `.raw` is whatever the origin had, and Asterisk has an extension of that name. The documents say so.
#[test]
fn what_it_hears_of_each_extension() {
    let plays = ["ulaw", "ul", "alaw", "al", "wav", "wav16", "sln", "sln16", "sln24", "sln32", "sln48", "g722"];
    let chosen = |name: &str| {
        let (_, content_type) = super::TYPES.iter().find(|(extension, _)| *extension == name).unwrap();
        // Of an MP3 that comes as it is.
        let content_type = if name == "raw" { "audio/mpeg" } else { content_type };
        decoder(&extension(&format!("http://node/media/x.{name}"), content_type)?)
    };
    check("Asterisk", chosen, &plays, &["raw"]);
}

/// 16 kHz under `.wav` would be taken for 8: its decoder says so and plays nothing. `.wav16` is for that.
#[tokio::test]
async fn wide_band_wav_has_an_extension_of_its_own() {
    let stand = Stand::start().await;
    let url = stand.node.url(&format!("/fetch/_/rate:16000/{}.wav", stand.source_base64()));
    let mut transcript = Transcript::new("asterisk");
    let played = Asterisk::default().play(&stand, &url, &mut transcript).await.unwrap();
    assert_eq!(u32::from_le_bytes(played.body[24..28].try_into().unwrap()), 16_000);
    assert_eq!(heard(played.extension.as_deref().and_then(decoder), Is::Wav(16_000)), Heard::Nothing);
    let url = stand.url(&FORMS[0], "wav16").await;
    let wide = Asterisk::default().play(&stand, &url, &mut transcript).await.unwrap();
    assert_eq!(heard(wide.extension.as_deref().and_then(decoder), Is::Wav(16_000)), Heard::Audio);
    assert!(wide.body == played.body);
    stand.stop().await;
}

/// A query changes nothing for it.
#[tokio::test]
async fn what_is_appended_does_not_hide_the_extension() {
    let stand = Stand::start().await;
    for query in ["?call=1", "?call=1.5", "?from=sip:a/b.c"] {
        let url = stand.node.url(&format!("{}{query}", stand.fetch_base64("ulaw")));
        let mut transcript = Transcript::new("asterisk");
        let played = Asterisk::default().play(&stand, &url, &mut transcript).await.unwrap();
        assert_eq!(played.extension.as_deref(), Some("ulaw"), "{query}");
    }
    stand.stop().await;
}
