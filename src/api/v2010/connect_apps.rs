//! `/ConnectApps`: applications that the account offers to others. In the ecosystem they are made by hand on a page; here by posting to the list.

use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::{ConnectApp, ConnectAppFields, Method, Profile, Unknown};

use super::{
    answer::{ErrorBody, Failed, answer, date},
    asked::Asked,
    form::{Form, Query},
    paging::{Meta, Paging},
};

/// A connect app.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectAppBody {
    sid: String,
    account_sid: String,
    friendly_name: String,
    company_name: String,
    description: String,
    homepage_url: Option<String>,
    authorize_redirect_url: Option<String>,
    deauthorize_callback_url: Option<String>,
    /// `GET` or `POST`.
    deauthorize_callback_method: &'static str,
    /// What it asks for: `get-all`, `post-all`, or words like `media:read`.
    permissions: Vec<String>,
    date_created: String,
    date_updated: String,
    uri: String,
}

/// A page of connect apps.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectAppList {
    #[serde(flatten)]
    meta: Meta,
    connect_apps: Vec<ConnectAppBody>,
}

impl ConnectAppBody {
    fn new(app: &ConnectApp) -> ConnectAppBody {
        let ConnectApp { sid, account, fields, stamps } = app;
        ConnectAppBody {
            sid: sid.to_string(),
            account_sid: account.to_string(),
            friendly_name: fields.friendly_name.clone(),
            company_name: fields.company_name.clone(),
            description: fields.description.clone(),
            homepage_url: fields.homepage_url.clone(),
            authorize_redirect_url: fields.authorize_redirect_url.clone(),
            deauthorize_callback_url: fields.deauthorize_callback_url.clone(),
            deauthorize_callback_method: fields.deauthorize_callback_method.as_str(),
            permissions: fields.permissions.words().map(str::to_owned).collect(),
            date_created: date(stamps.created),
            date_updated: date(stamps.updated),
            uri: format!("/2010-04-01/Accounts/{account}/ConnectApps/{sid}.json"),
        }
    }
}

/// What a connect app is to be. What is not said stays, or is nothing; an empty address is none.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
#[schema(as = ConnectAppForm)]
pub(super) struct Said {
    /// Its name for people; at most 64 characters.
    friendly_name: Option<String>,
    /// Who offers it; at most 128 characters.
    company_name: Option<String>,
    /// What it is for; at most 1000 characters.
    description: Option<String>,
    /// Where more is said of it: an absolute URL.
    homepage_url: Option<String>,
    /// Where users are sent with what they decided: an absolute URL, which has to be said the same when they are asked.
    authorize_redirect_url: Option<String>,
    /// Who is told, by a signed request, that a user allows it nothing any more.
    deauthorize_callback_url: Option<String>,
    /// `GET` or `POST`.
    deauthorize_callback_method: Option<String>,
    /// What it asks for, each by itself: `get-all`, `post-all`, or words like `media:read`.
    #[serde(deserialize_with = "super::form::repeated")]
    permissions: Option<Vec<String>>,
}

impl Said {
    fn apply(self, fields: &mut ConnectAppFields) -> Result<(), Failed> {
        let texts = [
            (self.friendly_name, &mut fields.friendly_name),
            (self.company_name, &mut fields.company_name),
            (self.description, &mut fields.description),
        ];
        for (said, field) in texts {
            if let Some(text) = said {
                *field = text;
            }
        }
        let urls = [
            (self.homepage_url, &mut fields.homepage_url),
            (self.authorize_redirect_url, &mut fields.authorize_redirect_url),
            (self.deauthorize_callback_url, &mut fields.deauthorize_callback_url),
        ];
        for (said, field) in urls {
            if let Some(text) = said {
                *field = Some(text).filter(|text| !text.is_empty());
            }
        }
        if let Some(method) = self.deauthorize_callback_method {
            let method = method.parse::<Method>();
            fields.deauthorize_callback_method =
                method.map_err(|error: Unknown| Failed::invalid(format!("DeauthorizeCallbackMethod: {error}")))?;
        }
        if let Some(words) = &self.permissions {
            fields.permissions = parse_permissions(words)?;
        }
        Ok(())
    }
}

