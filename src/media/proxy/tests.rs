//! What the operator can set, and how a request is read. The rest is in `tests/it/proxy`.

use http::{Method, Request};

use super::{Config, request::Asked};
use crate::problem::{ConfigProblems, Kind};

fn mistakes(adjust: impl FnOnce(&mut Config)) -> Vec<String> {
    let mut config = Config::default();
    adjust(&mut config);
    let mut problems = ConfigProblems::default();
    config.validate("proxy", &mut problems);
    problems.iter().map(|(key, _)| key.to_owned()).collect()
}

#[test]
fn listener_and_origin_come_together_and_an_origin_is_a_host() {
    let listen = Some("127.0.0.1:0".parse().unwrap());
    assert_eq!(mistakes(|_| {}), [""; 0]);
    assert_eq!(mistakes(|config| config.listen = listen), ["proxy.origin"]);
    assert_eq!(mistakes(|config| config.origin = Some("http://a:1".to_owned())), ["proxy.listen"]);
    for (origin, is_one) in [
        ("http://prompts.internal:8000", true),
        ("https://[::1]/", true),
        ("http://a/b", false),
        ("http://a/?b", false),
        ("http://user@a", false),
        ("ftp://a", false),
        ("prompts.internal:8000", false),
        ("", false),
    ] {
        let set = |config: &mut Config| (config.listen, config.origin) = (listen, Some(origin.to_owned()));
        assert_eq!(mistakes(set).is_empty(), is_one, "{origin}");
    }
    let config = Config { listen, origin: Some("http://a:1".to_owned()), ..Config::default() };
    assert_eq!(config.endpoints().unwrap().1.as_str(), "http://a:1/");
    assert!(Config::default().endpoints().is_none());
}

fn asked(method: &str, uri: &str, fields: &[(&str, &str)]) -> Result<Asked, Kind> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    Asked::of(request.body(()).unwrap().into_parts().0, false).map_err(|problem| problem.kind)
}

#[test]
fn a_key_is_path_and_query_to_the_byte_and_nothing_else() {
    let key = |uri: &str, fields: &[(&str, &str)]| asked("GET", uri, fields).unwrap().key;
    let this = key("/a?b=1", &[("host", "x")]);
    assert_eq!(key("/a?b=1", &[("host", "y"), ("cookie", "z")]), this);
    assert_eq!(key("http://elsewhere/a?b=1", &[]), this);
    for other in ["/a", "/a?b=2", "/A?b=1", "/%61?b=1", "/a?b=1&"] {
        assert_ne!(key(other, &[]), this, "{other}");
    }
}

#[test]
fn what_is_asked_for_all_has_nothing_of_one_caller() {
    let own = [("range", "bytes=0-1"), ("if-none-match", "*"), ("authorization", "x"), ("accept", "y")];
    let one = asked("HEAD", "/", &own).unwrap();
    let all = one.for_all();
    assert!(!one.may_share(true) && all.may_share(false));
    assert_eq!((all.method, all.headers.len()), (Method::GET, 1));
}

#[test]
fn a_copy_of_the_callers_is_asked_for_alone_unless_the_store_has_one_to_ask_about() {
    let of_a_copy = asked("GET", "/", &[("if-none-match", "\"a\"")]).unwrap();
    assert!(!of_a_copy.may_share(false) && of_a_copy.may_share(true));
    for own in
        [("range", "bytes=0-1"), ("authorization", "x"), ("cache-control", "no-cache"), ("cache-control", "no-store")]
    {
        assert!(!asked("GET", "/", &[own]).unwrap().may_share(true), "{own:?}");
    }
}

#[test]
fn each_way_to_leave_http_is_refused() {
    for (method, uri, fields, kind) in [
        ("CONNECT", "a:1", vec![], Kind::MethodNotAllowed),
        ("TRACE", "/", vec![], Kind::MethodNotAllowed),
        ("OPTIONS", "*", vec![], Kind::BadRequest),
        ("GET", "/", vec![("upgrade", "websocket")], Kind::BadRequest),
        ("GET", "/", vec![("upgrade", "h2c, websocket")], Kind::BadRequest),
    ] {
        assert_eq!(asked(method, uri, &fields).err(), Some(kind), "{method} {uri} {fields:?}");
    }
    assert!(asked("GET", "/", &[("upgrade", "h2c")]).is_ok());
}
