//! The document of the API: what it says holds, whatever is asked within it, it says everything, and its page needs no other machine.

use std::{collections::BTreeSet, process::Command};

use bytes::Bytes;
use http::{Method, StatusCode};
use ringback::{
    api::Anonymous,
    config::Config,
    store::StoreUrl,
    testing::{
        fixture,
        origin::{Body, Origin, Reply},
        postgres_server::PostgresServer,
    },
};
use serde_json::{Value, json};

use super::{
    Credentials, ask,
    clients::{run, succeeded, under_target},
    closed_node, operate, post, subaccount,
};
use crate::support::node::TestNode;

/// What is asked of every answer. A client may send data that are wrong: they are refused by the statuses that the document has for them.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,ignored_auth";

/// Has a node fetch from `origin` alone, so that no test asks another machine, and lets callers be wrong as often as they like.
fn adjust(config: &mut Config, origin: &Origin) {
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())));
    config.media.origin.allowed_sources = vec![origin.url("/").parse().unwrap()];
    config.accounts.failures_max = u32::MAX;
}

/// Has schemathesis ask whatever the document allows: in the phase `coverage` each boundary of each parameter, in `fuzzing` each operation
/// `examples` times.
async fn asked_as_the_document_says(
    node: &TestNode,
    origin: &Origin,
    first: &Credentials,
    phases: &str,
    examples: u32,
) {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let tell = async |method: Method, path: &str, body: Bytes| {
        let answer = node.send(node.request(method, path).header("authorization", first.header()).body(body)).await;
        serde_json::from_slice::<Value>(&answer.body).unwrap()
    };
    // Of what can be deleted there are two: one is asked about, the other deleted.
    let audio = fixture::audio("speech.wav").unwrap();
    let mut uploads = Vec::new();
    for audio in [audio.clone(), fixture::audio("speech.mp3").unwrap()] {
        uploads.push(tell(Method::PUT, "/v1/media/uploads", audio).await["content_hash"].clone());
    }
    for prompt in ["/prompts/welcome.wav", "/prompts/goodbye.wav"] {
        tell(Method::PUT, prompt, audio.clone()).await;
    }
    let wanted = |format: &str, wait: bool| {
        let wanted = json!({"source": {"url": origin.url("/a.wav")}, "format": format, "wait": wait});
        tell(Method::POST, "/v1/media", wanted.to_string().into())
    };
    let artifacts = [wanted("ulaw", true).await["id"].clone(), wanted("alaw", true).await["id"].clone()];
    let fill = wanted("ulaw", false).await["fill"].clone();
    let mut begun = Vec::new();
    for _ in 0..2 {
        let begin = node.request(Method::POST, "/v1/media/uploads").header("authorization", first.header());
        let begin = begin.header("tus-resumable", "1.0.0").header("upload-length", audio.len());
        begun.push(node.send(begin).await.header("location").rsplit('/').next().unwrap().to_owned());
    }
    let record = async |kind: &str| {
        let path = format!("/2010-04-01/Accounts/{}/{kind}.json", first.name);
        post(node, first, &path, &[("Scopes", "all")]).await.1
    };
    // Limits are given to who does nothing here.
    let owners = [subaccount(node, first).await.name, subaccount(node, first).await.name];
    let two = async |kind: &str| [record(kind).await["sid"].clone(), record(kind).await["sid"].clone()];
    let numbers = format!("/2010-04-01/Accounts/{}/IncomingPhoneNumbers.json", first.name);
    let numbers = ask(node, first, Method::GET, &numbers).await;
    let numbers: Value = serde_json::from_slice(&numbers.body).unwrap();
    let known = json!({
        "account": first.name,
        "artifact": artifacts,
        "content_hash": uploads,
        "fill": fill,
        "owner": owners,
        "resource": "fills",
        "id": begun,
        "name": ["welcome", "goodbye"],
        "options": "-",
        "signature": "_",
        "extension": "ulaw",
        "url": origin.url("/a.wav"),
        "audio": file("audio.wav", &audio),
        "sid": {
            "Keys": two("Keys").await,
            "SigningKeys": two("SigningKeys").await,
            "Applications": two("Applications").await,
            "ConnectApps": two("ConnectApps").await,
            "IncomingPhoneNumbers": numbers["incoming_phone_numbers"][0]["sid"],
        },
    });
    // A key: what is asked may well replace the account's token.
    let key = record("Keys").await;
    let auth = format!("{}:{}", key["sid"].as_str().unwrap(), key["secret"].as_str().unwrap());
    let mut command = Command::new(under_target("python/bin/schemathesis"));
    command
        .current_dir(directory.path())
        .env("SCHEMATHESIS_HOOKS", file("hooks.py", include_bytes!("hooks.py")))
        .env("SCHEMATHESIS_KNOWN", file("known.json", known.to_string().as_bytes()))
        .arg("run")
        .arg(node.url("/docs/openapi.json"))
        .args(["--auth", &auth, "--checks", CHECKS, "--continue-on-failure", "--no-color", "--workers", "1"])
        .args(["--generation-deterministic"])
        .args(["--max-examples", &examples.to_string(), "--phases", phases]);
    succeeded(&run(command).await);
}

