//! Which requests a response answers (RFC 9111 §4.1).

use super::headers;
use crate::media::freshness::Selection;

#[test]
fn a_response_answers_requests_that_ask_for_the_same() {
    for (response, chosen, presented, expected) in [
        (vec![], vec![], vec!["foo: 1"], true),
        (vec!["vary: Foo"], vec!["foo: 1"], vec!["foo: 1", "bar: 2"], true),
        (vec!["vary: Foo"], vec!["foo: 1"], vec!["foo: 2"], false),
        (vec!["vary: Foo"], vec!["foo: 1"], vec![], false),
        (vec!["vary: Foo"], vec![], vec!["foo: 1"], false),
        (vec!["vary: Foo"], vec![], vec![], true),
        (vec!["vary: Foo, Bar", "vary: foo"], vec!["foo: 1"], vec!["foo: 1"], true),
        (vec!["vary: Foo, Bar"], vec!["foo: 1", "bar: 2"], vec!["foo: 1", "bar: 3"], false),
        // Lines are one list, and lists may have spaces; what is quoted is as it is.
        (vec!["vary: Foo"], vec!["foo: 1, 2"], vec!["foo: 1", "foo: 2"], true),
        (vec!["vary: Foo"], vec!["foo: 1,2"], vec!["foo:  1 ,  2 "], true),
        (vec!["vary: Foo"], vec!["foo: 1,2"], vec!["foo: 2,1"], false),
        (vec!["vary: Foo"], vec!["foo: \"1,2\""], vec!["foo: \"1, 2\""], false),
        (vec!["vary: Foo"], vec!["foo: a"], vec!["foo: A"], false),
        // Preferences are a list without an order, in any case.
        (vec!["vary: Accept-Language"], vec!["accept-language: en, de"], vec!["accept-language: De,EN"], true),
        (vec!["vary: Accept-Language"], vec!["accept-language: en;q=1.0"], vec!["accept-language: en"], true),
        (vec!["vary: Accept-Language"], vec!["accept-language: en, de"], vec!["accept-language: en, de;q=0.5"], false),
        (vec!["vary: Accept-Language"], vec!["accept-language: en"], vec!["accept-language: en;q=x"], false),
        (vec!["vary: Accept-Encoding"], vec!["accept-encoding: gzip, br"], vec!["accept-encoding: br, gzip"], true),
        // The language of the response is the one that is wanted most.
        (
            vec!["vary: Accept-Language", "content-language: de"],
            vec!["accept-language: en, de"],
            vec!["accept-language: fr;q=0.5, DE;q=1"],
            true,
        ),
        (
            vec!["vary: Accept-Language", "content-language: de"],
            vec!["accept-language: en, de"],
            vec!["accept-language: fr, de"],
            false,
        ),
        (
            vec!["vary: Accept-Language", "content-language: de, en"],
            vec!["accept-language: en, de"],
            vec!["accept-language: de"],
            false,
        ),
    ] {
        let response = headers(&response);
        let selection = Selection::of(&response, &headers(&chosen)).unwrap();
        assert_eq!(
            selection.answers(&headers(&presented), &response),
            expected,
            "{response:?} {chosen:?} {presented:?}"
        );
    }
}

#[test]
fn a_star_or_nonsense_answers_nothing() {
    for vary in ["*", "*, *", ", *", "*, foo", "foo, *", "no name"] {
        let response = headers(&[&format!("vary: {vary}")]);
        assert_eq!(Selection::of(&response, &headers(&["foo: 1"])), None, "{vary}");
    }
    assert_eq!(Selection::of(&headers(&["vary:", "vary: *"]), &headers(&[])), None);
}

#[test]
fn a_long_value_is_known_by_its_digest() {
    let response = headers(&["vary: cookie"]);
    let cookie = |end: &str| headers(&[&format!("cookie: {}{end}", "a".repeat(100_000))]);
    let selection = Selection::of(&response, &cookie("1")).unwrap();
    assert!(selection.weight() < 1_000);
    assert!(selection.answers(&cookie("1"), &response) && !selection.answers(&cookie("2"), &response));
}

#[test]
fn a_selection_is_written_and_read_back() {
    let response = headers(&["vary: b, a, c"]);
    let selection = Selection::of(&response, &headers(&["a: \u{fc}", "b: 1"])).unwrap();
    let text = serde_json::to_string(&selection).unwrap();
    assert_eq!(serde_json::from_str::<Selection>(&text).unwrap(), selection);
}

#[test]
fn what_is_written_down_shows_no_credentials() {
    for name in ["authorization", "cookie", "proxy-authorization"] {
        let request = headers(&[&format!("{name}: s3cret")]);
        let response = headers(&[&format!("vary: {name}")]);
        let selection = Selection::of(&response, &request).unwrap();
        let written = serde_json::to_string(&selection).unwrap();
        assert!(!written.contains("s3cret"), "{written}");
        assert!(selection.answers(&request, &response));
        assert!(!selection.answers(&headers(&[&format!("{name}: s3cre")]), &response));
    }
    let mut request = headers(&["x-key: s3cret"]);
    request.values_mut().for_each(|value| value.set_sensitive(true));
    let response = headers(&["vary: x-key"]);
    let selection = Selection::of(&response, &request).unwrap();
    assert!(!format!("{selection:?}").contains("s3cret") && selection.answers(&request, &response));
}
