//! `/IncomingPhoneNumbers`: the numbers that an account has. The operator brings numbers in and says who may take them.

use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    accounts::{AccountsError, Number, NumberFields, PhoneNumber, check_name},
    ids::{AccountSid, ApplicationSid},
};

use super::{
    answer::{ErrorBody, Failed, answer, date},
    asked::Asked,
    form::{Form, Query},
    paging::{Meta, Paging},
    voice::{VoiceBody, VoiceForm},
};

/// A phone number.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NumberBody {
    sid: String,
    account_sid: String,
    /// In the form of E.164.
    phone_number: String,
    friendly_name: String,
    api_version: &'static str,
    capabilities: Capabilities,
    beta: bool,
    origin: &'static str,
    status: &'static str,
    address_requirements: &'static str,
    address_sid: Option<String>,
    bundle_sid: Option<String>,
    identity_sid: Option<String>,
    trunk_sid: Option<String>,
    emergency_status: &'static str,
    emergency_address_sid: Option<String>,
    emergency_address_status: &'static str,
    voice_receive_mode: &'static str,
    #[serde(flatten)]
    voice: VoiceBody,
    voice_application_sid: Option<String>,
    sms_application_sid: Option<String>,
    date_created: String,
    date_updated: String,
    uri: String,
}

/// What a number can be used for.
#[derive(Debug, Serialize, ToSchema)]
struct Capabilities {
    voice: bool,
    sms: bool,
    mms: bool,
    fax: bool,
}

/// A page of numbers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NumberList {
    #[serde(flatten)]
    meta: Meta,
    incoming_phone_numbers: Vec<NumberBody>,
}

impl NumberBody {
    fn new(number: &Number, account: &AccountSid) -> NumberBody {
        let Number { sid, phone_number, friendly_name, fields, stamps, .. } = number;
        NumberBody {
            sid: sid.to_string(),
            account_sid: account.to_string(),
            phone_number: phone_number.to_string(),
            friendly_name: friendly_name.clone(),
            api_version: "2010-04-01",
            capabilities: Capabilities { voice: true, sms: false, mms: false, fax: false },
            beta: false,
            origin: "hosted",
            status: "in-use",
            address_requirements: "none",
            address_sid: None,
            bundle_sid: None,
            identity_sid: None,
            trunk_sid: None,
            emergency_status: "Inactive",
            emergency_address_sid: None,
            emergency_address_status: "unregistered",
            voice_receive_mode: "voice",
            voice: VoiceBody::new(&fields.voice),
            voice_application_sid: fields.voice_application.as_ref().map(ToString::to_string),
            sms_application_sid: fields.sms_application.as_ref().map(ToString::to_string),
            date_created: date(stamps.created),
            date_updated: date(stamps.updated),
            uri: format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{sid}.json"),
        }
    }
}

/// What a number is to do. What is not said stays, or is nothing; an empty address or name is none.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
#[schema(as = NumberForm)]
pub(super) struct Said {
    /// Which number to take, in the form of E.164: one that the operator offers to this account or to anybody. Only where one is taken.
    phone_number: Option<String>,
    /// To which account it goes: the caller's own, or a subaccount of it. Only where one is changed.
    account_sid: Option<String>,
    /// Its name for people; at most 64 characters.
    friendly_name: Option<String>,
    /// What a call to it is to do: an absolute URL.
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
    /// The application that says what calls do instead of `VoiceUrl`.
    voice_application_sid: Option<String>,
    /// Kept, and of no effect: no messages are sent here.
    sms_url: Option<String>,
    /// Kept.
    sms_method: Option<String>,
    /// Kept.
    sms_fallback_url: Option<String>,
    /// Kept.
    sms_fallback_method: Option<String>,
    /// Kept.
    sms_application_sid: Option<String>,
}

impl Said {
    async fn apply(&self, asked: &Asked, account: &AccountSid, fields: &mut NumberFields) -> Result<(), Failed> {
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
        let applications = [
            (&self.voice_application_sid, &mut fields.voice_application),
            (&self.sms_application_sid, &mut fields.sms_application),
        ];
        for (said, field) in applications {
            let Some(text) = said else { continue };
            *field = if text.is_empty() { None } else { Some(application(asked, account, text).await?) };
        }
        Ok(())
    }
}

/// An application that the account has.
async fn application(asked: &Asked, account: &AccountSid, text: &str) -> Result<ApplicationSid, Failed> {
    let missing = || Failed::new(400, 21218, "there is no such application");
    let sid: ApplicationSid = text.parse().map_err(|_| missing())?;
    match asked.accounts.application(account, &sid).await {
        Ok(_) => Ok(sid),
        Err(AccountsError::NotFound(_)) => Err(missing()),
        Err(error) => Err(asked.failed(&error)),
    }
}

/// Which numbers to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase", default)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Those of this name.
    friendly_name: Option<String>,
    /// This number.
    phone_number: Option<String>,
}

