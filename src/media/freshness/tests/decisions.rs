//! What may be answered with a kept response (RFC 9111 §4.2.4, §5.2; RFC 5861; RFC 8246).

use http::StatusCode;

use super::{at, headers, seconds};
use crate::media::freshness::{Decision, Freshness, RequestDirectives, Rules, Times};

fn freshness(response: &[&str], rules: &Rules) -> Freshness {
    Freshness::of(StatusCode::OK, &headers(response), Times::at(at(1000)), rules)
}

/// Cache-Control of the response, Cache-Control of the request, how old the response is, and what is done. `""` is no field.
const TABLE: &[(&str, &str, u64, Decision)] = &[
    ("max-age=60", "", 0, Decision::Fresh),
    ("max-age=60", "", 59, Decision::Fresh),
    // Fresh is a lifetime greater than the age (§4.2).
    ("max-age=60", "", 60, Decision::Validate),
    ("max-age=0", "", 0, Decision::Validate),
    ("no-cache", "", 0, Decision::Validate),
    ("no-cache, max-age=60", "", 0, Decision::Validate),
    ("No-CaChE, max-age=60", "", 0, Decision::Validate),
    ("no-cache=\"set-cookie\", max-age=60", "", 0, Decision::Fresh),
    ("no-cache=\"no name\", max-age=60", "", 0, Decision::Validate),
    ("must-revalidate, max-age=60", "", 30, Decision::Fresh),
    // What the request asks for.
    ("max-age=60", "no-cache", 0, Decision::Validate),
    ("max-age=60", "max-age=10", 10, Decision::Fresh),
    ("max-age=60", "max-age=10", 11, Decision::Validate),
    ("max-age=60", "max-age=0", 1, Decision::Validate),
    ("max-age=60", "max-age=nonsense", 1, Decision::Fresh),
    ("max-age=60", "min-fresh=20", 40, Decision::Fresh),
    ("max-age=60", "min-fresh=20", 41, Decision::Validate),
    ("max-age=60", "max-stale", 9_999, Decision::Stale),
    ("max-age=60", "max-stale=5", 65, Decision::Stale),
    ("max-age=60", "max-stale=5", 66, Decision::Validate),
    ("max-age=60", "max-stale=nonsense", 61, Decision::Validate),
    ("max-age=60, must-revalidate", "max-stale", 61, Decision::Validate),
    ("max-age=60, proxy-revalidate", "max-stale", 61, Decision::Validate),
    ("s-maxage=60", "max-stale", 61, Decision::Validate),
    ("no-cache", "max-stale", 61, Decision::Validate),
    ("max-age=60", "max-stale, max-age=10", 61, Decision::Validate),
    // RFC 8246: a reload of what cannot have changed, but not a forced one, and not once it is stale.
    ("max-age=60, immutable", "max-age=0", 30, Decision::Fresh),
    ("max-age=60, immutable", "no-cache", 30, Decision::Validate),
    ("max-age=60, immutable", "max-age=0", 61, Decision::Validate),
    // RFC 5861 §3.
    ("max-age=60, stale-while-revalidate=10", "", 59, Decision::Fresh),
    ("max-age=60, stale-while-revalidate=10", "", 60, Decision::StaleWhileRevalidate),
    ("max-age=60, stale-while-revalidate=10", "", 69, Decision::StaleWhileRevalidate),
    ("max-age=60, stale-while-revalidate=10", "", 70, Decision::Validate),
    ("max-age=60, stale-while-revalidate=10", "no-cache", 65, Decision::Validate),
    ("max-age=60, stale-while-revalidate=10", "max-age=62", 65, Decision::Validate),
    ("max-age=60, stale-while-revalidate=10", "min-fresh=1", 65, Decision::Validate),
    ("max-age=60, stale-while-revalidate=10, must-revalidate", "", 65, Decision::Validate),
    // What the same response says expressly it means.
    ("s-maxage=60, stale-while-revalidate=10", "", 65, Decision::StaleWhileRevalidate),
];

