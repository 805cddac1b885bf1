//! Call routers as they are on the wire (`spec/wire.md` §1): their requests, byte for byte, and what they decide by the answers.
//!
//! Each client has a model here that was written after its own source: what it sends, when it plays from its cache, when it asks again, and
//! which decoder it chooses. The models are run over real sockets against a node, for each kind of address. What was said on the wire is
//! kept in `fixtures/http`, one file for each client; `UPDATE_EXPECT=1` writes those files anew.
//!
//! Another kind of address is one more row of [`FORMS`].

mod asterisk;
mod decoders;
mod freeswitch;
mod httapi;
mod http_cache;
mod jambonz;
mod libcurl;
mod recipes;
mod spoken;
mod transcript;

use std::time::{Duration, SystemTime};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Method;
use ringback::{
    config::Config,
    testing::{
        fixture,
        origin::{Body, Origin, Reply},
        signal::{Depth, Signal},
    },
    units::SampleRate,
};

use crate::support::{
    node::{TestNode, fetch_path},
    wire::Wire,
};

/// A kind of address that a router can be given.
struct Form {
    name: &'static str,
    /// For how long its answers may be kept.
    lasts: Duration,
    /// Whether it names bytes for ever, or a source that can change.
    is_persistent: bool,
    /// The path of the greeting in the format that an extension stands for.
    path: for<'a> fn(&'a Stand, &'a str) -> BoxFuture<'a, String>,
}

const MINUTE: Duration = Duration::from_secs(60);
const YEAR: Duration = Duration::from_secs(31_536_000);

const FORMS: &[Form] = &[
    Form {
        name: "fetch",
        lasts: MINUTE,
        is_persistent: false,
        path: |stand, extension| Box::pin(async move { stand.fetch_base64(extension) }),
    },
    Form {
        name: "fetch-plain",
        lasts: MINUTE,
        is_persistent: false,
        path: |stand, extension| Box::pin(async move { fetch_path(&stand.source(), extension) }),
    },
    // Dialplans add what they have to say behind it.
    Form {
        name: "fetch-query",
        lasts: MINUTE,
        is_persistent: false,
        path: |stand, extension| Box::pin(async move { format!("{}?call=1&leg=a", stand.fetch_base64(extension)) }),
    },
    Form { name: "media", lasts: YEAR, is_persistent: true, path: |stand, extension| Box::pin(stand.media(extension)) },
];

/// Addresses of what is not the origin's: text that is spoken, and prompts.
const OF_OUR_OWN: &[Form] = &[
    Form {
        name: "say",
        lasts: YEAR,
        is_persistent: true,
        path: |_, extension| {
            let text = URL_SAFE_NO_PAD.encode("Welcome to the office.");
            Box::pin(async move { format!("/say/_/-/{text}.{extension}") })
        },
    },
    Form {
        name: "prompts",
        lasts: MINUTE,
        is_persistent: false,
        path: |stand, extension| Box::pin(stand.prompt(extension)),
    },
];

/// A node before an origin with one greeting, a WAV, that is fresh for a minute.
struct Stand {
    origin: Origin,
    node: TestNode,
}

const GREETING: &str = "/greeting.wav";

impl Stand {
    async fn start() -> Stand {
        Stand::start_with(|_| {}).await
    }

    /// The same with other settings.
    async fn start_with(adjust: impl FnOnce(&mut Config)) -> Stand {
        let origin = Origin::start().await.unwrap();
        let node = TestNode::start_with(&origin, adjust).await;
        let stand = Stand { origin, node };
        stand.greet("\"first\"", fixture::audio("speech.wav").unwrap());
        stand
    }

    /// Has the origin greet with these bytes.
    fn greet(&self, etag: &str, bytes: impl Into<Bytes>) {
        let reply = Reply::ok("audio/wav", Body::of(bytes));
        self.origin.set(GREETING, reply.header("cache-control", "max-age=60").header("etag", etag));
    }

    /// Has it greet otherwise.
    fn greet_otherwise(&self) {
        let tone = Signal::tone(SampleRate::HZ_8000, 440.0, 0.5, Duration::from_secs(1));
        self.greet("\"second\"", tone.wav(Depth::S16));
    }

    fn source(&self) -> String {
        self.origin.url(GREETING)
    }

