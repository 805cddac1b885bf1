//! Age and lifetime (RFC 9111 §4.2, §5.1, §5.3).

use http::StatusCode;

use super::{at, headers, seconds};
use crate::media::freshness::{Basis, Freshness, Rules, Times};

fn freshness(status: u16, lines: &[&str], rules: &Rules) -> Freshness {
    Freshness::of(StatusCode::from_u16(status).unwrap(), &headers(lines), Times::at(at(1000)), rules)
}

fn lifetime(lines: &[&str]) -> (u64, Basis) {
    let freshness = freshness(200, lines, &Rules::default());
    (freshness.lifetime.as_secs(), freshness.basis)
}

#[test]
fn what_is_said_counts_in_the_order_of_the_standard() {
    for (lines, expected) in [
        (vec!["cache-control: max-age=60"], (60, Basis::MaxAge)),
        (vec!["cache-control: max-age=60, s-maxage=10"], (10, Basis::SMaxAge)),
        (vec!["cache-control: s-maxage=100", "cache-control: max-age=1"], (100, Basis::SMaxAge)),
        (vec!["cache-control: max-age=60", "date: {1000}", "expires: {1005}"], (60, Basis::MaxAge)),
        (vec!["cache-control: max-age=0", "date: {1000}", "expires: {5000}"], (0, Basis::MaxAge)),
        (vec!["date: {1000}", "expires: {1030}"], (30, Basis::Expires)),
        // Without a Date that can be read, the time of arrival is the date.
        (vec!["expires: {1030}"], (30, Basis::Expires)),
        (vec!["date: yesterday", "expires: {1030}"], (30, Basis::Expires)),
        (vec!["date: {1000}", "expires: {900}"], (0, Basis::Expires)),
        (vec!["date: {1000}", "expires: 0"], (0, Basis::Expires)),
        (vec!["date: {1000}", "expires: {1030}", "expires: {1030}"], (30, Basis::Expires)),
        (vec!["date: {1000}", "expires: {1030}", "expires: {1040}"], (0, Basis::Expires)),
        (vec!["date: {1000}", "last-modified: {0}"], (100, Basis::Heuristic)),
        (vec!["date: {1000}", "last-modified: {2000}"], (0, Basis::Unsaid)),
        (vec!["date: {1000}", "last-modified: {0}", "pragma: no-cache"], (0, Basis::Unsaid)),
        (vec!["date: {1000}"], (0, Basis::Unsaid)),
        // RFC 9213: who is meant by it reads this and nothing else.
        (vec!["cache-control: max-age=1", "cdn-cache-control: max-age=60"], (60, Basis::MaxAge)),
        (vec!["date: {1000}", "expires: {1030}", "cdn-cache-control: public"], (0, Basis::Unsaid)),
        (vec!["cache-control: max-age=1", "cdn-cache-control:"], (1, Basis::MaxAge)),
    ] {
        assert_eq!(lifetime(&lines), expected, "{lines:?}");
    }
}

#[test]
fn what_cannot_be_read_is_the_shortest_that_it_could_mean() {
    for (value, expected) in [
        ("max-age=3600", 3600),
        ("MaX-aGe=3600", 3600),
        ("max-age=\"3600\"", 3600),
        ("max-age=003600", 3600),
        ("max-age=99999999999", 1 << 31),
        ("max-age=99999999999999999999999999", 1 << 31),
        ("foobar, max-age=3600", 3600),
        (",,max-age=3600,", 3600),
        ("max-age='3600'", 0),
        ("max-age=-3600", 0),
        ("max-age=3600.5", 0),
        ("max-age=3600a", 0),
        ("max-age=", 0),
        ("max-age", 0),
        ("max-age=3600, max-age=5", 5),
        ("max-age=5, max-age=3600", 5),
        ("extension=\"max-age=3600\", max-age=5", 5),
        ("max-age=5, extension=\"max-age=1\"", 5),
        ("extension=\"a\\\", max-age=3600\", max-age=5", 5),
        // Not closed: the rest is inside.
        ("max-age=5, extension=\", max-age=1", 5),
    ] {
        assert_eq!(lifetime(&[&format!("cache-control: {value}")]).0, expected, "{value}");
    }
}

