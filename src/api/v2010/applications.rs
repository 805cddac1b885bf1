//! `/Applications`: what calls do, under a name.

use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::accounts::{Application, ApplicationFields};

use super::{
    answer::{ErrorBody, Failed, answer, date},
    asked::Asked,
    form::{Form, Query, url},
    paging::{Meta, Paging},
    voice::{VoiceBody, VoiceForm},
};

/// An application.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApplicationBody {
    sid: String,
    account_sid: String,
    friendly_name: String,
    api_version: &'static str,
    date_created: String,
    date_updated: String,
    #[serde(flatten)]
    voice: VoiceBody,
    sms_status_callback: Option<String>,
    message_status_callback: Option<String>,
    public_application_connect_enabled: bool,
    uri: String,
}

/// A page of applications.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApplicationList {
    #[serde(flatten)]
    meta: Meta,
    applications: Vec<ApplicationBody>,
}

impl ApplicationBody {
    fn new(application: &Application) -> ApplicationBody {
        let Application { sid, account, friendly_name, fields, stamps } = application;
        ApplicationBody {
            sid: sid.to_string(),
            account_sid: account.to_string(),
            friendly_name: friendly_name.clone(),
            api_version: "2010-04-01",
            date_created: date(stamps.created),
            date_updated: date(stamps.updated),
            voice: VoiceBody::new(&fields.voice),
            sms_status_callback: fields.sms_status_callback.clone(),
            message_status_callback: fields.message_status_callback.clone(),
            public_application_connect_enabled: fields.public_application_connect_enabled,
            uri: format!("/2010-04-01/Accounts/{account}/Applications/{sid}.json"),
        }
    }
}

/// What an application is to be. What is not said stays, or is nothing; an empty address is none.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
#[schema(as = ApplicationForm)]
pub(super) struct Said {
    /// Its name for people; at most 64 characters.
    friendly_name: Option<String>,
    /// What a call is to do: an absolute URL.
    voice_url: Option<String>,
    /// `GET` or `POST`.
    voice_method: Option<String>,
    /// Who is asked where `VoiceUrl` fails.
    voice_fallback_url: Option<String>,
    /// `GET` or `POST`.
    voice_fallback_method: Option<String>,
    /// Who is told of a call's progress.
    status_callback: Option<String>,
    /// `GET` or `POST`.
    status_callback_method: Option<String>,
    /// Whether a caller's name is looked up.
    voice_caller_id_lookup: Option<bool>,
    /// Kept, and of no effect: no messages are sent here.
    sms_url: Option<String>,
    /// Kept.
    sms_method: Option<String>,
    /// Kept.
    sms_fallback_url: Option<String>,
    /// Kept.
    sms_fallback_method: Option<String>,
    /// Kept.
    sms_status_callback: Option<String>,
    /// Kept.
    message_status_callback: Option<String>,
    /// Kept.
    public_application_connect_enabled: Option<bool>,
}

impl Said {
    fn apply(&self, fields: &mut ApplicationFields) -> Result<(), Failed> {
        let voice = VoiceForm {
            voice_url: self.voice_url.as_deref(),
            voice_method: self.voice_method.as_deref(),
            voice_fallback_url: self.voice_fallback_url.as_deref(),
            voice_fallback_method: self.voice_fallback_method.as_deref(),
            status_callback: self.status_callback.as_deref(),
            status_callback_method: self.status_callback_method.as_deref(),
            voice_caller_id_lookup: self.voice_caller_id_lookup,
            sms_url: self.sms_url.as_deref(),
            sms_method: self.sms_method.as_deref(),
            sms_fallback_url: self.sms_fallback_url.as_deref(),
            sms_fallback_method: self.sms_fallback_method.as_deref(),
        };
        voice.apply(&mut fields.voice)?;
        if let Some(text) = &self.sms_status_callback {
            fields.sms_status_callback = url("SmsStatusCallback", text)?;
        }
        if let Some(text) = &self.message_status_callback {
            fields.message_status_callback = url("MessageStatusCallback", text)?;
        }
        if let Some(is) = self.public_application_connect_enabled {
            fields.public_application_connect_enabled = is;
        }
        Ok(())
    }
}

