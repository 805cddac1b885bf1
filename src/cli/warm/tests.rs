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
    Arguments, Lists,
    client::Client,
    list::{self, Entry, Lines, Place},
    retry::Backoff,
};

/// A node that answers by what the source's address says, and remembers what it was asked.
#[derive(Clone, Default)]
struct FakeNode {
    asked: Arc<Mutex<HashMap<String, usize>>>,
    bodies: Arc<Mutex<Vec<Value>>>,
    running: Arc<AtomicUsize>,
    running_max: Arc<AtomicUsize>,
    hanging: Arc<Notify>,
    /// Whether it answers for many at once, and how often it did.
    checks: Option<Arc<AtomicUsize>>,
}

impl FakeNode {
    /// Serves on a port of its own; returns the address.
    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut router = Router::new().route("/v1/media", post(FakeNode::answer));
        if self.checks.is_some() {
            router = router.route("/v1/media/warm", post(FakeNode::check));
        }
        let router = router.with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    fn asked(&self, source: &str) -> usize {
        self.asked.lock().unwrap().get(source).copied().unwrap_or(0)
    }

    /// What is called "warm" is, and nothing else.
    async fn check(State(node): State<FakeNode>, body: Bytes) -> String {
        let body: Value = serde_json::from_slice(&body).unwrap();
        node.checks.as_ref().unwrap().fetch_add(1, Ordering::SeqCst);
        assert_eq!(body["only_if_cached"], true);
        let mut lines = Vec::new();
        for (number, source) in body["sources"].as_array().unwrap().iter().enumerate() {
            for format in body["formats"].as_array().unwrap() {
                let name = source["url"].as_str().or_else(|| source["text"].as_str()).unwrap();
                let (id, url) = ("a1", "http://node/media/a1.ulaw");
                let media = json!({ "id": id, "url": url, "bytes": 8000, "duration_ms": 1000 });
                let line = if name.contains("warm") {
                    json!({ "source": number, "format": format, "status": 200, "media": media })
                } else {
                    json!({ "source": number, "format": format, "status": 504, "problem": { "status": 504 } })
                };
                lines.insert(0, format!("{line}\n"));
            }
        }
        node.bodies.lock().unwrap().push(body);
        lines.concat()
    }

