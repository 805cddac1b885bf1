//! How long sources are used and what stands in for them: RFC 9111, RFC 5861, by a whole node.

use std::time::Duration;

use http::{Method, StatusCode};
use ringback::testing::{
    fixture,
    origin::{Body, Gate, Origin, Reply},
};

use crate::support::node::{Answer, TestNode, fetch_path};

const OLD: &str = "speech.wav";
const NEW: &str = "chirp-ima.wav";

fn audio(name: &str, cache_control: &str) -> Reply {
    Reply::ok("audio/wav", Body::of(fixture::audio(name).unwrap())).header("cache-control", cache_control)
}

fn failing() -> Reply {
    Reply::status(503, "text/html", Body::of("<h1>sorry</h1>"))
}

#[track_caller]
fn check_cached(answer: &Answer, cached: &str) {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let status = answer.header("cache-status");
    assert!(status.starts_with(&format!("ringback; {cached}")), "{cached}: {status}");
}

/// Asks until something else comes than `old`.
async fn until_other(node: &TestNode, path: &str, old: &Answer) -> Answer {
    let other = async {
        loop {
            let answer = node.get(path).await;
            if answer.body != old.body {
                return answer;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), other).await.expect("the change is heard")
}

#[tokio::test]
async fn stale_audio_is_served_at_once_while_the_origin_is_asked_behind_it() {
    let origin = Origin::start().await.unwrap();
    let gate = Gate::closed();
    let stale = "max-age=0, stale-while-revalidate=60";
    origin.set_sequence("/a.wav", [audio(OLD, stale), audio(NEW, "max-age=60").hold_headers(&gate)]);
    let node = TestNode::start(&origin).await;
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    let old = node.get(&path).await;
    check_cached(&old, "fwd=miss; stored");
    // However many ask, the origin is asked once, and nobody waits for it.
    for _ in 0..5 {
        let answer = node.get(&path).await;
        check_cached(&answer, "hit; ttl=");
        assert_eq!((answer.body == old.body, answer.header("cache-control")), (true, "public, max-age=0"));
    }
    gate.arrived(1).await;
    gate.open();
    check_cached(&until_other(&node, &path, &old).await, "hit; ttl=");
    assert_eq!(origin.count(&Method::GET, "/a.wav"), 2);
}

#[tokio::test]
async fn the_window_behind_freshness_ends() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", audio(OLD, "max-age=60, stale-while-revalidate=30").etag("\"v1\""));
    let node = TestNode::start(&origin).await;
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    node.get(&path).await;
    node.node.clock.advance_wall(Duration::from_secs(95));
    check_cached(&node.get(&path).await, "fwd=stale; fwd-status=304; ttl=");
    // Who asks for it gets no stale audio inside of the window either, and who takes it gets it beyond.
    node.node.clock.advance_wall(Duration::from_secs(70));
    check_cached(&node.get_with(&path, "cache-control", "no-cache").await, "fwd=request; fwd-status=304; ttl=");
    node.node.clock.advance_wall(Duration::from_secs(95));
    let before = origin.count(&Method::GET, "/a.wav");
    check_cached(&node.get_with(&path, "cache-control", "max-stale=60").await, "hit; ttl=-");
    assert_eq!(origin.count(&Method::GET, "/a.wav"), before);
    check_cached(&node.get_with(&path, "cache-control", "max-stale=10").await, "fwd=stale; fwd-status=304; ttl=");
    // Fresh, but not young or lasting enough.
    node.node.clock.advance_wall(Duration::from_secs(20));
    check_cached(&node.get(&path).await, "hit; ttl=");
    for asked in ["max-age=5", "min-fresh=59"] {
        check_cached(&node.get_with(&path, "cache-control", asked).await, "fwd=request; fwd-status=304; ttl=");
        node.node.clock.advance_wall(Duration::from_secs(20));
    }
}

