//! The short way against a scripted server: what it says, byte by byte. The contract and what lies come to is in `s3::tests`.

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_sdk_s3::config::Credentials;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::{
    super::{Config, S3},
    address, code,
    signature::{Keys, Request, digest_of_nothing, is_plain},
};
use crate::{
    ids::BodyDigest,
    media::cache::durable::store::{ObjectKey, ObjectStore as _, Replace, StoreError, Upload, Written},
    secret::Secret,
};

/// The examples of the S3 API reference, "Authenticating Requests: Using the Authorization Header".
#[test]
fn signatures_are_those_of_the_reference() {
    let (id, secret) = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    let keys = Keys::new(&Credentials::new(id, secret, None, None, "test"));
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
    for (path, query, fields, signature) in [
        (
            "/test.txt",
            "",
            vec![("range", "bytes=0-9")],
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        ("/", "lifecycle=", vec![], "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
    ] {
        let request = Request { method: "GET", path, query, fields, digest: digest_of_nothing(), body_length: None };
        // Twice, because the day's key is kept.
        for _ in 0..2 {
            let head = keys.head(&request, "examplebucket.s3.amazonaws.com", "us-east-1", now);
            assert!(head.contains(&format!("Signature={signature}\r\n")), "{head}");
            assert!(head.contains("x-amz-date: 20130524T000000Z\r\n"), "{head}");
        }
    }
}

#[test]
fn keys_are_shown_to_nobody_and_end() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let until =
        |seconds| Keys::new(&Credentials::new("an-id", "hush", None, Some(now + Duration::from_secs(seconds)), "t"));
    assert!(until(3_600).are_good_at(now) && !until(30).are_good_at(now));
    let shown = format!("{:?}", until(30));
    assert!(!shown.contains("hush") && !shown.contains("an-id"), "{shown}");
}

#[test]
fn values_that_would_be_signed_otherwise_are_known() {
    for plain in ["audio/PCMU", "audio/L16; rate=8000", ""] {
        assert!(is_plain(plain), "{plain:?}");
    }
    for other in ["a  b", " a", "a ", "a\r\nx: y", "a\tb", "ü"] {
        assert!(!is_plain(other), "{other:?}");
    }
}

#[test]
fn buckets_are_found_where_the_sdk_addresses_them() {
    let signed = |url: &str, scope: &str| {
        format!(
            "{url}?x-id=GetObject&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=id%2F20261128%2F{scope}&X-Amz-Signature=0"
        )
    };
    let found = |url, scope| address(&signed(url, scope)).map(|(_, host, path, region)| (host, path, region));
    let plain = "eu-central-1%2Fs3%2Faws4_request";
    let expected = |host: &str, path: &str| Some((host.to_owned(), path.to_owned(), "eu-central-1".to_owned()));
    assert_eq!(found("http://127.0.0.1:8333/audio/x", plain), expected("127.0.0.1:8333", "/audio/"));
    assert_eq!(
        found("https://audio.s3.eu-central-1.amazonaws.com/x", plain),
        expected("audio.s3.eu-central-1.amazonaws.com", "/")
    );
    assert_eq!(found("https://audio.example/x", "eu-central-1%2Fs3express%2Faws4_request"), None);
    assert_eq!(
        address(
            "https://audio.example/x?X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&X-Amz-Credential=id%2Fd%2Fs3%2Faws4_request"
        ),
        None
    );
}

#[test]
fn codes_are_found_in_errors() {
    assert_eq!(code(b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>m</Message></Error>"), "NoSuchKey");
    for text in [&b""[..], b"<html>", b"<Code>NoSuch", b"\xff\xfe"] {
        assert_eq!(code(text), "");
    }
}

fn config(endpoint: String) -> Config {
    Config {
        bucket: Some("audio".to_owned()),
        region: Some("us-east-1".to_owned()),
        endpoint: Some(endpoint),
        path_style: true,
        access_key: Some(Secret::new("id".to_owned())),
        secret_key: Some(Secret::new("secret".to_owned())),
        attempts_max: 1,
        connect_timeout: Duration::from_secs(30),
        read_timeout: Duration::from_secs(30),
        ..Config::default()
    }
}

/// A store behind which the test answers by itself.
async fn store() -> (TcpListener, S3) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config(format!("http://{}", listener.local_addr().unwrap()));
    (listener, S3::open(&config).await)
}

/// The next connection.
async fn accepted(listener: &TcpListener) -> TcpStream {
    listener.accept().await.unwrap().0
}

/// The head of the next request.
async fn asked(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text.to_owned()).unwrap()
}

async fn read(store: &S3) -> Result<Vec<u8>, StoreError> {
    let got = store.get(&key("a"), None).await?;
    Ok(got.body.try_collect::<Vec<_>>().await?.concat())
}

#[tokio::test]
async fn answers_are_read_however_they_arrive() {
    let (listener, store) = store().await;
    let server = async {
        let mut stream = accepted(&listener).await;
        for answer in [
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nbytes",
            "HTTP/1.1 200 OK\r\nContent-Length:5\r\nContent-Length: 5\r\nX-Odd: \u{e9}\r\n\r\nbytes",
            "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n15;x=y\r\n<Code>NoSuchKey</Code\r\n1\r\n>\r\n0\r\nx: y\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        ] {
            let head = asked(&mut stream).await;
            assert!(head.starts_with("GET /audio/a?x-id=GetObject HTTP/1.1\r\n"), "{head}");
            // Byte by byte.
            for byte in answer.as_bytes() {
                stream.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
        stream
    };
    let client = async {
        assert_eq!(read(&store).await.unwrap(), b"bytes");
        assert_eq!(read(&store).await.unwrap(), b"bytes");
        assert!(matches!(read(&store).await, Err(StoreError::NotFound { .. })));
        assert_eq!(read(&store).await.unwrap(), b"");
    };
    // All on one connection: each answer was read to its end.
    tokio::join!(server, client);
}

#[tokio::test]
async fn what_is_no_answer_is_told_and_its_connection_left() {
    for answer in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nbytes!",
        "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nbytes",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nbytes",
        "HTTP/1.1 200 OK\r\n\r\nbytes",
        "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nbytes",
        "HTTP/1.1 200 OK\r\nconten",
        "",
    ] {
        let (listener, store) = store().await;
        let server = async {
            let mut stream = accepted(&listener).await;
            asked(&mut stream).await;
            say(&mut stream, answer).await;
            drop(stream);
            let mut stream = accepted(&listener).await;
            asked(&mut stream).await;
            say(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        };
        let client = async {
            let told = read(&store).await;
            assert!(matches!(told, Err(StoreError::Unavailable { .. })), "{answer:?}: {told:?}");
            assert_eq!(read(&store).await.unwrap(), b"ok", "{answer:?}");
        };
        tokio::join!(server, client);
    }
}

#[tokio::test]
async fn connections_that_cannot_go_on_are_not_used_again() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: close\r\n\r\nok",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more",
    ] {
        let (listener, store) = store().await;
        let server = async {
            for _ in 0..2 {
                let mut stream = accepted(&listener).await;
                asked(&mut stream).await;
                say(&mut stream, answer).await;
            }
        };
        let client = async {
            for _ in 0..2 {
                assert_eq!(read(&store).await.unwrap(), b"ok", "{answer:?}");
            }
        };
        tokio::join!(server, client);
    }
}

#[tokio::test]
async fn a_connection_that_was_given_up_costs_no_attempt() {
    let (listener, store) = store().await;
    let server = async {
        for _ in 0..2 {
            let mut stream = accepted(&listener).await;
            asked(&mut stream).await;
            say(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            // And closes it, as servers do after a while.
        }
    };
    let client = async {
        for _ in 0..2 {
            assert_eq!(read(&store).await.unwrap(), b"ok");
        }
    };
    tokio::join!(server, client);
}

#[tokio::test]
async fn a_refusal_in_the_midst_of_a_long_body_is_heard() {
    let (listener, store) = store().await;
    let server = async {
        let mut stream = accepted(&listener).await;
        let head = asked(&mut stream).await;
        assert!(
            head.contains("\r\ncontent-length: 8000000\r\n") && head.contains("\r\nif-none-match: *\r\n"),
            "{head}"
        );
        say(&mut stream, "HTTP/1.1 507 Full\r\ncontent-length: 0\r\n\r\n").await;
        let mut again = accepted(&listener).await;
        asked(&mut again).await;
        let mut body = [0; 2];
        again.read_exact(&mut body).await.unwrap();
        say(&mut again, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        stream
    };
    let client = async {
        let long = Upload::of(Bytes::from(vec![1; 8_000_000]), "audio/PCMU", Replace::Never);
        let full = store.put(&key("a"), long).await;
        assert!(matches!(full, Err(StoreError::Full { .. })), "{full:?}");
        let short = Upload {
            digest: Some(BodyDigest::of(b"ok")),
            ..Upload::of(Bytes::from_static(b"ok"), "audio/PCMU", Replace::Never)
        };
        assert_eq!(store.put(&key("a"), short).await.unwrap(), Written::Yes);
    };
    tokio::join!(server, client);
}

#[tokio::test]
async fn pieces_are_as_long_as_they_were_asked_for() {
    let (listener, store) = store().await;
    let body: String = (0..1_000).map(|number| format!("{number:03}")).collect();
    let server = async {
        let mut stream = accepted(&listener).await;
        for _ in 0..2 {
            let head = asked(&mut stream).await;
            assert!(head.contains("\r\nrange: bytes=0-2999\r\n"), "{head}");
            say(
                &mut stream,
                "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 0-2999/4000\r\ncontent-length: 3000\r\n\r\n",
            )
            .await;
            for piece in body.as_bytes().chunks(701) {
                stream.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    };
    let client = async {
        for lengths in [vec![44, 2_000, 956], vec![3_000]] {
            let got = store.get_cut(&key("a"), Some(0..3_000), lengths.clone()).await.unwrap();
            let pieces: Vec<Bytes> = got.body.try_collect().await.unwrap();
            assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), lengths);
            assert_eq!(pieces.concat(), body.as_bytes());
        }
    };
    tokio::join!(server, client);
}

/// Makes a certificate for 127.0.0.1 that signs itself, and its key.
fn certify(directory: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=store", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Whom the system trusts a process hears once, so this test runs itself again in processes that hear something else.
#[tokio::test]
async fn tls_is_spoken_with_whom_the_system_trusts() {
    const ENDPOINT: &str = "RINGBACK_TEST_ENDPOINT";
    if let Some(endpoint) = std::env::var_os(ENDPOINT) {
        let store = S3::open(&config(endpoint.into_string().unwrap())).await;
        assert_eq!(
            store.put(&key("a"), Upload::of("ok".into(), "audio/PCMU", Replace::Always)).await.unwrap(),
            Written::Yes
        );
        assert_eq!(read(&store).await.unwrap().len(), 700_000);
        return;
    }
    crate::outbound::install_crypto_provider();
    let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certify(ours.path());
    certify(other.path());
    let certificate = CertificateDer::from_pem_file(ours.path().join("certificate.pem")).unwrap();
    let secret = PrivateKeyDer::from_pem_file(ours.path().join("key.pem")).unwrap();
    let tls =
        rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], secret).unwrap();
    let tls = TlsAcceptor::from(Arc::new(tls));
    let this_test =
        concat!(module_path!(), "::tls_is_spoken_with_whom_the_system_trusts").trim_start_matches("ringback::");
    for (trusted, is_trusted) in [(&ours, true), (&other, false)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", this_test]).env_clear();
        child.env(ENDPOINT, format!("https://{}", listener.local_addr().unwrap()));
        child.env("SSL_CERT_FILE", trusted.path().join("certificate.pem"));
        let ended = tokio::task::spawn_blocking(move || child.output());
        let answered = tls.accept(accepted(&listener).await).await;
        assert_eq!(answered.is_ok(), is_trusted);
        if let Ok(mut stream) = answered {
            assert!(asked(&mut stream).await.starts_with("PUT /audio/a?x-id=PutObject HTTP/1.1\r\n"));
            stream.read_exact(&mut [0; 2]).await.unwrap();
            say(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            asked(&mut stream).await;
            say(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 700000\r\n\r\n").await;
            say(&mut stream, &"a".repeat(700_000)).await;
            stream.flush().await.unwrap();
        }
        let output = ended.await.unwrap().unwrap();
        assert_eq!(output.status.success(), is_trusted, "{output:?}");
    }
}
