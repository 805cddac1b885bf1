//! Signing in and out.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use maud::html;
use serde::Deserialize;

use crate::{
    accounts::{Attempt, NotSignedIn, PASSWORD_BYTES_MAX},
    secret::Secret,
};

use super::{
    Pages,
    form::{Form, Query},
    page::{Page, problem_of, redirect},
    visit::{self, Visit, token_field},
    way_back::WayBack,
};

/// Characters of a name that is typed, at most.
const NAME_MAX: usize = 254;
/// Digits of a code.
const CODE_MAX: usize = 6;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// Where to go then.
    to: String,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct SignIn {
    token: String,
    to: String,
    name: String,
    password: Secret,
    code: String,
}

/// The page to sign in.
pub(super) async fn show(State(pages): State<Pages>, visit: Visit, Query(asked): Query<Asked>) -> Response {
    let to = WayBack::of(&asked.to);
    if visit.session.is_some() {
        return redirect(&pages.path(to.as_str()));
    }
    pages.sign_in_page(&visit, &to, "", StatusCode::OK, None)
}

/// Somebody signs in.
pub(super) async fn submit(State(pages): State<Pages>, visit: Visit, Form(said): Form<SignIn>) -> Response {
    let to = WayBack::of(&said.to);
    let name: String = said.name.chars().take(NAME_MAX).collect();
    let again = |status, text: &str| pages.sign_in_page(&visit, &to, &name, status, Some(text));
    let is_from_here =
        visit.visitor.as_deref().is_some_and(|visitor| pages.accounts.is_form_token(visitor, &said.token));
    if !is_from_here {
        return again(
            StatusCode::FORBIDDEN,
            "This form has expired, or your browser does not keep cookies. Please try again.",
        );
    }
    if PASSWORD_BYTES_MAX < said.password.reveal().len() || CODE_MAX < said.code.trim().len() {
        return again(StatusCode::UNAUTHORIZED, WRONG);
    }
    let attempt = Attempt {
        from: visit.from,
        name: &said.name,
        password: &said.password,
        code: said.code.trim(),
        replaces: visit.shown.as_deref(),
    };
    match pages.accounts.sign_in(&attempt).await {
        Ok(session) => {
            let mut response = redirect(&pages.path(to.as_str()));
            visit::keep_session(response.headers_mut(), session.shown());
            response
        }
        Err(NotSignedIn::Wrong) => again(StatusCode::UNAUTHORIZED, WRONG),
        Err(NotSignedIn::TooOften(wait)) => {
            let minutes = wait.as_secs().div_ceil(60).max(1);
            let unit = if minutes == 1 { "minute" } else { "minutes" };
            let text = format!("That was wrong too often. Please wait {minutes} {unit}, then try again.");
            let mut response = again(StatusCode::TOO_MANY_REQUESTS, &text);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
            response
        }
        Err(NotSignedIn::Inactive(status)) => {
            again(StatusCode::FORBIDDEN, &format!("The account is {status}. Ask whoever runs this service."))
        }
        Err(NotSignedIn::Failed(error)) => pages.problem(&problem_of(&error)).into_response(),
    }
}

const WRONG: &str = "The address, the password or the code is wrong.";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SignOut {
    token: String,
}

/// Somebody signs out.
pub(super) async fn sign_out(State(pages): State<Pages>, visit: Visit, Form(said): Form<SignOut>) -> Response {
    if let Some(session) = &visit.session {
        if let Err(page) = pages.check_token(session, &said.token) {
            return page.into_response();
        }
        if let Err(error) = pages.accounts.sign_out(session).await {
            return pages.problem(&problem_of(&error)).into_response();
        }
    }
    let mut response = redirect(&pages.path("/connect/sign-in"));
    // Of another site's forms a browser sends none along: they sign nobody out.
    if visit.shown.is_some() {
        visit::forget_session(response.headers_mut());
    }
    response
}

impl Pages {
    fn sign_in_page(
        &self,
        visit: &Visit,
        to: &WayBack,
        name: &str,
        status: StatusCode,
        wrong: Option<&str>,
    ) -> Response {
        let mut headers = HeaderMap::new();
        // One that is there is kept: another tab may have a form that was made for it.
        let visitor =
            visit.visitor.clone().filter(|visitor| !visitor.is_empty()).map(Secret::new).unwrap_or_else(|| {
                let drawn = self.accounts.draw_visitor();
                visit::keep_visitor(&mut headers, &drawn);
                drawn
            });
        let token = match self.accounts.form_token(&visitor) {
            Ok(token) => token,
            Err(error) => return self.problem(&problem_of(&error)).into_response(),
        };
        let body = html! {
            p { (to.reason()) }
            @if let Some(wrong) = wrong { p.error role="alert" { (wrong) } }
            form method="post" action=(self.path("/connect/sign-in")) {
                (token_field(&token))
                input type="hidden" name="to" value=(to.as_str());
                div.field {
                    label for="name" { "E-mail address" }
                    input #name name="name" type="email" value=(name) autocomplete="username" maxlength=(NAME_MAX) required autofocus[name.is_empty()];
                }
                div.field {
                    label for="password" { "Password" }
                    input #password name="password" type="password" autocomplete="current-password" maxlength=(PASSWORD_BYTES_MAX) required autofocus[!name.is_empty()];
                }
                div.field {
                    label for="code" { "Authenticator code" }
                    p #code-hint.hint { "Six digits. Leave it empty if you have not set up an authenticator." }
                    input #code.code name="code" type="text" inputmode="numeric" pattern="[0-9]{6}" autocomplete="one-time-code" maxlength=(CODE_MAX) aria-describedby="code-hint";
                }
                div.buttons { button.primary type="submit" { "Sign in" } }
            }
        };
        Page { status, headers, ..Page::new(&self.prefix, "Sign in", body) }.into_response()
    }
}
