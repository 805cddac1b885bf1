//! Signed paths over HTTP (`spec/trust.md` §4): what is answered, what is refused, and that all refusals look alike.

mod allowed;

mod expiry;

mod presets;

mod tools;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use ring::hmac;
use ringback::{
    api::Anonymous,
    config::Config,
    testing::{
        fixture,
        origin::{Body, Origin, Reply as OriginReply},
    },
};

use crate::support::{
    node::{TestNode, fetch_path_with},
    wire::{Reply, Wire},
};

const KEY: [u8; 32] = [0x4b; 32];
const SALT: &[u8] = b"salt";

/// `KEY:SALT` as the configuration has it.
fn pair(key: &[u8], salt: &[u8]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{}:{}", hex(key), hex(salt))
}

/// Gives a node keys.
fn with_keys(config: &mut Config, pairs: &[String]) {
    config.media.signing.keys = pairs.iter().map(|pair| pair.parse().unwrap()).collect();
}

/// A signature by the book: not the node's own code.
fn signature(key: &[u8], salt: &[u8], path: &str) -> String {
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &[salt, path.as_bytes()].concat());
    URL_SAFE_NO_PAD.encode(mac)
}

/// An unsigned path with a signature in its place.
fn sign_with(key: &[u8], salt: &[u8], unsigned: &str) -> String {
    let rest = unsigned.strip_prefix("/fetch/_").unwrap();
    format!("/fetch/{}{rest}", signature(key, salt, rest))
}

fn sign(unsigned: &str) -> String {
    sign_with(&KEY, SALT, unsigned)
}

/// An origin with one prompt, fresh for a minute.
async fn speech() -> Origin {
    let origin = Origin::start().await.unwrap();
    let reply = OriginReply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap()));
    origin.set("/speech.wav", reply.header("cache-control", "max-age=60"));
    origin
}

/// A node that has this one pair.
async fn node_with_key(origin: &Origin) -> (TestNode, Wire) {
    let node = TestNode::start_with(origin, |config| with_keys(config, &[pair(&KEY, SALT)])).await;
    let wire = Wire::connect(node.node.address).await;
    (node, wire)
}

/// The prompt's unsigned address.
fn unsigned(origin: &Origin, options: &str) -> String {
    fetch_path_with(&origin.url("/speech.wav"), options, "ulaw")
}

/// The same with the source as base64url.
fn unsigned_base64(origin: &Origin) -> String {
    format!("/fetch/_/-/{}.ulaw", URL_SAFE_NO_PAD.encode(origin.url("/speech.wav")))
}

fn outcome(reply: &Reply) -> (u16, String) {
    let slug = if reply.status < 400 { String::new() } else { reply.slug() };
    (reply.status, slug)
}