    async fn answer(State(node): State<FakeNode>, body: Bytes) -> Response {
        let body: Value = serde_json::from_slice(&body).unwrap();
        let source = &body["source"];
        let source = source["url"].as_str().or_else(|| source["text"].as_str()).unwrap().to_owned();
        let path = url::Url::parse(&source).map_or_else(|_| source.clone(), |url| url.path().to_owned());
        let path = path.trim_start_matches('/').to_owned();
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
            "seen" => {
                node.hanging.notify_one();
                (StatusCode::CREATED, Json(made)).into_response()
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
    let read = Box::new(Cursor::new(list.to_owned()));
    warm_lists(&[&["warm", "-"], line].concat(), Some((read, Lines::Sources)), interrupted).await
}

/// Does what a whole command line says, with another list in the place of standard input.
async fn warm_lists(line: &[&str], standard: Option<list::List>, interrupted: impl Future<Output = ()>) -> Ran {
    rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
    let Verb::Warm(arguments) = parse(line).unwrap() else { panic!("another verb") };
    let client = client(&arguments);
    let mut lists = Lists::open(&arguments).unwrap();
    if let Some(standard) = standard {
        lists.lists = vec![standard];
    }
    let (mut terminal, out, err) = terminal();
    let backoff = Backoff::beginning_with(Duration::from_millis(1));
    let found = super::documents(&arguments, backoff, &mut terminal).await.unwrap();
    let exit = super::warm(&arguments, &client, lists, found, &mut terminal, interrupted).await.unwrap();
    Ran { exit, out, err }
}

fn client(arguments: &Arguments) -> Client {
    super::client(arguments).unwrap().with_backoff(Backoff::beginning_with(Duration::from_millis(1)))
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
    assert_eq!(row("saved")[..3], ["saved", "to", "callers"], "{table}");
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
    let endless = Box::new(BufReader::new(Endless(read.clone())));
    let mut wishes = list::read(Vec::new(), vec![(endless, Lines::Sources)], 4);
    for _ in 0..10 {
        wishes.recv().await.unwrap().unwrap();
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
    let broken = Box::new(BufReader::new(Cursor::new("# x\n").chain(Broken)));
    let ran = warm_lists(&["warm", "-"], Some((broken, Lines::Sources)), never()).await;
    assert_eq!(ran.exit, Exit::NothingDone);
    assert_eq!(ran.err.text(), "ringback: the list cannot be read: disk on fire\n");
}

#[tokio::test]
async fn lists() {
    async fn check(text: &str, expected: &[(usize, &str)]) {
        let list: list::List = (Box::new(Cursor::new(text.to_owned())), Lines::Sources);
        let mut wishes = list::read(Vec::new(), vec![list], 1);
        let mut got = Vec::new();
        while let Some(wish) = wishes.recv().await {
            let wish = wish.unwrap();
            let text = match wish.entry {
                Entry::Source(url) => url.to_string(),
                Entry::Text(spoken) => spoken.text,
                Entry::NotASource { reason, .. } => reason,
            };
            let Place::Line(line) = wish.place else { panic!("a list has lines") };
            got.push((line, text));
        }
        let got: Vec<_> = got.iter().map(|(line, text)| (*line, text.as_str())).collect();
        assert_eq!(got, expected, "for {text:?}");
        assert_eq!(list::count(Cursor::new(text), Lines::Sources).unwrap(), expected.len() as u64);
    }
    check("", &[]).await;
    check("\n \n# a\n  # b\n", &[]).await;
    check("http://a/b", &[(1, "http://a/b")]).await;
    check("\u{feff}http://a/b\n\u{feff}# c\n", &[(1, "http://a/b")]).await;
    check("\r\n http://a/b \r\nhttps://c/d?e#f\r\n", &[(2, "http://a/b"), (3, "https://c/d?e#f")]).await;
    check("a\n", &[(1, "not a URL: relative URL without a base")]).await;
    check("file:///etc/passwd\n", &[(1, "file: is not fetched, only http and https are")]).await;
    let long = format!("http://a/{}\nhttp://a/b\n", "x".repeat(100_000));
    check(&long, &[(1, "the line is longer than 8192 bytes"), (2, "http://a/b")]).await;
    let exact = format!("http://a/{}", "x".repeat(8192 - 9));
    check(&format!("{exact}\n{exact}"), &[(1, &exact), (2, &exact)]).await;
}

#[tokio::test]
async fn what_is_warm_is_told_apart_many_at_a_time() {
    let node = FakeNode { checks: Some(Arc::default()), ..FakeNode::default() };
    let address = node.serve().await;
    let mut list: String = (0..300).map(|number| format!("http://a/warm/{number}\n")).collect();
    list += "http://a/cold\nnot a url\nhttp://b/cold\n";
    let line = ["--node", &address, "--format", "ulaw", "--format", "opus", "--json"];
    let ran = warm(&line, &list, never()).await;
    assert_eq!(ran.exit, Exit::Failed);
    let report: Value = serde_json::from_str(&ran.out.text()).unwrap();
    assert_eq!((&report["warm"], &report["filled"]), (&json!(600), &json!(4)), "{report:#}");
    assert_eq!(report["reasons"], json!({ "bad-url": 2 }));
    let (mut asked, checks) = (node.asked.lock().unwrap().clone(), node.checks.unwrap().load(Ordering::SeqCst));
    assert_eq!((asked.remove("http://a/cold"), asked.remove("http://b/cold")), (Some(2), Some(2)));
    assert!(asked.is_empty(), "{asked:?}");
    // How many the reader was ahead of is its own affair; but it is not one for each.
    assert!((2..150).contains(&checks), "{checks} checks");
}

/// A list of which the lines come one by one is not waited for.
#[tokio::test]
async fn who_names_one_item_is_asked_about_one() {
    let node = FakeNode { checks: Some(Arc::default()), ..FakeNode::default() };
    let address = node.serve().await;
    let ran = warm(&["--node", &address], "http://a/warm\n", never()).await;
    assert_eq!(ran.exit, Exit::Done);
    assert_eq!((node.checks.unwrap().load(Ordering::SeqCst), node.bodies.lock().unwrap().len()), (0, 1));
}

#[tokio::test]
async fn texts_are_spoken_with_the_options_of_speech_and_sources_are_not() {
    let node = FakeNode::default();
    let address = node.serve().await;
    let texts = Box::new(Cursor::new("# greetings\nGood morning\n\nGood night\n"));
    let line = [
        "warm",
        "--node",
        &address,
        "--say",
        "Hello",
        "http://a/b",
        "--voice",
        "en-gb",
        "--option",
        "speed:120",
        "--option",
        "gain:-3",
        "--text",
        "-",
    ];
    let ran = warm_lists(&line, Some((texts, Lines::Texts)), never()).await;
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err.text());
    let mut bodies: Vec<(Value, Value)> =
        node.bodies.lock().unwrap().iter().map(|body| (body["source"].clone(), body["options"].clone())).collect();
    bodies.sort_by_key(|(source, _)| source.to_string());
    let speech = json!({ "gain": "-3", "speed": "120", "voice": "en-gb" });
    let text = |text: &str| (json!({ "text": text }), speech.clone());
    let expected = [
        text("Good morning"),
        text("Good night"),
        text("Hello"),
        (json!({ "url": "http://a/b" }), json!({ "gain": "-3" })),
    ];
    assert_eq!(bodies, expected);
    assert!(ran.err.text().contains("line 2  \"Good morning\"  ulaw  "), "{}", ran.err.text());
}

#[test]
fn command_lines_that_contradict_themselves_are_refused() {
    rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
    let check = |line: &[&str], said: &str| {
        let Verb::Warm(arguments) = parse(&[&["warm"], line].concat()).unwrap() else { panic!("another verb") };
        let refused = super::client(&arguments).err().or_else(|| Lists::open(&arguments).err()).unwrap();
        assert!(format!("{refused:#}").contains(said), "{refused:#}");
    };
    check(&["http://a/b", "--format", "mp3"], "--format mp3");
    check(&["http://a/b", "--voice", "en"], "voice is an option of speech");
    check(&["http://a/b", "--option", "pitch:50"], "pitch is an option of speech");
    check(&["--say", "a", "--voice", "en", "--option", "voice:de"], "--voice: it is an --option as well");
    check(&["http://a/b", "--node", "nowhere"], "--node nowhere");
    check(&["-", "--text", "-"], "standard input cannot be two lists");
    check(&["--from", "/nonexistent/list"], "opening /nonexistent/list");
}

/// Twenty items of one origin stand before one of another: it does not wait for them all.
#[tokio::test]
async fn one_origin_holds_up_no_other_and_is_not_overrun() {
    let node = FakeNode::default();
    let address = node.serve().await;
    let list = format!("{}http://b/seen\n", "http://a/hang\n".repeat(20));
    let asked = node.clone();
    let interrupted = async move {
        // Both of the one origin hang, and the other was asked meanwhile.
        while asked.asked("http://a/hang") < 2 || asked.asked("http://b/seen") < 1 {
            asked.hanging.notified().await;
        }
    };
    let line = ["--node", &address, "--concurrency", "4", "--per-origin", "2", "--json"];
    let ran = warm(&line, &list, interrupted).await;
    assert_eq!(ran.exit, Exit::Interrupted);
    assert_eq!((node.asked("http://a/hang"), node.asked("http://b/seen")), (2, 1));
}

#[tokio::test]
async fn documents_are_warmed_by_what_they_play_and_say() {
    let (node, origin) = (FakeNode::default(), crate::testing::origin::Origin::start().await.unwrap());
    let address = node.serve().await;
    let reply =
        |text: &str| crate::testing::origin::Reply::ok("text/xml", crate::testing::origin::Body::of(text.to_owned()));
    let menu = "<Response><Say voice='de'>Hallo</Say><Play>/a.wav</Play><Redirect>/b</Redirect></Response>";
    origin.set("/menu", reply(menu));
    origin.set("/b", reply("<Response><Redirect>/menu</Redirect><Gather action='/gone'/></Response>"));
    let line = ["warm", "--node", &address, "--document", &origin.url("/menu"), "--voice", "en", "--json"];
    let ran = warm_lists(&line, None, never()).await;
    assert_eq!(ran.exit, Exit::Failed, "a link is dead");
    let report: Value = serde_json::from_str(&ran.out.text()).unwrap();
    assert_eq!((&report["filled"], &report["failed"]), (&json!(2), &json!(0)), "{report:#}");
    assert_eq!(report["items"][0]["document"], origin.url("/menu"));
    let documents = &report["documents"];
    assert_eq!((&documents["read"], &documents["cut_short"]), (&json!(2), &json!(false)));
    assert_eq!(documents["loops"], json!([[origin.url("/menu"), origin.url("/b")]]));
    assert_eq!(documents["dead"][0]["link"], origin.url("/gone"));
    let asked = node.bodies.lock().unwrap().clone();
    let said = asked.iter().find(|body| body["source"]["text"] == "Hallo").unwrap();
    assert_eq!(said["options"]["voice"], "de", "a text's own voice counts");

    let ran = warm_lists(&line[..line.len() - 1], None, never()).await;
    let table = ran.out.text();
    assert!(table.contains("2 documents read, 1 loops, 1 dead links, 0 not followed"), "{table}");
    assert!(table.contains("loop: ") && table.contains("it answers 404"), "{table}");
}
