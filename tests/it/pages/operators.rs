//! People as the operator's command line has them, and what nobody is ever told of them.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Output, Stdio},
};

use ringback::testing::origin::Origin;
use serde_json::Value;

use super::PASSWORD;
use crate::support::process::{Process, command};

/// `ringback …` on a data directory, with something to read.
fn operate(data: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = command();
    command.args(arguments).arg("--json").arg("--data-dir").arg(data);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Whoever wants nothing has ended by then.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

fn told(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn users_are_made_changed_and_closed_by_the_operator() {
    let data = tempfile::tempdir().unwrap();
    let operate = |arguments: &[&str], input: &str| operate(data.path(), arguments, input);
    let account = told(&operate(&["account", "create", "Example Ltd"], ""))[0]["sid"].as_str().unwrap().to_owned();
    let typed = format!("{PASSWORD}\n");
    let jane = &told(&operate(
        &["user", "create", &account, "Jane@Example.com", "--role", "owner", "--password-stdin"],
        &typed,
    ))[0];
    assert_eq!(
        (&jane["email"], &jane["role"], &jane["totp"]),
        (&"jane@example.com".into(), &"owner".into(), &false.into())
    );

    // What is drawn is told once, and nothing is made where nobody would read it.
    let lost = operate(&["user", "create", &account, "john@example.com", "--draw-password"], "");
    assert_eq!(lost.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&lost.stderr).contains("--secrets-to"), "{lost:?}");
    let file = data.path().join("secrets");
    let to = file.to_str().unwrap();
    let john = operate(&["user", "create", &account, "john@example.com", "--draw-password", "--secrets-to", to], "");
    assert_eq!(told(&john)[0]["password"], "***");
    let secrets: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(secrets["password"].as_str().unwrap().len(), 20);
    fs::remove_file(&file).unwrap();
    let totp = operate(&["user", "totp", "john@example.com", "--secrets-to", to], "");
    assert_eq!((&told(&totp)[0]["totp"], &told(&totp)[0]["totp_secret"]), (&true.into(), &"***".into()));
    let secrets: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert!(
        secrets["totp_address"].as_str().unwrap().starts_with("otpauth://totp/Ringback:john%40example.com?secret=")
    );
    assert_eq!(told(&operate(&["user", "totp", "john@example.com", "--off"], ""))[0]["totp"], false);
    assert_eq!(told(&operate(&["user", "role", "john@example.com", "viewer"], ""))[0]["role"], "viewer");

    for (arguments, input, code) in [
        (&["user", "create", &account, "jane@example.com", "--password-stdin"][..], typed.as_str(), 1),
        (&["user", "create", &account, "x@example.com", "--password-stdin"], "short", 1),
        (&["user", "create", &account, "x@example.com"], &typed, 1),
        (&["user", "create", &account, "nobody", "--password-stdin"], &typed, 64),
        (&["user", "create", &account, "x@example.com", "--role", "king", "--password-stdin"], &typed, 64),
        (&["user", "password", "nobody@example.com", "--password-stdin"], &typed, 3),
    ] {
        let output = operate(arguments, input);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains(PASSWORD));
    }
    told(&operate(&["user", "password", "jane@example.com", "--password-stdin"], "another password"));
    told(&operate(&["user", "close", "john@example.com"], ""));
    let listed = told(&operate(&["user", "list", &account], ""));
    let listed: Vec<_> =
        listed.iter().map(|user| (user["email"].as_str().unwrap(), user["status"].as_str().unwrap())).collect();
    assert_eq!(listed, [("john@example.com", "closed"), ("jane@example.com", "active")]);
    let deeds = told(&operate(&["account", "audit", &account], ""));
    let deeds: Vec<_> = deeds.iter().map(|deed| deed["action"].as_str().unwrap()).collect();
    assert_eq!(&deeds[..4], ["user.close", "user.password", "user.role", "user.totp-off"]);
}

#[tokio::test]
async fn the_most_talkative_log_has_nothing_that_signs_anybody_in() {
    let origin = Origin::start().await.unwrap();
    let data = tempfile::tempdir().unwrap();
    let log = data.path().join("log");
    let settings = [("RINGBACK_HTTP__TRUSTED_PROXIES", "127.0.0.0/8"), ("RINGBACK_LOG", "trace")];
    let allowed = ["--allow-origin", &origin.address().to_string()];
    let node = Process::start_logging(data.path(), &allowed, &settings, &log);
    let account =
        told(&operate(data.path(), &["account", "create", "Example Ltd"], ""))[0]["sid"].as_str().unwrap().to_owned();
    told(&operate(data.path(), &["user", "create", &account, "jane@example.com", "--password-stdin"], PASSWORD));
    ringback::outbound::install_crypto_provider();
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = node.url("/connect/sign-in");
    let page = client.get(&url).header("x-forwarded-proto", "https").send().await.unwrap();
    let cookie = |answer: &reqwest::Response| {
        let field = answer.headers()["set-cookie"].to_str().unwrap();
        field.split(';').next().unwrap().to_owned()
    };
    let visitor = cookie(&page);
    let text = page.text().await.unwrap();
    let token = text.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let sign_in = async |password: &str| {
        let form = [("token", token.as_str()), ("name", "jane@example.com"), ("password", password)];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = client.post(&url).header("x-forwarded-proto", "https").header("cookie", &visitor).body(body);
        request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap()
    };
    assert_eq!(sign_in("a wrong but near password").await.status(), 401);
    let signed_in = sign_in(PASSWORD).await;
    assert_eq!(signed_in.status(), 303);
    let session = cookie(&signed_in);
    let list = client.get(node.url("/connect/authorized")).header("x-forwarded-proto", "https");
    assert_eq!(list.header("cookie", &session).send().await.unwrap().status(), 200);
    drop(node);
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.contains("request answered") && log.contains("TRACE"), "the log is where they would be");
    let half = session.rsplit_once('.').unwrap().1;
    let visitor = visitor.split_once('=').unwrap().1;
    for secret in [PASSWORD, "wrong but near", "wrong+but+near", "correct+horse", half, visitor, &token] {
        assert!(!log.contains(secret), "{secret}");
    }
}
