//! Pages for people, from outside: as a browser sees them, and as somebody sees them who is none.

mod authorized;

mod codes;

mod consent;

mod journey;

mod operators;

mod sign_in;

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use ringback::{
    accounts::{Account, Accounts, Actor, ConnectApp, ConnectAppFields, Role, User},
    api::Anonymous,
    config::Config,
    testing::origin::Origin,
};

use crate::support::node::{Answer, TestNode};

const PASSWORD: &str = "correct horse battery";
/// Where users are sent back to. Nobody answers there.
const REDIRECT: &str = "https://app.example/back?from=ringback";
const STATE: &str = "af0ifjsldkj";

fn operator() -> Actor {
    Actor::operator("test")
}

/// A node with an account that has a user, and a developer's account that has an application.
struct World {
    node: TestNode,
    /// The node's accounts, by the same store.
    accounts: Accounts,
    account: Account,
    developer: Account,
    app: ConnectApp,
    _origin: Origin,
}

impl World {
    /// Behind a proxy on this machine, which is trusted and says that it was asked by TLS.
    async fn start() -> World {
        World::start_with(|config| config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await
    }

    async fn start_with(adjust: impl FnOnce(&mut Config)) -> World {
        let origin = Origin::start().await.unwrap();
        let node = TestNode::start_with(&origin, |config| {
            config.http.anonymous = Anonymous::Off;
            adjust(config);
        })
        .await;
        let accounts = accounts_of(&node).await;
        let account = accounts.create_account(None, "Example Ltd", &operator()).await.unwrap();
        let developer = accounts.create_account(None, "Developer Inc", &operator()).await.unwrap();
        let app = accounts.create_connect_app(&developer.sid, &app_fields(), &operator()).await.unwrap();
        let world = World { node, accounts, account, developer, app, _origin: origin };
        world.user("jane@example.com", Role::Owner).await;
        world
    }

    /// A further user of the account.
    async fn user(&self, email: &str, role: Role) -> User {
        user(&self.accounts, &self.account, email, role).await
    }

    /// A browser that has never been here.
    fn browser(&self) -> Browser<'_> {
        Browser { node: &self.node, cookies: BTreeMap::new(), from: "192.0.2.1".to_owned() }
    }

    /// One in which somebody has signed in.
    async fn signed_in(&self, email: &str) -> Browser<'_> {
        let mut browser = self.browser();
        let answer = browser.sign_in(email, PASSWORD, "").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", text(&answer));
        browser
    }

    fn authorize_path(&self) -> String {
        format!("/connect/authorize/{}?state={STATE}", self.app.sid)
    }

    /// Subaccounts of the account.
    async fn subaccounts(&self) -> usize {
        let page = ringback::accounts::Page { size: 100, beside: None };
        let all = self.accounts.accounts(Some(&self.account.sid), &Default::default(), &page).await.unwrap();
        all.records.len() - 1
    }

    async fn stop(self) {
        self.accounts.close().await;
        self.node.stop().await;
    }
}

async fn accounts_of(node: &TestNode) -> Accounts {
    let config = Config { data_dir: node.data_dir().to_owned(), ..Config::default() };
    ringback::app::open_accounts(&config).await.unwrap()
}

async fn user(accounts: &Accounts, account: &Account, email: &str, role: Role) -> User {
    let (email, password) = (email.parse().unwrap(), PASSWORD.to_owned().into());
    accounts.create_user(&account.sid, &email, role, &password, &operator()).await.unwrap()
}

fn app_fields() -> ConnectAppFields {
    ConnectAppFields {
        friendly_name: "Call Insights".to_owned(),
        company_name: "Developer Inc".to_owned(),
        description: "Shows what your callers hear.".to_owned(),
        homepage_url: Some("https://insights.example/".to_owned()),
        authorize_redirect_url: Some(REDIRECT.to_owned()),
        permissions: "get-all media:write".parse().unwrap(),
        ..ConnectAppFields::default()
    }
}

/// Keeps cookies, sends forms, follows nothing.
struct Browser<'a> {
    node: &'a TestNode,
    cookies: BTreeMap<String, String>,
    /// Whom the proxy says it was asked by.
    from: String,
}

impl Browser<'_> {
    async fn send(&mut self, method: Method, path: &str, form: Option<&[(&str, &str)]>) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self
            .node
            .request(method, path)
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-for", &self.from)
            .header("cookie", cookies.join("; "));
        if let Some(form) = form {
            let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        }
        let answer = self.node.send(request).await;
        for field in answer.headers.get_all("set-cookie") {
            let (pair, attributes) = field.to_str().unwrap().split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, path, Some(form)).await
    }

    async fn sign_in(&mut self, name: &str, password: &str, code: &str) -> Answer {
        let page = self.get("/connect/sign-in").await;
        assert_eq!(page.status, StatusCode::OK, "{}", text(&page));
        let token = field(&page, "token");
        let form = [("token", token.as_str()), ("name", name), ("password", password), ("code", code)];
        self.post("/connect/sign-in", &form).await
    }

    /// A session's cookie, if the browser has one.
    fn session(&self) -> Option<&String> {
        self.cookies.get("__Host-ringback-session")
    }
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// Where a browser goes on from a page by itself, which its link says, too.
fn leads_to(answer: &Answer) -> Option<String> {
    let text = text(answer);
    let meta = text.split("<meta").find(|meta| meta.contains("http-equiv=\"refresh\""))?;
    let to = attribute(meta.split('>').next().unwrap(), "content").strip_prefix("0;url=").unwrap().to_owned();
    assert_eq!(answer.status, StatusCode::OK);
    assert!(text.contains(&format!("<a href=\"{}\"", to.replace('&', "&amp;"))), "{text}");
    Some(to)
}

/// All inputs of a page's form that begins with this, as a browser would send them: hidden, ticked, and typed.
fn fields(answer: &Answer, action: &str) -> Vec<(String, String)> {
    let text = text(answer);
    let form =
        text.split("<form").find(|form| form.contains(&format!("action=\"{action}"))).expect("the form is there");
    let form = form.split("</form>").next().unwrap();
    let inputs = form.split("<input").skip(1).map(|input| input.split('>').next().unwrap());
    let sent = inputs.filter(|input| !input.contains("type=\"checkbox\"") || input.contains(" checked"));
    sent.map(|input| (attribute(input, "name"), attribute(input, "value"))).collect()
}

/// The value of a page's first input of this name.
fn field(answer: &Answer, name: &str) -> String {
    let text = text(answer);
    let mut inputs = text.split("<input").map(|input| input.split('>').next().unwrap());
    let input = inputs.find(|input| input.contains(&format!("name=\"{name}\""))).expect("the field is there");
    attribute(input, "value")
}

fn attribute(input: &str, name: &str) -> String {
    let value = input.split(&format!("{name}=\"")).nth(1).map_or("", |rest| rest.split('"').next().unwrap());
    value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

/// The same fields, one of them with another value.
fn with<'a>(fields: &'a [(String, String)], name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let others = fields.iter().filter(|(known, _)| known != name).map(|(name, value)| (name.as_str(), value.as_str()));
    others.chain([(name, value)]).collect()
}
