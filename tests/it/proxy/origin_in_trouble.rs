//! An origin that breaks off, fails, or is gone.

use std::time::Duration;

use http::Method;
use ringback::testing::origin::{Body, Gate, Length, Origin, Reply};

use super::{Proxied, callers, text};

fn page(body: &'static str, control: &str) -> Reply {
    Reply::ok("text/plain", Body::of(body)).header("cache-control", control)
}

#[tokio::test]
async fn what_did_not_come_to_its_end_is_not_kept_and_not_taken_for_whole() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    for (path, length) in [("/counted", Length::Honest), ("/chunked", Length::Chunked)] {
        let cut = page("0123456789", "max-age=60").length(length).cut_after(5);
        origin.set_sequence(path, [cut, page("whole", "max-age=60")]);
        let mut wire = proxy.wire().await;
        wire.write(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
        let all = wire.rest().await;
        let all = String::from_utf8_lossy(&all);
        // The end may come so soon that not even the head has left.
        assert!(all.is_empty() || all.starts_with("HTTP/1.1 200"), "{all}");
        let body = all.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        assert!(!body.contains("56789") && !body.ends_with("0\r\n\r\n"), "{body}");
        assert_eq!(text(&proxy.get(path).await), "whole");
        assert_eq!(origin.count(&Method::GET, path), 2);
    }
}

#[tokio::test]
async fn what_is_stale_stands_in_only_where_it_may() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    let gone = Reply::dropped();
    let failing = Reply::status(503, "text/plain", Body::of("later"));
    for (path, control, trouble, status) in [
        ("/1", "max-age=1", &gone, 200),
        ("/2", "max-age=1, must-revalidate", &gone, 502),
        ("/3", "max-age=1, proxy-revalidate", &gone, 502),
        ("/4", "s-maxage=1", &gone, 502),
        ("/5", "max-age=1, stale-if-error=5", &gone, 502),
        ("/6", "max-age=1, stale-if-error=500", &gone, 200),
        ("/7", "max-age=1", &failing, 503),
        ("/8", "max-age=1, stale-if-error=500", &failing, 200),
    ] {
        origin.set_sequence(path, [page("kept", control), trouble.clone()]);
        assert_eq!(proxy.get(path).await.status, 200);
        proxy.node.node.clock.advance_wall(Duration::from_secs(60));
        let answer = proxy.get(path).await;
        assert_eq!(answer.status, status, "{path}: {control}");
        match status {
            200 => assert_eq!((text(&answer), answer.field("age").parse::<u64>().unwrap() >= 60), ("kept", true)),
            503 => assert_eq!(text(&answer), "later"),
            _ => assert_eq!(answer.slug(), "origin-failed"),
        }
        assert!(origin.count(&Method::GET, path) >= 2, "it was asked each time");
    }
    // Not for ever.
    let proxy =
        Proxied::start_with(&origin, |config| config.proxy.stale_if_unreachable = Duration::from_secs(10)).await;
    origin.set_sequence("/x", [page("kept", "max-age=1"), gone]);
    proxy.get("/x").await;
    proxy.node.node.clock.advance_wall(Duration::from_secs(60));
    assert_eq!(proxy.get("/x").await.status, 502);
}

#[tokio::test]
async fn a_connection_that_was_given_up_meanwhile_is_not_the_callers_trouble() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    let page = page("here", "no-store");
    // Some connections that have brought an answer and wait for the next request.
    let gate = Gate::closed();
    origin.set_sequence("/warm", [page.clone(), page.clone().hold_headers(&gate)]);
    proxy.get("/warm").await;
    let warming = callers(&proxy, 8, "/warm");
    gate.arrived(8).await;
    gate.open();
    for answer in warming {
        assert_eq!(text(&answer.await.unwrap()), "here");
    }
    origin.set_sequence("/x", [Reply::dropped(), page.clone(), Reply::dropped(), page]);
    assert_eq!(text(&proxy.get("/x").await), "here");
    assert_eq!(origin.count(&Method::GET, "/x"), 2);
    // What may have changed something is not sent twice.
    let answer = proxy.ask("POST", "/x", &["Content-Length: 0"]).await;
    assert_eq!((answer.status, answer.slug().as_str()), (502, "origin-failed"));
    assert_eq!(origin.count(&Method::POST, "/x"), 1);
}

#[tokio::test]
async fn an_origin_that_is_not_there_is_a_problem_of_its_kind() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    drop(origin);
    let answer = proxy.get("/x").await;
    assert_eq!((answer.status, answer.slug().as_str()), (502, "origin-failed"));
    // One that speaks no TLS where TLS is wanted is not there either.
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::before(&origin.url("").replace("http:", "https:"), &origin, |_| {}).await;
    assert_eq!(proxy.get("/x").await.slug(), "origin-failed");
    assert_eq!(origin.seen().len(), 0);
}

#[tokio::test]
async fn what_is_stale_is_used_while_it_is_asked_for_anew() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    let control = "max-age=10, stale-while-revalidate=100";
    // The origin's clock goes with the node's.
    let later = httpdate::fmt_http_date(proxy.node.node.clock.now_wall() + Duration::from_secs(60));
    origin.set_sequence("/x", [page("old", control), page("new", control).header("date", &later)]);
    proxy.get("/x").await;
    proxy.node.node.clock.advance_wall(Duration::from_secs(60));
    assert_eq!(text(&proxy.get("/x").await), "old");
    origin.wait_for_requests(2).await;
    // The answer to that comes in behind it; until then the old one goes on.
    let mut answer = proxy.get("/x").await;
    while text(&answer) == "old" {
        answer = proxy.get("/x").await;
    }
    assert_eq!(text(&answer), "new");
    assert_eq!(origin.count(&Method::GET, "/x"), 2);
}
