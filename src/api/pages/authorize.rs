//! An application asks: the page that says who asks for what, and what becomes of the answer.
//!
//! ```text
//! /connect/authorize/{CN…}?state=…                                     back with  AccountSid=…&state=…
//!   &response_type=code&code_challenge=…&code_challenge_method=S256    back with  code=…&state=…
//!   &redirect_uri=…       if it is there, exactly what is registered
//! denied                                                               back with  error=unauthorized_client&state=…
//! ```
//!
//! A browser is only ever sent to the address that is registered, and only by its user's answer. What is wrong with the question is said on a page: whoever
//! wrote it has to read it, and no link makes this node a way to somewhere else.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use maud::{Markup, html};
use ring::digest;
use serde::Deserialize;
use url::{Url, form_urlencoded::Serializer};

use crate::{
    accounts::{AccountsError, Actor, Authorization, ConnectApp, S256, SignedIn},
    problem::{Kind, Problem},
    secret::Secret,
};

use super::{
    Pages,
    form::{Form, Query},
    page::{Page, problem_of, redirect},
    permissions::{Choice, boxes, limit_fields},
    visit::{Visit, role_text, token_field},
    way_back::WayBack,
};

/// Bytes of a state at most: it is the application's own, and goes back as it came.
const STATE_MAX: usize = 1_024;
/// What an application is told of whose user has denied it, as the ecosystem has it.
const DENIED: &str = "unauthorized_client";

/// The parameters of a question.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    state: String,
    redirect_uri: String,
    response_type: String,
    code_challenge: String,
    code_challenge_method: String,
}

/// What somebody says to it, with the parameters of the question.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answered {
    token: String,
    /// Which question was shown.
    shown: String,
    decision: String,
    state: String,
    redirect_uri: String,
    response_type: String,
    code_challenge: String,
    code_challenge_method: String,
    permission: Vec<String>,
    spend: String,
    concurrency: String,
}

impl Answered {
    fn asked(&self) -> Asked {
        Asked {
            state: self.state.clone(),
            redirect_uri: self.redirect_uri.clone(),
            response_type: self.response_type.clone(),
            code_challenge: self.code_challenge.clone(),
            code_challenge_method: self.code_challenge_method.clone(),
        }
    }
}

/// A question that can be put.
struct Question {
    app: ConnectApp,
    asked: Asked,
    /// As it is registered.
    redirect_text: String,
    redirect_url: Url,
    /// Of who prefers a code to the subaccount's name.
    challenge: Option<S256>,
}

/// The page that asks.
pub(super) async fn show(
    State(pages): State<Pages>,
    Path(app): Path<String>,
    visit: Visit,
    Query(asked): Query<Asked>,
) -> Response {
    let question = match pages.question(&app, asked).await {
        Ok(question) => question,
        Err(page) => return page.into_response(),
    };
    let Some(session) = &visit.session else { return pages.ask_to_sign_in(&question) };
    match pages.check_may_authorize(session) {
        Ok(()) => pages.consent(session, &question, &Choice::default(), Shown::First).await.into_response(),
        Err(page) => page.into_response(),
    }
}

/// Somebody has answered.
pub(super) async fn decide(
    State(pages): State<Pages>,
    Path(app): Path<String>,
    visit: Visit,
    Form(answered): Form<Answered>,
) -> Response {
    let question = match pages.question(&app, answered.asked()).await {
        Ok(question) => question,
        Err(page) => return page.into_response(),
    };
    let Some(session) = &visit.session else { return pages.ask_to_sign_in(&question) };
    if let Err(page) = pages.check_token(session, &answered.token).and_then(|()| pages.check_may_authorize(session)) {
        return page.into_response();
    }
    if answered.decision == "deny" {
        return pages.back(&question, &[("error", DENIED)]).into_response();
    }
    if answered.decision != "allow" {
        return pages.problem(&Problem::new(Kind::BadRequest, "The form says neither allow nor deny.")).into_response();
    }
    let Answered { shown, permission, spend, concurrency, .. } = answered;
    let choice = &Choice { permission, spend, concurrency };
    if shown != question.fingerprint() {
        return pages.consent(session, &question, choice, Shown::Changed).await.into_response();
    }
    let (profile, limits) = match choice.read(&question.app.fields.permissions) {
        Ok(read) => read,
        Err(wrong) => return pages.consent(session, &question, choice, Shown::Wrong(wrong)).await.into_response(),
    };
    let (user, by) = (&session.user, session.user.actor());
    let allowed = pages.accounts.allow(&user.account, &question.app.sid, profile, limits, &by).await;
    match pages.result(&question, allowed, &by).await {
        Ok(page) => page.into_response(),
        // It asked for more than was shown, then for less: the user is to see it.
        Err(AccountsError::Invalid { .. }) => {
            pages.consent(session, &question, choice, Shown::Changed).await.into_response()
        }
        Err(error) => pages.problem(&problem_of(&error)).into_response(),
    }
}

/// Why a question is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    First,
    /// The application is not what it was when it was shown.
    Changed,
    /// The answer cannot be taken.
    Wrong(&'static str),
}

