use std::{
    collections::HashMap,
    io::{self, BufReader, Cursor, Read},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify};

use crate::cli::{
    Exit, Verb,
    tests::{Written, parse, terminal},
};

use super::{
    Arguments,
    client::Client,
    list::{self, Entry},
    progress::Progress,
    work,
};

/// A node that answers by what the source's address says, and remembers what it was asked.
#[derive(Clone, Default)]
struct FakeNode {
    asked: Arc<Mutex<HashMap<String, usize>>>,
    bodies: Arc<Mutex<Vec<Value>>>,
    running: Arc<AtomicUsize>,
    running_max: Arc<AtomicUsize>,
    hanging: Arc<Notify>,
}

impl FakeNode {
    /// Serves on a port of its own; returns the address.
    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/v1/media", post(FakeNode::answer)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    fn asked(&self, source: &str) -> usize {
        self.asked.lock().unwrap().get(source).copied().unwrap_or(0)
    }

    async fn answer(State(node): State<FakeNode>, body: Bytes) -> Response {
        let body: Value = serde_json::from_slice(&body).unwrap();
        let source = body["source"]["url"].as_str().unwrap().to_owned();
        let path = url::Url::parse(&source).unwrap().path().trim_start_matches('/').to_owned();
        let times = {
            let mut asked = node.asked.lock().unwrap();
            let times = asked.entry(source).or_default();
            *times += 1;
            *times
        };
        node.bodies.lock().unwrap().push(body);
        let running = node.running.fetch_add(1, Ordering::SeqCst) + 1;
        node.running_max.fetch_max(running, Ordering::SeqCst);
        tokio::task::yield_now().await;
        node.running.fetch_sub(1, Ordering::SeqCst);
        let made = json!({
            "id": "a1", "url": "http://node/media/a1.ulaw", "content_hash": "c", "format": "ulaw;none;8000",
            "bytes": 8000, "duration_ms": 1000, "cache": "miss",
        });
        let refuse = |status: u16, slug: &str, retry_after: &'static str| {
            let body = json!({ "type": format!("urn:ringback:problem:{slug}"), "title": "T", "status": status, "detail": "why" });
            (StatusCode::from_u16(status).unwrap(), [("retry-after", retry_after)], Json(body)).into_response()
        };
        match path.as_str() {
            "warm" => Json(made).into_response(),
            "missing" => refuse(404, "source-missing", ""),
            "busy-twice" if times <= 2 => refuse(503, "busy", "0"),
            "busy" => refuse(503, "busy", "0"),
            "slow" if times <= 9 => refuse(504, "fill-running", "0"),
            "backoff" if times <= 1 => refuse(429, "too-many-requests", ""),
            "plain" => (StatusCode::BAD_GATEWAY, "<html>").into_response(),
            "nonsense" => "[]".into_response(),
            "hang" => {
                node.hanging.notify_one();
                std::future::pending().await
            }
            _ => (StatusCode::CREATED, Json(made)).into_response(),
        }
    }
}

struct Ran {
    exit: Exit,
    out: Written,
    err: Written,
}

/// Works through `list` as the verb does with this command line.
async fn warm(line: &[&str], list: &str, interrupted: impl Future<Output = ()>) -> Ran {
    rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
    let Verb::Warm(arguments) = parse(&[&["warm", "-"], line].concat()).unwrap() else { panic!("another verb") };
    let client = client(&arguments);
    let jobs = list::read(Cursor::new(list.to_owned()), arguments.format.clone(), 8);
    let (mut terminal, out, err) = terminal();
    let progress = Progress::new(&terminal, None);
    let exit = work(&client, jobs, &arguments, progress, &mut terminal, interrupted).await.unwrap();
    Ran { exit, out, err }
}

fn client(arguments: &Arguments) -> Client {
    let client = Client::new(&arguments.node, arguments.retries, &arguments.option).unwrap();
    client.with_backoff(Duration::from_millis(1))
}

async fn never() {
    std::future::pending().await
}

