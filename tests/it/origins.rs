//! What is different with some origins: rules, credentials, codings, authorities of their own.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use http::{HeaderMap, Method, StatusCode};
use ringback::{
    config::Config,
    media::origin::Rule,
    testing::{
        fixture,
        origin::{Body, Origin, Reply},
    },
};

use crate::support::node::{Answer, TestNode, fetch_path};

fn audio() -> Reply {
    Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())).header("cache-control", "max-age=60")
}

fn rules(config: &mut Config, text: &str) {
    #[derive(serde::Deserialize)]
    struct Rules {
        rules: Vec<Rule>,
    }
    config.media.origin.rules = toml::from_str::<Rules>(text).unwrap().rules;
}

fn sent(origin: &Origin, path: &str) -> HeaderMap {
    origin.seen().into_iter().rev().find(|seen| seen.path == path).expect("a request").headers
}

#[tokio::test]
async fn rules_say_what_is_sent_and_how_long_the_answer_is_believed() {
    let origin = Origin::start().await.unwrap();
    let elsewhere = Origin::start().await.unwrap();
    for path in ["/secret/a.wav", "/private/a.wav", "/plain/a.wav"] {
        origin.set(path, audio().header("vary", "x-language"));
    }
    origin.set("/secret/moved.wav", Reply::redirect(&elsewhere.url("/a.wav")));
    elsewhere.set("/a.wav", audio());
    let node = TestNode::start_with(&origin, |config| {
        config.outbound.allow_origins.push(elsewhere.address().to_string());
        rules(
            config,
            &format!(
                r#"
                [[rules]]
                sources = ["{0}/secret/"]
                fresh_max = "10s"
                audio = "public"
                headers = {{ Authorization = "Bearer s3cret", X-Language = "de" }}
                [[rules]]
                sources = ["{0}/private/"]
                audio = "private"
                headers = {{ X-Key = "s3cret" }}
                "#,
                origin.url("")
            ),
        );
    })
    .await;
    let get = async |path: &str| node.get(&fetch_path(&origin.url(path), "ulaw")).await;
    // Credentials go where the rule says, and the audio is anybody's, as it says.
    let max_age =
        |answer: &Answer| answer.header("cache-control").trim_start_matches("public, max-age=").parse().unwrap();
    let believed: u64 = max_age(&get("/secret/a.wav").await);
    assert!((1..=10).contains(&believed), "{believed}");
    let fields = sent(&origin, "/secret/a.wav");
    assert_eq!(
        (&fields["authorization"], &fields["x-language"]),
        (&"Bearer s3cret".parse().unwrap(), &"de".parse().unwrap())
    );
    assert!(get("/secret/a.wav").await.header("cache-status").starts_with("ringback; hit"));
    // Nothing of it elsewhere, by redirect neither.
    let believed: u64 = max_age(&get("/plain/a.wav").await);
    assert!((30..=60).contains(&believed), "{believed}");
    assert!(!sent(&origin, "/plain/a.wav").contains_key("authorization"));
    assert_eq!(get("/secret/moved.wav").await.status, StatusCode::OK);
    let fields = sent(&elsewhere, "/a.wav");
    assert!(!fields.contains_key("authorization") && !fields.contains_key("x-language"), "{fields:?}");
    // Private audio is its caller's.
    for asked in 1..=2 {
        let answer = get("/private/a.wav").await;
        assert_eq!((answer.header("cache-control"), answer.header("content-location")), ("no-store", ""));
        assert_eq!(origin.count(&Method::GET, "/private/a.wav"), asked);
    }
}