#[tokio::test]
async fn an_origin_that_fails_for_an_hour_is_not_heard() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", audio(OLD, "max-age=60, stale-if-error=7200"));
    let node = TestNode::start(&origin).await;
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    let old = node.get(&path).await;
    node.node.clock.advance_wall(Duration::from_secs(61));
    origin.set("/a.wav", failing());
    let before = origin.count(&Method::GET, "/a.wav");
    // A call every two seconds for an hour, by the node's clock.
    let (calls, step) = (1_800, Duration::from_secs(2));
    for _ in 0..calls {
        let answer = node.get(&path).await;
        assert_eq!((answer.status, answer.body == old.body), (StatusCode::OK, true), "{answer:?}");
        node.node.clock.advance_wall(step);
    }
    // It is asked once in as long as a failure is remembered, 10 s, and not at every call.
    let asked = origin.count(&Method::GET, "/a.wav") - before;
    let most = usize::try_from((step * calls).as_secs() / 10).unwrap() + 1;
    assert!((most / 2..=most).contains(&asked), "asked {asked} times, {most} at most");
    // What is mended is heard as soon as the failure is forgotten.
    origin.set("/a.wav", audio(NEW, "max-age=60"));
    node.node.clock.advance_wall(Duration::from_secs(10));
    let new = node.get(&path).await;
    check_cached(&new, "fwd=stale; stored");
    assert_ne!(new.body, old.body);
}

#[tokio::test]
async fn what_stands_in_does_so_for_its_time_and_for_failures_only() {
    let origin = Origin::start().await.unwrap();
    let paths = ["/broken.wav", "/page.wav", "/dropped.wav", "/gone.wav", "/refused.wav", "/strict.wav", "/over.wav"];
    for path in paths {
        let cache_control = if path == "/strict.wav" { "max-age=60, must-revalidate" } else { "max-age=60" };
        origin.set(path, audio(OLD, cache_control));
    }
    let node = TestNode::start(&origin).await;
    let fetch = |path: &str| fetch_path(&origin.url(path), "ulaw");
    let mut old = Vec::new();
    for path in paths {
        old = node.get(&fetch(path)).await.body;
    }
    origin.set("/broken.wav", failing());
    origin.set("/page.wav", Reply::ok("text/html", Body::of("<h1>we are back soon</h1>")));
    origin.set("/dropped.wav", Reply::dropped());
    origin.set("/gone.wav", Reply::status(404, "text/plain", Body::of("gone")));
    origin.set("/refused.wav", Reply::status(403, "text/plain", Body::of("no")));
    origin.set("/strict.wav", failing());
    node.node.clock.advance_wall(Duration::from_secs(61));
    for path in ["/broken.wav", "/page.wav", "/dropped.wav"] {
        let answer = node.get(&fetch(path)).await;
        check_cached(&answer, "fwd=stale; ttl=-");
        assert_eq!((answer.body == old, answer.header("cache-control")), (true, "public, max-age=0"), "{path}");
        // From now on by the memory of the failure alone.
        check_cached(&node.get(&fetch(path)).await, "hit; ttl=-");
        assert_eq!(origin.count(&Method::GET, path), 2, "{path}");
    }
    for (path, slug) in
        [("/gone.wav", "source-missing"), ("/refused.wav", "origin-failed"), ("/strict.wav", "origin-failed")]
    {
        assert_eq!(node.get(&fetch(path)).await.slug(), slug, "{path}");
    }
    // A day later, by default, silence.
    origin.set("/over.wav", failing());
    node.node.clock.advance_wall(Duration::from_secs(24 * 3600));
    assert_eq!(node.get(&fetch("/over.wav")).await.slug(), "origin-failed");
}

#[tokio::test]
async fn a_format_that_was_never_made_is_made_of_the_original_that_stands_in() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", audio(OLD, "max-age=60"));
    let node = TestNode::start(&origin).await;
    node.get(&fetch_path(&origin.url("/a.wav"), "ulaw")).await;
    node.node.clock.advance_wall(Duration::from_secs(61));
    origin.set("/a.wav", failing());
    let answer = node.get(&fetch_path(&origin.url("/a.wav"), "alaw")).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "audio/PCMA"), "{answer:?}");
}

