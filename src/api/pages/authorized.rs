//! What an account allows applications: the list, and how it is narrowed and revoked.

use std::time::SystemTime;

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    accounts::{AccountsError, Authorization, Cursor, Listed, Page as Part, SignedIn},
    ids::ConnectAppSid,
    problem::{Kind, Problem},
};

use super::{
    Pages,
    form::{Form, Query},
    page::{Page, problem_of, redirect},
    permissions::{Choice, boxes, limit_fields, limits_text, list as permission_list},
    visit::{Visit, token_field},
};

const PATH: &str = "/connect/authorized";
/// Applications on one page.
const PAGE_SIZE: usize = 20;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    page: String,
    /// What was done a moment ago.
    done: String,
}

/// What somebody says of an application.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Said {
    token: String,
    action: String,
    permission: Vec<String>,
    spend: String,
    concurrency: String,
}

/// What is said above the list.
enum Note {
    Nothing,
    Done(&'static str),
    Wrong(String),
}

/// The list.
pub(super) async fn list(State(pages): State<Pages>, visit: Visit, Query(asked): Query<Asked>) -> Response {
    let Some(session) = &visit.session else { return redirect(&pages.path("/connect/sign-in")) };
    // Texts of ours: what an address says is not put on a page.
    let note = match asked.done.as_str() {
        "narrowed" => Note::Done("It may do less from now on."),
        "revoked" => Note::Done("It may do nothing any more, and its developer is told."),
        _ => Note::Nothing,
    };
    pages.list(session, &asked.page, note).await.into_response()
}

/// Something is narrowed or revoked.
pub(super) async fn change(
    State(pages): State<Pages>,
    Path(app): Path<String>,
    visit: Visit,
    Form(said): Form<Said>,
) -> Response {
    let Some(session) = &visit.session else { return redirect(&pages.path("/connect/sign-in")) };
    if let Err(page) = pages.check_token(session, &said.token) {
        return page.into_response();
    }
    if !session.user.role.may_authorize() {
        let text = "Your user may look on. Only owners and administrators may change this.";
        return pages.problem(&Problem::new(Kind::Forbidden, text)).into_response();
    }
    let done = match app.parse() {
        Ok(app) => pages.carry_out(session, &app, said).await,
        Err(_) => Err(Failure::Accounts(AccountsError::NotFound("authorization"))),
    };
    match done {
        Ok(done) => redirect(&pages.path(&format!("{PATH}?done={done}"))),
        Err(Failure::Choice(wrong)) => pages.list(session, "", Note::Wrong(wrong)).await.into_response(),
        Err(Failure::Accounts(error)) => pages.problem(&problem_of(&error)).into_response(),
    }
}

/// Why something is not narrowed or revoked.
enum Failure {
    Choice(String),
    Accounts(AccountsError),
}

impl From<AccountsError> for Failure {
    fn from(error: AccountsError) -> Failure {
        Failure::Accounts(error)
    }
}

impl Pages {
    async fn carry_out(&self, session: &SignedIn, app: &ConnectAppSid, said: Said) -> Result<&'static str, Failure> {
        let (account, by) = (&session.user.account, session.user.actor());
        let Said { action, permission, spend, concurrency, .. } = said;
        match action.as_str() {
            "revoke" => match self.accounts.revoke(account, app, &by).await {
                // Who clicks twice has revoked it once.
                Ok(()) => Ok("revoked"),
                Err(AccountsError::NotFound(_)) if self.accounts.authorization(account, app).await.is_ok() => {
                    Ok("revoked")
                }
                Err(error) => Err(error.into()),
            },
            "narrow" => {
                let there = self.accounts.authorization(account, app).await?;
                let choice = Choice { permission, spend, concurrency };
                let (profile, limits) =
                    choice.read(&there.profile).map_err(|wrong| Failure::Choice(wrong.to_owned()))?;
                if !limits.are_within(&there.limits) {
                    return Err(Failure::Choice(format!(
                        "Limits can only be made tighter here; they are: {}. To widen them, have the application ask again.",
                        limits_text(&there.limits)
                    )));
                }
                self.accounts.narrow(account, app, profile, limits, &by).await?;
                Ok("narrowed")
            }
            _ => Err(Failure::Choice("The form says neither narrow nor revoke.".to_owned())),
        }
    }

