//! Many at once: one request for all where the answer is for all, nobody in line where it is not, bytes as they come.

use std::time::Duration;

use http::Method;
use ringback::{
    testing::origin::{Body, Gate, Origin, Reply},
    units::ByteCount,
};

use super::{Proxied, callers, text};
use crate::support::wire::Wire;

const CALLERS: usize = 40;

#[tokio::test]
async fn many_callers_cost_the_origin_one_request_and_hear_it_as_it_comes() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    let gate = Gate::closed();
    let body = vec![b'a'; 300_000];
    let reply = Reply::ok("text/plain", Body::of(body.clone())).header("cache-control", "max-age=60");
    origin.set("/x", reply.hold_after(100_000, &gate));
    let waiting = callers(&proxy, CALLERS, "/x");
    gate.arrived(1).await;
    // Somebody who comes in the middle has its beginning at once.
    let mut late = proxy.wire().await;
    late.write(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(late.line().await.unwrap(), "HTTP/1.1 200 OK");
    gate.open();
    for answer in waiting {
        assert!(answer.await.unwrap().body == body);
    }
    assert!(proxy.get("/x").await.body == body);
    assert_eq!(origin.count(&Method::GET, "/x"), 1);
}

#[tokio::test]
async fn nobody_waits_in_line_for_what_cannot_be_shared() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    let own = |body| Reply::ok("text/plain", Body::of(body)).header("cache-control", "private");
    let gate = Gate::closed();
    origin.set_sequence("/x", [own("known"), own("held").hold_headers(&gate)]);
    // From now on it is known that it is for one caller only.
    assert_eq!(text(&proxy.get("/x").await), "known");
    let waiting = callers(&proxy, CALLERS, "/x");
    // All of them stand before the gate, none behind another.
    gate.arrived(CALLERS).await;
    gate.open();
    for answer in waiting {
        assert_eq!(text(&answer.await.unwrap()), "held");
    }
}

#[tokio::test]
async fn nobody_waits_in_line_for_what_must_be_asked_for_each_time() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    let page = Reply::ok("text/plain", Body::of("page")).header("cache-control", "no-cache").etag("\"1\"");
    let gate = Gate::closed();
    origin.set_sequence("/x", [page.clone(), page.hold_headers(&gate)]);
    assert_eq!(text(&proxy.get("/x").await), "page");
    let waiting = callers(&proxy, CALLERS, "/x");
    gate.arrived(CALLERS).await;
    gate.open();
    for answer in waiting {
        assert_eq!(text(&answer.await.unwrap()), "page");
    }
    // It was kept all the same: each asked whether it had changed.
    assert!(origin.seen()[1..].iter().all(|seen| seen.headers["if-none-match"] == "\"1\""));
}

/// Call routers ask so for each prompt, once it is stale.
#[tokio::test]
async fn many_who_ask_whether_their_copy_is_right_cost_the_origin_one_question() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    let page = Reply::ok("text/plain", Body::of("page")).header("cache-control", "max-age=60").etag("\"1\"");
    let later = httpdate::fmt_http_date(proxy.node.node.clock.now_wall() + Duration::from_secs(61));
    let gate = Gate::closed();
    origin.set_sequence("/x", [page.clone(), page.header("date", &later).hold_headers(&gate)]);
    proxy.get("/x").await;
    proxy.node.node.clock.advance_wall(Duration::from_secs(61));
    let address = proxy.address;
    let ask = |tag: &'static str| {
        tokio::spawn(
            async move { Wire::connect(address).await.ask("GET", "/x", &[&format!("If-None-Match: {tag}")]).await },
        )
    };
    let first = ask("\"1\"");
    gate.arrived(1).await;
    let others: Vec<_> = (0..CALLERS).map(|_| ask("\"1\"")).collect();
    let of_another_copy = ask("\"0\"");
    gate.open();
    assert_eq!(first.await.unwrap().status, 304);
    for other in others {
        assert_eq!(other.await.unwrap().status, 304);
    }
    assert_eq!(text(&of_another_copy.await.unwrap()), "page");
    assert_eq!(origin.count(&Method::GET, "/x"), 2);
}

#[tokio::test]
async fn a_caller_who_leaves_takes_nothing_from_the_others() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    let (head, rest) = (Gate::closed(), Gate::closed());
    let reply = Reply::ok("text/plain", Body::of("0123456789")).header("cache-control", "max-age=60");
    // The first leaves before there is a head, the second in the middle of the body.
    origin.set_sequence("/x", [reply.clone().hold_headers(&head), reply.hold_after(5, &rest)]);
    let first = callers(&proxy, 1, "/x");
    head.arrived(1).await;
    let others = callers(&proxy, 2, "/x");
    for leaving in &first {
        leaving.abort();
    }
    origin.wait_for_requests(2).await;
    let mut second = proxy.wire().await;
    second.write(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(second.line().await.unwrap(), "HTTP/1.1 200 OK");
    drop(second);
    rest.open();
    for answer in others {
        assert_eq!(text(&answer.await.unwrap()), "0123456789");
    }
    assert_eq!(text(&proxy.get("/x").await), "0123456789");
    assert_eq!(origin.count(&Method::GET, "/x"), 2);
}

#[tokio::test]
async fn what_is_too_long_to_be_kept_comes_as_long_as_somebody_reads_it() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start_with(&origin, |config| config.proxy.response_max = ByteCount::kib(64)).await;
    let endless = Reply::ok("text/plain", Body::endless("for ever ")).header("cache-control", "max-age=60");
    origin.set("/x", endless.rate(4 << 20));
    let mut wire = proxy.wire().await;
    wire.write(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await;
    wire.bytes(1 << 20).await;
    drop(wire);
    origin.wait_for_aborts(1).await;
    // Of a length that is known it is not even tried.
    let long = Reply::ok("text/plain", Body::of(vec![b'a'; 65_537])).header("cache-control", "max-age=60");
    origin.set("/y", long);
    for fetches in [1, 2] {
        assert_eq!(proxy.get("/y").await.body.len(), 65_537);
        assert_eq!(origin.count(&Method::GET, "/y"), fetches);
    }
}

#[tokio::test]
async fn first_bytes_do_not_wait_for_the_last() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    for (path, control) in [("/kept", "max-age=60"), ("/passed", "no-store")] {
        let gate = Gate::closed();
        let reply = Reply::ok("text/plain", Body::of("0123456789")).header("cache-control", control);
        origin.set(path, reply.hold_after(5, &gate));
        let mut wire = proxy.wire().await;
        wire.write(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await;
        while !wire.line().await.unwrap().is_empty() {}
        assert_eq!(wire.bytes(5).await, b"01234", "{path}");
        gate.open();
        assert_eq!(wire.rest().await, b"56789", "{path}");
    }
}