/// Which applications to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase", default)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Those of this name.
    friendly_name: Option<String>,
}

/// Lists an account's applications, the newest first.
#[utoipa::path(get, path = "/2010-04-01/Accounts/{account}/Applications.json", tag = "Applications",
    params(("account" = String, Path), Filter, Paging),
    responses((status = 200, body = ApplicationList), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn list(
    asked: Asked,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Response, Failed> {
    let account = asked.account;
    let name = filter.friendly_name.as_deref();
    let listed = asked.accounts.applications(&account, name, &paging.page()?).await;
    let listed = listed.map_err(|error| asked.failed(&error))?;
    let path = format!("/2010-04-01/Accounts/{account}/Applications.json");
    let meta = paging.meta(&path, &[("FriendlyName", name)], &listed);
    let applications = listed.records.iter().map(ApplicationBody::new).collect();
    Ok(answer(StatusCode::OK, ApplicationList { meta, applications }))
}

/// Makes an application.
#[utoipa::path(post, path = "/2010-04-01/Accounts/{account}/Applications.json", tag = "Applications",
    params(("account" = String, Path)),
    request_body(content = Said, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, body = ApplicationBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn create(asked: Asked, Form(said): Form<Said>) -> Result<Response, Failed> {
    let account = asked.account;
    let mut fields = ApplicationFields::default();
    said.apply(&mut fields)?;
    let name = said.friendly_name.unwrap_or_default();
    let made = asked.accounts.create_application(&account, &name, &fields, &asked.actor()).await;
    Ok(answer(StatusCode::CREATED, ApplicationBody::new(&made.map_err(|error| asked.failed(&error))?)))
}

/// Tells of an application.
#[utoipa::path(get, path = "/2010-04-01/Accounts/{account}/Applications/{sid}.json", tag = "Applications",
    params(("account" = String, Path), ("sid" = String, Path)),
    responses((status = 200, body = ApplicationBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn fetch(asked: Asked) -> Result<Response, Failed> {
    let account = asked.account;
    let application = asked.accounts.application(&account, &asked.sid()?).await;
    Ok(answer(StatusCode::OK, ApplicationBody::new(&application.map_err(|error| asked.failed(&error))?)))
}

/// Changes an application.
#[utoipa::path(post, path = "/2010-04-01/Accounts/{account}/Applications/{sid}.json", tag = "Applications",
    params(("account" = String, Path), ("sid" = String, Path)),
    request_body(content = Said, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = ApplicationBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn update(asked: Asked, Form(said): Form<Said>) -> Result<Response, Failed> {
    let account = asked.account;
    let application = asked.accounts.application(&account, &asked.sid()?).await;
    let mut application = application.map_err(|error| asked.failed(&error))?;
    said.apply(&mut application.fields)?;
    if let Some(name) = said.friendly_name {
        application.friendly_name = name;
    }
    let changed = asked.accounts.update_application(&application, &asked.actor()).await;
    Ok(answer(StatusCode::OK, ApplicationBody::new(&changed.map_err(|error| asked.failed(&error))?)))
}

/// Deletes an application.
#[utoipa::path(delete, path = "/2010-04-01/Accounts/{account}/Applications/{sid}.json", tag = "Applications",
    params(("account" = String, Path), ("sid" = String, Path)),
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn delete(asked: Asked) -> Result<StatusCode, Failed> {
    let account = asked.account;
    let deleted = asked.accounts.delete_application(&account, &asked.sid()?, &asked.actor()).await;
    deleted.map(|()| StatusCode::NO_CONTENT).map_err(|error| asked.failed(&error))
}