#[test]
fn guesses_are_for_statuses_that_allow_them() {
    for (status, lines, expected) in [
        (200, vec![], Basis::Heuristic),
        (204, vec![], Basis::Heuristic),
        (301, vec![], Basis::Heuristic),
        (404, vec![], Basis::Heuristic),
        (501, vec![], Basis::Heuristic),
        (201, vec![], Basis::Unsaid),
        (302, vec![], Basis::Unsaid),
        (403, vec![], Basis::Unsaid),
        (503, vec![], Basis::Unsaid),
        (599, vec![], Basis::Unsaid),
        (599, vec!["cache-control: public"], Basis::Heuristic),
    ] {
        let lines = [lines, vec!["date: {1000}", "last-modified: {0}"]].concat();
        assert_eq!(freshness(status, &lines, &Rules::default()).basis, expected, "{status} {lines:?}");
    }
}

#[test]
fn the_operator_bounds_what_is_said_and_what_is_guessed() {
    let rules = Rules {
        heuristic_max: seconds(50),
        unsaid: seconds(300),
        lifetime_min: seconds(10),
        lifetime_max: seconds(1_000),
        ..Rules::default()
    };
    for (lines, expected) in [
        (vec!["date: {1000}", "last-modified: {0}"], 50),
        (vec!["date: {1000}", "last-modified: {990}"], 10),
        (vec![], 300),
        (vec!["cache-control: max-age=0"], 10),
        (vec!["cache-control: max-age=9999"], 1_000),
    ] {
        assert_eq!(freshness(200, &lines, &rules).lifetime, seconds(expected), "{lines:?}");
    }
    let never = Rules { heuristic_max: seconds(0), ..rules };
    assert_eq!(freshness(200, &["date: {1000}", "last-modified: {0}"], &never).lifetime, seconds(300));
}

#[test]
fn what_can_neither_be_used_nor_asked_about_is_not_worth_keeping() {
    for (lines, expected) in [
        (vec![], false),
        (vec!["cache-control: max-age=1"], true),
        (vec!["cache-control: max-age=0"], false),
        (vec!["cache-control: max-age=0, stale-while-revalidate=1"], true),
        (vec!["cache-control: max-age=0, stale-if-error=1"], true),
        (vec!["cache-control: no-cache, max-age=1"], false),
        (vec!["cache-control: no-cache", "etag: \"a\""], true),
        (vec!["last-modified: {1000}"], true),
    ] {
        let verdict = freshness(200, &lines, &Rules::default()).is_worth_keeping(&headers(&lines));
        assert_eq!(verdict, expected, "{lines:?}");
    }
}

#[test]
fn the_age_is_the_greatest_that_anybody_can_know_of() {
    let times = Times { request: at(998), response: at(1000) };
    for (lines, at_arrival) in [
        (vec![], Some(2)),
        (vec!["age: 30"], Some(32)),
        (vec!["date: {1000}"], Some(2)),
        (vec!["date: {900}"], Some(100)),
        (vec!["date: {900}", "age: 200"], Some(202)),
        // A clock that is ahead of ours makes nothing younger.
        (vec!["date: {2000}", "age: 5"], Some(7)),
        // What could be any age is never fresh.
        (vec!["age: abc"], None),
        (vec!["age: -5"], None),
        (vec!["age: 1.0"], None),
        (vec!["age: 0, 7200"], None),
        (vec!["age: 0", "age: 0"], None),
        (vec!["age: 5;a=b"], None),
    ] {
        let lines = [lines, vec!["cache-control: max-age=3600"]].concat();
        let freshness = Freshness::of(StatusCode::OK, &headers(&lines), times, &Rules::default());
        match at_arrival {
            Some(age) => {
                assert_eq!(freshness.age(at(1000)), seconds(age), "{lines:?}");
                assert_eq!(freshness.age(at(1100)), seconds(age + 100), "{lines:?}");
                assert_eq!(freshness.fresh_for(at(1100)), seconds(3500 - age), "{lines:?}");
            }
            None => assert_eq!(freshness.fresh_for(at(1000)), seconds(0), "{lines:?}"),
        }
        // A clock that was set back a little, and one that was far ahead.
        assert_eq!(freshness.age(at(996)), freshness.age(at(1000)));
        assert_eq!(freshness.fresh_for(at(10)), seconds(0));
    }
}
