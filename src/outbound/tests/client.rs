use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderValue, header};

use super::server::{Reply, Server, ok, path, with_headers};
use crate::{
    clock::Clock,
    outbound::{Body, Client, Config, Get, Guard, OutboundError, Refusal, TimeoutKind},
    problem::Kind,
    units::ByteCount,
};

fn client_with(config: Config, allow: &[&Server]) -> Client {
    let allow_origins = allow.iter().map(|server| server.address.to_string()).collect();
    let config = Config { allow_origins, ..config };
    let guard = Guard::new(&config, Vec::new()).unwrap();
    Client::new(&config, guard, "ringback-test", Clock::system()).unwrap()
}

fn client(allow: &[&Server]) -> Client {
    client_with(Config::default(), allow)
}

/// A client whose names resolve as told.
fn client_resolving(
    allow: &[String],
    lookup: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
) -> Client {
    let config = Config { allow_origins: allow.to_vec(), ..Config::default() };
    let guard = Guard::new(&config, Vec::new()).unwrap();
    Client::with_lookup(&config, guard, "ringback-test", Clock::system(), Arc::new(lookup)).unwrap()
}

async fn read(body: &mut Body) -> Result<String, OutboundError> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.chunk().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(String::from_utf8(bytes).unwrap())
}

async fn get(client: &Client, url: url::Url) -> Result<String, OutboundError> {
    read(&mut client.get(Get::new(url)).await?.body).await
}

#[tokio::test]
async fn a_request_says_who_asks_and_for_no_compression() {
    let server = Server::start(|_| Reply::Write(ok("hello"))).await;
    let client = client(&[&server]);
    let mut response = client.get(Get::new(server.url("/a?b=c#d"))).await.unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(response.body.declared_length(), Some(5));
    assert_eq!(read(&mut response.body).await.unwrap(), "hello");
    assert_eq!(get(&client, server.url("/again")).await.unwrap(), "hello");
    assert_eq!(server.connections(), 1, "the connection is used again");
    let head = server.requests().remove(0).to_ascii_lowercase();
    assert!(head.starts_with("get /a?b=c http/1.1\r\n"), "{head}");
    for line in [
        "accept-encoding: identity\r\n",
        concat!("user-agent: ringback/", env!("CARGO_PKG_VERSION"), "\r\n"),
        "cdn-loop: ringback-test\r\n",
    ] {
        assert!(head.contains(line), "{line:?} is not in {head}");
    }
    assert!(!head.contains("referer"));
}