#[tokio::test]
async fn every_way_to_be_wrong_gets_the_same_answer_and_costs_nothing() {
    let origin = speech().await;
    let (_node, mut wire) = node_with_key(&origin).await;
    let (plain, base64) = (sign(&unsigned(&origin, "gain:0")), sign(&unsigned_base64(&origin)));
    for path in [&plain, &base64, &plain] {
        let reply = wire.ask("GET", path, &[]).await;
        assert_eq!(reply.status, 200, "{}", reply.shown());
    }
    // From now on all of it is in memory, for those who may have it.
    let hit = wire.ask("GET", &plain, &[]).await;
    assert!(hit.field("cache-status").ends_with("detail=memory"), "{}", hit.shown());

    let signature_of = |path: &str| path.split('/').nth(2).unwrap().to_owned();
    let with_signature = |signature: &str| plain.replace(&signature_of(&plain), signature);
    let right = signature_of(&plain);
    let mut forged = vec![
        unsigned(&origin, "gain:0"),
        with_signature("unsafe"),
        with_signature(""),
        with_signature(&right[..42]),
        with_signature(&right[..22]),
        with_signature(&format!("{right}A")),
        with_signature(&format!("{right}=")),
        with_signature(&signature_of(&base64)),
        with_signature(&"A".repeat(43)),
        sign_with(&[0x4c; 32], SALT, &unsigned(&origin, "gain:0")),
        sign_with(&KEY, b"other", &unsigned(&origin, "gain:0")),
        sign_with(&KEY, b"", &unsigned(&origin, "gain:0")),
        // Nobody's key, and one that the node has under no name.
        sign(&unsigned(&origin, "k:nobody")),
        unsigned(&origin, "k:nobody"),
        // The same source, spelled as nobody signed it.
        plain.replace("%3A", "%3a"),
        plain.replacen("%2F", "/", 1),
        plain.replace(".ulaw", "%2Eulaw"),
        base64.replacen("/-/aHR0", "/-/aHR0/", 1),
        base64.replace(".ulaw", "=.ulaw"),
        // Signed for something else.
        plain.replace("gain:0", "-"),
        plain.replace("gain:0", "gain:1"),
        plain.replace(".ulaw", ".alaw"),
        plain.replace("speech", "speech2"),
        // A verb that is still to come has its own messages, and one of them is this path's.
        format!("/fetch/{}/-/aGVsbG8.ulaw", signature(&KEY, SALT, "/say/-/aGVsbG8.ulaw")),
        format!("/fetch/{}/say/-/aGVsbG8.ulaw", signature(&KEY, SALT, "/say/-/aGVsbG8.ulaw")),
        // No path at all.
        "/fetch".to_owned(),
        "/fetch/".to_owned(),
        format!("/fetch/{right}"),
        format!("/fetch/{right}/"),
        format!("/fetch/{right}/-"),
        "/fetch/_/nonsense".to_owned(),
    ];
    for path in [&plain, &base64] {
        for at in "/fetch/".len()..path.len() {
            let other = if path.as_bytes()[at] == b'x' { "y" } else { "x" };
            forged.push(format!("{}{other}{}", &path[..at], &path[at + 1..]));
        }
    }
    let first = wire.ask("GET", &forged[0], &[]).await;
    assert_eq!(outcome(&first), (403, "signature-invalid".to_owned()));
    for path in &forged {
        for fields in [[].as_slice(), &["If-None-Match: *"], &["Cache-Control: only-if-cached"], &["Range: bytes=0-9"]]
        {
            let reply = wire.ask("GET", path, fields).await;
            assert_eq!((reply.status, reply.lasting()), (403, first.lasting()), "{path} {fields:?}");
            assert!(reply.body == first.body, "{path} {fields:?}: {:?}", String::from_utf8_lossy(&reply.body));
        }
        let head = wire.ask("HEAD", path, &[]).await;
        assert_eq!((head.status, head.lasting(), head.body.len()), (403, first.lasting(), 0), "{path}");
        let post = wire.ask("POST", path, &["Content-Length: 0"]).await;
        assert_eq!((post.status, post.body), (403, first.body.clone()), "{path}");
    }
    assert_eq!(origin.seen().len(), 1, "one fetch for those who may, and none for the others");
}

#[tokio::test]
async fn a_signed_path_is_answered_as_an_unsigned_one_is_elsewhere() {
    let origin = speech().await;
    let (node, mut wire) = node_with_key(&origin).await;
    let open = TestNode::start(&origin).await;
    let expected = open.get(&unsigned(&origin, "-")).await;
    let path = sign(&unsigned(&origin, "-"));
    // What players append is not signed, because nothing depends on it.
    for path in [&path, &format!("{path}?"), &format!("{path}?x=/y.wav&k=z")] {
        let get = wire.ask("GET", path, &[]).await;
        let head = wire.ask("HEAD", path, &[]).await;
        assert!(get.status == 200 && get.body == expected.body, "{path}: {}", get.shown());
        assert_eq!(get.field("content-location"), expected.header("content-location"));
        assert_eq!((head.status, head.field("etag")), (200, get.field("etag")), "{path}");
        assert_eq!(head.field("content-length"), get.field("content-length"));
    }
    assert_eq!(outcome(&wire.ask("POST", &path, &["Content-Length: 0"]).await), (405, "method-not-allowed".to_owned()));
    // A signature answers for the path and not for what it says.
    for (unsigned, status, slug) in [
        (unsigned(&origin, "gain:loud"), 400, "bad-request"),
        (unsigned(&origin, "-").replace(".ulaw", ".mp3"), 406, "not-acceptable"),
        (fetch_path_with("http://169.254.169.254/x", "-", "ulaw"), 403, "source-forbidden"),
        (fetch_path_with(&origin.url("/missing"), "-", "ulaw"), 404, "source-missing"),
    ] {
        assert_eq!(outcome(&wire.ask("GET", &sign(&unsigned), &[]).await), (status, slug.to_owned()), "{unsigned}");
    }
    node.stop().await;
    open.stop().await;
}

#[tokio::test]
async fn keys_are_rotated_without_a_refusal() {
    let origin = speech().await;
    let (old, new) = (pair(&KEY, SALT), pair(&[0x4e; 32], b"new"));
    let path = unsigned(&origin, "-");
    let (by_old, by_new) = (sign(&path), sign_with(&[0x4e; 32], b"new", &path));
    for (keys, old_status, new_status) in [
        (vec![old.clone()], 200, 403),
        // Known everywhere before anybody signs with it, and the old one until nobody does.
        (vec![old.clone(), new.clone()], 200, 200),
        (vec![new.clone(), old], 200, 200),
        (vec![new], 403, 200),
    ] {
        let node = TestNode::start_with(&origin, |config| with_keys(config, &keys)).await;
        // The second time from memory.
        for _ in 0..2 {
            assert_eq!(node.get(&by_old).await.status, old_status, "{keys:?}");
            assert_eq!(node.get(&by_new).await.status, new_status, "{keys:?}");
        }
        node.stop().await;
    }
}

