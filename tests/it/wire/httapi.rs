//! FreeSWITCH's mod_httapi, which plays `http://` in its usual configuration.
//!
//! It keeps a file and a note of `url:last-modified:etag:content-length:extension`. Until the note is over (`max-age`, at most 300 s) it
//! plays the file. Then it asks HEAD, and where the note would be the same, that is all; else it asks GET. Only 200 is a success. A note is
//! read back up to its 1,024th byte. What stands before the first `@`, wherever that is, is taken for user name and password.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use super::{
    FORMS, How, Played, Stand,
    decoders::{Heard, Is, heard},
    freeswitch,
    libcurl::Curl,
    transcript::Transcript,
};
use crate::support::{node::fetch_path, wire::Reply};

/// Bytes of a note, with the one that ends it.
pub(super) const NOTE_MAX: usize = 1_024;
/// `file-cache-ttl`.
const TTL: Duration = Duration::from_secs(300);

const CURL: Curl = Curl {
    user_agent: "mod_httapi/1.0",
    // It sets an empty cookie, and libcurl sends it.
    fields: &["Cookie: "],
    redirects_max: 10,
    reads: &["cache-control", "content-length", "content-type", "etag", "last-modified"],
};

/// Its cache.
#[derive(Default)]
pub(super) struct Httapi {
    files: HashMap<String, File>,
}

struct File {
    expires: SystemTime,
    /// What of the note is read back.
    metadata: String,
    extension: Option<String>,
    body: Vec<u8>,
}

impl Httapi {
    /// Plays an address, or says nothing. `parameters` are those in brackets before the host.
    pub(super) async fn play(
        &mut self,
        stand: &Stand,
        url: &str,
        parameters: &[(&str, &str)],
        transcript: &mut Transcript,
    ) -> Option<Played> {
        let parameter =
            |name| parameters.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned());
        let mut extension = parameter("ext").or_else(|| extension(url));
        if let Some(file) = self.files.get(url) {
            // The note's last part, which is all of it where it was cut before.
            let noted = file.metadata.rsplit(':').next().filter(|noted| !noted.is_empty());
            extension = noted.map(str::to_owned).or(extension);
            if stand.now() < file.expires {
                return self.played(url, How::Kept);
            }
        }
        if parameter("nohead").is_none() {
            let head = CURL.perform(stand, "HEAD", &without_credentials(url), &[], transcript).await;
            if head.status != 200 {
                self.files.remove(url);
                return None;
            }
            let by_type = || freeswitch::extension_of_type(head.field("content-type")).map(str::to_owned);
            extension = extension.or_else(by_type);
            let metadata = metadata(url, &head, extension.as_deref());
            if let Some(file) = self.files.get_mut(url)
                && file.metadata == metadata
            {
                file.expires = expires(stand.now(), &head);
                return self.played(url, How::Confirmed);
            }
        }
        let get = CURL.perform(stand, "GET", &without_credentials(url), &[], transcript).await;
        if get.status != 200 {
            self.files.remove(url);
            return None;
        }
        let expires = expires(stand.now(), &get);
        let mut written = written(expires, &metadata(url, &get, extension.as_deref()));
        written.truncate(NOTE_MAX - 1);
        let (_, metadata) = written.split_once(':').unwrap();
        let file = File { expires, metadata: metadata.to_owned(), extension, body: get.body };
        self.files.insert(url.to_owned(), file);
        self.played(url, How::Fetched)
    }

    fn played(&self, url: &str, how: How) -> Option<Played> {
        let file = self.files.get(url)?;
        Some(Played { how, extension: file.extension.clone(), body: file.body.clone() })
    }
}

/// The text behind the last dot, unless a slash comes first from behind; then what of it stands before a question mark.
fn extension(url: &str) -> Option<String> {
    let at = url.rfind(['/', '.'])?;
    let found = url[at..].strip_prefix('.')?;
    found.split('?').next().map(str::to_owned)
}

/// What is asked for, in place of an address with an `@`.
fn without_credentials(url: &str) -> String {
    match url.split_once('@') {
        Some((_, rest)) => format!("http://{rest}"),
        None => url.to_owned(),
    }
}

fn metadata(url: &str, reply: &Reply, extension: Option<&str>) -> String {
    let (modified, etag, length) = (reply.field("last-modified"), reply.field("etag"), reply.field("content-length"));
    format!("{url}:{modified}:{etag}:{length}:{}", extension.unwrap_or("(null)"))
}

/// What it writes down of an answer.
pub(super) fn note(now: SystemTime, url: &str, modified: &str, etag: &str, length: &str, extension: &str) -> String {
    written(now + TTL, &format!("{url}:{modified}:{etag}:{length}:{extension}"))
}

fn written(expires: SystemTime, metadata: &str) -> String {
    let seconds = expires.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    format!("{seconds}:{metadata}")
}

fn expires(now: SystemTime, reply: &Reply) -> SystemTime {
    let control = reply.field("cache-control").to_ascii_lowercase();
    let age = control.split_once("max-age=").map(|(_, rest)| rest);
    let age = age.and_then(|rest| rest.split(|digit: char| !digit.is_ascii_digit()).next()?.parse().ok());
    assert!(!control.contains("no-cache") && !control.contains("no-store"), "it would be deleted after it was played");
    now + age.map_or(TTL, Duration::from_secs).min(TTL)
}

