//! What is kept and how it is answered from. The public suite (`make http-cache-tests`) has the rules; here is the machinery.

use std::time::{Duration, SystemTime};

use http::Method;
use ringback::testing::origin::{Body, Origin, Reply};

use super::{Proxied, text, values};
use crate::support::raw_origin::RawOrigin;

fn page(body: &'static str) -> Reply {
    Reply::ok("text/plain", Body::of(body)).header("cache-control", "max-age=60")
}

#[tokio::test]
async fn a_fresh_response_is_answered_from_the_store_to_the_byte_and_field() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    let mut body: Vec<u8> = (0..700_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    body.extend(b"the end");
    let reply = Reply::ok("audio/x-odd", Body::of(body.clone())).header("cache-control", "max-age=60");
    origin.set("/x?a=1", reply.header("x-own", "kept").header("set-cookie", "a=b"));
    let first = proxy.get("/x?a=1").await;
    assert!(first.body == body);
    assert_eq!(first.field("age"), "");
    let second = proxy.get("/x?a=1").await;
    assert!(second.body == body);
    assert_eq!((second.field("x-own"), second.field("set-cookie")), ("kept", "a=b"));
    assert_eq!(second.field("date"), first.field("date"));
    assert_eq!(values(&second, "age").len(), 1);
    let head = proxy.ask("HEAD", "/x?a=1", &[]).await;
    assert_eq!((head.field("content-length"), head.body.len()), (body.len().to_string().as_str(), 0));
    assert_eq!(origin.count(&Method::GET, "/x?a=1"), 1);
    assert_eq!(origin.count(&Method::HEAD, "/x?a=1"), 0);
    // Another query is another address.
    assert_eq!(proxy.get("/x?a=2").await.status, 404);
}

#[tokio::test]
async fn parts_and_conditions_are_answered_from_the_store() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    origin.set("/x", page("0123456789").etag("W/\"a,b\"").last_modified(modified));
    proxy.get("/x").await;
    for (fields, status, body, range) in [
        (vec!["Range: bytes=2-4"], 206, "234", "bytes 2-4/10"),
        (vec!["Range: bytes=7-"], 206, "789", "bytes 7-9/10"),
        (vec!["Range: bytes=-1"], 206, "9", "bytes 9-9/10"),
        (vec!["Range: bytes=10-"], 416, "", "bytes */10"),
        (vec!["Range: bytes=0-1,3-4"], 200, "0123456789", ""),
        // A weak tag is none to put parts together by.
        (vec!["Range: bytes=2-4", "If-Range: W/\"a,b\""], 200, "0123456789", ""),
        (vec!["Range: bytes=2-4", "If-Range: Sun, 09 Sep 2001 01:46:40 GMT"], 206, "234", "bytes 2-4/10"),
        (vec!["If-None-Match: \"x\", W/\"a,b\""], 304, "", ""),
        (vec!["If-None-Match: \"a,b\""], 304, "", ""),
        (vec!["If-None-Match: \"a\""], 200, "0123456789", ""),
        (vec!["If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT"], 304, "", ""),
        (vec!["If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT"], 200, "0123456789", ""),
        (vec!["If-None-Match: \"x\"", "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT"], 200, "0123456789", ""),
    ] {
        let answer = proxy.ask("GET", "/x", &fields).await;
        assert_eq!((answer.status, text(&answer), answer.field("content-range")), (status, body, range), "{fields:?}");
        assert_eq!(answer.field("etag"), "W/\"a,b\"", "{fields:?}");
    }
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn without_a_last_modified_the_date_stands_for_it_but_joins_no_parts() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    let date = httpdate::fmt_http_date(proxy.node.node.clock.now_wall());
    origin.set("/x", page("0123456789").header("date", &date));
    proxy.get("/x").await;
    assert_eq!(proxy.ask("GET", "/x", &[&format!("If-Modified-Since: {date}")]).await.status, 304);
    let part = proxy.ask("GET", "/x", &["Range: bytes=0-1", &format!("If-Range: {date}")]).await;
    assert_eq!((part.status, text(&part)), (200, "0123456789"));
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn an_origin_of_http_1_0_ends_its_body_by_closing() {
    let raw = RawOrigin::start(b"HTTP/1.0 200 OK\r\nCache-Control: max-age=60\r\n\r\nold but well").await;
    let proxy = Proxied::before(&raw.url(), &Origin::start().await.unwrap(), |_| {}).await;
    for length in ["", "12"] {
        let answer = proxy.get("/x").await;
        assert_eq!((answer.status, text(&answer), answer.field("content-length")), (200, "old but well", length));
        assert!(!answer.field("date").is_empty());
    }
    assert_eq!(raw.seen().len(), 1);
}