#[test]
fn each_row_of_the_table_is_decided_so() {
    for (response, request, age, expected) in TABLE {
        let response_line = format!("cache-control: {response}");
        let request_line = format!("cache-control: {request}");
        let request_lines = if request.is_empty() { vec![] } else { vec![request_line.as_str()] };
        let asked = RequestDirectives::of(&headers(&request_lines));
        let freshness = freshness(&[&response_line], &Rules::default());
        assert_eq!(freshness.decide(&asked, at(1000 + age)), *expected, "{response} · {request} · {age}");
    }
}

#[test]
fn pragma_counts_where_there_is_no_cache_control() {
    for (request, expected) in [
        (vec!["pragma: no-cache"], Decision::Validate),
        (vec!["pragma: foo, No-Cache"], Decision::Validate),
        (vec!["pragma: foo"], Decision::Fresh),
        (vec!["pragma: no-cache", "cache-control: max-stale"], Decision::Fresh),
    ] {
        let asked = RequestDirectives::of(&headers(&request));
        assert_eq!(freshness(&["cache-control: max-age=60"], &Rules::default()).decide(&asked, at(1000)), expected);
    }
}

#[test]
fn what_a_request_forbids_is_read() {
    let asked = RequestDirectives::of(&headers(&["cache-control: no-store, only-if-cached"]));
    assert!(asked.no_store && asked.only_if_cached && !asked.no_cache);
}

/// The response, the request, for how long it is stale, whether it stands in. The rule says 100 seconds.
const ERRORS: &[(&str, &str, u64, bool)] = &[
    ("max-age=60", "", 100, true),
    ("max-age=60", "", 101, false),
    ("max-age=60", "stale-if-error=200", 200, true),
    ("max-age=60", "stale-if-error=200", 201, false),
    ("max-age=60, stale-if-error=10", "", 10, true),
    ("max-age=60, stale-if-error=10", "", 11, false),
    ("max-age=60, stale-if-error=500", "", 500, true),
    ("max-age=60, stale-if-error=500", "no-cache", 0, false),
    ("max-age=60, stale-if-error=500, must-revalidate", "", 1, false),
    ("max-age=60, stale-if-error=500, proxy-revalidate", "", 1, false),
    ("max-age=60, stale-if-error=500, no-cache", "", 1, false),
    ("s-maxage=60", "", 1, false),
    ("s-maxage=60", "stale-if-error=200", 1, false),
    ("s-maxage=60, stale-if-error=500", "", 500, true),
    // The client insisted, and what is there is fresh.
    ("max-age=60", "max-age=0", 0, true),
];

#[test]
fn what_stands_in_for_an_origin_that_fails() {
    let rules = Rules { stale_if_error: seconds(100), ..Rules::default() };
    for (response, request, stale_for, expected) in ERRORS {
        let request_line = format!("cache-control: {request}");
        let asked = RequestDirectives::of(&headers(&[&request_line]));
        let freshness = freshness(&[&format!("cache-control: {response}")], &rules);
        let now = at(1000 + 60 + stale_for);
        assert_eq!(freshness.may_stand_in(&asked, now), *expected, "{response} · {request} · {stale_for}");
    }
}

#[test]
fn the_rule_for_stale_use_gives_way_to_what_is_said() {
    let rules = Rules { stale_while_revalidate: seconds(100), ..Rules::default() };
    for (response, expected) in [
        ("max-age=60", Decision::StaleWhileRevalidate),
        ("max-age=60, stale-while-revalidate=1", Decision::Validate),
        ("max-age=60, must-revalidate", Decision::Validate),
        ("s-maxage=60", Decision::Validate),
    ] {
        let freshness = freshness(&[&format!("cache-control: {response}")], &rules);
        assert_eq!(freshness.decide(&RequestDirectives::default(), at(1090)), expected, "{response}");
    }
}