#[tokio::test]
async fn it_plays_every_address_and_asks_again_no_more_than_it_has_to() {
    let mut transcript = Transcript::new("mod_httapi");
    for form in FORMS {
        for name in ["wav", "PCMU", "ulaw"] {
            let stand = Stand::start().await;
            let url = stand.url(form, name).await;
            let mut client = Httapi::default();
            let mut play = async |what: &str, transcript: &mut Transcript| {
                transcript.title(&format!("{} .{name}: {what}", form.name));
                client.play(&stand, &url, &[], transcript).await.unwrap()
            };
            let first = play("first", &mut transcript).await;
            assert_eq!((first.how, first.extension.as_deref()), (How::Fetched, Some(name)), "{url}");
            assert!(first.body == stand.node.get(&(form.path)(&stand, name).await).await.body);

            let lasts = form.lasts.min(TTL);
            stand.pass(lasts - Duration::from_secs(10));
            assert_eq!(play("within max-age", &mut transcript).await, Played { how: How::Kept, ..first.clone() });
            stand.pass(Duration::from_secs(11));
            let again = play("when that is over", &mut transcript).await;
            assert_eq!(again, Played { how: How::Confirmed, ..first.clone() });
            stand.pass(lasts + Duration::from_secs(1));
            let again = play("and again", &mut transcript).await;
            assert_eq!(again, Played { how: How::Confirmed, ..first.clone() });

            stand.greet_otherwise();
            stand.pass(lasts + Duration::from_secs(1));
            let changed = play("the source has changed", &mut transcript).await;
            let expected = if form.is_persistent { How::Confirmed } else { How::Fetched };
            assert_eq!((changed.how, changed.body == first.body), (expected, form.is_persistent), "{url}");
            stand.stop().await;
        }
    }
    transcript.check();
}

#[tokio::test]
async fn an_error_is_never_audio_and_leaves_nothing() {
    let stand = Stand::start().await;
    let mut transcript = Transcript::new("mod_httapi");
    let mut client = Httapi::default();
    let mut play = async |path: &str| client.play(&stand, &stand.node.url(path), &[], &mut transcript).await;
    let missing = fetch_path(&stand.origin.url("/missing.wav"), "wav");
    for path in [missing.as_str(), "/fetch/_/-/plain/http%3A%2F%2F127.0.0.1%3A1%2Fa.wav.wav", "/media/nothing.wav"] {
        assert_eq!(play(path).await, None, "{path}");
    }
    stand.stop().await;
}

/// What callers append can hide the extension from it; then the type decides, or a wrong extension does.
#[tokio::test]
async fn dots_in_a_query_cost_the_extension_and_slashes_do_not() {
    let stand = Stand::start().await;
    let path = stand.fetch_base64("wav");
    let cases = [
        ("", &[][..], Some("wav"), Heard::Audio),
        ("?call=1", &[], Some("wav"), Heard::Audio),
        ("?call=1%2E5", &[], Some("wav"), Heard::Audio),
        // The type is audio/wav.
        ("?from=sip:a/b", &[], Some("wav"), Heard::Audio),
        // This is why addresses that we mint have none.
        ("?call=1.5", &[], Some("5"), Heard::Nothing),
        ("?call=1.5", &[("ext", "wav")], Some("wav"), Heard::Audio),
        ("", &[("nohead", "true")], Some("wav"), Heard::Audio),
    ];
    for (query, parameters, extension, expected) in cases {
        let mut transcript = Transcript::new("mod_httapi");
        let url = stand.node.url(&format!("{path}{query}"));
        let played = Httapi::default().play(&stand, &url, parameters, &mut transcript).await.unwrap();
        assert_eq!(played.extension.as_deref(), extension, "{query}");
        let reads = played.extension.as_deref().and_then(freeswitch::decoder);
        assert_eq!(heard(reads, Is::Wav(8_000)), expected, "{query}");
    }
    stand.stop().await;
}

/// This is why sources have their `@` escaped in addresses, and why what callers append should.
#[test]
fn an_at_sign_anywhere_is_taken_for_credentials() {
    assert_eq!(without_credentials("http://user:pass@node/a.wav"), "http://node/a.wav");
    assert_eq!(without_credentials("http://node/a.wav?from=1@pbx"), "http://pbx");
    let form = fetch_path("http://origin/1@2.wav", "wav");
    assert_eq!(without_credentials(&format!("http://node{form}")), format!("http://node{form}"));
}

/// An address that is too long for its notes is downloaded at each playback after the first five minutes.
#[tokio::test]
async fn long_addresses_do_not_fit_its_notes() {
    let stand = Stand::start().await;
    let path = stand.fetch_base64("wav");
    for (length, expected) in [(880, How::Confirmed), (1_000, How::Fetched)] {
        let mut transcript = Transcript::new("mod_httapi");
        let mut client = Httapi::default();
        let url = stand.node.url(&format!("{path}?"));
        let url = format!("{url}{}", "x".repeat(length - url.len()));
        client.play(&stand, &url, &[], &mut transcript).await.unwrap();
        stand.pass(TTL + Duration::from_secs(1));
        assert_eq!(client.play(&stand, &url, &[], &mut transcript).await.unwrap().how, expected, "{length} bytes");
    }
    stand.stop().await;
}