#[tokio::test]
async fn whatever_the_document_allows_is_answered_as_it_says() {
    let origin = Origin::start().await.unwrap();
    let (node, first) = closed_node(&origin, |config| adjust(config, &origin)).await;
    operate(&node, &["numbers", "add", "+15550100003", "--account", &first.name]).await;
    asked_as_the_document_says(&node, &origin, &first, "coverage,fuzzing", 5).await;
    node.stop().await;
}

#[tokio::test]
async fn and_so_it_is_on_postgresql() {
    let server = PostgresServer::start().await.unwrap();
    let origin = Origin::start().await.unwrap();
    let keys = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(keys.path(), "07".repeat(32)).unwrap();
    let node = TestNode::start_with(&origin, |config| {
        adjust(config, &origin);
        config.http.anonymous = Anonymous::Off;
        config.store.url = StoreUrl::new(server.url());
        config.accounts.key_file = Some(keys.path().to_owned());
    })
    .await;
    // A store that nodes share gets its first account from the operator.
    let config = node.data_dir().join("config.toml");
    let text = format!("[store]\nurl = {:?}\n[accounts]\nkey_file = {:?}\n", server.url(), keys.path());
    std::fs::write(&config, text).unwrap();
    let (config, secrets) = (config.display().to_string(), node.data_dir().join("secrets"));
    operate(&node, &["create", "--config", &config, "--secrets-to", &secrets.display().to_string()]).await;
    let made: Value = serde_json::from_slice(&std::fs::read(secrets).unwrap()).unwrap();
    let first = Credentials::new(&made["sid"], &made["auth_token"]);
    operate(&node, &["numbers", "add", "+15550100004", "--account", &first.name, "--config", &config]).await;
    asked_as_the_document_says(&node, &origin, &first, "fuzzing", 2).await;
    node.stop().await;
}

#[tokio::test]
async fn strangers_are_told_only_that_they_are() {
    let origin = Origin::start().await.unwrap();
    let (node, _) = closed_node(&origin, |config| adjust(config, &origin)).await;
    let document = node.get("/docs/openapi.json").await;
    let document: Value = serde_json::from_slice(&document.body).unwrap();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            let answer = node.send(node.request(method.clone(), &example(path))).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}: {answer:?}");
            assert!(answer.header("www-authenticate").starts_with("Basic "), "{answer:?}");
            let refusals = &operation["responses"];
            let documented = resolved(&document, refusals.get("401").or_else(|| refusals.get("4XX")).unwrap());
            if method != Method::HEAD {
                let content_type = answer.header("content-type");
                assert!(documented["content"][content_type].is_object(), "{method} {path}: {content_type}");
            }
            asked += 1;
        }
    }
    assert!(asked > 50, "{asked}");
    node.stop().await;
}

/// What a reference in the document stands for; anything else is itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => value,
    }
}

/// A path in which every parameter stands for something that is not there.
fn example(path: &str) -> String {
    let mut path = path.to_owned();
    while let Some(start) = path.find('{') {
        let end = path[start..].find('}').unwrap() + start;
        let value = match &path[start + 1..end] {
            "extension" => "ulaw",
            "signature" => "_",
            "options" => "-",
            "artifact" | "content_hash" => "0000000000000000000000000000000000000000000000000000000000000000",
            _ => "SGVsbG8",
        };
        path.replace_range(start..=end, value);
    }
    path
}

