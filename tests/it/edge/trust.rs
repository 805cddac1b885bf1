//! Who may ask what (`spec/trust.md` §1), what nobody is told of others' audio (§2), and TLS.

use std::{net::SocketAddr, path::Path, sync::Arc};

use ringback::api::Anonymous;
use rustls::pki_types::{CertificateDer, ServerName};

use super::{Served, unknown_id};
use crate::support::{
    node::{TestNode, fetch_path},
    tls::certificate,
    wire::{Reply, Wire},
};

async fn node_open_for(served: &Served, anonymous: Anonymous) -> (TestNode, Wire) {
    let node = TestNode::start_with(&served.origin, |config| config.http.anonymous = anonymous).await;
    let wire = Wire::connect(node.node.address).await;
    (node, wire)
}

fn outcome(reply: &Reply) -> (u16, String) {
    let slug = if reply.status < 400 { String::new() } else { reply.slug() };
    (reply.status, slug)
}

#[tokio::test]
async fn off_is_nothing_for_anybody() {
    let served = Served::start().await;
    let (_node, mut wire) = node_open_for(&served, Anonymous::Off).await;
    let id = format!("/v1/media/{}", served.id());
    for path in [served.media.as_str(), &served.fetch, &id, "/v1/media", "/v1/fills/0", "/", "/nothing", "/v1/nothing"]
    {
        for method in ["GET", "POST", "DELETE", "PUT"] {
            let reply = wire.ask(method, path, &["Content-Length: 0"]).await;
            assert_eq!(outcome(&reply), (401, "unauthorized".to_owned()), "{method} {path}");
        }
        assert_eq!(wire.ask("HEAD", path, &[]).await.status, 401, "{path}");
    }
    // Served's own request was the only one.
    assert_eq!(served.origin.connections(), 1);
}

#[tokio::test]
async fn read_is_audio_and_nothing_else() {
    let served = Served::start().await;
    let (_node, mut wire) = node_open_for(&served, Anonymous::Read).await;
    // From the origin, from memory, and by its address.
    for path in [&served.fetch, &served.fetch, &served.media, &served.media] {
        let reply = wire.ask("GET", path, &[]).await;
        assert!(reply.status == 200 && reply.body == served.bytes, "{path}: {}", reply.shown());
        assert_eq!(wire.ask("HEAD", path, &[]).await.status, 200);
    }
    let id = format!("/v1/media/{}", served.id());
    let fill = format!("/v1/fills/{}", "0".repeat(32));
    for (method, path) in [
        ("GET", id.as_str()),
        ("DELETE", &id),
        ("GET", &fill),
        ("POST", "/v1/media"),
        ("GET", "/v1/media"),
        ("GET", "/v1/nothing"),
        ("GET", "/v1"),
    ] {
        let reply = wire.ask(method, path, &["Content-Length: 0"]).await;
        assert_eq!(outcome(&reply), (401, "unauthorized".to_owned()), "{method} {path}");
    }
    for path in ["/", "/nothing", "/v2/media", "/favicon.ico"] {
        for method in ["GET", "POST"] {
            let reply = wire.ask(method, path, &["Content-Length: 0"]).await;
            assert_eq!(outcome(&reply), (404, "not-found".to_owned()), "{method} {path}");
        }
    }
    for path in [&served.fetch, &served.media] {
        for method in ["POST", "PUT", "DELETE"] {
            let reply = wire.ask(method, path, &["Content-Length: 0"]).await;
            assert_eq!(outcome(&reply), (405, "method-not-allowed".to_owned()), "{method} {path}");
        }
    }
    // What was tried to be dropped is still there.
    assert_eq!(wire.ask("GET", &served.media, &[]).await.status, 200);
}

#[tokio::test]
async fn all_is_everything_as_is_a_loopback_listener() {
    let served = Served::start().await;
    for anonymous in [Anonymous::All, Anonymous::Auto] {
        let (_node, mut wire) = node_open_for(&served, anonymous).await;
        assert_eq!(wire.ask("GET", &served.fetch, &[]).await.status, 200);
        let id = format!("/v1/media/{}", served.id());
        assert_eq!(wire.ask("GET", &id, &[]).await.status, 200);
        assert_eq!(wire.ask("DELETE", &id, &[]).await.status, 204);
        assert_eq!(outcome(&wire.ask("GET", &id, &[]).await), (404, "not-found".to_owned()));
        assert_eq!(outcome(&wire.ask("GET", "/nothing", &[]).await), (404, "not-found".to_owned()));
    }
}