#[tokio::test]
async fn conditions_that_only_the_origin_can_judge_reach_it() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    origin.set("/x", page("x"));
    proxy.get("/x").await;
    proxy.ask("GET", "/x", &["If-Match: \"a\""]).await;
    let seen = origin.seen();
    assert_eq!(seen[1].headers["if-match"], "\"a\"");
}

#[tokio::test]
async fn each_selection_has_its_response() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    let replies = ["english", "german"].map(|body| page(body).header("vary", "X-Language"));
    origin.set_sequence("/x", replies);
    for _ in 0..2 {
        assert_eq!(text(&proxy.ask("GET", "/x", &["X-Language: en"]).await), "english");
        assert_eq!(text(&proxy.ask("GET", "/x", &["X-Language: de"]).await), "german");
    }
    assert_eq!(origin.seen().len(), 2);
    // Without an answer of its own it asks.
    assert_eq!(text(&proxy.get("/x").await), "german");
    assert_eq!(origin.seen().len(), 3);
}

#[tokio::test]
async fn a_304_brings_up_to_date_and_a_200_takes_the_place() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    let old = |number| page("old").etag("\"1\"").header("x-a", number);
    // The origin's clock goes with the node's.
    let later = [61, 122]
        .map(|seconds| httpdate::fmt_http_date(proxy.node.node.clock.now_wall() + Duration::from_secs(seconds)));
    let replies = [old("1"), old("2").header("date", &later[0]), page("new").etag("\"2\"").header("date", &later[1])];
    origin.set_sequence("/x", replies);
    assert_eq!(text(&proxy.get("/x").await), "old");
    proxy.node.node.clock.advance_wall(Duration::from_secs(61));
    let confirmed = proxy.get("/x").await;
    assert_eq!((text(&confirmed), confirmed.field("x-a"), confirmed.status), ("old", "2", 200));
    assert_eq!(origin.seen()[1].headers["if-none-match"], "\"1\"");
    let hit = proxy.get("/x").await;
    assert_eq!((text(&hit), hit.field("x-a")), ("old", "2"));
    assert_eq!(origin.seen().len(), 2);
    proxy.node.node.clock.advance_wall(Duration::from_secs(61));
    // What the caller has is another thing than what the store has.
    let changed = proxy.ask("GET", "/x", &["If-None-Match: \"2\""]).await;
    assert_eq!((changed.status, changed.field("etag")), (304, "\"2\""));
    assert_eq!(origin.seen()[2].headers["if-none-match"], "\"1\"");
    assert_eq!(text(&proxy.get("/x").await), "new");
    assert_eq!(origin.seen().len(), 3);
}

#[tokio::test]
async fn a_later_answer_that_may_not_be_kept_takes_away_the_one_that_was() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    let secret = Reply::ok("text/plain", Body::of("secret")).header("cache-control", "no-store");
    origin.set_sequence("/x", [page("open").etag("\"1\""), secret]);
    proxy.get("/x").await;
    assert_eq!(text(&proxy.ask("GET", "/x", &["Cache-Control: no-cache"]).await), "secret");
    assert_eq!(text(&proxy.get("/x").await), "secret");
    assert_eq!(origin.seen().len(), 3);
    assert!(!origin.seen()[2].headers.contains_key("if-none-match"));
}