/// What the node answers and what the document says are the same operations: asked for by other methods, no path of the document does anything.
#[tokio::test]
async fn no_method_is_answered_that_the_document_does_not_have() {
    let origin = Origin::start().await.unwrap();
    let (node, first) = closed_node(&origin, |config| adjust(config, &origin)).await;
    let document = node.get("/docs/openapi.json").await;
    let document: Value = serde_json::from_slice(&document.body).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        let mut documented: BTreeSet<String> = item.as_object().unwrap().keys().cloned().collect();
        if documented.contains("get") {
            documented.insert("head".to_owned());
        }
        for method in ["get", "head", "post", "put", "patch", "delete", "options", "trace"] {
            let asked = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            let answer = ask(&node, &first, asked, &example(path)).await;
            let is_answered = answer.status != StatusCode::METHOD_NOT_ALLOWED;
            if !is_answered {
                let allowed: BTreeSet<String> =
                    answer.header("allow").split(',').map(|method| method.trim().to_ascii_lowercase()).collect();
                assert_eq!(allowed, documented, "{method} {path}: {answer:?}");
            }
            // Which method is meant stands in a field that is missing here.
            let is_told_later = method == "post" && path.contains("resumable");
            assert_eq!(is_answered || is_told_later, documented.contains(method), "{method} {path}: {answer:?}");
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn the_document_is_whole() {
    let origin = Origin::start().await.unwrap();
    let (node, _) = closed_node(&origin, |_| {}).await;
    let document = node.get("/docs/openapi.json").await;
    let document: Value = serde_json::from_slice(&document.body).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    for (path, method) in [
        ("/2010-04-01/Accounts/{account}/Keys/{sid}.json", "delete"),
        ("/2010-04-01/Accounts/{account}/AuthorizedConnectApps/{sid}.json", "post"),
        ("/connect/token", "post"),
        ("/v1/media", "post"),
        ("/v1/media/uploads/resumable/{id}", "patch"),
        ("/media/{capability}/{artifact}.{extension}", "head"),
        ("/fetch/{signature}/{options}/plain/{source}.{extension}", "get"),
        ("/prompts/{name}.{extension}", "put"),
        ("/prompts/{name}.{extension}", "get"),
    ] {
        assert!(document["paths"][path][method].is_object(), "{method} {path}");
    }
    // Names that are referred to are there.
    let mut open = vec![&document];
    let mut references = BTreeSet::new();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                references.extend(fields.get("$ref").and_then(Value::as_str));
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    for reference in references {
        assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
    }
    // Operations have names of their own, a line for people, and answers that say what they are.
    let tags: BTreeSet<&str> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name), "{name} twice");
            assert!(tags.contains(operation["tags"][0].as_str().unwrap()), "{name}");
            assert!(operation["summary"].as_str().unwrap().ends_with('.'), "{method} {path}");
            let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
            let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path");
            let in_path: BTreeSet<&str> = in_path.map(|parameter| parameter["name"].as_str().unwrap()).collect();
            let said: BTreeSet<&str> = path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
            assert_eq!(in_path, said, "{method} {path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let response = resolved(&document, response);
                assert!(!response["description"].as_str().unwrap().is_empty(), "{name} {status}");
                assert_eq!(response["headers"]["X-Request-Id"]["required"], true, "{name} {status}");
            }
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn the_page_comes_from_this_node_alone() {
    let origin = Origin::start().await.unwrap();
    let (node, _) = closed_node(&origin, |_| {}).await;
    let document = node.get("/docs/openapi.json").await;
    assert_eq!((document.status, document.header("content-type")), (StatusCode::OK, "application/json"));
    let page = node.get("/docs/").await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html"));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("connect-src 'self'"), "{policy}");
    let text = String::from_utf8(page.body).unwrap();
    let sources = text.split("src=\"").chain(text.split("href=\"")).skip(1);
    let mut found = 0;
    for source in sources.filter_map(|rest| rest.split('"').next()).filter(|source| !source.contains('<')) {
        assert!(!source.contains("//"), "{source} is elsewhere");
        let path = format!("/docs/{}", source.trim_start_matches("./"));
        assert_eq!(node.get(&path).await.status, StatusCode::OK, "{path}");
        found += 1;
    }
    assert!(found > 3, "{text}");
    assert_eq!(node.get("/docs/nothing.js").await.status, StatusCode::NOT_FOUND);
    assert_eq!(node.get("/docs").await.header("location"), "/docs/");
    node.stop().await;
}
