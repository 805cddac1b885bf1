//! Where secrets could be seen, they are not: the log at its most talkative, metrics, errors, what is shown of the configuration, and the
//! process's own arguments.

use std::{fs, io::Read as _};

use http::{Method, StatusCode};
use ringback::{
    accounts::{Actor, ConnectAppFields, Limits, Profile},
    config::Config,
    testing::{
        fixture,
        origin::{Body, Origin, Reply},
    },
};
use serde_json::Value;

use super::Credentials;
use crate::support::{
    node::fetch_path,
    process::{Process, command},
};

const KEY: &str = "5eedfacecafe5eedfacecafe5eedfacecafe5eedfacecafe5eedfacecafe5eed";

#[tokio::test]
async fn no_secret_is_told_to_anybody_but_who_asked_for_it() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())));
    let data = tempfile::tempdir().unwrap();
    let (key_file, log) = (data.path().join("sealing"), data.path().join("log"));
    fs::write(&key_file, KEY).unwrap();
    let node = Process::start_logging(
        data.path(),
        &["--allow-origin", &origin.address().to_string()],
        &[
            ("RINGBACK_ACCOUNTS__KEY_FILE", key_file.to_str().unwrap()),
            ("RINGBACK_OUTBOUND__CALLBACK_ORIGINS", &origin.address().to_string()),
            ("RINGBACK_HTTP__ANONYMOUS", "off"),
            ("RINGBACK_LOG", "trace"),
        ],
        &log,
    );
    let text = fs::read_to_string(data.path().join("first-credentials")).unwrap();
    let mut words = text.split_whitespace().filter(|word| word.len() >= 32).map(str::to_owned);
    let first = Credentials { name: words.next().unwrap(), secret: words.next().unwrap() };
    ringback::outbound::install_crypto_provider();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |who: &Credentials, method: Method, path: &str, form: &str| {
        let request =
            client.request(method, format!("http://{}{path}", node.address)).header("authorization", who.header());
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    let own = format!("/2010-04-01/Accounts/{}", first.name);
    let (status, made) = ask(&first, Method::POST, &format!("{own}/Keys.json"), "FriendlyName=k").await;
    assert_eq!(status, StatusCode::CREATED);
    let made: Value = serde_json::from_str(&made).unwrap();
    let key = Credentials::new(&made["sid"], &made["secret"]);
    let (_, second) = ask(&first, Method::POST, "/v1/AuthTokens/Secondary", "").await;
    let second: Value = serde_json::from_str(&second).unwrap();
    let second = second["secondary_auth_token"].as_str().unwrap().to_owned();
    let fetch = fetch_path(&origin.url("/a.wav"), "ulaw");
    let wrong = Credentials { secret: "a-wrong-but-near-secret".to_owned(), ..first.clone() };
    let mut told = String::new();
    for (who, status) in [(&first, 200), (&key, 200), (&wrong, 401)] {
        let (answered, body) = ask(who, Method::GET, &fetch, "").await;
        assert_eq!(answered.as_u16(), status);
        if status == 401 {
            told.push_str(&body);
        }
        told.push_str(&ask(who, Method::POST, &format!("{own}/Nothing.json"), "x=1").await.1);
    }
    // What a developer gets for a code, acts with and is told of.
    origin.set("/gone", Reply::ok("text/plain", Body::of("")));
    let mut config = Config { data_dir: data.path().to_owned(), ..Config::default() };
    config.accounts.key_file = Some(key_file.clone());
    let accounts = ringback::app::open_accounts(&config).await.unwrap();
    let by = Actor::operator("test");
    let made = accounts.create_account(None, "", &by).await.unwrap();
    let developer = Credentials { name: made.sid.to_string(), secret: made.primary_token.reveal().to_owned() };
    let words: Profile = "get-all".parse().unwrap();
    let fields = ConnectAppFields {
        deauthorize_callback_url: Some(origin.url("/gone")),
        permissions: words.clone(),
        ..ConnectAppFields::default()
    };
    let app = accounts.create_connect_app(&made.sid, &fields, &by).await.unwrap();
    let user = first.name.parse().unwrap();
    let allowed = accounts.allow(&user, &app.sid, words, Limits::default(), &by).await.unwrap();
    let code = accounts.issue_code(&allowed, "https://app.example/", None, &by).await.unwrap();
    accounts.close().await;
    let tokens = async |form: String| {
        let (status, tokens) = ask(&developer, Method::POST, "/connect/token", &form).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        let tokens: Value = serde_json::from_str(&tokens).unwrap();
        ["access_token", "refresh_token"].map(|name| tokens[name].as_str().unwrap().to_owned())
    };
    let redirect = "redirect_uri=https%3A%2F%2Fapp.example%2F";
    let form = format!("grant_type=authorization_code&code={}&{redirect}", code.reveal());
    let [access, refresh] = tokens(form.clone()).await;
    let [next_access, next_refresh] = tokens(format!("grant_type=refresh_token&refresh_token={refresh}")).await;
    let bearer = client.get(format!("http://{}{fetch}", node.address)).bearer_auth(&access);
    assert_eq!(bearer.send().await.unwrap().status(), StatusCode::OK);
    let acting = Credentials { name: allowed.sid.to_string(), secret: developer.secret.clone() };
    assert_eq!(ask(&acting, Method::GET, &fetch, "").await.0, StatusCode::OK);
    told.push_str(&ask(&developer, Method::POST, "/connect/token", &form).await.1);
    let revoke = format!("token={next_refresh}");
    told.push_str(&ask(&developer, Method::POST, "/connect/revoke", &revoke).await.1);
    let asked_before = origin.seen().len();
    let path = format!("{own}/AuthorizedConnectApps/{}.json", app.sid);
    assert_eq!(ask(&first, Method::DELETE, &path, "").await.0, StatusCode::NO_CONTENT);
    origin.wait_for_requests(asked_before + 1).await;
    let given = [code.reveal().to_owned(), access, refresh, next_access, next_refresh, developer.secret.clone()];

    told.push_str(
        &client.get(format!("http://{}/metrics", node.ops_address)).send().await.unwrap().text().await.unwrap(),
    );
    let mut arguments = String::new();
    fs::File::open(format!("/proc/{}/cmdline", node.id())).unwrap().read_to_string(&mut arguments).unwrap();
    told.push_str(&arguments);
    let printed = command()
        .args(["serve", "--print-config"])
        .env("RINGBACK_STORE__URL", "postgres://me:the-password@db.example/ringback")
        .env("RINGBACK_ACCOUNTS__KEY_FILE", &key_file)
        .output()
        .unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.contains("postgres://***@db.example"), "{printed}");
    told.push_str(&printed);
    drop(node);
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.contains("request answered") && log.contains("TRACE"), "the log is where they would be");
    told.push_str(&log);
    let secrets = [&first.secret, &key.secret, &second, &wrong.secret, &"the-password".to_owned(), &KEY.to_owned()];
    for secret in secrets.into_iter().chain(&given) {
        assert!(!told.contains(secret.as_str()), "{secret}");
    }
    let headers = [&first, &key, &wrong, &developer, &acting].map(Credentials::header);
    for header in &headers {
        assert!(!told.contains(header.trim_start_matches("Basic ")), "{header}");
    }
}
