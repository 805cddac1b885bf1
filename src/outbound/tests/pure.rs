use http::{HeaderMap, HeaderValue, StatusCode, header};
use url::Url;

use crate::{
    outbound::{Hops, cdn_loop::is_loop, redirect},
    problem::Kind,
};

#[test]
fn a_loop_is_seen_among_other_names_and_parameters() {
    #[track_caller]
    fn check(values: &[&str], expected: bool) {
        let values: Vec<HeaderValue> = values.iter().map(|value| value.parse().unwrap()).collect();
        assert_eq!(is_loop(&values, "ringback-1"), expected, "{values:?}");
    }
    check(&[], false);
    check(&["ringback-1"], true);
    check(&["other", "a, ringback-1;v=2 , b"], true);
    check(&["ringback-12, xringback-1"], false);
    check(&["a;x=ringback-1"], false);
}

#[test]
fn redirects_lead_where_they_say() {
    #[track_caller]
    fn check(status: u16, location: Option<&str>, expected: Result<Option<&str>, ()>) {
        let from = Url::parse("http://u:p@a.example/x/y?q=1").unwrap();
        let mut headers = HeaderMap::new();
        if let Some(location) = location {
            headers.insert(header::LOCATION, HeaderValue::from_bytes(location.as_bytes()).unwrap());
        }
        let next = redirect::next(&from, StatusCode::from_u16(status).unwrap(), &headers);
        let next = next.as_ref().map(|url| url.as_ref().map(Url::as_str)).map_err(|_| ());
        assert_eq!(next, expected, "{status} {location:?}");
    }
    for status in [301, 302, 303, 307, 308] {
        check(status, Some("http://b.example/z"), Ok(Some("http://b.example/z")));
    }
    for status in [200, 300, 304, 305, 306, 404, 500] {
        check(status, Some("http://b.example/z"), Ok(None));
    }
    check(302, Some("../z"), Ok(Some("http://u:p@a.example/z")));
    check(302, Some("//b.example/z"), Ok(Some("http://b.example/z")));
    check(302, Some("/ä"), Ok(Some("http://u:p@a.example/%C3%A4")));
    check(302, None, Err(()));
    check(302, Some("http://"), Err(()));
    check(302, Some("ftp://b.example/"), Err(()));
    check(302, Some("file:///etc/passwd"), Err(()));
    check(302, Some("http://x:y@a.example/"), Err(()));
    check(302, Some("http://u:p@b.example/"), Err(()));
}

#[test]
fn secrets_stay_with_their_origin() {
    #[track_caller]
    fn check(to: &str, kept: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer t"));
        headers.insert(header::COOKIE, HeaderValue::from_static("a=b"));
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"e\""));
        let mut key = HeaderValue::from_static("k");
        key.set_sensitive(true);
        headers.insert("x-api-key", key);
        redirect::keep_secrets(&mut headers, &Url::parse("https://a.example/x").unwrap(), &Url::parse(to).unwrap());
        assert_eq!(headers.len(), if kept { 4 } else { 1 }, "{to}");
        assert!(headers.contains_key(header::IF_NONE_MATCH));
    }
    check("https://a.example/y", true);
    check("https://a.example:443/y", true);
    check("https://b.example/y", false);
    check("http://a.example/y", false);
    check("https://a.example:8443/y", false);
}

#[test]
fn what_a_request_went_through_is_passed_on_as_it_was_and_within_a_limit() {
    let hops = |values: &[&str]| {
        let fields = values.iter().map(|value| ("cdn-loop".parse().unwrap(), HeaderValue::from_str(value).unwrap()));
        let headers: http::HeaderMap = fields.collect();
        let hops = Hops::of(&headers);
        assert_eq!(hops.to_headers(), headers);
        hops.check("ringback-1").map_err(|problem| problem.kind)
    };
    assert_eq!(hops(&[]), Ok(()));
    assert_eq!(hops(&["a; x=1, b", "c"]), Ok(()));
    assert_eq!(hops(&["a", "b, ringback-1"]), Err(Kind::LoopDetected));
    assert_eq!(hops(&["a".repeat(2_048).as_str(), "b".repeat(2_048).as_str()]), Ok(()));
    assert_eq!(hops(&["a".repeat(2_048).as_str(), "b".repeat(2_049).as_str()]), Err(Kind::LoopDetected));
}