/// Lists an account's numbers, the newest first.
#[utoipa::path(get, path = "/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json", tag = "IncomingPhoneNumbers",
    params(("account" = String, Path), Filter, Paging),
    responses((status = 200, body = NumberList), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn list(
    asked: Asked,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Response, Failed> {
    let account = asked.account;
    let (name, number) = (filter.friendly_name.as_deref(), filter.phone_number.as_deref());
    let listed = asked.accounts.numbers(&account, name, number, &paging.page()?).await;
    let listed = listed.map_err(|error| asked.failed(&error))?;
    let path = format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json");
    let meta = paging.meta(&path, &[("FriendlyName", name), ("PhoneNumber", number)], &listed);
    let incoming_phone_numbers = listed.records.iter().map(|number| NumberBody::new(number, &account)).collect();
    Ok(answer(StatusCode::OK, NumberList { meta, incoming_phone_numbers }))
}

/// Takes a number that the operator offers to the account, to its parent or to anybody.
#[utoipa::path(post, path = "/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json", tag = "IncomingPhoneNumbers",
    params(("account" = String, Path)),
    request_body(content = Said, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, body = NumberBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn create(asked: Asked, Form(said): Form<Said>) -> Result<Response, Failed> {
    let account = asked.account;
    let text = said.phone_number.as_deref().ok_or_else(|| Failed::new(400, 21404, "PhoneNumber is missing"))?;
    let phone_number: PhoneNumber =
        text.parse().map_err(|error| Failed::new(400, 21421, format!("PhoneNumber: {error}")))?;
    // Before anything is taken: a form that is wrong takes nothing.
    said.apply(&asked, &account, &mut NumberFields::default()).await?;
    check_name(said.friendly_name.as_deref().unwrap_or_default()).map_err(|error| asked.failed(&error))?;
    let number = match asked.accounts.take_number(&account, &phone_number, &asked.actor()).await {
        Err(AccountsError::Conflict(reason)) => return Err(Failed::new(400, 21422, reason)),
        taken => taken.map_err(|error| asked.failed(&error))?,
    };
    let number = change(&asked, &account, &account, number, &said).await?;
    Ok(answer(StatusCode::CREATED, NumberBody::new(&number, &account)))
}

/// Tells of a number.
#[utoipa::path(get, path = "/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{sid}.json", tag = "IncomingPhoneNumbers",
    params(("account" = String, Path), ("sid" = String, Path)),
    responses((status = 200, body = NumberBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn fetch(asked: Asked) -> Result<Response, Failed> {
    let account = asked.account;
    let number = asked.accounts.number(&account, &asked.sid()?).await.map_err(|error| asked.failed(&error))?;
    Ok(answer(StatusCode::OK, NumberBody::new(&number, &account)))
}

/// Changes a number, or gives it to another account of the same owner.
#[utoipa::path(post, path = "/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{sid}.json", tag = "IncomingPhoneNumbers",
    params(("account" = String, Path), ("sid" = String, Path)),
    request_body(content = Said, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = NumberBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn update(asked: Asked, Form(said): Form<Said>) -> Result<Response, Failed> {
    let account = asked.account;
    let number = asked.accounts.number(&account, &asked.sid()?).await.map_err(|error| asked.failed(&error))?;
    let to = match said.account_sid.as_deref() {
        None | Some("") => account,
        Some(text) => asked.reach(text).await.map_err(|failed| {
            let missing = || Failed::invalid("AccountSid: there is no such account");
            if failed.is_client_error() { missing() } else { failed }
        })?,
    };
    let number = change(&asked, &account, &to, number, &said).await?;
    Ok(answer(StatusCode::OK, NumberBody::new(&number, &to)))
}

/// Gives a number back to the operator.
#[utoipa::path(delete, path = "/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{sid}.json", tag = "IncomingPhoneNumbers",
    params(("account" = String, Path), ("sid" = String, Path)),
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn delete(asked: Asked) -> Result<StatusCode, Failed> {
    let account = asked.account;
    let released = asked.accounts.release_number(&account, &asked.sid()?, &asked.actor()).await;
    released.map(|()| StatusCode::NO_CONTENT).map_err(|error| asked.failed(&error))
}

/// Changes a number that `account` has as it is said, and gives it to `to`.
async fn change(
    asked: &Asked,
    account: &AccountSid,
    to: &AccountSid,
    mut number: Number,
    said: &Said,
) -> Result<Number, Failed> {
    if account != to {
        // What they name is not there for the other account.
        number.fields.voice_application = None;
        number.fields.sms_application = None;
    }
    said.apply(asked, to, &mut number.fields).await?;
    if let Some(name) = &said.friendly_name {
        number.friendly_name.clone_from(name);
    }
    asked.accounts.update_number(&number, to, &asked.actor()).await.map_err(|error| asked.failed(&error))
}
