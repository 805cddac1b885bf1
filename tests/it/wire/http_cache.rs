//! FreeSWITCH's mod_http_cache: `http_cache://`, and `http://` where `enable-file-formats` is set.
//!
//! It asks GET and nothing else, and takes any answer below 400 after at most ten redirects. It keeps it for `max-age`, or a day where there
//! is none, and knows neither ETag nor any other word of Cache-Control.

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

/// `default-max-age`.
const TTL: Duration = Duration::from_secs(86_400);

const CURL: Curl = Curl {
    user_agent: "freeswitch-http-cache/1.0",
    fields: &[],
    redirects_max: 10,
    reads: &["cache-control", "content-type"],
};

/// Its cache.
#[derive(Default)]
pub(super) struct HttpCache {
    files: HashMap<String, File>,
}

struct File {
    expires: SystemTime,
    extension: Option<String>,
    body: Vec<u8>,
}

impl HttpCache {
    /// Plays an address, or says nothing.
    pub(super) async fn play(&mut self, stand: &Stand, url: &str, transcript: &mut Transcript) -> Option<Played> {
        let now = stand.now();
        if let Some(file) = self.files.get(url).filter(|file| now < file.expires) {
            return Some(Played { how: How::Kept, extension: file.extension.clone(), body: file.body.clone() });
        }
        self.files.remove(url);
        let get = CURL.perform(stand, "GET", url, &[], transcript).await;
        if 400 <= get.status {
            return None;
        }
        let control = get.field("cache-control").to_ascii_lowercase();
        let age = control.split_once("max-age=").map(|(_, rest)| rest);
        let age = age.and_then(|rest| rest.split(|digit: char| !digit.is_ascii_digit()).next()?.parse().ok());
        let bare_type = get.field("content-type").split(';').next().unwrap_or_default();
        let extension = extension(url).or_else(|| freeswitch::extension_of_type(bare_type).map(str::to_owned));
        let expires = now + age.map_or(TTL, Duration::from_secs);
        let played = Played { how: How::Fetched, extension: extension.clone(), body: get.body.clone() };
        self.files.insert(url.to_owned(), File { expires, extension, body: get.body });
        Some(played)
    }
}

/// From behind: what stands between the first dot and a question mark or number sign, or the end; nothing where a slash comes first.
fn extension(url: &str) -> Option<String> {
    let at = url.rfind(['/', '\\', '.'])?;
    let found = url[at..].strip_prefix('.')?;
    let found = found.split(['?', '#']).next().filter(|found| !found.is_empty());
    found.map(str::to_owned)
}

#[tokio::test]
async fn it_plays_every_address_and_downloads_it_once_in_max_age() {
    let mut transcript = Transcript::new("mod_http_cache");
    for form in FORMS {
        for name in ["wav", "PCMU", "ulaw"] {
            let stand = Stand::start().await;
            let url = stand.url(form, name).await;
            let mut client = HttpCache::default();
            let mut play = async |what: &str, transcript: &mut Transcript| {
                transcript.title(&format!("{} .{name}: {what}", form.name));
                client.play(&stand, &url, transcript).await.unwrap()
            };
            let first = play("first", &mut transcript).await;
            assert_eq!((first.how, first.extension.as_deref()), (How::Fetched, Some(name)), "{url}");
            stand.pass(form.lasts - Duration::from_secs(10));
            assert_eq!(play("within max-age", &mut transcript).await, Played { how: How::Kept, ..first.clone() });
            stand.greet_otherwise();
            stand.pass(Duration::from_secs(11));
            let again = play("the source has changed", &mut transcript).await;
            assert_eq!((again.how, again.body == first.body), (How::Fetched, form.is_persistent), "{url}");
            stand.stop().await;
        }
    }
    transcript.check();
}

#[tokio::test]
async fn an_error_is_never_audio() {
    let stand = Stand::start().await;
    let mut transcript = Transcript::new("mod_http_cache");
    let missing = crate::support::node::fetch_path(&stand.origin.url("/missing.wav"), "wav");
    for path in [missing.as_str(), "/media/nothing.wav", "/fetch/_/-/nothing.wav"] {
        let played = HttpCache::default().play(&stand, &stand.node.url(path), &mut transcript).await;
        assert_eq!(played, None, "{path}");
    }
    stand.stop().await;
}

#[tokio::test]
async fn dots_in_a_query_cost_the_extension_and_slashes_do_not() {
    let stand = Stand::start().await;
    let path = stand.fetch_base64("wav");
    let cases = [
        ("?call=1", Some("wav"), Heard::Audio),
        ("?call=1%2E5", Some("wav"), Heard::Audio),
        ("?from=sip:a/b", Some("wav"), Heard::Audio),
        ("?call=1.5", Some("5"), Heard::Nothing),
    ];
    for (query, extension, expected) in cases {
        let mut transcript = Transcript::new("mod_http_cache");
        let url = stand.node.url(&format!("{path}{query}"));
        let played = HttpCache::default().play(&stand, &url, &mut transcript).await.unwrap();
        assert_eq!(played.extension.as_deref(), extension, "{query}");
        let reads = played.extension.as_deref().and_then(freeswitch::decoder);
        assert_eq!(heard(reads, Is::Wav(8_000)), expected, "{query}");
    }
    stand.stop().await;
}
