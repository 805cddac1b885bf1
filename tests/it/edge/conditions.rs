//! Conditions and ranges on the wire (RFC 9110 §13, §14). Every form of them is in `media/conditional/tests.rs`.

use super::Served;

/// The date that every persistent address was last modified, one second before it, and one after.
fn dates(modified: &str) -> [String; 2] {
    let modified = httpdate::parse_http_date(modified).unwrap();
    let second = std::time::Duration::from_secs(1);
    [modified - second, modified + second].map(httpdate::fmt_http_date)
}

#[tokio::test]
async fn a_range_is_a_part_that_says_where_it_lies() {
    let served = Served::start().await;
    let length = served.bytes.len();
    for path in [&served.media, &served.fetch] {
        let mut wire = served.wire().await;
        let whole = wire.ask("GET", path, &[]).await;
        assert_eq!((whole.status, whole.field("accept-ranges")), (200, "bytes"));
        for (range, part) in [
            ("bytes=0-0".to_owned(), 0..1),
            ("bytes=10-19".to_owned(), 10..20),
            (format!("bytes={}-", length - 1), length - 1..length),
            ("bytes=-7".to_owned(), length - 7..length),
            (format!("bytes=0-{}", length * 2), 0..length),
            (format!("bytes=-{}", length * 2), 0..length),
            ("Bytes=3-4".to_owned(), 3..5),
        ] {
            let reply = wire.ask("GET", path, &[&format!("Range: {range}")]).await;
            assert_eq!(reply.status, 206, "{range}: {}", reply.shown());
            let place = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            assert_eq!(reply.field("content-range"), place, "{range}");
            assert_eq!(reply.field("content-length"), part.len().to_string());
            for name in ["etag", "content-type", "last-modified", "repr-digest"] {
                assert_eq!(reply.field(name), whole.field(name), "{range}: {name}");
            }
            assert!(reply.body == served.bytes[part], "{range}: other bytes");
        }
    }
}

#[tokio::test]
async fn a_range_behind_the_end_is_416_with_the_length() {
    let served = Served::start().await;
    let length = served.bytes.len();
    let mut wire = served.wire().await;
    for path in [&served.media, &served.fetch] {
        for range in [format!("bytes={length}-"), "bytes=-0".to_owned(), "bytes=99999999999999999999-".to_owned()] {
            let reply = wire.ask("GET", path, &[&format!("Range: {range}")]).await;
            assert_eq!((reply.status, reply.slug().as_str()), (416, "range-not-satisfiable"), "{range}");
            assert_eq!(reply.field("content-range"), format!("bytes */{length}"));
            assert_eq!(reply.field("etag"), "");
        }
    }
}

#[tokio::test]
async fn what_is_no_single_range_of_bytes_is_answered_with_the_whole() {
    let served = Served::start().await;
    let mut wire = served.wire().await;
    for fields in [
        ["Range: bytes=0-1,5-6", ""].as_slice(),
        &["Range: lines=0-1"],
        &["Range: bytes=5-4"],
        &["Range: bytes"],
        &["Range: "],
        &["Range: bytes=0-1", "Range: bytes=0-1"],
    ] {
        let fields: Vec<&str> = fields.iter().copied().filter(|field| !field.is_empty()).collect();
        let reply = wire.ask("GET", &served.media, &fields).await;
        assert_eq!((reply.status, reply.field("content-range")), (200, ""), "{fields:?}");
        assert!(reply.body == served.bytes, "{fields:?}");
    }
    // Range is defined for GET.
    for range in ["Range: bytes=0-1", "Range: bytes=99999999-"] {
        let head = wire.ask("HEAD", &served.media, &[range]).await;
        assert_eq!((head.status, head.field("content-length")), (200, served.bytes.len().to_string().as_str()));
    }
}

#[tokio::test]
async fn if_range_guards_a_range() {
    let served = Served::start().await;
    let mut wire = served.wire().await;
    for path in [&served.media, &served.fetch] {
        let whole = wire.ask("GET", path, &[]).await;
        let (etag, modified) = (whole.field("etag"), whole.field("last-modified"));
        let [before, after] = dates(modified);
        let weak = format!("W/{etag}");
        for (guard, status) in [
            (etag, 206),
            (modified, 206),
            (&weak, 200),
            ("\"other\"", 200),
            ("*", 200),
            (&before, 200),
            (&after, 200),
            ("yesterday", 200),
        ] {
            let reply = wire.ask("GET", path, &["Range: bytes=0-9", &format!("If-Range: {guard}")]).await;
            assert_eq!(reply.status, status, "{guard}: {}", reply.shown());
            assert_eq!(reply.body.len(), if status == 206 { 10 } else { served.bytes.len() }, "{guard}");
        }
    }
}

#[tokio::test]
async fn if_none_match_is_304_in_every_form_that_names_the_bytes() {
    let served = Served::start().await;
    let mut wire = served.wire().await;
    for path in [&served.media, &served.fetch] {
        let whole = wire.ask("GET", path, &[]).await;
        let etag = whole.field("etag").to_owned();
        let forms: [(Vec<String>, u16); 10] = [
            (vec![etag.clone()], 304),
            (vec![format!("W/{etag}")], 304),
            (vec![format!("\"x\", {etag}")], 304),
            (vec![format!("W/\"x\",W/{etag},\"y\"")], 304),
            (vec!["\"x\"".to_owned(), etag.clone()], 304),
            (vec!["*".to_owned()], 304),
            (vec!["\"x\"".to_owned()], 200),
            (vec!["*, \"x\"".to_owned()], 200),
            (vec![etag.trim_matches('"').to_owned()], 200),
            (vec![String::new()], 200),
        ];
        for (values, status) in forms {
            let fields: Vec<String> = values.iter().map(|value| format!("If-None-Match: {value}")).collect();
            let mut fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            // It wins over a date, and over a range.
            for other in [None, Some("If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"), Some("Range: bytes=900000-")]
            {
                fields.extend(other);
                let reply = wire.ask("GET", path, &fields).await;
                let ranged = other.is_some_and(|other| other.starts_with("Range"));
                let status = if status == 200 && ranged { 416 } else { status };
                assert_eq!(reply.status, status, "{fields:?}: {}", reply.shown());
                if status == 304 {
                    assert_eq!((reply.field("etag"), reply.field("content-length")), (etag.as_str(), ""));
                    for name in ["last-modified", "content-location"] {
                        assert_eq!(reply.field(name), whole.field(name), "{fields:?}: {name}");
                    }
                    assert!(reply.field("cache-control").starts_with("public, max-age="), "{}", reply.shown());
                }
            }
        }
    }
}

#[tokio::test]
async fn if_modified_since_is_304_from_that_second_on() {
    let served = Served::start().await;
    let mut wire = served.wire().await;
    for path in [&served.media, &served.fetch] {
        let modified = wire.ask("GET", path, &[]).await.field("last-modified").to_owned();
        let [before, after] = dates(&modified);
        let repeated = format!("{modified}\r\nIf-Modified-Since: {modified}");
        for (since, status) in
            [(&modified, 304), (&after, 304), (&before, 200), (&"yesterday".to_owned(), 200), (&repeated, 200)]
        {
            let reply = wire.ask("GET", path, &[&format!("If-Modified-Since: {since}")]).await;
            assert_eq!(reply.status, status, "{since}: {}", reply.shown());
            assert_eq!(wire.ask("HEAD", path, &[&format!("If-Modified-Since: {since}")]).await.status, status);
        }
    }
}
