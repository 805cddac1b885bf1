//! What is kept of a response's fields, and what a 304 changes (RFC 9110 §7.6.1; RFC 9111 §3.1, §3.2, §4.3.4).

use http::{HeaderMap, header};

use super::headers;
use crate::media::freshness::{Said, remove_hop_by_hop, to_be_stored, update};

fn lines(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines
}

#[test]
fn what_speaks_of_one_connection_goes() {
    let mut passed = headers(&[
        "connection: close, A",
        "connection: b",
        "keep-alive: timeout=5",
        "proxy-connection: keep-alive",
        "te: trailers",
        "transfer-encoding: chunked",
        "upgrade: h2c",
        "a: 1",
        "b: 2",
        "c: 3",
        "proxy-authenticate: Basic",
    ]);
    remove_hop_by_hop(&mut passed);
    assert_eq!(lines(&passed), ["c: 3", "proxy-authenticate: Basic"]);
}

#[test]
fn what_may_not_be_kept_is_not() {
    let received = headers(&[
        "cache-control: no-cache=\"a\", private=\"b, c\"",
        "a: 1",
        "b: 2",
        "c: 3",
        "d: 4",
        "set-cookie: x=1",
        "set-cookie: y=2",
        "connection: d",
        "proxy-authenticate: Basic",
        "proxy-authentication-info: x",
        "proxy-authorization: x",
    ]);
    let kept = to_be_stored(&received);
    assert_eq!(lines(&kept), ["cache-control: no-cache=\"a\", private=\"b, c\"", "set-cookie: x=1", "set-cookie: y=2"]);
}

#[test]
fn a_304_replaces_all_lines_of_a_name_but_not_what_speaks_of_the_bytes() {
    let mut stored = headers(&[
        "etag: \"a\"",
        "content-length: 5",
        "content-encoding: gzip",
        "content-md5: x",
        "content-type: text/plain",
        "age: 100",
        "set-cookie: x=1",
        "set-cookie: y=2",
        "kept: 1",
        "cache-control: max-age=1",
    ]);
    let not_modified = headers(&[
        "etag: \"b\"",
        "content-length: 0",
        "content-encoding: br",
        "content-md5: y",
        "content-range: bytes 0-1/2",
        "content-type: audio/wav",
        "set-cookie: z=3",
        "cache-control: max-age=60, no-cache=\"secret\"",
        "secret: 1",
        "new: 1",
        "connection: new",
    ]);
    update(&mut stored, &not_modified);
    assert_eq!(
        lines(&stored),
        [
            "cache-control: max-age=60, no-cache=\"secret\"",
            "content-encoding: gzip",
            "content-length: 5",
            "content-md5: x",
            "content-type: audio/wav",
            "etag: \"a\"",
            "kept: 1",
            "set-cookie: z=3",
        ]
    );
}

#[test]
fn an_answer_without_a_date_is_as_young_as_any() {
    let said = Said::of(&headers(&["date: Sun, 06 Nov 1994 08:49:37 GMT", "cache-control: max-age=60", "etag: \"a\""]));
    let updated = said.updated(&headers(&["cache-control: max-age=90"]));
    assert_eq!((updated.get(&header::DATE), updated.get(&header::ETAG)), (None, Some("\"a\"")));
    let dated = said.updated(&headers(&["date: Sun, 06 Nov 1994 09:49:37 GMT"]));
    assert_eq!(dated.get(&header::DATE), Some("Sun, 06 Nov 1994 09:49:37 GMT"));
    // Where a field is too long to be kept, its source is asked about each time.
    let long = Said::of(&headers(&[&format!("cache-control: max-age=60, x=\"{}\"", "x".repeat(3_000))]));
    assert_eq!(long.get(&header::CACHE_CONTROL), Some("no-cache"));
}
