use std::{collections::HashSet, time::Duration};

use super::{ConfigProblems, Kind, Problem, Side};

/// Slug and status of every kind: both are part of the API, so a change here is a change of the API.
const TABLE: &[(&str, u16)] = &[
    ("bad-request", 400),
    ("unknown-voice", 400),
    ("signature-invalid", 403),
    ("link-expired", 403),
    ("presets-only", 403),
    ("forbidden", 403),
    ("source-forbidden", 403),
    ("source-missing", 404),
    ("not-found", 404),
    ("wrong-extension", 404),
    ("method-not-allowed", 405),
    ("not-acceptable", 406),
    ("request-timeout", 408),
    ("conflict", 409),
    ("precondition-failed", 412),
    ("over-limit", 413),
    ("not-audio", 415),
    ("range-not-satisfiable", 416),
    ("undecodable", 422),
    ("locked", 423),
    ("too-many-requests", 429),
    ("internal", 500),
    ("no-engine", 501),
    ("origin-failed", 502),
    ("speech-failed", 502),
    ("busy", 503),
    ("origin-timeout", 504),
    ("speech-timeout", 504),
    ("not-cached", 504),
    ("fill-running", 504),
    ("storage-full", 507),
    ("loop-detected", 508),
];

#[test]
fn slugs_and_statuses_are_those_of_the_api() {
    for (slug, status) in TABLE {
        let kind = Kind::from_slug(slug).unwrap_or_else(|| panic!("{slug} is gone"));
        assert_eq!((kind.slug(), kind.status()), (*slug, *status));
    }
    assert_eq!(Kind::from_slug(""), None);
    assert_eq!(Kind::from_slug("Bad-Request"), None);
}

#[test]
fn every_kind_is_told_apart_by_slug_and_title() {
    let slugs: HashSet<&str> = Kind::ALL.iter().map(|kind| kind.slug()).collect();
    let titles: HashSet<&str> = Kind::ALL.iter().map(|kind| kind.title()).collect();
    assert_eq!((slugs.len(), titles.len()), (Kind::ALL.len(), Kind::ALL.len()));
    for kind in Kind::ALL {
        let (slug, title) = (kind.slug(), kind.title());
        assert!(slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{slug}");
        assert!(!title.is_empty() && !title.ends_with('.') && title.is_ascii(), "{title}");
        assert_eq!(Kind::from_slug(slug), Some(*kind));
    }
}

/// What README lists is what there is, with the same status.
#[test]
fn the_manual_lists_the_kinds_that_can_be_met() {
    // Kinds of features that are still to come.
    const NOT_YET: &[&str] = &["too-many-requests"];
    let manual = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for kind in Kind::ALL.iter().filter(|kind| !NOT_YET.contains(&kind.slug())) {
        let row = format!("| `{}` | {} | ", kind.slug(), kind.status());
        assert!(manual.contains(&row), "README has no row {row:?}");
    }
}

/// Whose fault it is decides the log level, and whether a failure is remembered.
#[test]
fn faults_of_ours_are_server_errors() {
    for kind in Kind::ALL.iter().filter(|kind| kind.side() == Side::Us) {
        assert!(kind.status() >= 500, "{}", kind.slug());
    }
    assert_eq!((Kind::Internal.side(), Kind::Busy.side()), (Side::Us, Side::Us));
    assert_eq!((Kind::OriginFailed.side(), Kind::SourceMissing.side()), (Side::Origin, Side::Origin));
}

#[test]
fn a_problem_is_shown_with_its_slug() {
    let problem = Problem::new(Kind::Busy, "the queue is full");
    assert_eq!(problem.to_string(), "busy: the queue is full");
    assert_eq!(problem.retry_after, None);
    let later = problem.clone().retry_after(Duration::from_secs(3));
    assert_eq!(
        (later.retry_after, later.kind, &later.detail),
        (Some(Duration::from_secs(3)), problem.kind, &problem.detail)
    );
}

#[test]
fn mistakes_are_kept_in_the_order_found() {
    let mut problems = ConfigProblems::default();
    assert!(problems.is_empty());
    problems.check(true, "a.fine", "not noted");
    assert!(problems.is_empty());
    problems.check(false, "b.second", "must be more");
    problems.push("a.first", format!("must be {}", "less"));
    problems.push("b.second", "said twice");
    let found: Vec<(&str, &str)> = problems.iter().collect();
    assert_eq!(found, [("b.second", "must be more"), ("a.first", "must be less"), ("b.second", "said twice")]);
    assert!(!problems.is_empty());
}