    async fn list(&self, session: &SignedIn, page: &str, note: Note) -> Result<Page, Box<Page>> {
        let beside: Option<Cursor> = page.parse().ok();
        let part = Part { size: PAGE_SIZE, beside };
        let listed = self.accounts.authorizations(&session.user.account, &part).await;
        let listed = listed.map_err(|error| self.problem(&problem_of(&error)))?;
        let token = self.token(session)?;
        let status = if matches!(note, Note::Wrong(_)) { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        let body = self.list_body(session, &listed, &note, &token);
        Ok(Page { status, ..self.for_user(session, "Applications that may use your account", body)? })
    }

    fn list_body(&self, session: &SignedIn, listed: &Listed<Authorization>, note: &Note, token: &str) -> Markup {
        let link = |to: &Option<Cursor>, text: &str| {
            let to = to.as_ref().map(|to| self.path(&format!("{PATH}?page={to}")));
            html! { @if let Some(to) = to { a href=(to) { (text) } } }
        };
        html! {
            p { "On " strong { bdi { (session.account_name) } } " " code { (session.user.account) } "." }
            @match note {
                Note::Nothing => {}
                Note::Done(done) => p.done role="status" { (done) },
                Note::Wrong(wrong) => p.error role="alert" { (wrong) },
            }
            @if listed.records.is_empty() {
                p { "There are none." }
            }
            @for authorization in &listed.records { (self.entry(session, authorization, token)) }
            @if listed.older.is_some() || listed.newer.is_some() {
                nav aria-label="Further applications" { (link(&listed.newer, "Newer")) " " (link(&listed.older, "Older")) }
            }
        }
    }

    fn entry(&self, session: &SignedIn, authorization: &Authorization, token: &str) -> Markup {
        let (app, id) = (&authorization.connect_app, authorization.connect_app.sid.to_string());
        let limits = &authorization.limits;
        let action = self.path(&format!("{PATH}/{id}"));
        html! {
            article aria-labelledby={ "h-" (id) } {
                h2 id={ "h-" (id) } { bdi { (app.fields.friendly_name) } }
                dl {
                    @if !app.fields.company_name.is_empty() { dt { "Company" } dd { bdi { (app.fields.company_name) } } }
                    @if let Some(homepage) = &app.fields.homepage_url {
                        dt { "Homepage" }
                        dd { a href=(homepage) target="_blank" rel="noopener noreferrer nofollow" { (homepage) } }
                    }
                    dt { "Subaccount" } dd { code { (authorization.sid) } }
                    dt { "It may" } dd { (permission_list(&authorization.profile)) }
                    dt { "Limits" } dd { (limits_text(limits)) }
                    dt { "Allowed" } dd { (date(authorization.stamps.created)) }
                    dt { "Last used" } dd { @match authorization.used { Some(used) => { (date(used)) } None => { "never" } } }
                }
                @if session.user.role.may_authorize() {
                    details {
                        summary { "Allow less" }
                        form method="post" action=(action) {
                            (token_field(token))
                            fieldset {
                                legend { "What it may still do" }
                                (boxes(&id, &authorization.profile, |_| true))
                            }
                            fieldset {
                                legend { "Limits" }
                                (limit_fields(&id, &limits.spend.map(|spend| spend.to_string()).unwrap_or_default(),
                                    &limits.concurrency.map(|calls| calls.to_string()).unwrap_or_default()))
                            }
                            div.buttons { button type="submit" name="action" value="narrow" { "Save" } }
                        }
                    }
                    details {
                        summary.danger { "Revoke" }
                        form method="post" action=(action) {
                            (token_field(token))
                            p { "From now on it can do nothing on your account, and its developer is told. What it made stays in its subaccount." }
                            div.buttons { button.danger type="submit" name="action" value="revoke" { "Revoke" } }
                        }
                    }
                }
            }
        }
    }
}

/// A time for people: `28 Nov 2026, 09:05 UTC`.
fn date(time: SystemTime) -> Markup {
    let exact = humantime::format_rfc3339_seconds(time).to_string();
    let http = httpdate::fmt_http_date(time);
    // `Sat, 28 Nov 2026 09:05:00 GMT`
    let text =
        http.get(5..16).zip(http.get(17..22)).map_or(exact.clone(), |(day, clock)| format!("{day}, {clock} UTC"));
    html! { time datetime=(exact) { (text) } }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn times_are_written_for_people() {
        let shown = date(UNIX_EPOCH + Duration::from_secs(1_795_856_700)).into_string();
        assert_eq!(shown, "<time datetime=\"2026-11-28T09:05:00Z\">28 Nov 2026, 09:05 UTC</time>");
    }
}
