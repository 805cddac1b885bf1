use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{AddressError, CanonicalUrl, Config, FetchPath, IgnoredQuery, MediaPath, Verb};
use crate::{
    ids::{ArtifactId, SourceKey},
    problem::{ConfigProblems, Kind},
};

fn ignored() -> IgnoredQuery {
    IgnoredQuery::new(&Config::default().ignored_query).unwrap()
}

fn canonical(text: &str) -> Result<CanonicalUrl, AddressError> {
    CanonicalUrl::parse(text, &ignored())
}

#[test]
fn sources_have_one_spelling() {
    #[track_caller]
    fn check(text: &str, key: &str, fetched: &str) {
        let url = canonical(text).unwrap();
        assert_eq!((url.as_str(), url.fetch_url().as_str()), (key, fetched), "{text}");
        assert_eq!(url.key(), SourceKey::of(format!("ringback-source1\n{key}").as_bytes()));
        let again = canonical(fetched).unwrap();
        assert_eq!(again, url, "canonical form is a fixed point");
    }
    let same = |text: &str, form: &str| check(text, form, form);
    same("http://a.example", "http://a.example/");
    same("HTTP://A.Example:80/X.mp3", "http://a.example/X.mp3");
    same("https://a.example:443/x#t=10", "https://a.example/x");
    same("https://a.example:80/x", "https://a.example:80/x");
    same("http://a.example/x?b=2&a=1&b=1", "http://a.example/x?b=2&a=1&b=1");
    same("http://a.example/x?", "http://a.example/x?");
    same("http://a.example/a b/ä", "http://a.example/a%20b/%C3%A4");
    same("http://a.example/x/../y", "http://a.example/y");
    same("http://0x7f.1/x", "http://127.0.0.1/x");
    same("http://bücher.example/", "http://xn--bcher-kva.example/");
    check(
        "https://b.s3.amazonaws.com/k?X-Amz-Date=1&v=2&X-Amz-Signature=3",
        "https://b.s3.amazonaws.com/k?v=2",
        "https://b.s3.amazonaws.com/k?X-Amz-Date=1&v=2&X-Amz-Signature=3",
    );
    check("https://h/k?X%2DAmz-Date=1", "https://h/k", "https://h/k?X%2DAmz-Date=1");
    check("https://h/k?Signature=1&Expires=2", "https://h/k", "https://h/k?Signature=1&Expires=2");
    same("https://h/k?Expires=2", "https://h/k?Expires=2");
    check("https://h/k?sv=1&sp=r&sig=x&sp2=1", "https://h/k?sp2=1", "https://h/k?sv=1&sp=r&sig=x&sp2=1");
    same("https://h/k?sv=1&sp=r", "https://h/k?sv=1&sp=r");
    check("https://h/k?TOKEN=1&tokens=2", "https://h/k?tokens=2", "https://h/k?TOKEN=1&tokens=2");
}

