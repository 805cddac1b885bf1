//! What credentials may do in the media layer.

use http::{Method, StatusCode};
use ringback::{
    api::Anonymous,
    testing::{
        fixture,
        origin::{Body, Origin, Reply},
    },
};

use super::{Credentials, ask, closed_node, post};
use crate::support::node::fetch_path;

#[tokio::test]
async fn a_key_does_what_its_scopes_say_and_no_more() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())));
    let (node, first) = closed_node(&origin, |_| {}).await;
    let keys = format!("/2010-04-01/Accounts/{}/Keys.json", first.name);
    let key = async |scopes: &str| {
        let (status, made) = post(&node, &first, &keys, &[("Scopes", scopes)]).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        Credentials::new(&made["sid"], &made["secret"])
    };
    let (reader, writer, nobody) =
        (key("media:read").await, key("media:read media:write").await, key("numbers:read").await);
    let fetch = fetch_path(&origin.url("/a.wav"), "ulaw");
    let applications = format!("/2010-04-01/Accounts/{}/Applications.json", first.name);
    for (who, reads, purges, lists) in [(&reader, 200, 403, 403), (&writer, 200, 204, 403), (&nobody, 403, 403, 403)] {
        assert_eq!(ask(&node, who, Method::GET, &fetch).await.status.as_u16(), reads);
        let purge =
            node.request(Method::POST, "/v1/media/purge").header("authorization", who.header()).body(r#"{"all":true}"#);
        let purged = node.send(purge).await.status.as_u16();
        assert!(purged == purges || (purges == 204 && purged == 200), "{purged}");
        assert_eq!(ask(&node, who, Method::GET, &applications).await.status.as_u16(), lists);
    }
    let (status, refused) = post(&node, &writer, &keys, &[]).await;
    assert_eq!((status, &refused["code"]), (StatusCode::FORBIDDEN, &20003.into()));
    let (status, wrong) = post(&node, &first, &keys, &[("Scopes", "everything")]).await;
    assert_eq!((status, &wrong["code"]), (StatusCode::BAD_REQUEST, &20001.into()));
    node.stop().await;
}

#[tokio::test]
async fn wrong_credentials_are_refused_where_strangers_are_let_in() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())));
    let (node, first) = closed_node(&origin, |config| config.http.anonymous = Anonymous::All).await;
    let fetch = fetch_path(&origin.url("/a.wav"), "ulaw");
    assert_eq!(node.get(&fetch).await.status, StatusCode::OK);
    let wrong = Credentials { secret: "wrong".to_owned(), ..first.clone() };
    for _ in 0..2 {
        let refused = ask(&node, &wrong, Method::GET, &fetch).await;
        assert_eq!((refused.status, refused.slug().as_str()), (StatusCode::UNAUTHORIZED, "unauthorized"));
        assert_eq!(refused.header("www-authenticate"), "Basic realm=\"ringback\", charset=\"UTF-8\"");
    }
    // What could never be credentials of an account is no worse than nothing: clients that must send some send anything.
    for anything in ["Bearer anything", "Basic dXNlcjpwYXNz", "Digest username=\"x\"", "x"] {
        assert_eq!(node.get_with(&fetch, "authorization", anything).await.status, StatusCode::OK, "{anything}");
    }
    // What strangers have fetched is theirs: for the account it is a miss of its own.
    assert!(ask(&node, &first, Method::GET, &fetch).await.header("cache-status").contains("fwd="));
    node.stop().await;
}

#[tokio::test]
async fn credentials_need_no_signature() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())));
    let (node, first) = closed_node(&origin, |config| {
        config.http.anonymous = Anonymous::All;
        config.media.signing = toml::from_str(&format!("keys = [\"{}:68656c6c6f\"]", "73".repeat(32))).unwrap();
    })
    .await;
    let fetch = fetch_path(&origin.url("/a.wav"), "ulaw");
    assert_eq!(node.get(&fetch).await.slug(), "signature-invalid");
    assert_eq!(ask(&node, &first, Method::GET, &fetch).await.status, StatusCode::OK);
    // What could never be credentials opens nothing, whatever strangers may do elsewhere.
    for anything in ["x", "Bearer anything", "Basic dXNlcjpwYXNz"] {
        assert_eq!(node.get_with(&fetch, "authorization", anything).await.slug(), "signature-invalid", "{anything}");
    }
    // A signature that is wrong stays wrong.
    let forged = fetch.replacen("/_/", &format!("/{}/", "A".repeat(43)), 1);
    assert_eq!(ask(&node, &first, Method::GET, &forged).await.slug(), "signature-invalid");
    node.stop().await;
}
