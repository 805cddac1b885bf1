//! The matrix: who asks × what is asked for × how × what was allowed. Each cell is requested, and answered as one table says.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Method, StatusCode};
use ring::hmac;
use ringback::testing::origin::Origin;
use serde_json::Value;

use super::{Scene, account, ask_as};
use crate::{
    accounts::{Credentials, post},
    support::node::{Answer, TestNode},
};

/// The one table: what an operation is about, by its path.
const RESOURCES: &[(&str, &str)] = &[
    ("/connect/", "token"),
    ("/v1/AuthTokens/", "token"),
    ("/2010-04-01/Accounts/{account}/Keys", "keys"),
    ("/2010-04-01/Accounts/{account}/SigningKeys", "keys"),
    ("/2010-04-01/Accounts/{account}/Applications", "applications"),
    ("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers", "numbers"),
    ("/2010-04-01/Accounts/{account}/ConnectApps", "connect-apps"),
    ("/2010-04-01/Accounts/{account}/AuthorizedConnectApps", "authorizations"),
    ("/2010-04-01/Accounts", "accounts"),
    ("/v1/limits/", "limits"),
    ("/v1/limits", "accounts"),
    ("/v1/usage/", "accounts"),
    ("/v1/", "media"),
    ("/media/", "media"),
    ("/fetch/", "media"),
    ("/say/", "media"),
    ("/prompts/", "media"),
];
/// What an application may be allowed at all.
const WORK: &[&str] = &["media", "applications", "numbers"];
/// What else a key may be given.
const CONTROL: &[&str] = &["accounts", "keys", "audit", "connect-apps", "authorizations", "limits"];

/// An operation of the document.
#[derive(Debug)]
struct Operation {
    method: Method,
    path: String,
    resource: &'static str,
    access: &'static str,
}

impl Operation {
    fn is_of_an_account(&self) -> bool {
        self.path.contains("{account}")
    }

    /// The account itself, which whoever has credentials of it may see.
    fn is_own(&self) -> bool {
        self.path == "/2010-04-01/Accounts/{account}.json" && self.method == Method::GET
    }

    /// What it says in the document that it needs.
    fn permission(&self) -> String {
        match self.resource {
            "token" => "auth token".to_owned(),
            resource if self.is_own() => format!("own or {resource}:{}", self.access),
            resource => format!("{resource}:{}", self.access),
        }
    }

    /// Whether words give it. What gives all is an account's own token.
    fn is_given_by(&self, words: &[&str]) -> bool {
        let whole = if self.access == "read" { "get-all" } else { "post-all" };
        let one = format!("{}:{}", self.resource, self.access);
        let by_whole = WORK.contains(&self.resource) && words.contains(&whole);
        self.is_own() || by_whole || words.contains(&one.as_str()) || words.contains(&"everything")
    }
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, said) in item.as_object().unwrap() {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            let (_, resource) = RESOURCES.iter().find(|(prefix, _)| path.starts_with(prefix)).expect(path);
            let reads = matches!(method, Method::GET | Method::HEAD | Method::OPTIONS);
            let access = if reads { "read" } else { "write" };
            let operation = Operation { method, path: path.clone(), resource, access };
            // What is declared where it is routed is what the table has.
            assert_eq!(said["x-permission"], operation.permission(), "{operation:?}");
            operations.push(operation);
        }
    }
    operations
}

/// A path on an account in which everything else stands for what is not there, so that nothing is changed.
fn path_on(operation: &Operation, account: &str) -> String {
    let mut path = operation.path.replace("{account}", account);
    while let Some(start) = path.find('{') {
        let end = path[start..].find('}').unwrap() + start;
        let value = match &path[start + 1..end] {
            "extension" => "ulaw".to_owned(),
            "signature" => "_".to_owned(),
            "options" => "-".to_owned(),
            "sid" if operation.path.contains("ConnectApps") => format!("CN{}", "0".repeat(32)),
            "sid" if operation.path.contains("Applications") => format!("AP{}", "0".repeat(32)),
            "sid" if operation.path.contains("Numbers") => format!("PN{}", "0".repeat(32)),
            "sid" => format!("SK{}", "0".repeat(32)),
            "artifact" | "content_hash" => "0".repeat(64),
            "id" | "fill" => "0".repeat(32),
            _ => "SGVsbG8".to_owned(),
        };
        path.replace_range(start..=end, &value);
    }
    path
}