#[tokio::test]
async fn everything_made_is_exit_0() {
    let node = FakeNode::default();
    let address = node.serve().await;
    let line = ["--node", &address, "--format", "ulaw", "--format", "opus"];
    let ran = warm(&line, "http://a/one\n\n# comment\nhttp://a/warm\n", never()).await;
    assert_eq!(ran.exit, Exit::Done);
    let table = ran.out.text();
    let row = |name: &str| {
        table.lines().find(|line| line.trim().starts_with(name)).unwrap().split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(row("filled"), ["filled", "2", "15.62", "KiB", "2.0", "s"], "{table}");
    assert_eq!(row("already warm"), ["already", "warm", "2", "15.62", "KiB", "2.0", "s"], "{table}");
    assert_eq!(row("failed"), ["failed", "0"], "{table}");
    assert_eq!(ran.err.text().lines().count(), 4, "{}", ran.err.text());
    assert!(ran.err.text().contains("line 4  http://a/warm  opus  "), "{}", ran.err.text());
}

#[tokio::test]
async fn the_node_is_asked_as_it_wants_to_be() {
    let node = FakeNode::default();
    let address = node.serve().await + "/";
    warm(&["--node", &address, "--format", "wav", "--option", "rate:16000"], "http://A/x?y=1", never()).await;
    let expected =
        json!({ "source": { "url": "http://a/x?y=1" }, "format": "wav", "options": { "rate": "16000" }, "wait": true });
    assert_eq!(*node.bodies.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn some_failed_is_exit_1_and_says_which_and_why() {
    let node = FakeNode::default();
    let address = node.serve().await;
    let list =
        "http://u:secret@a/missing?sig=secret\nnot a url\nftp://a/b\nhttp://a/ok\nhttp://a/plain\nhttp://a/nonsense\n";
    let ran = warm(&["--node", &address, "--json", "--retries", "0", "--concurrency", "1"], list, never()).await;
    assert_eq!(ran.exit, Exit::Failed);
    let report: Value = serde_json::from_str(&ran.out.text()).unwrap();
    let reasons: Vec<_> =
        report["items"].as_array().unwrap().iter().map(|item| (&item["line"], &item["reason"])).collect();
    let expected = [
        (json!(1), json!("source-missing")),
        (json!(2), json!("bad-url")),
        (json!(3), json!("bad-url")),
        (json!(4), Value::Null),
        (json!(5), json!("status-502")),
        (json!(6), json!("bad-answer")),
    ];
    assert_eq!(reasons, expected.iter().map(|(line, reason)| (line, reason)).collect::<Vec<_>>());
    assert_eq!((&report["filled"], &report["failed"], &report["complete"]), (&json!(1), &json!(5), &json!(true)));
    assert_eq!(report["items"][3]["url"], "http://node/media/a1.ulaw");
    assert_eq!(report["reasons"]["bad-url"], 2);
    assert!(ran.err.text().contains("line 1  http://a/missing?…  ulaw  "), "{}", ran.err.text());
    assert!(!ran.err.text().contains("secret"), "{}", ran.err.text());
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let node = FakeNode::default();
    let address = node.serve().await;
    let list = "http://a/busy-twice\nhttp://a/busy\nhttp://a/slow\nhttp://a/backoff\nhttp://a/missing\n";
    let ran = warm(&["--node", &address, "--retries", "2"], list, never()).await;
    assert_eq!(ran.exit, Exit::Failed);
    assert_eq!(node.asked("http://a/busy-twice"), 3);
    assert_eq!(node.asked("http://a/busy"), 3, "a try and two more");
    assert_eq!(node.asked("http://a/slow"), 10, "a fill that runs is waited for");
    assert_eq!(node.asked("http://a/backoff"), 2);
    assert_eq!(node.asked("http://a/missing"), 1);
    let table = ran.out.text();
    assert!(table.contains("busy: why") && table.contains("source-missing: why"), "{table}");
}

#[tokio::test]
async fn a_node_that_is_gone_is_exit_2_and_not_asked_for_ever() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let node = format!("http://{gone}");
    let list = "http://a/b\n".repeat(100_000);
    let ran = warm(&["--node", &node, "--retries", "1", "--concurrency", "3"], &list, never()).await;
    assert_eq!(ran.exit, Exit::NothingDone);
    assert!(ran.err.text().ends_with(&format!("ringback: {node} does not answer; gave up\n")), "{}", ran.err.text());
    assert_eq!(ran.err.text().lines().count(), 4);
}

#[tokio::test]
async fn ctrl_c_still_reports() {
    let node = FakeNode::default();
    let address = node.serve().await;
    let hanging = node.hanging.clone();
    let interrupted = async move { hanging.notified().await };
    let ran = warm(
        &["--node", &address, "--concurrency", "1", "--json"],
        "http://a/ok\nhttp://a/hang\nhttp://a/x",
        interrupted,
    )
    .await;
    assert_eq!(ran.exit, Exit::Interrupted);
    let report: Value = serde_json::from_str(&ran.out.text()).unwrap();
    assert_eq!((&report["filled"], &report["complete"]), (&json!(1), &json!(false)));
    assert_eq!(node.asked("http://a/x"), 0);
}

#[tokio::test]
async fn no_more_requests_at_once_than_asked_for() {
    let node = FakeNode::default();
    let address = node.serve().await;
    let list: String = (0..200).map(|i| format!("http://a/{i}\n")).collect();
    let ran = warm(&["--node", &address, "--concurrency", "5"], &list, never()).await;
    assert_eq!(ran.exit, Exit::Done);
    let most = node.running_max.load(Ordering::SeqCst);
    assert!((1..=5).contains(&most), "{most} at once");
    assert_eq!(node.bodies.lock().unwrap().len(), 200);
}

#[tokio::test]
async fn an_empty_list_is_done() {
    let ran = warm(&["--node", "http://127.0.0.1:1", "--json"], "# nothing\n", never()).await;
    assert_eq!(ran.exit, Exit::Done);
    let report: Value = serde_json::from_str(&ran.out.text()).unwrap();
    assert_eq!(report["items"], json!([]));
}

/// Gives a line at a time and counts them: never ends.
struct Endless(Arc<AtomicUsize>);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let line = b"http://a/b\n";
        buffer[..line.len()].copy_from_slice(line);
        Ok(line.len())
    }
}