impl Pages {
    /// What an application asks, if it can be put to somebody.
    async fn question(&self, app: &str, asked: Asked) -> Result<Question, Box<Page>> {
        let unknown = || {
            let text = "There is no such application, or it may not ask any more. Go back to where you came from.";
            Box::new(Page::refusal(&self.prefix, StatusCode::NOT_FOUND, "No such application", text))
        };
        let sid = app.parse().map_err(|_| unknown())?;
        let app = match self.accounts.connect_app(&sid).await {
            Ok(app) => app,
            Err(AccountsError::NotFound(_)) => return Err(unknown()),
            Err(error) => return Err(self.problem(&problem_of(&error))),
        };
        Question::of(app, asked).map_err(|wrong| {
            let title = "The application asks in a way that is not understood";
            let page = Page::refusal(&self.prefix, StatusCode::BAD_REQUEST, title, "");
            let body = html! {
                p { "Nothing was allowed, and you were not sent anywhere. This is for whoever made the application:" }
                p.error role="alert" { (wrong) }
            };
            Box::new(Page { body, ..page })
        })
    }

    fn ask_to_sign_in(&self, question: &Question) -> Response {
        let to = question.way_back();
        let query = Serializer::new(String::new()).append_pair("to", to.as_str()).finish();
        redirect(&self.path(&format!("/connect/sign-in?{query}")))
    }

    /// Whether somebody may allow anything at all.
    fn check_may_authorize(&self, session: &SignedIn) -> Result<(), Box<Page>> {
        let text = if session.parent.is_some() {
            "Your user belongs to a subaccount. Only users of the account above it may allow applications."
        } else if session.user.role.may_authorize() {
            return Ok(());
        } else {
            "Your user may look on. Only owners and administrators may allow applications."
        };
        let body = html! {
            p { (text) }
            p { "You are signed in as " (session.user.email) " (" (role_text(session.user.role)) " of " (session.account_name) ")." }
        };
        let page = self.for_user(session, "You may not allow this", body)?;
        Err(Box::new(Page { status: StatusCode::FORBIDDEN, ..page }))
    }

    /// Where somebody goes who has allowed it.
    async fn result(
        &self,
        question: &Question,
        allowed: Result<Authorization, AccountsError>,
        by: &Actor,
    ) -> Result<Page, AccountsError> {
        let authorization = allowed?;
        let Some(challenge) = &question.challenge else {
            return Ok(self.back(question, &[("AccountSid", &authorization.sid.to_string())]));
        };
        let code: Secret =
            self.accounts.issue_code(&authorization, &question.redirect_text, Some(challenge), by).await?;
        Ok(self.back(question, &[("code", code.reveal())]))
    }

    /// Sends a browser back to the application.
    fn back(&self, question: &Question, with: &[(&str, &str)]) -> Page {
        let mut url = question.redirect_url.clone();
        url.query_pairs_mut().extend_pairs(with).append_pair("state", &question.asked.state);
        Page::leading_to(&self.prefix, url)
    }

    /// The page that asks.
    async fn consent(
        &self,
        session: &SignedIn,
        question: &Question,
        choice: &Choice,
        shown: Shown,
    ) -> Result<Page, Box<Page>> {
        let before = match self.accounts.authorization(&session.user.account, &question.app.sid).await {
            Ok(before) => Some(before).filter(Authorization::is_active),
            Err(AccountsError::NotFound(_)) => None,
            Err(error) => return Err(self.problem(&problem_of(&error))),
        };
        let token = self.token(session)?;
        let body = self.consent_body(session, question, choice, (shown, before.as_ref()), &token);
        let name = name_of(&question.app);
        let page = self.for_user(session, format!("Allow {name} to use your account?"), body)?;
        let status = if shown == Shown::First { StatusCode::OK } else { StatusCode::CONFLICT };
        Ok(Page { status, ..page })
    }