#[tokio::test]
async fn a_slow_origin_is_not_waited_for_where_something_stands_in() {
    let origin = Origin::start().await.unwrap();
    let gate = Gate::closed();
    origin.set_sequence("/a.wav", [audio(OLD, "max-age=0"), audio(NEW, "max-age=60").hold_headers(&gate)]);
    let node = TestNode::start_with(&origin, |config| config.media.fill.stale_wait = Duration::from_millis(50)).await;
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    let old = node.get(&path).await;
    let answer = node.get(&path).await;
    check_cached(&answer, "fwd=stale; ttl=");
    assert_eq!(answer.body, old.body);
    // The fetch went on for those who come later.
    gate.open();
    until_other(&node, &path, &old).await;
    check_cached(&node.get(&path).await, "hit; ttl=");
    assert_eq!(origin.count(&Method::GET, "/a.wav"), 2);
}

#[tokio::test]
async fn an_unchanged_body_costs_no_transcoding() {
    let origin = Origin::start().await.unwrap();
    // No validators: all of it comes each time.
    origin.set("/a.wav", audio(OLD, "max-age=60"));
    let node = TestNode::start(&origin).await;
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    let first = node.get(&path).await;
    node.node.clock.advance_wall(Duration::from_secs(61));
    let again = node.get(&path).await;
    // A fill would say how long it took to encode.
    check_cached(&again, "fwd=stale; fwd-status=200; ttl=");
    assert_eq!((again.header("server-timing"), &again.body), ("", &first.body));
    assert_eq!(origin.count(&Method::GET, "/a.wav"), 2);
    check_cached(&node.get(&path).await, "hit; ttl=");
    // Of the same length and another: heard as what it is.
    let mut other = fixture::audio(OLD).unwrap().to_vec();
    let middle = other.len() / 2;
    other[middle..].fill(0);
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(other)).header("cache-control", "max-age=60"));
    node.node.clock.advance_wall(Duration::from_secs(61));
    let changed = node.get(&path).await;
    check_cached(&changed, "fwd=stale; stored");
    assert_ne!(changed.body, first.body);
    assert_ne!(changed.header("content-location"), first.header("content-location"));
}

#[tokio::test]
async fn callers_in_mid_stream_finish_what_they_began_when_the_source_changes() {
    let origin = Origin::start().await.unwrap();
    let gate = Gate::closed();
    let half = fixture::audio(OLD).unwrap().len() as u64 / 2;
    origin.set_sequence("/a.wav", [audio(OLD, "max-age=60").hold_after(half, &gate), audio(NEW, "max-age=60")]);
    origin.set("/same.wav", audio(OLD, "max-age=60"));
    let node = TestNode::start_with(&origin, |config| config.media.fill.grace = Duration::ZERO).await;
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    let old = node.get(&fetch_path(&origin.url("/same.wav"), "ulaw")).await;
    let mut first = node.request(Method::GET, &path).send().await.unwrap();
    let mut heard = first.chunk().await.unwrap().expect("it streams").to_vec();
    // The source has changed by the time the next one asks, who joins nobody.
    let second = node.get_with(&path, "cache-control", "no-store").await;
    assert!(second.status == StatusCode::OK && second.body != old.body, "{second:?}");
    assert!(heard.len() < old.body.len(), "the first one is in the middle of it");
    gate.open();
    while let Some(piece) = first.chunk().await.unwrap() {
        heard.extend_from_slice(&piece);
    }
    assert!(heard == old.body, "what began as the old source ended as something else");
}

#[tokio::test]
async fn variants_that_the_origin_will_not_tell_apart_are_asked_about_each_time() {
    let origin = Origin::start().await.unwrap();
    origin.set("/any.wav", audio(OLD, "max-age=60").header("vary", "*").etag("\"v1\""));
    origin.set("/ours.wav", audio(OLD, "max-age=60").header("vary", "accept-encoding, user-agent, accept-language"));
    let node = TestNode::start(&origin).await;
    let (any, ours) = (fetch_path(&origin.url("/any.wav"), "ulaw"), fetch_path(&origin.url("/ours.wav"), "ulaw"));
    node.get(&any).await;
    check_cached(&node.get(&any).await, "fwd=vary-miss; fwd-status=304; ttl=");
    // Our requests are all alike, so that what varies with them is one source.
    node.get(&ours).await;
    check_cached(&node.get_with(&ours, "accept-language", "de").await, "hit; ttl=");
}