    fn source_base64(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.source())
    }

    fn fetch_base64(&self, extension: &str) -> String {
        format!("/fetch/_/-/{}.{extension}", self.source_base64())
    }

    /// The persistent address that the node mints.
    async fn media(&self, extension: &str) -> String {
        let answer = self.node.get(&self.fetch_base64(extension)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.header("content-location").to_owned()
    }

    /// The address of the greeting as a prompt.
    async fn prompt(&self, extension: &str) -> String {
        let put = self.node.request(Method::PUT, "/prompts/ivr/greeting.wav");
        let answer = self.node.send(put.body(fixture::audio("speech.wav").unwrap())).await;
        assert!(answer.status.is_success(), "{answer:?}");
        format!("/prompts/ivr/greeting.{extension}")
    }

    async fn url(&self, form: &Form, extension: &str) -> String {
        self.node.url(&(form.path)(self, extension).await)
    }

    /// The time, for node, origin and client alike.
    fn now(&self) -> SystemTime {
        self.node.node.clock.now_wall()
    }

    fn pass(&self, span: Duration) {
        self.node.node.clock.advance_wall(span);
    }

    async fn stop(self) {
        self.node.stop().await;
    }
}

/// How a client came to play something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// From its cache, without asking.
    Kept,
    /// From its cache, after it asked whether that is still right.
    Confirmed,
    /// It downloaded it.
    Fetched,
}

/// What a client plays: bytes under an extension by which it chooses the decoder.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Played {
    how: How,
    extension: Option<String>,
    body: Vec<u8>,
}

