//! Which responses are kept (RFC 9111 §3, §3.5, §5.2.2.3).

use http::{Method, StatusCode};

use super::headers;
use crate::media::freshness::{NotStorable, storable};

#[test]
fn each_reason_is_found() {
    use NotStorable::{Authorization, NoStore, Private, RequestNoStore, Status, Unsaid};
    for (request, status, response, expected) in [
        (vec![], 200, vec![], Ok(())),
        (vec![], 404, vec![], Ok(())),
        (vec![], 302, vec![], Err(Unsaid)),
        (vec![], 302, vec!["cache-control: max-age=1"], Ok(())),
        (vec![], 500, vec!["cache-control: public"], Ok(())),
        (vec![], 599, vec!["expires: 0"], Ok(())),
        (vec![], 599, vec!["cache-control: s-maxage=1"], Ok(())),
        (vec![], 599, vec!["last-modified: {0}"], Err(Unsaid)),
        (vec![], 206, vec!["cache-control: max-age=1"], Err(Status)),
        (vec![], 304, vec!["cache-control: max-age=1"], Err(Status)),
        (vec![], 101, vec!["cache-control: max-age=1"], Err(Status)),
        (vec![], 200, vec!["cache-control: no-store, max-age=1"], Err(NoStore)),
        (vec![], 200, vec!["cache-control: No-StOrE"], Err(NoStore)),
        (vec![], 200, vec!["cache-control: private, max-age=1"], Err(Private)),
        (vec![], 200, vec!["cache-control: private=\"set-cookie\", max-age=1"], Ok(())),
        (vec![], 200, vec!["cache-control: private=\"no name\", max-age=1"], Err(Private)),
        (vec!["cache-control: no-store"], 200, vec!["cache-control: max-age=1"], Err(RequestNoStore)),
        (vec![], 599, vec!["cache-control: max-age=1, must-understand"], Err(Status)),
        (vec![], 200, vec!["cache-control: max-age=1, must-understand, no-store"], Ok(())),
        (vec!["authorization: x"], 200, vec!["cache-control: max-age=1"], Err(Authorization)),
        (vec!["authorization: x"], 200, vec!["cache-control: max-age=1, public"], Ok(())),
        (vec!["authorization: x"], 200, vec!["cache-control: max-age=1, must-revalidate"], Ok(())),
        (vec!["authorization: x"], 200, vec!["cache-control: s-maxage=1"], Ok(())),
        (vec!["cookie: x"], 200, vec!["cache-control: max-age=1", "set-cookie: a=b"], Ok(())),
        // RFC 9213: what is meant for caches like this one wins.
        (vec![], 200, vec!["cache-control: no-store", "cdn-cache-control: max-age=60"], Ok(())),
        (vec![], 200, vec!["cache-control: max-age=60", "cdn-cache-control: no-store"], Err(NoStore)),
    ] {
        let status_code = StatusCode::from_u16(status).unwrap();
        let verdict = storable(&Method::GET, &headers(&request), status_code, &headers(&response));
        assert_eq!(verdict, expected, "{request:?} {status} {response:?}");
    }
}

#[test]
fn only_what_get_brings_is_kept() {
    for method in [Method::HEAD, Method::POST, Method::PUT, Method::OPTIONS] {
        let verdict = storable(&method, &headers(&[]), StatusCode::OK, &headers(&["cache-control: max-age=60"]));
        assert_eq!(verdict, Err(NotStorable::Method), "{method}");
    }
}