#[tokio::test]
async fn an_origin_says_how_long_it_is_not_to_be_asked() {
    let origin = Origin::start().await.unwrap();
    origin.set("/busy.wav", failing().header("retry-after", "30"));
    origin.set("/gone.wav", Reply::status(404, "text/plain", Body::of("no")).header("cache-control", "max-age=30"));
    origin.set("/long.wav", failing().header("retry-after", "86400"));
    let node = TestNode::start(&origin).await;
    for (path, slug) in [("/busy.wav", "origin-failed"), ("/gone.wav", "source-missing")] {
        let fetch = fetch_path(&origin.url(path), "ulaw");
        assert_eq!(node.get(&fetch).await.slug(), slug);
        node.node.clock.advance_wall(Duration::from_secs(20));
        let again = node.get(&fetch).await;
        assert_eq!(again.slug(), slug);
        assert!(again.header("retry-after").parse::<u64>().is_ok_and(|left| (5..=11).contains(&left)), "{again:?}");
        assert_eq!(origin.count(&Method::GET, path), 1, "{path}");
        node.node.clock.advance_wall(Duration::from_secs(11));
        node.get(&fetch).await;
        assert_eq!(origin.count(&Method::GET, path), 2, "{path}");
    }
    // A minute at most: what says "tomorrow" may be mended in an hour.
    let fetch = fetch_path(&origin.url("/long.wav"), "ulaw");
    node.get(&fetch).await;
    node.node.clock.advance_wall(Duration::from_secs(61));
    node.get(&fetch).await;
    assert_eq!(origin.count(&Method::GET, "/long.wav"), 2);
}

#[tokio::test]
async fn what_the_origin_does_not_allow_any_more_is_not_kept_any_more() {
    let origin = Origin::start().await.unwrap();
    let tagged = |cache_control: &str| audio(OLD, cache_control).etag("\"v\"");
    for (path, later) in
        [("/304.wav", tagged("no-store, max-age=600")), ("/200.wav", audio(OLD, "private, max-age=600"))]
    {
        let first = if path == "/304.wav" { tagged("max-age=60") } else { audio(OLD, "max-age=60") };
        origin.set_sequence(path, [first, later]);
    }
    let node = TestNode::start(&origin).await;
    for path in ["/304.wav", "/200.wav"] {
        let fetch = fetch_path(&origin.url(path), "ulaw");
        assert_ne!(node.get(&fetch).await.header("content-location"), "");
        node.node.clock.advance_wall(Duration::from_secs(61));
        for _ in 0..2 {
            let answer = node.get(&fetch).await;
            assert_eq!(
                (answer.status, answer.header("cache-control")),
                (StatusCode::OK, "no-store"),
                "{path} {answer:?}"
            );
            assert_eq!(answer.header("content-location"), "", "{path}");
        }
    }
}

#[tokio::test]
async fn what_stands_in_does_so_under_every_signature_and_the_origin_is_asked_once() {
    let origin = Origin::start().await.unwrap();
    let tokens: Vec<String> = (0..12).map(|n| format!("/a.wav?token={n}")).collect();
    origin.set("/a.wav?token=0", audio(OLD, "max-age=60"));
    let node = TestNode::start(&origin).await;
    let fetch = |path: &String| fetch_path(&origin.url(path), "ulaw");
    let old = node.get(&fetch(&tokens[0])).await;
    node.node.clock.advance_wall(Duration::from_secs(61));
    let gate = Gate::closed();
    for path in &tokens {
        origin.set(path, failing().hold_headers(&gate));
    }
    let before = origin.seen().len();
    let paths: Vec<String> = tokens.iter().map(fetch).collect();
    let all = futures_util::future::join_all(paths.iter().map(|path| node.get(path)));
    let opened = async {
        gate.arrived(1).await;
        gate.open();
    };
    let (answers, ()) = tokio::join!(all, opened);
    for answer in answers {
        assert_eq!((answer.status, answer.body == old.body), (StatusCode::OK, true), "{answer:?}");
    }
    // Afterwards by the memory of the failure, under signatures that were never tried.
    for n in 100..105 {
        let path = format!("/a.wav?token={n}");
        origin.set(&path, failing());
        check_cached(&node.get(&fetch(&path)).await, "hit; ttl=-");
        assert_eq!(origin.count(&Method::GET, &path), 0);
    }
    assert!(origin.seen().len() - before <= tokens.len(), "asked {} times", origin.seen().len() - before);
}