#[tokio::test]
async fn what_the_origin_chose_by_another_header_is_asked_for_again() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", audio().header("vary", "x-language").etag("\"v\""));
    let language = |language: &str| {
        format!(
            "[[rules]]\nsources = [\"{}/\"]\naudio = \"public\"\nheaders = {{ X-Language = \"{language}\" }}",
            origin.url("")
        )
    };
    let (german, english) = (language("de"), language("en"));
    let node = TestNode::start_with(&origin, |config| rules(config, &german)).await;
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    node.get(&path).await;
    assert!(node.get(&path).await.header("cache-status").starts_with("ringback; hit"));
    let node = node.restart_with(&origin, |config| rules(config, &english)).await;
    let answer = node.get(&path).await;
    assert!(answer.header("cache-status").starts_with("ringback; fwd=vary-miss"), "{answer:?}");
    assert_eq!(sent(&origin, "/a.wav")["x-language"], "en");
    assert!(node.get(&path).await.header("cache-status").starts_with("ringback; hit"));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = gzip.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(bytes).unwrap());
        gzip.wait_with_output().unwrap().stdout
    })
}

#[tokio::test]
async fn a_compressed_source_is_what_it_was_before() {
    let clip = fixture::audio("speech.wav").unwrap();
    let compressed = gzip(&clip);
    let coded = |body: Vec<u8>| Reply::ok("audio/wav", Body::of(body)).header("content-encoding", "gzip");
    let origin = Origin::start().await.unwrap();
    origin.set("/whole.wav", coded(compressed.clone()));
    origin.set("/cut.wav", coded(compressed[..compressed.len() / 2].to_vec()));
    let mut bomb = clip.to_vec();
    bomb.resize(20_000_000, 0);
    origin.set("/bomb.wav", coded(gzip(&bomb)));
    let node =
        TestNode::start_with(&origin, |config| config.media.origin.source_max = ringback::units::ByteCount::mib(10))
            .await;
    let raw = node.get(&fetch_path(&origin.url("/whole.wav"), "raw")).await;
    assert_eq!((raw.status, raw.body.len()), (StatusCode::OK, clip.len()));
    assert!(raw.body == clip, "other bytes");
    let cut = node.get_with(&fetch_path(&origin.url("/cut.wav"), "ulaw"), "prefer", "wait").await;
    assert_eq!(cut.slug(), "origin-failed");
    assert_eq!(node.get(&fetch_path(&origin.url("/bomb.wav"), "raw")).await.slug(), "over-limit");
}

#[tokio::test]
async fn an_authority_of_the_networks_own_is_trusted_where_it_is_configured() {
    let directory = tempfile::tempdir().unwrap();
    crate::support::tls::certificate(directory.path());
    let plain = Origin::start().await.unwrap();
    plain.set("/a.wav", audio());
    let secure = TestNode::start_with(&plain, |config| {
        config.tls_cert = Some(directory.path().join("certificate.pem"));
        config.tls_key = Some(directory.path().join("key.pem"));
    })
    .await;
    let address = secure.node.address;
    let source = format!("https://{address}{}", fetch_path(&plain.url("/a.wav"), "raw"));
    let path = fetch_path(&source, "ulaw");
    for (ca_file, status) in [(None, StatusCode::BAD_GATEWAY), (Some("certificate.pem"), StatusCode::OK)] {
        let node = TestNode::start_with(&plain, |config| {
            config.outbound.allow_origins.push(address.to_string());
            config.outbound.ca_file = ca_file.map(|name| directory.path().join(name));
        })
        .await;
        let answer = node.get(&path).await;
        assert_eq!(answer.status, status, "{ca_file:?}: {answer:?}");
        tokio::time::timeout(Duration::from_secs(5), node.stop()).await.unwrap();
    }
    // A file that is none is told with its key.
    let mut problems = ringback::problem::ConfigProblems::default();
    for file in ["key.pem", "nothing.pem"] {
        let ca_file = Some(directory.path().join(file));
        ringback::outbound::Config { ca_file, ..Default::default() }.validate("outbound", &mut problems);
    }
    let keys: Vec<_> = problems.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["outbound.ca_file", "outbound.ca_file"]);
}