#[tokio::test]
async fn a_named_key_opens_the_paths_that_name_it() {
    let origin = speech().await;
    let keys = [pair(&KEY, SALT), format!("shop={}", pair(&[0x4e; 32], b"shop"))];
    let node = TestNode::start_with(&origin, |config| with_keys(config, &keys)).await;
    let by_shop = |options: &str| sign_with(&[0x4e; 32], b"shop", &unsigned(&origin, options));
    let first = node.get(&sign(&unsigned(&origin, "-"))).await;
    assert_eq!(first.status, 200);
    let named = node.get(&by_shop("k:shop")).await;
    assert_eq!(named.status, 200);
    // Whose key it was is no part of what was made.
    assert_eq!(named.header("content-location"), first.header("content-location"));
    assert!(named.header("cache-status").contains("hit"), "{named:?}");
    for path in [by_shop("-"), by_shop("k:other"), sign(&unsigned(&origin, "k:shop"))] {
        assert_eq!(node.get(&path).await.slug(), "signature-invalid", "{path}");
    }
}

/// `http.anonymous` says what strangers may do, keys or not. A signature is a credential for its path.
#[tokio::test]
async fn keys_open_their_paths_and_close_unsigned_ones() {
    let origin = speech().await;
    let api = "/v1/media/0";
    for (anonymous, keys, required, unsigned_fetch, media, v1) in [
        (Anonymous::All, false, true, (200, ""), (404, "not-found"), (404, "not-found")),
        (Anonymous::All, true, true, (403, "signature-invalid"), (404, "not-found"), (404, "not-found")),
        (Anonymous::All, true, false, (200, ""), (404, "not-found"), (404, "not-found")),
        (Anonymous::Read, false, true, (200, ""), (404, "not-found"), (401, "unauthorized")),
        (Anonymous::Read, true, true, (403, "signature-invalid"), (404, "not-found"), (401, "unauthorized")),
        (Anonymous::Read, true, false, (200, ""), (404, "not-found"), (401, "unauthorized")),
        (Anonymous::Off, false, true, (401, "unauthorized"), (401, "unauthorized"), (401, "unauthorized")),
        (Anonymous::Off, true, true, (403, "signature-invalid"), (401, "unauthorized"), (401, "unauthorized")),
        (Anonymous::Off, true, false, (401, "unauthorized"), (401, "unauthorized"), (401, "unauthorized")),
    ] {
        let node = TestNode::start_with(&origin, |config| {
            config.http.anonymous = anonymous;
            config.media.signing.required = required;
            with_keys(config, &if keys { vec![pair(&KEY, SALT)] } else { Vec::new() });
        })
        .await;
        let mut wire = Wire::connect(node.node.address).await;
        let signed = match (keys, anonymous) {
            (true, _) => (200, ""),
            (false, Anonymous::Off) => (401, "unauthorized"),
            (false, _) => (403, "signature-invalid"),
        };
        let forged = if keys { (403, "signature-invalid") } else { signed };
        let unknown = format!("/media/{}.ulaw", "0".repeat(64));
        // Twice: the second time what may be answered comes from memory.
        for round in 0..2 {
            for (path, expected) in [
                (sign(&unsigned(&origin, "-")), signed),
                (sign_with(&KEY, b"other", &unsigned(&origin, "-")), forged),
                (unsigned(&origin, "-"), unsigned_fetch),
                (unknown.clone(), media),
                (api.to_owned(), v1),
            ] {
                let reply = wire.ask("GET", &path, &[]).await;
                let (status, slug) = outcome(&reply);
                let case = format!("{anonymous:?}, keys {keys}, required {required}, round {round}: {path}");
                assert_eq!((status, slug.as_str()), expected, "{case}");
            }
        }
        node.stop().await;
    }
}

#[tokio::test]
async fn the_api_needs_no_signature() {
    let origin = speech().await;
    let (node, _) = node_with_key(&origin).await;
    let body = serde_json::json!({ "source": { "url": origin.url("/speech.wav") }, "format": "ulaw" });
    let made = node.post(&body).await;
    assert_eq!(made.status, 201);
    let made: serde_json::Value = serde_json::from_slice(&made.body).unwrap();
    assert_eq!(node.get(made["url"].as_str().unwrap()).await.status, 200);
    assert_eq!(
        node.send(node.request(Method::DELETE, &format!("/v1/media/{}", made["id"].as_str().unwrap()))).await.status,
        204
    );
    // What is about an address is no option of the audio.
    for option in ["expires", "k"] {
        let mut body = body.clone();
        body["options"] = serde_json::json!({ option: "1" });
        assert_eq!(node.post(&body).await.slug(), "bad-request", "{option}");
    }
}
