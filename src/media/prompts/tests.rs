use std::{sync::Arc, time::Duration};

use super::{Config, PromptName, Prompts};
use crate::{
    clock::Clock,
    ids::{ContentHash, Tenant},
    media::cache::durable::Directory,
    problem::Kind,
};

fn name(text: &str) -> PromptName {
    text.parse().unwrap()
}

#[test]
fn names_are_paths_that_lead_nowhere_else() {
    for good in ["a", "welcome", "ivr/en-GB/welcome_2", "v1.2/x", &"a".repeat(200)] {
        assert_eq!(good.parse::<PromptName>().as_ref().map(PromptName::as_str), Ok(good));
    }
    for bad in [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".",
        "..",
        "a..b",
        ".a",
        "a.",
        "a/.b",
        "a/../b",
        "a b",
        "ä",
        "a%2fb",
        &"a".repeat(201),
    ] {
        assert!(bad.parse::<PromptName>().is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_name_stands_for_what_it_was_set_to_last_on_all_nodes() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Directory::open(directory.path().to_owned()).await.unwrap());
    let clock = Clock::system();
    let node = || Prompts::new(&Config::default(), store.clone(), clock.clone());
    let (here, there) = (node(), node());
    let tenant = Tenant::default_tenant();
    let (first, second) = (ContentHash::of(b"1"), ContentHash::of(b"2"));
    // One is a folder of the other's name.
    let (prompt, below) = (name("ivr"), name("ivr/welcome"));
    assert_eq!(here.get(&tenant, &prompt).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(here.set(&tenant, &prompt, first).await.unwrap(), None);
    assert_eq!(here.set(&tenant, &below, second).await.unwrap(), None);
    assert_eq!(there.get(&tenant, &prompt).await.unwrap().content_hash, first);
    assert_eq!(there.get(&tenant, &below).await.unwrap().content_hash, second);
    let before = here.set(&tenant, &prompt, second).await.unwrap();
    assert_eq!(before.unwrap().content_hash, first);
    assert_eq!(here.get(&tenant, &prompt).await.unwrap().content_hash, second);
    assert_eq!(here.in_memory(&tenant, &prompt).unwrap().content_hash, second);
    // A node that has never looked sees it; one that looked a moment ago does within a second.
    assert_eq!(node().get(&tenant, &prompt).await.unwrap().content_hash, second);
    let other: Tenant = "other".parse().unwrap();
    assert_eq!(here.get(&other, &prompt).await.unwrap_err().kind, Kind::NotFound);

    let (page, has_more) = here.list(&tenant, None, 1).await.unwrap();
    assert_eq!((page.len(), has_more), (1, true));
    let (rest, has_more) = here.list(&tenant, page.last(), 10).await.unwrap();
    let all: Vec<&PromptName> = page.iter().chain(&rest).collect();
    assert_eq!((all.len(), has_more), (2, false));
    assert!(all.contains(&&prompt) && all.contains(&&below));

    here.remove(&tenant, &prompt).await.unwrap();
    assert_eq!(here.remove(&tenant, &prompt).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(here.get(&tenant, &prompt).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(here.get(&tenant, &below).await.unwrap().content_hash, second);
}

#[tokio::test(start_paused = true)]
async fn what_another_node_changed_is_seen_within_a_second_and_a_store_that_fails_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = Arc::new(Directory::open(path.clone()).await.unwrap());
    let clock = Clock::system();
    let node = || Prompts::new(&Config::default(), store.clone(), clock.clone());
    let (here, there) = (node(), node());
    let (tenant, prompt) = (Tenant::default_tenant(), name("a"));
    here.set(&tenant, &prompt, ContentHash::of(b"1")).await.unwrap();
    assert_eq!(there.get(&tenant, &prompt).await.unwrap().content_hash, ContentHash::of(b"1"));
    here.set(&tenant, &prompt, ContentHash::of(b"2")).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(there.in_memory(&tenant, &prompt), None);
    assert_eq!(there.get(&tenant, &prompt).await.unwrap().content_hash, ContentHash::of(b"2"));
    // What cannot be read says nothing.
    std::fs::write(path.join("prompts/default/a"), "nonsense").unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(there.get(&tenant, &prompt).await.unwrap().content_hash, ContentHash::of(b"2"));
}
