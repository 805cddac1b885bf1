//! The lines of `docs/call-routers.md` that are said to be replayed.

use super::{
    Stand, asterisk,
    decoders::{BODIES, Heard, Is, heard},
    freeswitch,
    httapi::Httapi,
    http_cache::HttpCache,
    transcript::Transcript,
};

/// A node, as the page names it.
pub(super) const NODE: &str = "http://NODE:8080";

/// A chapter of the page.
pub(super) fn chapter(title: &str) -> &'static str {
    let page = include_str!("../../../docs/call-routers.md");
    page.split("\n## ").find(|text| text.lines().next() == Some(title)).expect("the chapter is there")
}

/// The addresses in the code of a chapter, with what stands before them in the line.
fn addresses(title: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for code in chapter(title).split("```").skip(1).step_by(2) {
        for line in code.lines() {
            let mut rest = line;
            while let Some(at) = rest.find(NODE) {
                let (before, address) = rest.split_at(at);
                let end = address.find(['"', '\'', '&', ')']).unwrap_or(address.len());
                found.push((before.to_owned(), address[..end].to_owned()));
                rest = &address[end..];
            }
        }
    }
    assert!(found.len() > 1, "{title}");
    found
}

/// The address on a node, and what lies behind it.
async fn real(stand: &Stand, address: &str) -> (String, Is) {
    let (_, extension) = address.rsplit_once('.').unwrap();
    let path = address.strip_prefix(NODE).unwrap().replace("SOURCE64", &stand.source_base64());
    let media = stand.media(extension).await;
    let id = media.strip_prefix("/media/").unwrap().split('.').next().unwrap();
    let (_, is) = BODIES.iter().find(|(found, _)| *found == extension).unwrap();
    (stand.node.url(&path.replace("/ID.", &format!("/{id}."))), *is)
}

#[tokio::test]
async fn what_the_page_says_of_freeswitch_and_jambonz_is_heard() {
    let stand = Stand::start().await;
    let mut transcript = Transcript::new("unkept");
    for (before, address) in addresses("FreeSWITCH").into_iter().chain(addresses("jambonz")) {
        let (url, is) = real(&stand, &address).await;
        let mut played = Vec::new();
        if !before.ends_with("http_cache://") {
            played.push(Httapi::default().play(&stand, &url, &[], &mut transcript).await.unwrap());
        }
        if !before.ends_with("data=\"") {
            played.push(HttpCache::default().play(&stand, &url, &mut transcript).await.unwrap());
        }
        assert!(!played.is_empty());
        for played in played {
            let reads = played.extension.as_deref().and_then(freeswitch::decoder);
            assert_eq!(heard(reads, is), Heard::Audio, "{address}");
        }
    }
    stand.stop().await;
}

#[tokio::test]
async fn what_the_page_says_of_asterisk_is_heard() {
    let stand = Stand::start().await;
    let mut transcript = Transcript::new("unkept");
    for (_, address) in addresses("Asterisk") {
        let (url, is) = real(&stand, &address).await;
        let played = asterisk::Asterisk::default().play(&stand, &url, &mut transcript).await.unwrap();
        assert_eq!(heard(played.extension.as_deref().and_then(asterisk::decoder), is), Heard::Audio, "{address}");
    }
    stand.stop().await;
}
