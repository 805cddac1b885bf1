use proptest::prelude::{prop_assert, proptest};
use url::Url;

use super::{AllowedSources, SourcePattern};

fn allowed(patterns: &[&str]) -> AllowedSources {
    let patterns: Vec<SourcePattern> = patterns.iter().map(|text| text.parse().unwrap()).collect();
    AllowedSources::new(&patterns)
}

#[track_caller]
fn check(pattern: &str, admitted: &[&str], refused: &[&str]) {
    let allowed = allowed(&[pattern]);
    for text in admitted {
        assert!(allowed.admits(&Url::parse(text).unwrap()), "{pattern} refuses {text}");
    }
    for text in refused {
        assert!(!allowed.admits(&Url::parse(text).unwrap()), "{pattern} admits {text}");
    }
}

#[test]
fn patterns_are_beginnings_of_urls_in_whole_parts() {
    assert!(AllowedSources::default().admits(&Url::parse("http://anything.example/").unwrap()));
    check(
        "https://sounds.example.com",
        &["https://sounds.example.com/", "https://SOUNDS.example.com:443/a/b?c=d", "https:sounds.example.com/a"],
        &[
            "http://sounds.example.com/",
            "https://sounds.example.com:8443/",
            "https://sounds.example.com.evil.example/",
            "https://evil-sounds.example.com/",
            "https://a.sounds.example.com/",
            "https://example.com/",
        ],
    );
    check(
        "https://*.example.com/prompts/",
        &[
            "https://a.example.com/prompts/x.wav",
            "https://a.b.example.com/prompts/x/y.wav",
            "https://a.example.com/prompts/",
            // The same path by RFC 3986 §6.2.2.2.
            "https://a.example.com/%70rompts/x.wav",
            "https://a.example.com/other/../prompts/x.wav",
        ],
        &[
            "https://example.com/prompts/x.wav",
            "https://.example.com/prompts/x.wav",
            "https://aexample.com/prompts/x.wav",
            "https://a.example.com/prompts",
            "https://a.example.com/prompts-of-others/x.wav",
            "https://a.example.com/Prompts/x.wav",
            "https://a.example.com//prompts/x.wav",
            "https://a.example.com/prompts%2Fx.wav",
            "https://a.example.com/x.wav?/prompts/",
        ],
    );
    check(
        "http://10.0.0.5:8000/a/*/c",
        &["http://10.0.0.5:8000/a/b/c", "http://0xa000005:8000/a//c/d", "http://10.0.0.5:8000/a/%2A/c?x"],
        &[
            "http://10.0.0.5:8000/a/b/cc",
            "http://10.0.0.5:8000/a/b",
            "http://10.0.0.5/a/b/c",
            "http://10.0.0.5:8000/a/b/d/c",
        ],
    );
    check(
        "https://h.example/ivr-*.wav",
        &["https://h.example/ivr-1.wav", "https://h.example/ivr-.wav", "https://h.example/ivr-%C3%A4.wav"],
        &["https://h.example/ivr.wav", "https://h.example/ivr-1.mp3", "https://h.example/a/ivr-1.wav"],
    );
    check("https://bücher.example/ä/", &["https://xn--bcher-kva.example/%c3%a4/x"], &["https://bucher.example/a/x"]);
    check("https://h.example/a%2Ab/", &["https://h.example/a*b/x"], &["https://h.example/aXb/x"]);
}

#[test]
fn no_disguise_gets_past_them() {
    check(
        "https://sounds.example.com/prompts/",
        &[],
        &[
            "https://sounds.example.com@evil.example/prompts/x",
            "https://sounds.example.com:443@evil.example/prompts/x",
            "https://user@sounds.example.com/prompts/x",
            "https://:secret@sounds.example.com/prompts/x",
            "https://evil.example/https://sounds.example.com/prompts/x",
            "https://evil.example/#https://sounds.example.com/prompts/x",
            "https://evil.example/?https://sounds.example.com/prompts/x",
            "https://evil.example\\@sounds.example.com/prompts/x",
            "https://sounds.example.com./prompts/x",
            "https://sounds.example.com%2eevil.example/prompts/x",
            "https://sounds.example.com/prompts/../secret",
            "https://sounds.example.com/prompts/%2e%2e/secret",
            "https://sounds.example.com/prompts/.%2E/secret",
            "https://sounds.example.com/prompts\\..\\secret",
            "https://sounds.example.com/prompts/..%2fsecret",
            "https://sounds.example.com/prompts/..%5Csecret",
            "https://sounds.example.com/prompts/x%2f..%2f..%2fsecret",
            "https://sounds.example.com/prompts/%252e%252e%252fsecret",
            "https://sounds.example.com/prompts/%2525252525252e%2e/secret",
            "https://sounds.example.com/prompts/..;/secret",
            "https://sounds.example.com/prompts/..;a=b/secret",
            "https://sounds.example.com/prompts/%2e%2e;/secret",
            "https://sounds.example.com/prom\tpts-/x",
        ],
    );
    // What only looks like one.
    check(
        "https://sounds.example.com/prompts/",
        &[
            "https://sounds.example.com/prompts/..x/a..b/...wav",
            "https://sounds.example.com/prompts/a%20b%2Fc;v=1.wav",
            "https://sounds.example.com/prompts/100%.wav",
            "https://sounds.example.com/prompts/100%25.wav",
        ],
        &[],
    );
}

#[test]
fn what_is_no_pattern_is_refused_with_its_text() {
    for text in [
        "",
        "*",
        "sounds.example.com",
        "//sounds.example.com/",
        "https:/sounds.example.com/",
        "ftp://sounds.example.com/",
        "https://",
        "https://*",
        "https://*.",
        "https://a.*.example.com/",
        "https://*a.example.com/",
        "https://*.*.example.com/",
        "https://user@sounds.example.com/",
        "https://sounds.example.com/?a",
        "https://sounds.example.com/#a",
        "https://sounds.example.com/a**",
        "https://sounds.example.com/%2e%2e%2fa/",
        &format!("https://sounds.example.com/{}", "x".repeat(3_000)),
    ] {
        let error = text.parse::<SourcePattern>().expect_err(text).to_string();
        assert!(error.starts_with(&format!("{text:?} ")), "{error}");
    }
    let pattern: SourcePattern = "https://*.Example.com/Prompts/".parse().unwrap();
    assert_eq!(pattern.to_string(), "https://*.Example.com/Prompts/", "shown as it was written");
}

proptest! {
    /// Whatever is put behind an allowed beginning, the host and the path that are asked are allowed ones.
    #[test]
    fn what_is_admitted_is_below_the_pattern(tail in "[\\PC]{0,40}") {
        let allowed = allowed(&["https://h.example/p/"]);
        for text in [format!("https://h.example/p/{tail}"), format!("https://h.example{tail}"), format!("https://{tail}")] {
            let Ok(url) = Url::parse(&text) else { continue };
            if allowed.admits(&url) {
                prop_assert!(url.host_str() == Some("h.example") && url.path().starts_with("/p/"), "{url}");
            }
        }
    }
}