#[tokio::test]
async fn a_format_to_be_made_of_what_stands_in_does_not_wait_for_the_origin() {
    let origin = Origin::start().await.unwrap();
    let gate = Gate::closed();
    origin.set_sequence("/a.wav", [audio(OLD, "max-age=60"), audio(NEW, "max-age=60").hold_headers(&gate)]);
    let node = TestNode::start_with(&origin, |config| config.media.fill.stale_wait = Duration::from_millis(50)).await;
    node.get(&fetch_path(&origin.url("/a.wav"), "ulaw")).await;
    node.node.clock.advance_wall(Duration::from_secs(61));
    for extension in ["ulaw", "alaw", "sln"] {
        let fetch = fetch_path(&origin.url("/a.wav"), extension);
        let answer =
            tokio::time::timeout(Duration::from_secs(10), node.get(&fetch)).await.expect("it waits for the origin");
        assert_eq!(answer.status, StatusCode::OK, "{extension} {answer:?}");
    }
    assert_eq!(origin.count(&Method::GET, "/a.wav"), 2);
    gate.open();
    node.settled().await;
    // What was made of the old original has not taken the place of the new one.
    let paths = ["ulaw", "alaw"].map(|extension| fetch_path(&origin.url("/a.wav"), extension));
    let [new, other] = [node.get(&paths[0]).await, node.get(&paths[1]).await];
    assert_eq!(new.body.len(), other.body.len());
    assert_eq!(origin.count(&Method::GET, "/a.wav"), 2);
}

