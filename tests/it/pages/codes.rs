//! Codes, from the page that gives them to the tokens that developers get for them, and to whoever has stolen one.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, StatusCode};
use ringback::accounts::Account;
use serde_json::Value;
use url::Url;

use super::{Browser, REDIRECT, STATE, World, fields, leads_to, operator, with};

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

impl World {
    /// A code, as the application gets it.
    async fn code(&self, browser: &mut Browser<'_>) -> String {
        let question = format!(
            "/connect/authorize/{}?state={STATE}&response_type=code&code_challenge={CHALLENGE}&code_challenge_method=S256",
            self.app.sid
        );
        let page = browser.get(&question).await;
        let path = format!("/connect/authorize/{}", self.app.sid);
        let form = fields(&page, &path);
        let answer = browser.post(&path, &with(&form, "decision", "allow")).await;
        let to = leads_to(&answer).expect("it leads back");
        let back: Vec<(String, String)> = Url::parse(&to).unwrap().query_pairs().into_owned().collect();
        assert_eq!(back.len(), 3, "{back:?}");
        assert_eq!((back[1].0.as_str(), &back[2]), ("code", &("state".to_owned(), STATE.to_owned())));
        back[1].1.clone()
    }

    /// What a developer gets for a code.
    async fn exchange(&self, developer: &Account, code: &str, with: &[(&str, &str)]) -> (StatusCode, Value) {
        let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).extend_pairs(with).finish();
        let shown = STANDARD.encode(format!("{}:{}", developer.sid, developer.primary_token.reveal()));
        let request = self
            .node
            .request(Method::POST, "/connect/token")
            .header("authorization", format!("Basic {shown}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        let answer = self.node.send(request).await;
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }

    /// How a request by an access token is answered.
    async fn ask(&self, token: &Value, account: &Value) -> StatusCode {
        let path = format!("/2010-04-01/Accounts/{}/Applications.json", account.as_str().unwrap());
        let shown = format!("Bearer {}", token.as_str().unwrap());
        self.node.get_with(&path, "authorization", &shown).await.status
    }
}

#[tokio::test]
async fn a_code_gives_tokens_once_and_what_it_gave_ends_when_it_comes_again() {
    let world = World::start().await;
    let mut browser = world.signed_in("jane@example.com").await;
    let code = world.code(&mut browser).await;
    let verified = [("code_verifier", VERIFIER)];
    let (status, tokens) = world.exchange(&world.developer, &code, &verified).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    let allowed = world.accounts.authorization(&world.account.sid, &world.app.sid).await.unwrap();
    assert_eq!(tokens["account_sid"], allowed.sid.to_string());
    assert_eq!(tokens["scope"], "get-all media:write");
    assert_eq!(world.ask(&tokens["access_token"], &tokens["account_sid"]).await, StatusCode::OK);

    let (status, error) = world.exchange(&world.developer, &code, &verified).await;
    assert_eq!((status, &error["error"]), (StatusCode::BAD_REQUEST, &"invalid_grant".into()));
    assert_eq!(world.ask(&tokens["access_token"], &tokens["account_sid"]).await, StatusCode::FORBIDDEN);
    world.stop().await;
}

#[tokio::test]
async fn a_stolen_code_is_worth_nothing_to_its_thief() {
    let world = World::start().await;
    let thief = world.accounts.create_account(None, "Thief", &operator()).await.unwrap();
    let mut browser = world.signed_in("jane@example.com").await;
    let code = world.code(&mut browser).await;
    // By other credentials than the application's developer's: nothing, and the developer loses nothing by it.
    let (status, error) = world.exchange(&thief, &code, &[("code_verifier", VERIFIER)]).await;
    assert_eq!((status, &error["error"]), (StatusCode::BAD_REQUEST, &"invalid_grant".into()));
    let (status, _) = world.exchange(&world.developer, &code, &[("code_verifier", VERIFIER)]).await;
    assert_eq!(status, StatusCode::OK);

    // Smuggled into the developer's own way back it fails without the verifier of this browser's question.
    let wrong = "x".repeat(43);
    for verifier in [&[][..], &[("code_verifier", wrong.as_str())]] {
        let code = world.code(&mut browser).await;
        let (status, error) = world.exchange(&world.developer, &code, verifier).await;
        assert_eq!((status, &error["error"]), (StatusCode::BAD_REQUEST, &"invalid_grant".into()));
    }
    world.stop().await;
}

#[tokio::test]
async fn revoking_on_the_page_ends_tokens_that_a_code_gave() {
    let world = World::start().await;
    let mut browser = world.signed_in("jane@example.com").await;
    let code = world.code(&mut browser).await;
    let (_, tokens) = world.exchange(&world.developer, &code, &[("code_verifier", VERIFIER)]).await;
    assert_eq!(world.ask(&tokens["access_token"], &tokens["account_sid"]).await, StatusCode::OK);
    let path = format!("/connect/authorized/{}", world.app.sid);
    let form = fields(&browser.get("/connect/authorized").await, &path);
    assert_eq!(browser.post(&path, &with(&form, "action", "revoke")).await.status, StatusCode::SEE_OTHER);
    assert_eq!(world.ask(&tokens["access_token"], &tokens["account_sid"]).await, StatusCode::FORBIDDEN);
    world.stop().await;
}
