use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

const ETAG: &str = "\"abc\"";
/// Sun, 06 Nov 1994 08:49:37 GMT: the date of RFC 9110 §5.6.7 in its three forms.
const MODIFIED: u64 = 784_111_777;
const DATES: [&str; 3] =
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn decide_with(method: &Method, fields: &[(&'static str, &str)], length: u64) -> Decision {
    let last_modified = Some(UNIX_EPOCH + Duration::from_secs(MODIFIED));
    decide(method, &headers(fields), Representation { etag: ETAG, last_modified, length })
}

/// What GET of 100 bytes is answered.
fn check(fields: &[(&'static str, &str)], expected: Decision) {
    assert_eq!(decide_with(&Method::GET, fields, 100), expected, "{fields:?}");
}

fn check_range(range: &str, length: u64, expected: Decision) {
    assert_eq!(decide_with(&Method::GET, &[("range", range)], length), expected, "{range} of {length}");
}

#[test]
fn a_request_without_conditions_gets_the_whole() {
    check(&[], Decision::Whole);
    assert!(!is_conditional(&headers(&[("accept", "*/*")])));
    for name in ["range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"] {
        assert!(is_conditional(&headers(&[(name, "x")])), "{name}");
    }
}

#[test]
fn if_none_match_compares_weakly_and_reads_lists() {
    let matching = ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "\"x\",W/\"abc\" , \"y\"", " \"abc\" ", "*", " * "];
    for value in matching {
        check(&[("if-none-match", value)], Decision::NotModified);
    }
    for value in ["\"x\"", "abc", "\"ab", "", ",", "w/\"abc\"", "\"abc\"\"", "W/"] {
        check(&[("if-none-match", value)], Decision::Whole);
    }
    check(&[("if-none-match", "\"x\""), ("if-none-match", "\"abc\"")], Decision::NotModified);
}

#[test]
fn an_asterisk_is_the_whole_value_or_nothing() {
    for value in ["*, \"x\"", "\"x\", *", "**", "\"*\"", "W/*"] {
        check(&[("if-none-match", value)], Decision::Whole);
    }
    check(&[("if-none-match", "*"), ("if-none-match", "\"x\"")], Decision::Whole);
    check(&[("if-none-match", "*"), ("if-none-match", "\"abc\"")], Decision::NotModified);
}

#[test]
fn if_modified_since_takes_every_form_of_a_date() {
    for date in DATES {
        check(&[("if-modified-since", date)], Decision::NotModified);
    }
    check(&[("if-modified-since", "Sun, 06 Nov 1994 08:49:38 GMT")], Decision::NotModified);
    for value in ["Sun, 06 Nov 1994 08:49:36 GMT", "yesterday", "784111777", ""] {
        check(&[("if-modified-since", value)], Decision::Whole);
    }
    let unknown = Representation { etag: ETAG, last_modified: None, length: 100 };
    assert_eq!(decide(&Method::GET, &headers(&[("if-modified-since", DATES[0])]), unknown), Decision::Whole);
}

#[test]
fn if_none_match_silences_if_modified_since() {
    check(&[("if-none-match", "\"x\""), ("if-modified-since", DATES[0])], Decision::Whole);
    check(&[("if-none-match", "\"abc\""), ("if-modified-since", "yesterday")], Decision::NotModified);
}

#[test]
fn conditions_come_before_ranges() {
    check(&[("if-none-match", "\"abc\""), ("range", "bytes=0-9")], Decision::NotModified);
    check(&[("if-none-match", "\"x\""), ("range", "bytes=0-9")], Decision::Part(0..10));
    check(&[("if-modified-since", DATES[0]), ("range", "bytes=900-")], Decision::NotModified);
}

#[test]
fn one_byte_range_is_a_part() {
    for (range, expected) in [
        ("bytes=0-0", 0..1),
        ("bytes=0-99", 0..100),
        ("bytes=0-100", 0..100),
        ("bytes=10-19", 10..20),
        ("bytes=99-", 99..100),
        ("bytes=-1", 99..100),
        ("bytes=-100", 0..100),
        ("bytes=-101", 0..100),
        ("BYTES=5-6", 5..7),
        ("bytes= 5-6 ", 5..7),
        ("bytes=0-99999999999999999999999", 0..100),
        ("bytes=-99999999999999999999999", 0..100),
    ] {
        check_range(range, 100, Decision::Part(expected));
    }
}

#[test]
fn a_range_behind_the_end_is_not_satisfiable() {
    for range in ["bytes=100-", "bytes=100-200", "bytes=99999999999999999999999-", "bytes=-0"] {
        check_range(range, 100, Decision::NotSatisfiable);
    }
}

#[test]
fn what_is_no_single_byte_range_is_ignored() {
    for range in [
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=5-4",
        "bytes=0-1,5-6",
        "bytes=--5",
        "bytes=+1-2",
        "bytes=0x1-",
        "seconds=0-1",
        "=0-1",
        "",
        "bytes=1-2-3",
    ] {
        check_range(range, 100, Decision::Whole);
    }
}

#[test]
fn an_empty_body_has_no_first_byte_and_all_of_its_last_ones() {
    check_range("bytes=0-", 0, Decision::NotSatisfiable);
    check_range("bytes=0-0", 0, Decision::NotSatisfiable);
    check_range("bytes=-0", 0, Decision::NotSatisfiable);
    check_range("bytes=-1", 0, Decision::Whole);
    check_range("bytes=-500", 0, Decision::Whole);
}

#[test]
fn fields_that_may_stand_once_are_ignored_when_repeated() {
    check(&[("range", "bytes=0-9"), ("range", "bytes=0-9")], Decision::Whole);
    check(&[("if-modified-since", DATES[0]), ("if-modified-since", DATES[0])], Decision::Whole);
    check(&[("if-range", ETAG), ("if-range", ETAG), ("range", "bytes=0-9")], Decision::Whole);
}

#[test]
fn a_range_is_for_get_only() {
    for (field, expected) in [
        (("range", "bytes=0-9"), Decision::Whole),
        (("range", "bytes=900-"), Decision::Whole),
        (("if-none-match", ETAG), Decision::NotModified),
        (("if-modified-since", DATES[0]), Decision::NotModified),
    ] {
        assert_eq!(decide_with(&Method::HEAD, &[field], 100), expected, "{field:?}");
    }
}

#[test]
fn if_range_compares_strongly() {
    let part = || Decision::Part(0..10);
    check(&[("if-range", ETAG), ("range", "bytes=0-9")], part());
    check(&[("if-range", " \"abc\" "), ("range", "bytes=0-9")], part());
    for value in ["W/\"abc\"", "\"x\"", "abc", "*", "", "\"abc\", \"x\""] {
        check(&[("if-range", value), ("range", "bytes=0-9")], Decision::Whole);
    }
    // Without a range there is nothing to guard.
    check(&[("if-range", "\"x\"")], Decision::Whole);
    check(&[("if-range", "\"x\""), ("range", "bytes=900-")], Decision::Whole);
}

#[test]
fn if_range_takes_every_form_of_a_date_and_only_the_same_one() {
    for date in DATES {
        check(&[("if-range", date), ("range", "bytes=0-9")], Decision::Part(0..10));
    }
    // Days whose names begin as a weak tag does.
    for date in ["Wed, 09 Nov 1994 08:49:37 GMT", "Wed Nov  9 08:49:37 1994"] {
        let same = Some(UNIX_EPOCH + Duration::from_secs(MODIFIED + 3 * 86_400));
        let asked = headers(&[("if-range", date), ("range", "bytes=0-9")]);
        let decided = decide(&Method::GET, &asked, Representation { etag: ETAG, last_modified: same, length: 100 });
        assert_eq!(decided, Decision::Part(0..10), "{date}");
    }
    for date in ["Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:38 GMT"] {
        check(&[("if-range", date), ("range", "bytes=0-9")], Decision::Whole);
    }
}

proptest! {
    /// Against the definition: the positions that RFC 9110 §14.1.2 selects, counted one by one.
    #[test]
    fn a_range_selects_what_its_definition_says(
        first in prop::option::of(0_u64..40),
        last in prop::option::of(0_u64..40),
        length in 0_u64..30,
    ) {
        let text = |position: Option<u64>| position.map_or(String::new(), |position| position.to_string());
        let range = format!("bytes={}-{}", text(first), text(last));
        let selected: Vec<u64> = (0..length)
            .filter(|position| match (first, last) {
                (Some(first), last) => *position >= first && last.is_none_or(|last| *position <= last),
                (None, last) => last.is_some_and(|suffix| *position + suffix >= length),
            })
            .collect();
        let malformed = match (first, last) {
            (None, None) => true,
            (Some(first), Some(last)) => first > last,
            (None, Some(suffix)) => length == 0 && suffix > 0,
            _ => false,
        };
        let expected = match (selected.first(), selected.last()) {
            _ if malformed => Decision::Whole,
            (Some(first), Some(last)) => Decision::Part(*first..*last + 1),
            _ => Decision::NotSatisfiable,
        };
        prop_assert_eq!(decide_with(&Method::GET, &[("range", &range)], length), expected, "{} of {}", range, length);
    }

    /// Whatever a caller sends: a part is never empty and never outside.
    #[test]
    fn a_part_lies_inside(range in "(bytes=)?[0-9a-z=,. -]{0,30}", length in any::<u64>()) {
        if let Decision::Part(part) = decide_with(&Method::GET, &[("range", &range)], length) {
            prop_assert!(part.start < part.end && part.end <= length, "{:?} of {}", part, length);
        }
    }

    #[test]
    fn no_text_of_a_condition_panics(name in 0_usize..4, value in "[ -~]{0,60}") {
        let name = ["if-none-match", "if-modified-since", "if-range", "range"][name];
        decide_with(&Method::GET, &[(name, &value), ("range", "bytes=1-2")], 10);
        decide_with(&Method::GET, &[(name, &value)], 10);
    }
}

#[test]
fn who_has_something_else_gets_no_part_of_this() {
    for value in ["*", " * ", "\"abc\"", "\"x\", \"abc\""] {
        check(&[("if-match", value), ("range", "bytes=1-2")], Decision::Part(1..3));
        // Whatever else it says: the first condition holds, the next decides.
        check(&[("if-match", value), ("if-none-match", "\"abc\"")], Decision::NotModified);
        check(&[("if-match", value), ("if-unmodified-since", "Sat, 05 Nov 1994 08:49:37 GMT")], Decision::Whole);
    }
    for value in ["\"x\"", "W/\"abc\"", "abc", ""] {
        check(&[("if-match", value), ("range", "bytes=1-2")], Decision::Changed);
    }
    for date in DATES {
        check(&[("if-unmodified-since", date), ("range", "bytes=1-2")], Decision::Part(1..3));
    }
    check(&[("if-unmodified-since", "Sun, 06 Nov 1994 08:49:36 GMT")], Decision::Changed);
    check(&[("if-unmodified-since", "yesterday")], Decision::Whole);
    // A weak tag matches nothing strongly; a cache knows nothing of either condition.
    let weak = Representation { etag: "W/\"abc\"", last_modified: None, length: 100 };
    let asked = headers(&[("if-match", "W/\"abc\"")]);
    assert_eq!(decide(&Method::GET, &asked, weak), Decision::Changed);
    assert_eq!(decide_as_cache(&Method::GET, &asked, weak), Decision::Whole);
}