/// How an answer says that the caller may not: as opposed to that it asked for nonsense.
fn is_refused(answer: &Answer) -> bool {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let says_so = body["code"] == 20003 && body["message"] == "Permission denied"
        || body["error"] == "unauthorized_client"
        || body["type"] == "urn:ringback:problem:forbidden";
    // A HEAD says it by its status alone.
    let is_bare = answer.body.is_empty() && answer.status == StatusCode::FORBIDDEN;
    says_so || is_bare || answer.status == StatusCode::UNAUTHORIZED
}

/// Somebody who asks: by what it shows, on which account, and what it has been given.
struct Asker {
    name: String,
    header: String,
    account: String,
    words: Vec<&'static str>,
    is_owner: bool,
    /// Acts on that account only where a path names it: elsewhere it acts for itself.
    only_by_path: bool,
}

impl Asker {
    /// Asks for every operation, and says which were answered otherwise than they should be.
    async fn ask(&self, node: &TestNode, operations: &[Operation], asked: &mut usize) -> String {
        let mut wrong = String::new();
        for operation in operations.iter().filter(|operation| !self.only_by_path || operation.is_of_an_account()) {
            let path = path_on(operation, &self.account);
            let answer = ask_as(node, Some(&self.header), operation.method.clone(), &path).await;
            let may = match operation.resource {
                "token" => self.is_owner,
                _ => operation.is_given_by(&self.words),
            };
            if is_refused(&answer) == may {
                let said = String::from_utf8_lossy(&answer.body).into_owned();
                writeln!(wrong, "{}: {} {path}: {} {said}", self.name, operation.method, answer.status).unwrap();
            }
            // Whoever acts for a user is shown no secret of anybody.
            if operation.is_own() && !self.is_owner {
                let shown: Value = serde_json::from_slice(&answer.body).unwrap();
                assert_eq!((&shown["auth_token"], &shown["sid"]), (&Value::Null, &self.account.as_str().into()));
            }
            *asked += 1;
        }
        wrong
    }
}

/// All that an application may be allowed in one word, in two, or in all.
fn profiles() -> Vec<Vec<&'static str>> {
    let single = WORK.iter().flat_map(|resource| ["read", "write"].map(|access| word(resource, access)));
    let mut profiles: Vec<Vec<&'static str>> = single.map(|word| vec![word]).collect();
    profiles.extend([
        vec!["get-all"],
        vec!["post-all"],
        vec!["get-all", "post-all"],
        vec!["media:read", "numbers:write"],
    ]);
    profiles
}

fn word(resource: &str, access: &str) -> &'static str {
    format!("{resource}:{access}").leak()
}

/// A key of an account with these words.
async fn key(node: &TestNode, of: &Credentials, words: &str) -> Credentials {
    let path = format!("/2010-04-01/Accounts/{}/Keys.json", of.name);
    let (status, made) = post(node, of, &path, &[("Scopes", words)]).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    Credentials::new(&made["sid"], &made["secret"])
}

