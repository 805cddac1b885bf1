//! What credentials may do in the media layer.

use http::{Method, StatusCode};
use ringback::{
    api::Anonymous,
    testing::{
        fixture,
        origin::{Body, Origin, Reply},
    },
};

use super::{Credentials, ask, closed_node, operate, post, subaccount};
use crate::support::{
    node::{Answer, fetch_path},
    process,
};

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
async fn who_is_told_of_limits_is_shown_to_who_may_read_accounts() {
    let (node, first) = closed_node(&Origin::start().await.unwrap(), |_| {}).await;
    let account = format!("/2010-04-01/Accounts/{}.json", first.name);
    let url = "https://app.example/limits?secret=s3cret";
    assert_eq!(post(&node, &first, &account, &[("LimitCallbackUrl", url)]).await.0, StatusCode::OK);
    let keys = format!("/2010-04-01/Accounts/{}/Keys.json", first.name);
    for (scopes, shown) in [("accounts:read", true), ("media:read", false), ("accounts:write", false)] {
        let (status, made) = post(&node, &first, &keys, &[("Scopes", scopes)]).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let key = Credentials::new(&made["sid"], &made["secret"]);
        let answer = ask(&node, &key, Method::GET, &account).await;
        let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{said}");
        assert_eq!(said["limit_callback_url"].as_str(), shown.then_some(url), "{scopes}");
    }
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

#[tokio::test]
async fn a_path_that_an_account_has_signed_acts_for_it_until_its_key_is_gone() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())));
    let (node, first) = closed_node(&origin, |_| {}).await;
    let sub = subaccount(&node, &first).await;
    let secrets = node.data_dir().join("key");
    let key = async |of: &Credentials, scopes: &str| {
        std::fs::remove_file(&secrets).ok();
        let secrets_to = secrets.to_str().unwrap();
        let create = ["keys", "create", &of.name, "--signing", "--scopes", scopes, "--secrets-to", secrets_to];
        let made = operate(&node, &create).await;
        made[0]["sid"].as_str().unwrap().to_owned()
    };
    let sign = async |what: &[&str]| {
        let mut command = process::command();
        command.arg("sign").args(what).arg("--account-key").arg(&secrets);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let source = origin.url("/a.wav");
    let of_sub = key(&sub, "media:read").await;
    let signed = sign(&[&source]).await;
    let heard = node.get(&signed).await;
    assert_eq!(heard.status, StatusCode::OK, "{signed}: {heard:?}");
    // For the account that signed it, whose own caller finds it now.
    let own = ask(&node, &sub, Method::GET, &fetch_path(&source, "ulaw")).await;
    assert!(own.header("cache-status").contains("; hit"), "{own:?}");
    let others = ask(&node, &first, Method::GET, &fetch_path(&source, "ulaw")).await;
    assert!(others.header("cache-status").contains("fwd="), "{others:?}");
    assert_eq!(node.get(&sign(&["--say", "Hello.", "--format", "alaw"]).await).await.status, StatusCode::OK);

    // It opens this path and no other, and an unknown key is told from a wrong signature by nothing.
    let told = |answer: &Answer| (answer.status, answer.slug(), String::from_utf8_lossy(&answer.body).len());
    let wrong = node.get(&signed.replace(".ulaw", ".alaw")).await;
    assert_eq!((wrong.status, wrong.slug().as_str()), (StatusCode::FORBIDDEN, "signature-invalid"));
    let unknown = node.get(&signed.replace(&of_sub, &format!("SK{}", "0".repeat(32)))).await;
    assert_eq!(told(&unknown), told(&wrong));
    assert_eq!(node.get("/v1/media").await.status, StatusCode::UNAUTHORIZED);
    let ended = sign(&[&source, "--expires", "4102444800"]).await;
    assert_eq!(node.get(&ended).await.status, StatusCode::OK);
    assert_eq!(node.get(&ended.replace("4102444800", "4102444801")).await.slug(), "signature-invalid");

    // A key does what its scopes say.
    key(&sub, "numbers:read").await;
    assert_eq!(node.get(&sign(&[&source]).await).await.slug(), "forbidden");

    // Who may not be served any more is not, by hits either.
    assert_eq!(node.get(&signed).await.status, StatusCode::OK);
    operate(&node, &["suspend", &first.name]).await;
    let answered = async |status: StatusCode| {
        let began = tokio::time::Instant::now();
        while node.get(&signed).await.status != status {
            assert!(began.elapsed() <= std::time::Duration::from_secs(1), "{status}");
        }
        node.get(&signed).await
    };
    assert_eq!(answered(StatusCode::FORBIDDEN).await.slug(), "account-inactive");
    operate(&node, &["resume", &first.name]).await;
    answered(StatusCode::OK).await;
    operate(&node, &["keys", "revoke", &sub.name, &of_sub, "--signing"]).await;
    assert_eq!(answered(StatusCode::FORBIDDEN).await.slug(), "signature-invalid");
    node.stop().await;
}