    fn consent_body(
        &self,
        session: &SignedIn,
        question: &Question,
        choice: &Choice,
        (shown, before): (Shown, Option<&Authorization>),
        token: &str,
    ) -> Markup {
        let (app, asked) = (&question.app.fields, &question.asked);
        let is_ticked = |word: &str| match (shown, before) {
            (Shown::Wrong(_), _) => choice.has(word),
            // What a user has taken away once does not come back by itself.
            (_, Some(before)) => before.profile.words().any(|allowed| allowed == word),
            (_, None) => true,
        };
        let limits = before.map(|before| before.limits).unwrap_or_default();
        let (spend, concurrency) = match shown {
            Shown::Wrong(_) => (choice.spend.clone(), choice.concurrency.clone()),
            _ => (
                limits.spend.map(|spend| spend.to_string()).unwrap_or_default(),
                limits.concurrency.map(|calls| calls.to_string()).unwrap_or_default(),
            ),
        };
        html! {
            @match shown {
                Shown::First => {}
                Shown::Changed => p.error role="alert" { "The application has changed while you were looking. This is how it is now: please decide again." },
                Shown::Wrong(wrong) => p.error role="alert" { (wrong) },
            }
            section aria-labelledby="who" {
                h2 #who { "Who asks" }
                dl {
                    dt { "Application" } dd { bdi { (name_of(&question.app)) } }
                    @if !app.company_name.is_empty() { dt { "Company" } dd { bdi { (app.company_name) } } }
                    @if let Some(homepage) = &app.homepage_url {
                        dt { "Homepage" }
                        dd { a href=(homepage) target="_blank" rel="noopener noreferrer nofollow" { (homepage) } }
                    }
                    @if !app.description.is_empty() { dt { "In its own words" } dd.text { bdi { (app.description) } } }
                }
                p.hint { "The application’s developer wrote this. Nobody has checked it." }
            }
            section aria-labelledby="account" {
                h2 #account { "On which account" }
                p { strong { bdi { (session.account_name) } } " " code { (session.user.account) } }
                p {
                    "It gets a subaccount of its own there. It sees nothing outside of it, and never your password or your auth token. "
                    "What it uses is your account’s usage."
                }
            }
            form method="post" action=(self.path(&format!("/connect/authorize/{}", question.app.sid))) {
                (token_field(token))
                input type="hidden" name="shown" value=(question.fingerprint());
                @for (name, value) in asked.pairs() { input type="hidden" name=(name) value=(value); }
                fieldset {
                    legend { "What it may do" }
                    (boxes("allow", &app.permissions, is_ticked))
                }
                fieldset {
                    legend { "Limits, if you want any" }
                    (limit_fields("allow", &spend, &concurrency))
                }
                @if let Some(before) = before {
                    p { "You have allowed it before. Allowing it again keeps its subaccount " code { (before.sid) } " and sets what it may do to what is ticked here." }
                }
                p { "Either way you are sent back to " strong { (question.redirect_host()) } ". You can change or revoke this at any time." }
                div.buttons {
                    button.primary type="submit" name="decision" value="allow" { "Allow" }
                    button type="submit" name="decision" value="deny" { "Deny" }
                }
            }
        }
    }
}

fn name_of(app: &ConnectApp) -> &str {
    let name = app.fields.friendly_name.trim();
    if name.is_empty() { "An application without a name" } else { name }
}

impl Asked {
    /// Those that say something.
    fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let pairs = [
            ("state", &self.state),
            ("redirect_uri", &self.redirect_uri),
            ("response_type", &self.response_type),
            ("code_challenge", &self.code_challenge),
            ("code_challenge_method", &self.code_challenge_method),
        ];
        pairs.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name, value.as_str()))
    }
}

impl Question {
    /// What an application asks.
    ///
    /// # Errors
    /// What is wrong with it, for whoever made the application.
    fn of(app: ConnectApp, asked: Asked) -> Result<Question, &'static str> {
        let registered = app.fields.authorize_redirect_url.clone().ok_or("No authorize redirect URL is registered.")?;
        let redirect_url = Url::parse(&registered).map_err(|_| "The registered authorize redirect URL is none.")?;
        // Of a fetched, signed and shown address every letter counts, so that nobody finds another that only looks alike.
        if !asked.redirect_uri.is_empty() && asked.redirect_uri != registered {
            return Err("redirect_uri is not, letter by letter, the registered authorize redirect URL.");
        }
        if asked.state.is_empty() {
            return Err("state is missing: without it the application could not tell whose answer comes back.");
        }
        if STATE_MAX < asked.state.len() {
            return Err("state is longer than 1024 bytes.");
        }
        let challenge = match (asked.response_type.as_str(), asked.code_challenge_method.as_str()) {
            ("", "") if asked.code_challenge.is_empty() => None,
            ("", _) => return Err("code_challenge goes with response_type=code."),
            ("code", "S256") => {
                Some(asked.code_challenge.parse().map_err(|_| "code_challenge is none of the method S256.")?)
            }
            ("code", _) => return Err("response_type=code needs a code_challenge with code_challenge_method=S256."),
            _ => return Err("response_type is code, or is not there."),
        };
        if app.fields.permissions.is_empty() {
            return Err("The application asks for no permissions.");
        }
        Ok(Question { app, asked, redirect_text: registered, redirect_url, challenge })
    }

    /// This question's own address.
    fn way_back(&self) -> WayBack {
        let query = Serializer::new(String::new()).extend_pairs(self.asked.pairs()).finish();
        WayBack::of(&format!("/connect/authorize/{}?{query}", self.app.sid))
    }

    fn redirect_host(&self) -> &str {
        self.redirect_url.host_str().unwrap_or_default()
    }

    /// What of the application somebody decides upon: another of it is another question.
    fn fingerprint(&self) -> String {
        let fields = &self.app.fields;
        let permissions = fields.permissions.to_string();
        let parts = [
            fields.friendly_name.as_str(),
            &fields.company_name,
            &fields.description,
            fields.homepage_url.as_deref().unwrap_or_default(),
            &self.redirect_text,
            &permissions,
        ]
        .map(|part| format!("{}:{part}", part.len()));
        let digest = digest::digest(&digest::SHA256, parts.concat().as_bytes());
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
