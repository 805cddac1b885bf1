use std::{sync::Arc, time::Duration};

use super::{Config, PromptName, Prompts};
use crate::{
    clock::Clock,
    ids::{ContentHash, Tenant},
    media::cache::durable::Directory,
    problem::Kind,
    testing::faulty_store::{Faults, FaultyStore},
};

fn name(text: &str) -> PromptName {
    text.parse().unwrap()
}

#[test]
fn names_are_paths_that_lead_nowhere_else() {
    for good in [
        "a",
        "welcome",
        "ivr/en-GB/welcome_2",
        "v1.2/x",
        &"a".repeat(200),
        &format!("{}{}", "a/".repeat(55), "a".repeat(90)),
    ] {
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
        // With two bytes for each folder it is no name of a file.
        &format!("{}{}", "a/".repeat(56), "a".repeat(88)),
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

/// What a name stands for, by one who began to look before `change` and has looked after it.
async fn looked_across(
    (slow, prompts): (&FaultyStore, &Prompts),
    prompt: &PromptName,
    change: impl Future<Output = ()>,
) -> ContentHash {
    drop(slow.take_calls());
    slow.set(Faults { piece_delay: Duration::from_millis(500), ..Faults::default() });
    let changed = async {
        while slow.take_calls().is_empty() {
            tokio::task::yield_now().await;
        }
        slow.set(Faults::default());
        change.await;
    };
    let tenant = Tenant::default_tenant();
    let (looked, ()) = futures_util::future::join(prompts.get(&tenant, prompt), changed).await;
    looked.unwrap().content_hash
}

#[tokio::test(start_paused = true)]
async fn what_was_read_before_a_change_does_not_undo_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Directory::open(directory.path().to_owned()).await.unwrap());
    let slow = FaultyStore::new(store, 1);
    let prompts = Prompts::new(&Config::default(), Arc::new(slow.clone()), Clock::system());
    let (tenant, prompt) = (Tenant::default_tenant(), name("a"));
    let (old, new) = (ContentHash::of(b"1"), ContentHash::of(b"2"));
    prompts.set(&tenant, &prompt, old).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    let set = async { drop(prompts.set(&tenant, &prompt, new).await.unwrap()) };
    assert_eq!(looked_across((&slow, &prompts), &prompt, set).await, old);
    assert_eq!(prompts.get(&tenant, &prompt).await.unwrap().content_hash, new);
    tokio::time::advance(Duration::from_secs(1)).await;
    let remove = async { prompts.remove(&tenant, &prompt).await.unwrap() };
    assert_eq!(looked_across((&slow, &prompts), &prompt, remove).await, new);
    assert_eq!(prompts.get(&tenant, &prompt).await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn what_is_no_prompt_hides_none_of_the_list() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Directory::open(directory.path().to_owned()).await.unwrap());
    let prompts = Prompts::new(&Config::default(), store, Clock::system());
    let tenant = Tenant::default_tenant();
    for (at, prompt) in ["a", "m", "z"].into_iter().enumerate() {
        prompts.set(&tenant, &name(prompt), ContentHash::of(&[at as u8])).await.unwrap();
    }
    for foreign in ["b.", "c.", "d.", "zz."] {
        std::fs::write(directory.path().join("prompts/default").join(foreign), "of somebody else").unwrap();
    }
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let (page, has_more) = prompts.list(&tenant, after.as_ref(), 1).await.unwrap();
        seen.extend(page.iter().map(ToString::to_string));
        assert_eq!((page.len(), has_more), (1, seen.len() < 3));
        after = page.last().cloned();
        if !has_more {
            break;
        }
    }
    assert_eq!(seen, ["a", "m", "z"]);
}