#[tokio::test]
async fn an_endless_list_is_read_only_a_little_ahead() {
    let read = Arc::new(AtomicUsize::new(0));
    let mut jobs = list::read(BufReader::new(Endless(read.clone())), vec!["ulaw".to_owned()], 4);
    for _ in 0..10 {
        jobs.recv().await.unwrap().unwrap();
    }
    // Ten taken, four waiting, and one in the reader's hand.
    assert!(read.load(Ordering::SeqCst) <= 15, "{read:?}");
}

#[tokio::test]
async fn a_list_that_breaks_off_is_told() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk on fire"))
        }
    }
    let Verb::Warm(arguments) = parse(&["warm", "-"]).unwrap() else { panic!("another verb") };
    rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
    let jobs = list::read(BufReader::new(Cursor::new("# x\n").chain(Broken)), arguments.format.clone(), 1);
    let (mut terminal, _, err) = terminal();
    let progress = Progress::new(&terminal, None);
    let exit = work(&client(&arguments), jobs, &arguments, progress, &mut terminal, never()).await.unwrap();
    assert_eq!(exit, Exit::NothingDone);
    assert_eq!(err.text(), "ringback: the list cannot be read: disk on fire\n");
}

#[tokio::test]
async fn lists() {
    async fn check(text: &str, expected: &[(usize, &str)]) {
        let mut jobs = list::read(Cursor::new(text.to_owned()), vec!["ulaw".to_owned()], 1);
        let mut got = Vec::new();
        while let Some(job) = jobs.recv().await {
            let job = job.unwrap();
            let text = match job.entry {
                Entry::Source(url) => url.to_string(),
                Entry::NotASource { reason, .. } => reason,
            };
            got.push((job.line, text));
        }
        let got: Vec<_> = got.iter().map(|(line, text)| (*line, text.as_str())).collect();
        assert_eq!(got, expected, "for {text:?}");
        assert_eq!(list::count(Cursor::new(text)).unwrap(), expected.len() as u64);
    }
    check("", &[]).await;
    check("\n \n# a\n  # b\n", &[]).await;
    check("http://a/b", &[(1, "http://a/b")]).await;
    check("\r\n http://a/b \r\nhttps://c/d?e#f\r\n", &[(2, "http://a/b"), (3, "https://c/d?e#f")]).await;
    check("a\n", &[(1, "not a URL: relative URL without a base")]).await;
    check("file:///etc/passwd\n", &[(1, "file: is not fetched, only http and https are")]).await;
    let long = format!("http://a/{}\nhttp://a/b\n", "x".repeat(100_000));
    check(&long, &[(1, "the line is longer than 8192 bytes"), (2, "http://a/b")]).await;
    let exact = format!("http://a/{}", "x".repeat(8192 - 9));
    check(&format!("{exact}\n{exact}"), &[(1, &exact), (2, &exact)]).await;
}