#[test]
fn what_is_no_source_is_refused_with_its_kind() {
    #[track_caller]
    fn check(text: &str, kind: Kind) {
        assert_eq!(canonical(text).unwrap_err().problem().kind, kind, "{text}");
    }
    check("", Kind::BadRequest);
    check("/etc/passwd", Kind::BadRequest);
    check("http://", Kind::BadRequest);
    check("http://a:b:c/", Kind::BadRequest);
    check("http://user@a.example/", Kind::SourceForbidden);
    check("http://user:secret@a.example/", Kind::SourceForbidden);
    check("file:///etc/passwd", Kind::SourceForbidden);
    check("ftp://a.example/", Kind::SourceForbidden);
    check("gopher://a.example/", Kind::SourceForbidden);
    check(&format!("http://a.example/{}", "x".repeat(8192)), Kind::BadRequest);
    check(&format!("http://a.example/{}", "ä".repeat(2000)), Kind::BadRequest);
    let text = canonical("http://user:secret@a.example/").unwrap_err().problem().to_string();
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn logs_see_no_query() {
    let url = canonical("https://a.example:8443/x.mp3?sig=secret&id=1").unwrap();
    assert_eq!(url.redacted().to_string(), "https://a.example:8443/x.mp3?…");
    assert_eq!(format!("{url:?}"), "https://a.example:8443/x.mp3?…");
    assert_eq!(url.origin(), "https://a.example:8443");
    assert_eq!(canonical("http://A.example:80/").unwrap().origin(), "http://a.example");
}

#[test]
fn rules_for_ignored_parameters_are_checked() {
    for text in ["", "*", "a*b", "a=b", "a with ", " with b", "a with b*", "a b"] {
        assert!(IgnoredQuery::new(&[text.to_owned()]).is_err(), "{text:?} was taken");
    }
    let mut problems = ConfigProblems::default();
    Config::default().validate("address", &mut problems);
    assert!(problems.is_empty());
    Config { ignored_query: vec!["a=b".to_owned()] }.validate("address", &mut problems);
    assert_eq!(problems.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["address.ignored_query"]);
}

#[test]
fn fetch_paths_are_read_in_all_their_spellings() {
    #[track_caller]
    fn check(path: &str, signature: &str, options: &[(&str, &str)], source: &str, extension: &str) {
        let read = FetchPath::parse(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(read.option_pairs(), options, "{path}");
        assert_eq!((&*read.signature, &*read.source, &*read.extension), (signature, source, extension), "{path}");
    }
    let url = "http://example.com/images/curiosity.jpg";
    // The split form is that of the public signature vector in spec/wire.md §7.
    let split = "aHR0cDovL2V4YW1w/bGUuY29tL2ltYWdl/cy9jdXJpb3NpdHku/anBn";
    check(&format!("/fetch/_/-/{split}.ulaw"), "_", &[], url, "ulaw");
    check(&format!("/fetch/_/-/{}.ulaw", split.replace('/', "")), "_", &[], url, "ulaw");
    check("/fetch/unsafe/-/aHR0cDovL2Ev.wav", "unsafe", &[], "http://a/", "wav");
    check("/fetch/_/-/aHR0cDovL2EvYg==.wav", "_", &[], "http://a/b", "wav");
    check("/fetch/_/-/aHR0cDovL2EvYg%3D%3d.wav", "_", &[], "http://a/b", "wav");
    check("/fetch/oKfU-W3_/-/aHR0cDovL2EvYg.wav?x=/y.z", "oKfU-W3_", &[], "http://a/b", "wav");
    check("/fetch/_/-/plain/http://a/b.mp3.ulaw", "_", &[], "http://a/b.mp3", "ulaw");
    check("/fetch/_/-/plain/http%3A%2F%2Fa%2Fb%3Fc%3Dd.PCMU", "_", &[], "http://a/b?c=d", "PCMU");
    check("/fetch/_/-/plain/http:%2f%2fa%2fb%2520c.sln16?.wav", "_", &[], "http://a/b%20c", "sln16");
    let options = [("rate", "16000"), ("codec", "ulaw")];
    check("/fetch/_/rate:16000,codec:ulaw/aHR0cDovL2EvYg.wav", "_", &options, "http://a/b", "wav");
    check("/fetch/_/voice:a:b-C_d.e~f+g/aHR0cDovL2EvYg.wav", "_", &[("voice", "a:b-C_d.e~f+g")], "http://a/b", "wav");
}

#[test]
fn what_is_about_the_address_is_no_option_of_the_audio() {
    let read = |options: &str| FetchPath::parse(&format!("/fetch/_/{options}/aHR0cDovL2EvYg.wav")).unwrap();
    let path = read("expires:1800000000,rate:16000,k:a.b-c");
    assert_eq!(path.option_pairs(), [("rate", "16000")]);
    assert_eq!(path.expires(), Ok(Some(UNIX_EPOCH + Duration::from_secs(1_800_000_000))));
    assert_eq!(FetchPath::parse(&path.print().unwrap()), Ok(path), "printed as it was");
    assert_eq!(read("-").expires(), Ok(None));
    assert_eq!(read("expires:0").expires(), Ok(Some(UNIX_EPOCH)));
    for options in [
        "expires:x",
        "expires:1.5",
        "expires:-1",
        "expires:+1",
        "expires:18446744073709551615",
        "expires:18446744073709551616",
        "expires:1,expires:1",
    ] {
        assert_eq!(read(options).expires(), Err(AddressError::Expires), "{options}");
    }
}

#[test]
fn fetch_paths_that_are_none_are_refused() {
    let sixteen = (0..17).map(|i| format!("a{i}:1")).collect::<Vec<_>>().join(",");
    for path in [
        "",
        "/",
        "/fetch",
        "/fetch/",
        "/fetch/_",
        "/fetch/_/-",
        "/fetch/_/-/",
        "/fetch/_/-/.ulaw",
        "/fetch/_/-/aHR0cDovL2EvYg",
        "/fetch/_/-/aHR0cDovL2EvYg.",
        "/fetch/_/-/aHR0cDovL2EvYg.ul/aw",
        "/fetch/_/-/aHR0cDovL2EvYg.averyveryverylongone",
        "/fetch/_/-/aHR0cDovL2EvYh.ulaw",
        "/fetch/_/-/aHR0+DovL2EvYg.ulaw",
        "/fetch/_/-/_____w.ulaw",
        "/fetch/_/-/plain/.ulaw",
        "/fetch/_/-/plain/%ff.ulaw",
        "/fetch//-/aHR0cDovL2EvYg.ulaw",
        "/fetch/a.b/-/aHR0cDovL2EvYg.ulaw",
        "/fetch/_//aHR0cDovL2EvYg.ulaw",
        "/fetch/_/rate/aHR0cDovL2EvYg.ulaw",
        "/fetch/_/rate:/aHR0cDovL2EvYg.ulaw",
        "/fetch/_/:1/aHR0cDovL2EvYg.ulaw",
        "/fetch/_/rate:1,/aHR0cDovL2EvYg.ulaw",
        "/fetch/_/Rate:1/aHR0cDovL2EvYg.ulaw",
        "/fetch/_/rate:%31/aHR0cDovL2EvYg.ulaw",
        "/media/_/-/aHR0cDovL2EvYg.ulaw",
        &format!("/fetch/_/{sixteen}/aHR0cDovL2EvYg.ulaw"),
        &format!("/fetch/_/a:{}/aHR0cDovL2EvYg.ulaw", "x".repeat(600)),
        &format!("/fetch/{}/-/aHR0cDovL2EvYg.ulaw", "x".repeat(129)),
    ] {
        let error = FetchPath::parse(path).expect_err(path);
        assert_eq!(error.problem().kind, Kind::BadRequest, "{path}");
    }
}

#[test]
fn addresses_that_clients_would_cut_are_not_minted() {
    let path = FetchPath::unsigned(&format!("http://a.example/{}", "x".repeat(540)), "ulaw").print().unwrap();
    assert!(path.len() <= 772 && path.ends_with(".ulaw"));
    let error = FetchPath::unsigned(&format!("http://a.example/{}", "x".repeat(640)), "ulaw").print().unwrap_err();
    assert!(matches!(error, AddressError::TooLongToMint { max: 772, .. }), "{error:?}");
}

#[test]
fn media_paths() {
    let artifact = ArtifactId::of(b"x");
    let path = format!("/media/{artifact}.sln16");
    assert_eq!(MediaPath::parse(&path), Ok(MediaPath { capability: None, artifact, extension: "sln16" }));
    assert_eq!(
        MediaPath::parse(&format!("{path}?a=.b/c")),
        Ok(MediaPath { capability: None, artifact, extension: "sln16" })
    );
    let private = format!("/media/0a1b-0-x_Y/{artifact}.sln16");
    let path_of_private = MediaPath { capability: Some("0a1b-0-x_Y"), artifact, extension: "sln16" };
    assert_eq!(MediaPath::parse(&private), Ok(path_of_private));
    assert_eq!(path_of_private.to_string(), private);
    let hex = artifact.to_string();
    for path in [
        String::new(),
        format!("/media/a.b/{hex}.wav"),
        format!("/media/a/b/{hex}.wav"),
        format!("/media/{}/{hex}.wav", "a".repeat(129)),
        "/media/".to_owned(),
        format!("/media/{hex}"),
        format!("/media/{hex}."),
        format!("/media/{hex}.a.b"),
        format!("/media/{hex}./x"),
        format!("/media/{}.wav", hex.to_uppercase()),
        format!("/media/{}.wav", &hex[1..]),
        format!("/media/x{hex}.wav"),
        format!("/media//{hex}.wav"),
        format!("media/{hex}.wav"),
        format!("/Media/{hex}.wav"),
    ] {
        let error = MediaPath::parse(&path).expect_err(&path);
        assert_eq!(error.problem().kind, Kind::NotFound, "{path}");
    }
}

fn a_fetch_path() -> impl Strategy<Value = FetchPath> {
    let signature = prop_oneof![Just("_".to_owned()), "[A-Za-z0-9_-]{1,43}"];
    let options = proptest::collection::vec(("[a-z_][a-z0-9_]{0,7}", "[A-Za-z0-9._~+:-]{1,8}"), 0..8);
    (signature, options, "\\PC{1,60}", "[A-Za-z0-9]{1,8}")
        .prop_map(|(signature, options, source, extension)| FetchPath { signature, options, source, extension })
}

proptest! {
    #[test]
    fn a_printed_fetch_path_reads_back(path in a_fetch_path()) {
        let printed = path.print().unwrap();
        prop_assert_eq!(FetchPath::parse(&printed), Ok(path.clone()));
        let printed = path.print_plain_as(Verb::Fetch).unwrap();
        prop_assert_eq!(FetchPath::parse(&printed), Ok(path));
    }

    #[test]
    fn a_plain_fetch_path_reads_back(source in "\\PC{1,60}", extension in "[A-Za-z0-9]{1,8}") {
        let escaped = percent_encoding::utf8_percent_encode(&source, percent_encoding::NON_ALPHANUMERIC);
        let read = FetchPath::parse(&format!("/fetch/_/-/plain/{escaped}.{extension}")).unwrap();
        prop_assert_eq!(read, FetchPath::unsigned(&source, &extension));
    }

    #[test]
    fn a_printed_media_path_reads_back(bytes in any::<[u8; 32]>(), extension in "[A-Za-z0-9]{1,16}") {
        let path = MediaPath { capability: None, artifact: ArtifactId::from_bytes(bytes), extension: &extension };
        let printed = path.to_string();
        prop_assert!((64..=900).contains(&printed.len()));
        prop_assert_eq!(MediaPath::parse(&printed), Ok(path));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,80}", tail in "(/|/fetch/|/media/)[\\PC]{0,60}") {
        canonical(&text).ok();
        FetchPath::parse(&tail).ok();
        MediaPath::parse(&tail).ok();
    }

    #[test]
    fn canonical_form_is_a_fixed_point(
        host in "[a-zA-Z][a-zA-Z0-9-]{0,10}\\.example",
        path in "[\\PC&&[^?#]]{0,30}",
        query in "[a-zA-Z0-9=&%._-]{0,30}",
    ) {
        if let Ok(url) = canonical(&format!("http://{host}/{path}?{query}#f")) {
            let again = canonical(url.as_str()).unwrap();
            prop_assert_eq!(again.key(), url.key());
            prop_assert_eq!(again.as_str(), url.as_str());
            prop_assert_eq!(canonical(url.fetch_url().as_str()).unwrap(), url);
        }
    }
}

#[test]
fn a_parameter_can_be_ignored_at_one_host_alone() {
    let ignored =
        IgnoredQuery::new(&["v at cdn.example.com".to_owned(), "w with x at *.b.example".to_owned()]).unwrap();
    #[track_caller]
    fn check(ignored: &IgnoredQuery, url: &str, canonical: &str) {
        assert_eq!(CanonicalUrl::parse(url, ignored).unwrap().as_str(), canonical);
    }
    check(&ignored, "http://CDN.example.com/a?v=1&b=2", "http://cdn.example.com/a?b=2");
    check(&ignored, "http://example.com/a?v=1", "http://example.com/a?v=1");
    check(&ignored, "http://a.cdn.example.com/a?v=1", "http://a.cdn.example.com/a?v=1");
    check(&ignored, "http://a.b.example/a?w=1&x=2", "http://a.b.example/a?x=2");
    check(&ignored, "http://a.b.example/a?w=1", "http://a.b.example/a?w=1");
    check(&ignored, "http://b.example/a?w=1&x=2", "http://b.example/a?w=1&x=2");
    for text in ["v at ", "v at a b", "v at *.", "v at http://a/", " at a", "v at a with b"] {
        assert!(IgnoredQuery::new(&[text.to_owned()]).is_err(), "{text}");
    }
}