#[tokio::test]
async fn a_forbidden_address_is_refused_in_every_disguise_and_sees_nothing() {
    let canary = Server::canary().await;
    let client = client(&[]);
    for host in [
        "127.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "0.0.0.0",
        "[::]",
        "169.254.169.254",
        "localhost",
        "LOCALHOST",
        "[2002:7f00:1::]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "①②⑦.0.0.1",
        "127。0。0。1",
    ] {
        let url: url::Url = format!("http://{host}:{}/x?secret=1", canary.port()).parse().unwrap();
        let error = client.get(Get::new(url)).await.unwrap_err();
        assert!(matches!(error, OutboundError::Forbidden { .. }), "{host}: {error:?}");
        assert_eq!(error.problem().kind, Kind::SourceForbidden);
        assert!(!format!("{} {error} {error:?}", error.problem()).contains("secret"), "{error:?}");
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn a_name_is_judged_by_what_it_resolves_to() {
    let server = Server::start(|_| Reply::Write(ok("hello"))).await;
    let canary = Server::canary().await;
    let rule = format!("prompts.example:{}", server.port());
    let client = client_resolving(&[rule], |_| Ok(vec![Ipv4Addr::LOCALHOST.into()]));
    let url = |host: &str, server: &Server| format!("http://{host}:{}/", server.port()).parse().unwrap();
    assert_eq!(get(&client, url("prompts.example", &server)).await.unwrap(), "hello");
    // Another port of the allowed name, and another name at the allowed port.
    for url in [url("prompts.example", &canary), url("other.example", &server)] {
        let error = get(&client, url).await.unwrap_err();
        let expected = Refusal::Reserved("a loopback address");
        assert!(matches!(error, OutboundError::Forbidden { refusal, .. } if refusal == expected), "{error:?}");
    }
    assert_eq!((server.connections(), canary.connections()), (1, 0));
}

#[tokio::test]
async fn addresses_that_pass_are_used_and_the_others_are_not() {
    let server = Server::start(|_| Reply::Write(ok("hello"))).await;
    let refused = Ipv4Addr::new(127, 0, 0, 2).into();
    let rule = server.address.to_string();
    let client = client_resolving(&[rule], move |_| Ok(vec![refused, Ipv4Addr::LOCALHOST.into()]));
    let url = format!("http://prompts.example:{}/", server.port()).parse().unwrap();
    assert_eq!(get(&client, url).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_name_that_changes_between_two_looks_reaches_nothing() {
    // The first answer is an address that may be asked and where nobody listens, every later one is the canary's.
    let canary = Server::canary().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let client = client_resolving(&["127.0.0.2".to_owned()], move |_| {
        let first = count.fetch_add(1, Ordering::Relaxed) == 0;
        Ok(vec![if first { Ipv4Addr::new(127, 0, 0, 2) } else { Ipv4Addr::LOCALHOST }.into()])
    });
    let url: url::Url = format!("http://rebind.example:{}/", canary.port()).parse().unwrap();
    let first = client.get(Get::new(url.clone())).await.unwrap_err();
    assert!(matches!(first, OutboundError::Connect { .. }), "the first address passes: {first:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 1, "one look-up serves the check and the connection");
    let second = client.get(Get::new(url)).await.unwrap_err();
    assert!(matches!(second, OutboundError::Forbidden { .. }), "{second:?}");
    assert_eq!(canary.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_at_once_for_two_ports_of_one_name_are_judged_each_by_its_own() {
    let server = Server::start(|_| Reply::Write(ok("hello"))).await;
    let canary = Server::canary().await;
    let rule = format!("prompts.example:{}", server.port());
    let client = client_resolving(&[rule], |_| Ok(vec![Ipv4Addr::LOCALHOST.into()]));
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..40 {
        let (client, allowed) = (client.clone(), i % 2 == 0);
        let port = if allowed { server.port() } else { canary.port() };
        tasks.spawn(async move {
            let url = format!("http://prompts.example:{port}/{i}").parse().unwrap();
            assert_eq!(get(&client, url).await.is_ok(), allowed);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn our_own_listener_is_refused_although_allowed() {
    let canary = Server::canary().await;
    let config = Config { allow_origins: vec!["127.0.0.0/8".to_owned(), "localhost".to_owned()], ..Config::default() };
    let guard = Guard::new(&config, vec![canary.address]).unwrap();
    let client = Client::new(&config, guard, "ringback-test", Clock::system()).unwrap();
    for host in ["127.0.0.1", "127.0.0.2", "localhost", "0.0.0.0"] {
        let url = format!("http://{host}:{}/", canary.port()).parse().unwrap();
        let error = get(&client, url).await.unwrap_err();
        assert!(matches!(error, OutboundError::Forbidden { refusal: Refusal::OwnListener, .. }), "{host}: {error:?}");
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn redirects_are_followed_to_their_end() {
    let server = Server::start(|head| {
        Reply::Write(match path(head) {
            "/start" => with_headers("302 Found", &[("Location", "/5")], "moved"),
            "/0" => ok("there"),
            step => {
                let next = format!("/{}", step[1..].parse::<u8>().unwrap() - 1);
                with_headers("307 Temporary Redirect", &[("Location", &next)], "")
            }
        })
    })
    .await;
    let client = client(&[&server]);
    let mut response = client.get(Get::new(server.url("/5"))).await.unwrap();
    assert_eq!(response.final_url, server.url("/0"));
    assert_eq!(read(&mut response.body).await.unwrap(), "there");
    let error = get(&client, server.url("/start")).await.unwrap_err();
    assert!(matches!(error, OutboundError::TooManyRedirects { max: 5, .. }), "{error:?}");
    let without = client_with(Config { redirects_max: 0, ..Config::default() }, &[&server]);
    assert!(matches!(get(&without, server.url("/1")).await, Err(OutboundError::TooManyRedirects { max: 0, .. })));
    assert_eq!(get(&without, server.url("/0")).await.unwrap(), "there");
}

#[tokio::test]
async fn a_redirect_to_a_forbidden_address_is_refused_at_any_hop() {
    let canary = Server::canary().await;
    let port = canary.port();
    let server = Server::start(move |head| {
        let location = match path(head) {
            "/chain" => "/literal".to_owned(),
            "/literal" => format!("http://127.0.0.1:{port}/"),
            "/decimal" => format!("http://2130706433:{port}/"),
            "/mapped" => format!("http://[::ffff:127.0.0.1]:{port}/"),
            "/relative" => format!("//localhost:{port}/"),
            _ => "http://169.254.169.254/latest/meta-data/".to_owned(),
        };
        Reply::Write(with_headers("302 Found", &[("Location", &location)], ""))
    })
    .await;
    let client = client(&[&server]);
    for path in ["/chain", "/literal", "/decimal", "/mapped", "/relative", "/metadata"] {
        let error = get(&client, server.url(path)).await.unwrap_err();
        assert!(matches!(error, OutboundError::Forbidden { .. }), "{path}: {error:?}");
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_origin() {
    let other = Server::start(|_| Reply::Write(ok("other"))).await;
    let location = other.url("/x").to_string();
    let server = Server::start(move |_| Reply::Write(with_headers("302 Found", &[("Location", &location)], ""))).await;
    let client = client(&[&server, &other]);
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static("Bearer secret"))]);
    let response = client.get(Get { headers, ..Get::new(server.url("/")) }).await.unwrap();
    assert_eq!(response.status, 200);
    assert!(server.requests()[0].contains("Bearer secret"));
    assert!(!other.requests()[0].contains("Bearer secret"));
}

#[tokio::test]
async fn broken_bodies_are_told_apart() {
    let server = Server::start(|head| match path(head) {
        "/short" => Reply::WriteAndClose("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".to_owned()),
        "/short-chunked" => {
            Reply::WriteAndClose("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".to_owned())
        }
        "/nonsense-chunked" => {
            Reply::WriteAndClose("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n".to_owned())
        }
        "/two-lengths" => {
            Reply::WriteAndClose("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!".to_owned())
        }
        "/long" => Reply::WriteAndClose("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, there".to_owned()),
        "/until-close" => Reply::WriteAndClose("HTTP/1.0 200 OK\r\n\r\nhello".to_owned()),
        "/no-http" => Reply::WriteAndClose("SSH-2.0-OpenSSH\r\n\r\n".to_owned()),
        _ => Reply::WriteAndClose(String::new()),
    })
    .await;
    let client = client(&[&server]);
    let fails = async |path: &str| get(&client, server.url(path)).await.unwrap_err();
    let error = fails("/short").await;
    assert!(matches!(error, OutboundError::Truncated { expected: Some(10), received: 5, .. }), "{error:?}");
    assert_eq!(error.problem().kind, Kind::OriginFailed);
    let error = fails("/short-chunked").await;
    assert!(matches!(error, OutboundError::Truncated { expected: None, received: 5, .. }), "{error:?}");
    for path in ["/nonsense-chunked", "/two-lengths", "/no-http", "/nothing"] {
        let error = fails(path).await;
        assert!(matches!(error, OutboundError::Protocol { .. }), "{path}: {error:?}");
    }
    assert_eq!(get(&client, server.url("/long")).await.unwrap(), "hello");
    assert_eq!(get(&client, server.url("/until-close")).await.unwrap(), "hello");
}

#[tokio::test]
async fn slow_origins_meet_the_limit_that_is_theirs() {
    let server = Server::start(|head| match path(head) {
        "/silent" => Reply::WriteAndHang(String::new()),
        "/stalls" => Reply::WriteAndHang("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".to_owned()),
        _ => Reply::WriteWithoutEnd("HTTP/1.1 200 OK\r\n\r\n".to_owned(), "more and more"),
    })
    .await;
    let short = Duration::from_millis(100);
    let fails = async |config: Config, path: &str| {
        let client = client_with(config, &[&server]);
        match get(&client, server.url(path)).await.unwrap_err() {
            OutboundError::Timeout { which, .. } => which,
            error => panic!("{error:?}"),
        }
    };
    let default = Config::default;
    assert_eq!(fails(Config { header_timeout: short, ..default() }, "/silent").await, TimeoutKind::Headers);
    assert_eq!(fails(Config { idle_timeout: short, ..default() }, "/stalls").await, TimeoutKind::Idle);
    assert_eq!(fails(Config { total_timeout: short, ..default() }, "/endless").await, TimeoutKind::Total);
    let client = client(&[&server]);
    let deadline = Some(Clock::system().now() + Duration::from_millis(20));
    let error = client.get(Get { deadline, ..Get::new(server.url("/silent")) }).await.unwrap_err();
    assert!(matches!(error, OutboundError::Timeout { which: TimeoutKind::Total, .. }), "{error:?}");
    assert_eq!(error.problem().kind, Kind::OriginTimeout);
}

#[tokio::test]
async fn a_name_server_that_hangs_meets_the_connect_limit() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let config = Config { connect_timeout: Duration::from_millis(50), ..Config::default() };
    let lookup = move |_: &str| {
        // Returns when the test is over.
        held.lock().unwrap().recv().map_or(Ok(vec![]), |()| Ok(vec![]))
    };
    let client =
        Client::with_lookup(&config, Guard::default(), "ringback-test", Clock::system(), Arc::new(lookup)).unwrap();
    let error = get(&client, "http://slow.example/".parse().unwrap()).await.unwrap_err();
    drop(release);
    assert!(matches!(error, OutboundError::Timeout { which: TimeoutKind::Connect, .. }), "{error:?}");
}

#[tokio::test]
async fn names_and_ports_without_an_answer_are_told_apart() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rule = closed.to_string();
    let client = client_resolving(&[rule], |_| Err(io::Error::other("no such name")));
    let error = get(&client, "http://nowhere.example/".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, OutboundError::Dns { .. }), "{error:?}");
    assert_eq!(error.problem().kind, Kind::OriginFailed);
    let error = get(&client, format!("http://{closed}/").parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, OutboundError::Connect { .. }), "{error:?}");
    let nothing = client_resolving(&[], |_| Ok(vec![]));
    assert!(matches!(get(&nothing, "http://empty.example/".parse().unwrap()).await, Err(OutboundError::Dns { .. })));
    for text in ["ftp://a.example/", "file:///etc/passwd", "data:,x"] {
        let error = get(&client, text.parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, OutboundError::NotHttp), "{error:?}");
    }
}

#[tokio::test]
async fn a_coding_that_is_not_known_and_a_flood_of_headers_are_refused() {
    let server = Server::start(|head| {
        Reply::Write(match path(head) {
            "/brotli" => with_headers("200 OK", &[("Content-Encoding", "br")], "x"),
            "/twice" => with_headers("200 OK", &[("Content-Encoding", "br, gzip")], "x"),
            "/gzip" => with_headers("200 OK", &[("Content-Encoding", "gzip")], "x"),
            "/identity" => with_headers("200 OK", &[("Content-Encoding", "identity")], "x"),
            "/error" => with_headers("404 Not Found", &[("Content-Encoding", "gzip")], "x"),
            _ => with_headers("200 OK", &[("X-Large", &"x".repeat(2000))], "x"),
        })
    })
    .await;
    let client = client_with(Config { header_bytes_max: ByteCount::kib(1), ..Config::default() }, &[&server]);
    for path in ["/brotli", "/twice"] {
        assert!(matches!(get(&client, server.url(path)).await, Err(OutboundError::Encoding { .. })), "{path}");
    }
    // Said to be compressed, and is not.
    assert!(matches!(get(&client, server.url("/gzip")).await, Err(OutboundError::Protocol { .. })));
    assert_eq!(get(&client, server.url("/identity")).await.unwrap(), "x");
    assert_eq!(client.get(Get::new(server.url("/error"))).await.unwrap().status, 404);
    assert!(matches!(get(&client, server.url("/large")).await, Err(OutboundError::HeadersTooLarge { max: 1024, .. })));
}

#[tokio::test]
async fn a_request_that_has_been_here_is_not_sent_again() {
    let server = Server::start(|_| Reply::Write(ok("hello"))).await;
    let client = client(&[&server]);
    let with =
        |value: &'static str| HeaderMap::from_iter([("cdn-loop".parse().unwrap(), HeaderValue::from_static(value))]);
    let error = client.get(Get { headers: with("a, ringback-test"), ..Get::new(server.url("/")) }).await.unwrap_err();
    assert!(matches!(error, OutboundError::LoopDetected { .. }), "{error:?}");
    assert_eq!(error.problem().kind, Kind::LoopDetected);
    assert_eq!(server.connections(), 0);
    client.get(Get { headers: with("a"), ..Get::new(server.url("/")) }).await.unwrap();
    let head = server.requests().remove(0).to_ascii_lowercase();
    assert!(head.contains("cdn-loop: a\r\ncdn-loop: ringback-test\r\n"), "{head}");
    let bad = Client::new(&Config::default(), Guard::default(), "not a token", Clock::system());
    assert!(matches!(bad, Err(OutboundError::Setup { .. })));
}