/// What every extension is answered with: `spec/wire.md` §1, `spec/media.md` §2. `raw` has the original's own type.
const TYPES: &[(&str, &str)] = &[
    ("ulaw", "audio/PCMU"),
    ("ul", "audio/PCMU"),
    ("PCMU", "audio/PCMU"),
    ("alaw", "audio/PCMA"),
    ("al", "audio/PCMA"),
    ("PCMA", "audio/PCMA"),
    ("wav", "audio/wav"),
    ("wav16", "audio/x-wav;codec=pcm;bit=16;rate=16000"),
    ("sln", "audio/L16;rate=8000"),
    ("sln16", "audio/L16;rate=16000"),
    ("sln24", "audio/L16;rate=24000"),
    ("sln32", "audio/L16;rate=32000"),
    ("sln48", "audio/L16;rate=48000"),
    ("r8", "audio/L16;rate=8000"),
    ("r16", "audio/L16;rate=16000"),
    ("r24", "audio/L16;rate=24000"),
    ("r32", "audio/L16;rate=32000"),
    ("r48", "audio/L16;rate=48000"),
    ("g722", "audio/G722"),
    ("G722", "audio/G722"),
    ("opus", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("raw", "audio/wav"),
];

/// Longest line of a head: Asterisk gives up at 1,023 bytes, and libraries before it may count more.
const LINE_MAX: usize = 1_000;

#[tokio::test]
async fn every_address_answers_what_routers_compare() {
    let stand = Stand::start().await;
    let mut wire = Wire::connect(stand.node.node.address).await;
    for form in FORMS.iter().chain(OF_OUR_OWN) {
        for (extension, content_type) in TYPES {
            // Speech has no original.
            if form.name == "say" && *extension == "raw" {
                continue;
            }
            let path = (form.path)(&stand, extension).await;
            let case = format!("{} .{extension}", form.name);
            // HEAD first, as mod_httapi does it: it is the one that finds nothing there.
            let head = wire.ask("HEAD", &path, &[]).await;
            let get = wire.ask("GET", &path, &[]).await;
            assert_eq!((head.status, get.status), (200, 200), "{case}: no redirect, no other success: {}", get.shown());
            for name in ["content-type", "content-length", "etag", "last-modified", "accept-ranges", "repr-digest"] {
                assert!(!get.field(name).is_empty(), "{case}: {name}");
                assert_eq!(head.field(name), get.field(name), "{case}: {name}");
            }
            // Seconds count down: two GETs that are equal hold the HEAD between them to the same one.
            let mut tries = 0..20;
            loop {
                assert!(tries.next().is_some(), "{case} never answers the same twice");
                let before = wire.ask("GET", &path, &[]).await;
                let head = wire.ask("HEAD", &path, &[]).await;
                if before.lasting() == wire.ask("GET", &path, &[]).await.lasting() {
                    assert_eq!(head.lasting(), before.lasting(), "{case}");
                    break;
                }
            }
            assert_eq!(get.field("content-type"), *content_type, "{case}");
            assert_eq!(get.field("content-length"), get.body.len().to_string(), "{case}");
            assert!(head.body.is_empty() && !get.body.is_empty(), "{case}");
            assert!(max_age(get.field("cache-control")).is_some_and(|age| form.lasts.as_secs() - 10 <= age), "{case}");
            // Whoever looks for these words in the field deletes what he has, or asks at each playback.
            for word in ["no-cache", "no-store", "must-revalidate"] {
                assert!(!get.field("cache-control").contains(word), "{case}");
            }

            let again = wire.ask("HEAD", &path, &[&format!("If-None-Match: {}", get.field("etag"))]).await;
            assert_eq!(again.status, 304, "{case}: {}", again.shown());
            assert_eq!(again.field("etag"), get.field("etag"), "{case}");
            assert!(max_age(again.field("cache-control")).is_some(), "{case}");
            for reply in [&head, &get, &again] {
                let longest = reply.fields.iter().map(|(name, value)| name.len() + value.len() + 4).max();
                assert!(longest < Some(LINE_MAX), "{case}: {}", reply.shown());
                // Each once: clients take the first or the last.
                let mut names: Vec<&String> = reply.fields.iter().map(|(name, _)| name).collect();
                names.sort();
                names.dedup();
                assert_eq!(names.len(), reply.fields.len(), "{case}: {}", reply.shown());
            }
        }
    }
    stand.stop().await;
}

/// A head that was got once is got again to the letter: mod_httapi compares strings.
#[tokio::test]
async fn heads_stay_as_they_are_until_the_source_changes() {
    for form in FORMS {
        let stand = Stand::start().await;
        let path = (form.path)(&stand, "wav").await;
        let mut wire = Wire::connect(stand.node.node.address).await;
        let compared = ["last-modified", "etag", "content-length", "content-type"];
        let mut heads = Vec::new();
        for _ in 0..4 {
            let reply = wire.ask("HEAD", &path, &[]).await;
            heads.push(compared.map(|name| reply.field(name).to_owned()));
            // The origin is asked again, and says the same.
            stand.pass(form.lasts + Duration::from_secs(1));
        }
        heads.dedup();
        assert_eq!(heads.len(), 1, "{}: {heads:?}", form.name);
        stand.greet_otherwise();
        let reply = wire.ask("HEAD", &path, &[]).await;
        assert_eq!(compared.map(|name| reply.field(name).to_owned()) == heads[0], form.is_persistent, "{}", form.name);
        stand.stop().await;
    }
}

#[tokio::test]
async fn minted_addresses_have_a_shape_that_nobody_misreads() {
    const PUBLIC_URL: &str = "https://audio.example.com";
    let stand = Stand::start_with(|config| config.public_url = Some(PUBLIC_URL.to_owned())).await;
    for (extension, _) in TYPES {
        let address = stand.media(extension).await;
        assert!((64..=900).contains(&address.len()), "{address}");
        let name = address.strip_prefix(PUBLIC_URL).unwrap().rsplit('/').next().unwrap();
        let (stem, found) = name.rsplit_once('.').unwrap();
        assert!(!stem.is_empty() && found == *extension, "{address}");
        // No query, whose dots and slashes are taken for an extension; nothing that a dialplan, a shell or a list of files takes for its
        // own: & and , separate in Asterisk, ! and ; in FreeSWITCH, @ begins credentials in mod_httapi, ( its parameters.
        let plain = |character: char| character.is_ascii_alphanumeric() || "/:.-_".contains(character);
        assert!(address.chars().all(plain), "{address}");
        // What mod_httapi notes of it fits what it reads back.
        let noted = httapi::note(
            stand.now(),
            &address,
            "Fri, 27 Nov 2026 00:00:00 GMT",
            &"x".repeat(66),
            "4294967295",
            extension,
        );
        assert!(noted.len() < httapi::NOTE_MAX, "{}", noted.len());
    }
    stand.stop().await;
}

/// `max-age` of a Cache-Control.
fn max_age(cache_control: &str) -> Option<u64> {
    cache_control.split(',').find_map(|directive| directive.trim().strip_prefix("max-age=")?.parse().ok())
}