/// What an account's server gives a client: a token with these words, signed with a key that has others.
async fn clients_token(node: &TestNode, of: &Credentials, key: &str, words: &str) -> String {
    let path = format!("/2010-04-01/Accounts/{}/SigningKeys.json", of.name);
    let (status, made) = post(node, of, &path, &[("Scopes", key)]).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let now = node.node.clock.now_wall().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let claims = serde_json::json!({
        "iss": made["sid"], "sub": of.name, "aud": "ringback", "exp": now + 600,
        "grants": { "identity": "alice", "ringback": { "scopes": words } },
    });
    let parts = [r#"{"alg":"HS256","typ":"JWT"}"#.to_owned(), claims.to_string()];
    let message = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let key = hmac::Key::new(hmac::HMAC_SHA256, made["secret"].as_str().unwrap().as_bytes());
    format!("Bearer {message}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes())))
}

#[tokio::test]
async fn every_operation_is_done_for_who_was_given_it_and_for_nobody_else() {
    let origin = Origin::start().await.unwrap();
    let scene = Scene::new(&origin).await;
    let node = &scene.node;
    let document: Value = serde_json::from_slice(&node.get("/docs/openapi.json").await.body).unwrap();
    let operations = operations(&document);
    assert!(operations.len() > 60, "{}", operations.len());
    let mut askers = Vec::new();
    let asker = |name: String, header: String, account: &str, words: &[&'static str]| Asker {
        name,
        header,
        account: account.to_owned(),
        words: words.to_vec(),
        is_owner: false,
        only_by_path: false,
    };

    // Keys of the user, with one word each.
    for resource in WORK.iter().chain(CONTROL) {
        for access in ["read", "write"] {
            let words = [word(resource, access)];
            let key = key(node, &scene.user, words[0]).await;
            askers.push(asker(format!("key {}", words[0]), key.header(), &scene.user.name, &words));
        }
    }
    // A client of the user's, with what its grant and the key that signed it both have.
    let both = ["media:read", "keys:write"];
    let (by, words) = ("media:read keys:write numbers:write", "media:read keys:write applications:read");
    let token = clients_token(node, &scene.user, by, words).await;
    askers.push(asker("client".to_owned(), token, &scene.user.name, &both));
    // The developer, by each way, for each profile.
    let developers_key = key(node, &scene.developer, "media:read numbers:write keys:write accounts:write").await;
    for words in profiles() {
        let app = scene.app(&words, &[]).await;
        let on = scene.allow(&app, &words).await;
        let sid = on.sid.to_string();
        let said = words.join(" ");
        askers.push(asker(format!("basic {said}"), scene.acting(&on).header(), &sid, &words));
        let tokens = scene.tokens(&on).await;
        let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
        askers.push(asker(format!("token {said}"), bearer, &sid, &words));
        let by_path = asker(format!("path {said}"), scene.developer.header(), &sid, &words);
        askers.push(Asker { only_by_path: true, ..by_path });
        // What both the key and the profile have.
        let has = |word: &str, whole: &str| words.contains(&word) || words.contains(&whole);
        let mut both = Vec::new();
        both.extend(has("media:read", "get-all").then_some("media:read"));
        both.extend(has("numbers:write", "post-all").then_some("numbers:write"));
        let by_key = asker(format!("key by path {said}"), developers_key.header(), &sid, &both);
        askers.push(Asker { only_by_path: true, ..by_key });
    }
    // Who has the account itself comes last: it replaces its tokens.
    let owner = asker("owner".to_owned(), scene.user.header(), &scene.user.name, &["everything"]);
    askers.push(Asker { is_owner: true, ..owner });

    let (mut asked, mut wrong) = (0, String::new());
    for asker in &askers {
        wrong.push_str(&asker.ask(node, &operations, &mut asked).await);
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(asked > 2_000, "{asked}");

    // Whoever has nothing to do with it finds nothing there: as if it did not exist, in all but the name that was asked for.
    let app = scene.app(&["get-all"], &[]).await;
    let on = scene.allow(&app, &["get-all"]).await.sid.to_string();
    let nobodys = format!("AC{}", "5".repeat(32));
    let stranger = account(&scene.accounts).await;
    let strangers_key = key(node, &stranger, "all").await;
    // To its own clients a developer does not give what it was given.
    let developers_client = clients_token(node, &scene.developer, "all", "all").await;
    for header in [stranger.header(), strangers_key.header(), developers_client] {
        for operation in operations.iter().filter(|operation| operation.is_of_an_account()) {
            let mut said = Vec::new();
            for account in [&on, &nobodys] {
                let answer = ask_as(node, Some(&header), operation.method.clone(), &path_on(operation, account)).await;
                assert_eq!(answer.status, StatusCode::NOT_FOUND, "{operation:?}: {answer:?}");
                said.push(String::from_utf8(answer.body).unwrap().replace(account.as_str(), "AC"));
            }
            assert_eq!(said[0], said[1]);
        }
    }
    // By the subaccount's name and another's secret nobody is let in anywhere, nor without any.
    let wrong = [&stranger.secret, &scene.user.secret]
        .map(|secret| Some(Credentials { name: on.clone(), secret: secret.clone() }.header()));
    for header in wrong.iter().chain([&None]) {
        for operation in &operations {
            let path = path_on(operation, &on);
            let answer = ask_as(node, header.as_deref(), operation.method.clone(), &path).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{operation:?}: {answer:?}");
        }
    }
    scene.stop().await;
}
