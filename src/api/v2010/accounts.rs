//! `/Accounts`: the caller's own account and its subaccounts.

use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    accounts::{Account, AccountChange, AccountFilter, Method, Resource, Status, Unknown},
    api::permission::Needs,
};

use super::{
    answer::{ErrorBody, Failed, answer, date},
    asked::Asked,
    form::{Form, Query},
    paging::{Meta, Paging},
};

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AccountBody {
    sid: String,
    friendly_name: String,
    /// `active`, `suspended` or `closed`.
    status: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    /// The account that it is a subaccount of, or itself.
    owner_account_sid: String,
    /// Who is told, by a signed request, that a limit on what is in progress is reached. Without it the account above it is. Only for who may read accounts
    /// (`accounts:read`): what stands in it may be a secret.
    limit_callback_url: Option<String>,
    /// `GET` or `POST`.
    limit_callback_method: &'static str,
    /// Only for who authenticates with an auth token: it may do more than any key. An application's subaccount has none.
    auth_token: Option<String>,
    date_created: String,
    date_updated: String,
    uri: String,
    subresource_uris: Subresources,
}

/// Where the account's things are.
#[derive(Debug, Serialize, ToSchema)]
struct Subresources {
    applications: String,
    incoming_phone_numbers: String,
    keys: String,
    signing_keys: String,
    connect_apps: String,
    authorized_connect_apps: String,
}

/// A page of accounts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AccountList {
    #[serde(flatten)]
    meta: Meta,
    accounts: Vec<AccountBody>,
}

impl AccountBody {
    fn new(account: &Account, asked: &Asked) -> AccountBody {
        let uri = format!("/2010-04-01/Accounts/{}", account.sid);
        let may_read =
            Needs::Read(Resource::Accounts).are_met_by(&asked.principal, account.sid == asked.principal.account);
        AccountBody {
            sid: account.sid.to_string(),
            friendly_name: account.friendly_name.clone(),
            status: account.status.as_str(),
            kind: "Full",
            owner_account_sid: account.parent.unwrap_or(account.sid).to_string(),
            limit_callback_url: account.limit_callback_url.clone().filter(|_| may_read),
            limit_callback_method: account.limit_callback_method.as_str(),
            auth_token: (asked.principal.is_owner() && account.connect_app.is_none())
                .then(|| account.primary_token.reveal().to_owned()),
            date_created: date(account.stamps.created),
            date_updated: date(account.stamps.updated),
            uri: format!("{uri}.json"),
            subresource_uris: Subresources {
                applications: format!("{uri}/Applications.json"),
                incoming_phone_numbers: format!("{uri}/IncomingPhoneNumbers.json"),
                keys: format!("{uri}/Keys.json"),
                signing_keys: format!("{uri}/SigningKeys.json"),
                connect_apps: format!("{uri}/ConnectApps.json"),
                authorized_connect_apps: format!("{uri}/AuthorizedConnectApps.json"),
            },
        }
    }
}

/// Which accounts to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase", default)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Those of this name.
    friendly_name: Option<String>,
    /// Those of this status: `active`, `suspended`, `closed`.
    status: Option<String>,
}

/// Lists the caller's account and its subaccounts, the newest first.
#[utoipa::path(get, path = "/2010-04-01/Accounts.json", tag = "Accounts", params(Filter, Paging),
    responses((status = 200, body = AccountList), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn list(
    asked: Asked,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Response, Failed> {
    let page = paging.page()?;
    let by = AccountFilter {
        friendly_name: filter.friendly_name.clone(),
        status: filter.status.as_deref().map(parse_status).transpose()?,
    };
    let listed = asked.accounts.accounts(Some(&asked.principal.account), &by, &page).await;
    let listed = listed.map_err(|error| asked.failed(&error))?;
    let said = [("FriendlyName", filter.friendly_name.as_deref()), ("Status", filter.status.as_deref())];
    let meta = paging.meta("/2010-04-01/Accounts.json", &said, &listed);
    let accounts = listed.records.iter().map(|account| AccountBody::new(account, &asked)).collect();
    Ok(answer(StatusCode::OK, AccountList { meta, accounts }))
}

/// What to make a subaccount of.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
#[schema(as = AccountCreate)]
pub(super) struct Create {
    /// Its name for people; at most 64 characters.
    friendly_name: Option<String>,
}

/// Makes a subaccount of the caller's account.
#[utoipa::path(post, path = "/2010-04-01/Accounts.json", tag = "Accounts",
    request_body(content = Create, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, body = AccountBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn create(asked: Asked, Form(form): Form<Create>) -> Result<Response, Failed> {
    let name = form.friendly_name.unwrap_or_else(|| "SubAccount".to_owned());
    let made = asked.accounts.create_account(Some(&asked.principal.account), &name, &asked.actor()).await;
    let made = made.map_err(|error| asked.failed(&error))?;
    Ok(answer(StatusCode::CREATED, AccountBody::new(&made, &asked)))
}

/// Tells of an account. Any credentials may ask for their own, without its token; who may not read accounts is not shown who is told of its limits.
#[utoipa::path(get, path = "/2010-04-01/Accounts/{account}.json", tag = "Accounts", params(("account" = String, Path)),
    responses((status = 200, body = AccountBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn fetch(asked: Asked) -> Result<Response, Failed> {
    let account = asked.accounts.account(&asked.account).await.map_err(|error| asked.failed(&error))?;
    Ok(answer(StatusCode::OK, AccountBody::new(&account, &asked)))
}

/// What to change of an account.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
#[schema(as = AccountUpdate)]
pub(super) struct Update {
    /// Its name for people; at most 64 characters.
    friendly_name: Option<String>,
    /// `active`, `suspended`, or `closed`, which is for ever. Only of a subaccount.
    status: Option<String>,
    /// Who is told, by a signed request, that a limit on what is in progress is reached: an absolute URL. Empty: nobody.
    limit_callback_url: Option<String>,
    /// `GET` or `POST`.
    limit_callback_method: Option<String>,
}

/// Changes name or status of an account, or who is told of its limits.
#[utoipa::path(post, path = "/2010-04-01/Accounts/{account}.json", tag = "Accounts", params(("account" = String, Path)),
    request_body(content = Update, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = AccountBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn update(asked: Asked, Form(form): Form<Update>) -> Result<Response, Failed> {
    let sid = asked.account;
    let status = form.status.as_deref().map(parse_status).transpose()?;
    if status.is_some() && sid == asked.principal.account {
        // Whoever has a token could lock the account's people out, or let back in what its parent has suspended.
        return Err(Failed::new(403, 20003, "the status of an account is changed by its parent, or by the operator"));
    }
    let method = form.limit_callback_method.as_deref().map(str::parse::<Method>).transpose();
    let change = AccountChange {
        friendly_name: form.friendly_name,
        status,
        limit_callback_url: form.limit_callback_url,
        limit_callback_method: method
            .map_err(|error: Unknown| Failed::invalid(format!("LimitCallbackMethod: {error}")))?,
    };
    let changed = asked.accounts.update_account(&sid, &change, &asked.actor()).await;
    let changed = changed.map_err(|error| asked.failed(&error))?;
    Ok(answer(StatusCode::OK, AccountBody::new(&changed, &asked)))
}

fn parse_status(text: &str) -> Result<Status, Failed> {
    text.parse().map_err(|error: crate::accounts::Unknown| Failed::invalid(error.to_string()))
}