/// Gives all references of a stopped node to somebody else.
fn give_away(data: &Path) -> usize {
    let catalogue = rusqlite::Connection::open(data.join("media.db")).unwrap();
    catalogue.execute("UPDATE refs SET tenant = 'somebody-else'", []).unwrap()
}

#[tokio::test]
async fn audio_of_others_looks_like_audio_of_nobody() {
    let Served { origin, node, media, .. } = Served::start().await;
    let node = node.restart_after(&origin, |data| assert_eq!(give_away(data), 1)).await;
    let mut wire = Wire::connect(node.node.address).await;
    let id = media.strip_prefix("/media/").unwrap().strip_suffix(".ulaw").unwrap();
    for (method, form, fields) in [
        ("GET", "/media/ID.ulaw", [].as_slice()),
        ("HEAD", "/media/ID.ulaw", &[]),
        ("GET", "/media/ID.PCMU", &["Range: bytes=0-9"]),
        ("GET", "/media/ID.wav", &[]),
        ("GET", "/media/ID.mp3", &[]),
        ("GET", "/media/ID.ulaw", &["If-None-Match: *"]),
        ("GET", "/media/ID.ulaw", &["Cache-Control: only-if-cached"]),
        ("GET", "/media/ID.ulaw", &["Cache-Control: no-cache"]),
        ("POST", "/media/ID.ulaw", &["Content-Length: 0"]),
        ("GET", "/v1/media/ID", &[]),
        ("HEAD", "/v1/media/ID", &[]),
        ("DELETE", "/v1/media/ID", &[]),
    ] {
        let foreign = wire.ask(method, &form.replace("ID", id), fields).await;
        let unknown = wire.ask(method, &form.replace("ID", &unknown_id()), fields).await;
        assert!(foreign.status >= 400, "{method} {form}: {}", foreign.shown());
        assert_eq!(foreign.status, unknown.status, "{method} {form} {fields:?}");
        assert_eq!(foreign.lasting(), unknown.lasting(), "{method} {form} {fields:?}");
        assert_eq!(foreign.body, unknown.body, "{method} {form} {fields:?}");
    }
    // It is there all the same: who fetches it has it.
    assert_eq!(wire.ask("GET", &fetch_path(&origin.url("/speech.wav"), "ulaw"), &[]).await.status, 200);
    assert_eq!(wire.ask("GET", &media, &[]).await.status, 200);
}

/// A connection by this version of TLS to a node that must have this certificate.
async fn connect_tls(
    address: SocketAddr,
    trusted: CertificateDer<'static>,
    version: &'static rustls::SupportedProtocolVersion,
) -> std::io::Result<Wire> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted).unwrap();
    let config = rustls::ClientConfig::builder_with_protocol_versions(&[version]);
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let tcp = tokio::net::TcpStream::connect(address).await?;
    let name = ServerName::from(address.ip());
    let tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    Ok(Wire::over(tls))
}

#[tokio::test]
async fn tls_carries_the_same_answers() {
    let served = Served::start().await;
    let directory = tempfile::tempdir().unwrap();
    let trusted = certificate(directory.path());
    let other = tempfile::tempdir().unwrap();
    let stranger = certificate(other.path());
    let node = TestNode::start_with(&served.origin, |config| {
        config.tls_cert = Some(directory.path().join("certificate.pem"));
        config.tls_key = Some(directory.path().join("key.pem"));
    })
    .await;
    let address = node.node.address;
    let mut plain = served.wire().await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut wire = connect_tls(address, trusted.clone(), version).await.unwrap();
        wire.ask("GET", &served.fetch, &[]).await;
        for (method, path, fields) in [
            ("GET", served.media.as_str(), [].as_slice()),
            ("HEAD", &served.media, &[]),
            ("GET", &served.media, &["Range: bytes=5-9"]),
            ("GET", &served.media, &["If-None-Match: *"]),
            ("GET", "/nothing", &[]),
        ] {
            let (secret, open) = (wire.ask(method, path, fields).await, plain.ask(method, path, fields).await);
            assert_eq!((secret.status, secret.lasting()), (open.status, open.lasting()), "{method} {path} {fields:?}");
            assert!(secret.body == open.body, "{method} {path} {fields:?}: other bytes");
        }
    }
    // The certificate is the configured one, and nothing is told to who speaks no TLS.
    assert!(connect_tls(address, stranger, &rustls::version::TLS13).await.is_err());
    let mut wire = Wire::connect(address).await;
    wire.write(format!("GET {} HTTP/1.1\r\nHost: node\r\n\r\n", served.media).as_bytes()).await;
    let mut said = Vec::new();
    wire.read_to_end(&mut said).await;
    assert!(!said.starts_with(b"HTTP/"), "{said:?}");
}
