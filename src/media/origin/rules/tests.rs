use std::time::Duration;

use super::{Policies, Rule};
use crate::{media::origin::Config, problem::ConfigProblems};

fn config(rules: &str) -> Config {
    toml::from_str(rules).unwrap()
}

#[test]
fn the_first_rule_that_names_a_source_counts_and_the_rest_is_as_otherwise() {
    let config = config(
        r#"
        fresh_default = "1m"
        [[rules]]
        sources = ["https://a.example/loud/", "https://*.b.example/"]
        fresh_default = "5s"
        stale_if_error = "0s"
        per_origin_max = 2
        [[rules]]
        sources = ["https://a.example/"]
        headers = { X-Key = "s3cret" }
        audio = "private"
        "#,
    );
    let policies = Policies::new(&config);
    let seconds = |url: &str| {
        let (rule, policy) = policies.of(&url.parse().unwrap());
        (rule, policy.freshness.unsaid.as_secs(), policy.freshness.stale_if_error.as_secs())
    };
    assert_eq!(seconds("https://a.example/loud/x.wav"), (Some(0), 5, 0));
    assert_eq!(seconds("https://x.b.example/"), (Some(0), 5, 0));
    assert_eq!(seconds("https://a.example/quiet.wav"), (Some(1), 60, 86_400));
    assert_eq!(seconds("http://a.example/quiet.wav"), (None, 60, 86_400));
    let (_, policy) = policies.of(&"https://a.example/x".parse().unwrap());
    assert_eq!((policy.headers["x-key"].to_str().unwrap(), policy.is_public), ("s3cret", false));
    assert!(policy.headers["x-key"].is_sensitive() && policy.fields.contains_key("user-agent"));
    // Nothing shows it.
    let shown = format!("{config:?} {policies:?} {}", toml::to_string(&config).unwrap());
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn a_rule_that_cannot_work_is_told_with_its_key() {
    let keys = |rules: &str| {
        let mut problems = ConfigProblems::default();
        config(rules).validate("o", &mut problems);
        problems.iter().map(|(key, _)| key.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys("[[rules]]\nsources = [\"https://a/\"]"), [""; 0]);
    assert_eq!(keys("[[rules]]\nfresh_min = \"60days\""), ["o.rules[0].sources", "o.rules[0].fresh_min"]);
    assert_eq!(
        keys(
            "[[rules]]\nsources = [\"https://a/\"]\nper_origin_max = 0\nfresh_default = \"60days\"\nheaders = { Host = \"b\", \"a b\" = \"c\" }"
        ),
        [
            "o.rules[0].fresh_default",
            "o.rules[0].per_origin_max",
            "o.rules[0].headers.Host",
            "o.rules[0].headers.a b",
            "o.rules[0].audio"
        ]
    );
    let error = toml::from_str::<Rule>("headers = { X = \"s3cret\\n\" }").unwrap_err();
    assert!(!error.message().contains("s3cret"), "{error}");
    assert!(toml::from_str::<Rule>("stale_if_error = 5").is_err());
    assert_eq!(toml::from_str::<Rule>("fresh_max = \"5s\"").unwrap().fresh_max, Some(Duration::from_secs(5)));
}
