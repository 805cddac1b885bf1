//! Tables of what the standards decide. Times are seconds after [`epoch`]; a response comes at 1000 unless a row says otherwise.

mod decisions;
mod fields;
mod lifetimes;
mod storing;
mod variants;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::{
    collection,
    prelude::{Just, Strategy, prop_oneof, proptest},
    sample,
};

/// Sun, 06 Nov 1994 08:49:37 GMT: the moment of RFC 9110's examples, less a thousand seconds.
fn epoch() -> SystemTime {
    httpdate::parse_http_date("Sun, 06 Nov 1994 08:32:57 GMT").unwrap()
}

fn at(seconds: u64) -> SystemTime {
    epoch() + Duration::from_secs(seconds)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `name: value` lines; `{N}` stands for the date at second N.
fn headers(lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        let value = match value.trim().strip_prefix('{').and_then(|value| value.strip_suffix('}')) {
            Some(second) => httpdate::fmt_http_date(at(second.parse().unwrap())),
            None => value.trim().to_owned(),
        };
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        headers.append(name.trim().parse::<HeaderName>().unwrap(), value);
    }
    headers
}

/// Heads of fields that matter with values that are nearly right, as the fuzz target takes them.
fn heads() -> impl Strategy<Value = Vec<u8>> {
    let names =
        ["cache-control", "cdn-cache-control", "vary", "age", "date", "expires", "last-modified", "etag", "pragma"];
    let more = ["accept-language", "connection", "content-language", "set-cookie", "authorization"];
    let words =
        ["max-age", "no-cache", "s-maxage", "private", "no-store", "immutable", "stale-if-error", "*", "q", "en"];
    let pieces = ["=", ",", "\"", "\\", " ", ";", "60", "-1", "0.5", "99999999999", "Sun, 09 Sep 2001 01:46:40 GMT"];
    let name = sample::select([&names[..], &more[..]].concat());
    let value = collection::vec(sample::select([&words[..], &pieces[..], &names[..]].concat()), 0..8);
    let line = (name, value).prop_map(|(name, value)| format!("{name}: {}\n", value.concat()));
    let separator = Just("\0".to_owned());
    collection::vec(prop_oneof![5 => line, 1 => separator], 0..24).prop_map(|lines| lines.concat().into_bytes())
}

proptest! {
    #[test]
    fn whatever_comes_is_decided_without_contradiction(bytes in heads()) {
        crate::testing::fuzz::http_caching(&bytes);
    }
}