#[tokio::test]
async fn an_answer_that_is_meant_is_heard_in_the_window_behind_freshness_too() {
    let origin = Origin::start().await.unwrap();
    let gone = Reply::status(404, "text/plain", Body::of("gone"));
    origin.set_sequence("/a.wav", [audio(OLD, "max-age=0, stale-while-revalidate=600"), gone]);
    let node = TestNode::start(&origin).await;
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    node.get(&path).await;
    check_cached(&node.get_with(&path, "cache-control", "only-if-cached").await, "hit; ttl=");
    assert_eq!(origin.count(&Method::GET, "/a.wav"), 1, "nothing is asked of the origin");
    let heard = async {
        loop {
            let answer = node.get(&path).await;
            if answer.status != StatusCode::OK {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(10), heard).await.expect("the answer is heard");
    assert_eq!(answer.slug(), "source-missing");
    assert_eq!(origin.count(&Method::GET, "/a.wav"), 2);
}

#[tokio::test]
async fn a_changed_configuration_counts_for_what_was_kept_before() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", audio(OLD, "max-age=86400").header("vary", "accept-encoding"));
    let node = TestNode::start(&origin).await;
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    node.get(&path).await;
    node.node.clock.advance_wall(Duration::from_secs(100));
    origin.set("/a.wav", failing());
    let strict = |config: &mut ringback::config::Config| {
        config.media.origin.fresh_default = Duration::from_secs(1);
        config.media.origin.fresh_max = Duration::from_secs(1);
    };
    let node = node.restart_with(&origin, strict).await;
    origin.keep_time(&node.node.clock);
    node.node.clock.advance_wall(Duration::from_secs(100));
    let answer = node.get(&path).await;
    check_cached(&answer, "fwd=stale; ttl=-");
    assert_eq!(answer.header("cache-control"), "public, max-age=0");
    origin.set("/a.wav", audio(NEW, "max-age=86400"));
    node.node.clock.advance_wall(Duration::from_secs(11));
    assert_ne!(node.get(&path).await.body, answer.body);
}

#[tokio::test]
async fn who_wants_nothing_kept_keeps_nothing_from_others() {
    let origin = Origin::start().await.unwrap();
    origin.set_sequence("/a.wav", [audio(OLD, "max-age=0, stale-while-revalidate=600"), audio(NEW, "max-age=60")]);
    let node = TestNode::start(&origin).await;
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    let old = node.get(&path).await;
    // What runs behind this caller is for those who come after.
    check_cached(&node.get_with(&path, "cache-control", "no-store").await, "hit; ttl=");
    let new = until_other(&node, &path, &old).await;
    assert_ne!(new.header("content-location"), "");
    assert_eq!(origin.count(&Method::GET, "/a.wav"), 2);
}

#[tokio::test]
async fn what_a_redirect_says_of_its_use_holds_of_what_it_leads_to() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    for name in ["/v1.wav", "/v2.wav"] {
        let file = if name == "/v1.wav" { OLD } else { NEW };
        origin.set(name, audio(file, "max-age=31536000, immutable").etag(&format!("\"{name}\"")));
    }
    let to = |version: &str| Reply::redirect(&format!("{version}.wav"));
    // Asked about each time, though what it leads to never changes.
    origin.set("/current.wav", to("/v1").header("cache-control", "no-cache"));
    let path = fetch_path(&origin.url("/current.wav"), "ulaw");
    let old = node.get(&path).await;
    check_cached(&old, "fwd=miss; stored");
    check_cached(&node.get(&path).await, "fwd=stale; fwd-status=304");
    origin.set("/current.wav", to("/v2").header("cache-control", "no-cache"));
    let new = node.get(&path).await;
    assert_eq!((new.status, new.body == old.body), (StatusCode::OK, false));
    // For as long as it says.
    origin.set("/minute.wav", to("/v1").header("cache-control", "max-age=60"));
    let path = fetch_path(&origin.url("/minute.wav"), "ulaw");
    assert_eq!(node.get(&path).await.body, old.body);
    origin.set("/minute.wav", to("/v2").header("cache-control", "max-age=60"));
    assert_eq!(node.get(&path).await.body, old.body);
    node.node.clock.advance_wall(Duration::from_secs(65));
    assert_eq!(node.get(&path).await.body, new.body);
    // Kept by nobody.
    origin.set("/none.wav", to("/v1").header("cache-control", "no-store"));
    let path = fetch_path(&origin.url("/none.wav"), "ulaw");
    for _ in 0..2 {
        let answer = node.get(&path).await;
        assert!(!answer.header("cache-status").contains("stored"), "{answer:?}");
    }
    assert_eq!(origin.count(&Method::GET, "/none.wav"), 2);
}

#[tokio::test]
async fn what_one_file_can_be_checked_by_is_not_held_against_another() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let day = |day: u64| std::time::UNIX_EPOCH + Duration::from_secs(day * 86_400);
    // Both with nothing but a date, the second of them older.
    origin.set("/monday.wav", audio(NEW, "max-age=1").last_modified(day(20_000)));
    origin.set("/tuesday.wav", audio(OLD, "max-age=1").last_modified(day(20_001)));
    origin.set("/current.wav", Reply::redirect("/tuesday.wav"));
    let path = fetch_path(&origin.url("/current.wav"), "ulaw");
    let tuesday = node.get(&path).await;
    node.node.clock.advance_wall(Duration::from_secs(86_400));
    // The same file is asked about by its date.
    let again = node.get(&path).await;
    assert_eq!((again.status, again.body == tuesday.body), (StatusCode::OK, true));
    assert!(again.header("cache-status").contains("fwd-status=304"), "{again:?}");
    origin.set("/current.wav", Reply::redirect("/monday.wav"));
    node.node.clock.advance_wall(Duration::from_secs(86_400));
    let monday = node.get(&path).await;
    assert_eq!((monday.status, monday.body == tuesday.body), (StatusCode::OK, false));
}
