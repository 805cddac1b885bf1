//! Tables of what the standards decide. Times are seconds after [`epoch`]; a response comes at 1000 unless a row says otherwise.

mod decisions;
mod fields;
mod lifetimes;
mod storing;
mod variants;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};

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
