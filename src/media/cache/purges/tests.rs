use std::time::{Duration, SystemTime};

use super::{PREFIXES_MAX, Purge, Purges, RULES_MAX, Rule};
use crate::ids::Tenant;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn add(purges: &Purges, purge: Purge, seconds: u64) -> Option<Rule> {
    purges.add(Rule { tenant: Tenant::default_tenant(), purge, at: at(seconds) })
}

fn covers(purges: &Purges, url: &str, tags: &[&str], seconds: u64) -> bool {
    let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
    purges.cover(&Tenant::default_tenant(), at(seconds), [&tags, &[]], url)
}

#[test]
fn a_rule_speaks_of_what_it_names_and_of_what_is_older() {
    let purges = Purges::default();
    assert!(!covers(&purges, "http://a/x", &["t"], 0));
    add(&purges, Purge::Url("http://a/x".to_owned()), 10);
    add(&purges, Purge::Prefix("http://b/".to_owned()), 20);
    add(&purges, Purge::Tag("t".to_owned()), 30);
    for (url, tags, covered_until) in [
        ("http://a/x", &[][..], Some(10)),
        ("http://a/xy", &[], None),
        ("http://b/x/y", &[], Some(20)),
        ("http://b", &[], None),
        ("http://c/", &["s", "t"], Some(30)),
        ("http://b/", &["t"], Some(30)),
        ("http://c/", &["tt"], None),
    ] {
        for seconds in [9, 10, 11, 19, 20, 21, 29, 30, 31] {
            let covered = covered_until.is_some_and(|until| seconds <= until);
            assert_eq!(covers(&purges, url, tags, seconds), covered, "{url} {tags:?} at {seconds}");
        }
    }
    add(&purges, Purge::All, 25);
    assert!(covers(&purges, "http://d/", &[], 25) && !covers(&purges, "http://d/", &[], 26));
    // The later one counts, whatever the order.
    add(&purges, Purge::All, 5);
    assert!(covers(&purges, "http://d/", &[], 25));
}

#[test]
fn one_tenants_rules_are_not_anothers() {
    let purges = Purges::default();
    add(&purges, Purge::All, 10);
    let other = "ACother".parse().unwrap();
    assert!(!purges.cover(&other, at(5), [&[], &[]], "http://a/"));
}

#[test]
fn what_becomes_too_many_purges_too_much_and_never_too_little() {
    let url = |n: usize| format!("http://a/{n}");
    let purges = Purges::default();
    let mut merged = None;
    for n in 0..=RULES_MAX {
        merged = add(&purges, Purge::Url(url(n)), n as u64).or(merged);
    }
    let merged = merged.expect("too many rules");
    assert_eq!((merged.purge, merged.at), (Purge::All, at(RULES_MAX as u64 / 2)));
    for n in [0, RULES_MAX / 2, RULES_MAX / 2 + 1, RULES_MAX] {
        assert!(covers(&purges, &url(n), &[], n as u64), "{n}");
        assert!(!covers(&purges, &url(n), &[], RULES_MAX as u64 + 1), "{n}");
    }
    assert!(covers(&purges, "http://other/", &[], 1) && !covers(&purges, "http://other/", &[], RULES_MAX as u64));

    let purges = Purges::default();
    for n in 0..=PREFIXES_MAX {
        add(&purges, Purge::Prefix(url(n)), n as u64);
    }
    assert!(purges.tenants.read().unwrap()[&Tenant::default_tenant()].prefixes.len() <= PREFIXES_MAX);
    assert!(covers(&purges, &url(0), &[], 0) && covers(&purges, &url(PREFIXES_MAX), &[], PREFIXES_MAX as u64));
}

#[test]
fn what_is_written_down_is_read_back() {
    for purge in [
        Purge::Url("http://a/".to_owned()),
        Purge::Prefix("http://a".to_owned()),
        Purge::Tag("x".to_owned()),
        Purge::All,
    ] {
        let (kind, text) = purge.to_row();
        assert_eq!(Purge::from_row(kind, text.to_owned()), Some(purge.clone()));
    }
    assert_eq!(Purge::from_row("later", String::new()), None);
}
