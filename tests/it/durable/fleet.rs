//! Several nodes on one store.

use http::{Method, StatusCode};
use ringback::testing::{
    fixture,
    origin::{Body, Origin, Reply},
};

use super::{bucket::Bucket, get_once_there};
use crate::support::node::{TestNode, fetch_path};

const SPEECH: &str = "/speech.wav";

async fn origin() -> Origin {
    let origin = Origin::start().await.unwrap();
    let reply = Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap()));
    origin.set(SPEECH, reply.header("cache-control", "max-age=3600"));
    origin
}

async fn node(origin: &Origin, bucket: &Bucket) -> TestNode {
    TestNode::start_with(origin, |config| bucket.configure(config)).await
}

#[tokio::test]
async fn what_one_node_made_is_a_hit_on_another_in_a_directory() {
    what_one_node_made_is_a_hit_on_another(&Bucket::directory()).await;
}

#[tokio::test]
async fn what_one_node_made_is_a_hit_on_another_in_s3() {
    what_one_node_made_is_a_hit_on_another(&Bucket::s3().await).await;
}

async fn what_one_node_made_is_a_hit_on_another(bucket: &Bucket) {
    let origin = origin().await;
    let (first, second) = (node(&origin, bucket).await, node(&origin, bucket).await);
    let path = fetch_path(&origin.url(SPEECH), "ulaw");
    let made = first.get(&path).await;
    assert!(made.header("cache-status").contains("fwd=miss; stored"), "{made:?}");
    let expected = format!("ringback; hit; ttl=3600; detail={}", bucket.detail());
    let found = get_once_there(&second, &path).await;
    let status = found.header("cache-status");
    assert!(status.starts_with("ringback; hit; ttl=3"), "{found:?}");
    assert!(status.ends_with(&expected[expected.rfind("detail").unwrap()..]), "{found:?}");
    assert!(found.body == made.body);
    for name in ["etag", "content-type", "content-location", "repr-digest", "last-modified"] {
        assert_eq!(found.header(name), made.header(name), "{name}");
    }
    let again = second.get(&path).await;
    assert!(again.header("cache-status").ends_with("detail=memory"), "{again:?}");
    // By its address, and in another format from the original that the first node kept.
    let address = made.header("content-location").to_owned();
    assert!(second.get(&address).await.body == made.body);
    let other = second.get(&fetch_path(&origin.url(SPEECH), "alaw")).await;
    assert!(other.header("cache-status").ends_with("detail=kept"), "{other:?}");
    assert_eq!(origin.count(&Method::GET, SPEECH), 1);

    // The bucket alone is enough for a new node to answer every address.
    first.stop().await;
    second.stop().await;
    let third = node(&origin, bucket).await;
    let found = third.get(&address).await;
    assert_eq!(
        (found.status, found.header("cache-status").ends_with(bucket.detail())),
        (StatusCode::OK, true),
        "{found:?}"
    );
    assert!(found.body == made.body);
    let other_address = other.header("content-location").to_owned();
    assert!(third.get(&other_address).await.body == other.body);
    assert_eq!(origin.seen().len(), 1);
    third.stop().await;

    // Audio lies there as it is served.
    let name = address.strip_prefix("/media/").unwrap();
    let names = bucket.names("artifacts/").await;
    assert!(names.contains(&format!("artifacts/{}/{name}", &name[..2])), "{names:?}");
}

#[tokio::test]
async fn what_is_deleted_on_one_node_is_gone_on_all() {
    let (origin, bucket) = (origin().await, Bucket::directory());
    let (first, second) = (node(&origin, &bucket).await, node(&origin, &bucket).await);
    let path = fetch_path(&origin.url(SPEECH), "ulaw");
    let address = first.get(&path).await.header("content-location").to_owned();
    get_once_there(&second, &address).await;
    let id = address.strip_prefix("/media/").unwrap().strip_suffix(".ulaw").unwrap().to_owned();
    let deleted = first.send(first.request(Method::DELETE, &format!("/v1/media/{id}"))).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    // Here at once, although the store may not have been told yet.
    assert_eq!(first.get(&address).await.slug(), "not-found");
    let gone = async {
        while second.get(&address).await.status == StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), gone).await.expect("the other node never heard of it");
    assert_eq!(second.get(&address).await.slug(), "not-found");
    first.stop().await;
    let mut left = Vec::new();
    for prefix in ["artifacts/", "manifests/", "references/", "sources/", "index/"] {
        left.extend(bucket.names(prefix).await);
    }
    assert_eq!((left, origin.seen().len()), (Vec::<String>::new(), 1));
    // Until it is minted again.
    assert_eq!(second.get(&path).await.status, StatusCode::OK);
    assert_eq!(second.get(&address).await.status, StatusCode::OK);
    assert_eq!(origin.count(&Method::GET, SPEECH), 2);
}

#[tokio::test]
async fn what_is_purged_on_one_node_is_asked_for_anew_by_all() {
    let (origin, bucket) = (origin().await, Bucket::directory());
    let (first, second) = (node(&origin, &bucket).await, node(&origin, &bucket).await);
    let path = fetch_path(&origin.url(SPEECH), "ulaw");
    first.get(&path).await;
    get_once_there(&second, &path).await;
    let purge = first.request(Method::POST, "/v1/media/purge").body(r#"{"all":true}"#);
    assert_eq!(first.send(purge).await.body, br#"{"scope":"fleet"}"#);
    let asked = async {
        while second.get(&path).await.header("cache-status").contains("; hit;") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), asked).await.expect("the other node never heard of it");
    assert_eq!(origin.count(&Method::GET, SPEECH), 2);
    // What the second got anew is newer than the rule, and good for the first, too.
    let found = get_once_there(&first, &path).await;
    assert!(
        found.header("cache-status").ends_with(bucket.detail()) || found.header("cache-status").ends_with("memory")
    );
    assert_eq!(origin.count(&Method::GET, SPEECH), 2);
}