#[tokio::test]
async fn what_one_caller_may_not_see_or_keep_takes_nothing_from_the_others() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    let refused = Reply::status(403, "text/plain", Body::of("not you"));
    origin.set_sequence("/x", [page("open").etag("\"1\""), refused, page("open").etag("\"1\"")]);
    proxy.get("/x").await;
    assert_eq!(proxy.ask("GET", "/x", &["Cache-Control: no-cache"]).await.status, 403);
    assert_eq!(text(&proxy.ask("GET", "/x", &["Cache-Control: no-cache, no-store"]).await), "open");
    assert_eq!(text(&proxy.ask("GET", "/x", &["Cache-Control: no-cache", "Authorization: x"]).await), "open");
    assert_eq!(origin.seen().len(), 4);
    assert_eq!(text(&proxy.ask("GET", "/x", &["Cache-Control: only-if-cached"]).await), "open");
}

#[tokio::test]
async fn a_change_takes_away_what_it_may_have_made_untrue() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    for path in ["/x", "/list", "/elsewhere"] {
        origin.set_sequence(path, [page("before"), page("changed"), page("after")]);
        assert_eq!(text(&proxy.get(path).await), "before");
    }
    let absolute = format!("http://{}/list", proxy.address);
    let changed = Reply::status(201, "text/plain", Body::of("")).header("location", &absolute);
    let failed = Reply::status(409, "text/plain", Body::of(""));
    origin.set_sequence("/x", [failed, changed, page("after")]);
    let post = |host: String| {
        let proxy = &proxy;
        async move {
            let mut wire = proxy.wire().await;
            wire.write(format!("POST /x HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
            wire.answer("POST").await.status
        }
    };
    assert_eq!(post(proxy.address.to_string()).await, 409);
    assert_eq!(text(&proxy.get("/x").await), "before");
    assert_eq!(post(proxy.address.to_string()).await, 201);
    assert_eq!(text(&proxy.get("/x").await), "after");
    assert_eq!(text(&proxy.get("/list").await), "changed");
    assert_eq!(text(&proxy.get("/elsewhere").await), "before");
}

#[tokio::test]
async fn what_was_asked_for_before_a_change_is_not_kept_after_it() {
    use ringback::testing::origin::Gate;
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    let gate = Gate::closed();
    let changed = Reply::status(204, "text/plain", Body::of("")).without("content-type");
    origin.set_sequence("/x", [page("before").hold_after(3, &gate), changed, page("after")]);
    let reading = tokio::spawn({
        let address = proxy.address;
        async move { crate::support::wire::Wire::connect(address).await.ask("GET", "/x", &[]).await }
    });
    origin.wait_for_requests(1).await;
    gate.arrived(1).await;
    assert_eq!(proxy.ask("DELETE", "/x", &[]).await.status, 204);
    gate.open();
    assert_eq!(text(&reading.await.unwrap()), "before");
    assert_eq!(text(&proxy.get("/x").await), "after");
}

#[tokio::test]
async fn what_a_caller_forbids_is_neither_kept_nor_asked_for() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    origin.set("/x", page("x"));
    let answer = proxy.ask("GET", "/x", &["Cache-Control: only-if-cached"]).await;
    assert_eq!((answer.status, answer.slug().as_str()), (504, "not-cached"));
    assert_eq!(origin.seen().len(), 0);
    proxy.ask("GET", "/x", &["Cache-Control: no-store"]).await;
    assert_eq!(proxy.ask("GET", "/x", &["Cache-Control: only-if-cached"]).await.status, 504);
    proxy.get("/x").await;
    assert_eq!(proxy.ask("GET", "/x", &["Cache-Control: only-if-cached"]).await.status, 200);
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn no_more_addresses_are_kept_than_allowed() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start_with(&origin, |config| config.proxy.addresses_max = 2).await;
    for path in ["/1", "/2", "/3"] {
        origin.set(path, page("x"));
        proxy.get(path).await;
    }
    for (path, fetches) in [("/3", 1), ("/2", 1), ("/1", 2)] {
        proxy.get(path).await;
        assert_eq!(origin.count(&Method::GET, path), fetches, "{path}");
    }
}