/// Permission words, each by itself or several with spaces or commas between them.
pub(super) fn parse_permissions(words: &[String]) -> Result<Profile, Failed> {
    words.join(" ").parse().map_err(|error| Failed::invalid(format!("Permissions: {error}")))
}

/// Lists an account's connect apps, the newest first.
#[utoipa::path(get, path = "/2010-04-01/Accounts/{account}/ConnectApps.json", tag = "ConnectApps",
    params(("account" = String, Path), Paging),
    responses((status = 200, body = ConnectAppList), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn list(asked: Asked, Query(paging): Query<Paging>) -> Result<Response, Failed> {
    let account = asked.account;
    let listed = asked.accounts.connect_apps(&account, &paging.page()?).await.map_err(|error| asked.failed(&error))?;
    let meta = paging.meta(&format!("/2010-04-01/Accounts/{account}/ConnectApps.json"), &[], &listed);
    let connect_apps = listed.records.iter().map(ConnectAppBody::new).collect();
    Ok(answer(StatusCode::OK, ConnectAppList { meta, connect_apps }))
}

/// Registers a connect app.
///
/// The ecosystem's libraries have no call for this, because there it is done on a page.
#[utoipa::path(post, path = "/2010-04-01/Accounts/{account}/ConnectApps.json", tag = "ConnectApps", params(("account" = String, Path)),
    request_body(content = Said, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, body = ConnectAppBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn create(asked: Asked, Form(said): Form<Said>) -> Result<Response, Failed> {
    let mut fields = ConnectAppFields::default();
    said.apply(&mut fields)?;
    let made = asked.accounts.create_connect_app(&asked.account, &fields, &asked.actor()).await;
    Ok(answer(StatusCode::CREATED, ConnectAppBody::new(&made.map_err(|error| asked.failed(&error))?)))
}

/// Tells of a connect app.
#[utoipa::path(get, path = "/2010-04-01/Accounts/{account}/ConnectApps/{sid}.json", tag = "ConnectApps",
    params(("account" = String, Path), ("sid" = String, Path)),
    responses((status = 200, body = ConnectAppBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn fetch(asked: Asked) -> Result<Response, Failed> {
    let app = asked.accounts.own_connect_app(&asked.account, &asked.sid()?).await;
    Ok(answer(StatusCode::OK, ConnectAppBody::new(&app.map_err(|error| asked.failed(&error))?)))
}

/// Changes a connect app. What it was allowed stays as it is, whatever it asks for now.
#[utoipa::path(post, path = "/2010-04-01/Accounts/{account}/ConnectApps/{sid}.json", tag = "ConnectApps",
    params(("account" = String, Path), ("sid" = String, Path)),
    request_body(content = Said, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = ConnectAppBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn update(asked: Asked, Form(said): Form<Said>) -> Result<Response, Failed> {
    let app = asked.accounts.own_connect_app(&asked.account, &asked.sid()?).await;
    let mut app = app.map_err(|error| asked.failed(&error))?;
    said.apply(&mut app.fields)?;
    let changed = asked.accounts.update_connect_app(&app, &asked.actor()).await;
    Ok(answer(StatusCode::OK, ConnectAppBody::new(&changed.map_err(|error| asked.failed(&error))?)))
}

/// Deletes a connect app. It acts for nobody any more, everywhere within a second.
#[utoipa::path(delete, path = "/2010-04-01/Accounts/{account}/ConnectApps/{sid}.json", tag = "ConnectApps",
    params(("account" = String, Path), ("sid" = String, Path)),
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn delete(asked: Asked) -> Result<StatusCode, Failed> {
    let deleted = asked.accounts.delete_connect_app(&asked.account, &asked.sid()?, &asked.actor()).await;
    deleted.map(|()| StatusCode::NO_CONTENT).map_err(|error| asked.failed(&error))
}
