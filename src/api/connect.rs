//! `/connect/token` and `/connect/revoke`: codes and tokens for developers whose applications accounts allow (RFC 6749, RFC 7636, RFC 7009).
//!
//! A developer authenticates by HTTP Basic with its account and that account's auth token. Errors have the shape of RFC 6749 §5.2.

use std::time::Duration;

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Request},
    http::request,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use crate::{
    accounts::{Accounts, GrantError, Principal, Tokens},
    concurrency::{Concurrency, Subject},
    media::http::CHALLENGE,
    problem::{Kind, LimitReached, Problem},
    units::seconds_up,
};

use super::{
    admission::{Caller, refusal_problem, subject},
    config::Config,
    edge::Parts,
    operations::operations,
    permission::{Gate, Needs},
    posted::{NotPosted, posted},
};

/// The handlers, as the macro names them.
mod tokens {
    pub(super) use super::{__path_exchange, __path_revoke, exchange, revoke};
}

operations! {
    /// What the document says of these routes.
    Document, operations, Connect, schemas():
    tokens::{exchange, __path_exchange} needs Token counts Accounts,
    tokens::{revoke, __path_revoke} needs Token counts Accounts,
}

/// The routes below `/connect`, bodies limited as `config` says.
pub(super) fn router(parts: &Parts, config: &Config) -> Router {
    let state = Connect {
        accounts: parts.accounts.clone(),
        concurrency: parts.concurrency.clone(),
        body_timeout: config.body_timeout,
    };
    let error = |status, description| Failed::new(status, "invalid_request", description);
    operations()
        .fallback(async move || error(StatusCode::NOT_FOUND, "there is nothing under this path"))
        .method_not_allowed_fallback(async move || {
            error(StatusCode::METHOD_NOT_ALLOWED, "the method is not allowed here")
        })
        .layer(DefaultBodyLimit::max(config.body_max.as_usize()))
        .with_state(state)
}

/// What the handlers work with.
#[derive(Clone, Debug)]
struct Connect {
    accounts: Accounts,
    concurrency: Concurrency,
    /// How long a body may take.
    body_timeout: Duration,
}

impl Gate for Connect {
    type Refused = Failed;

    async fn pass(&self, needs: Needs, head: &mut request::Parts) -> Result<Subject, Failed> {
        let Developer(developer) = Developer::from_request_parts(head, self).await?;
        let may = needs.are_met_by(&developer, true);
        if may { Ok(subject(&developer, developer.account)) } else { Err(Failed::unauthorized_client()) }
    }

    fn concurrency(&self) -> &Concurrency {
        &self.concurrency
    }

    fn refused(problem: &Problem) -> Failed {
        Failed::of(problem)
    }
}

/// Who asks.
struct Developer(std::sync::Arc<Principal>);

impl FromRequestParts<Connect> for Developer {
    type Rejection = Failed;

    /// The edge has put it there.
    async fn from_request_parts(head: &mut request::Parts, _: &Connect) -> Result<Developer, Failed> {
        let principal = head.extensions.get::<Caller>().and_then(|caller| caller.principal.clone());
        principal.map(Developer).ok_or_else(Failed::unauthorized_client)
    }
}

/// What the form of a body says. A parameter that comes twice is a mistake (RFC 6749 §3.2).
struct Form<T>(T);

impl<T: DeserializeOwned> FromRequest<Connect> for Form<T> {
    type Rejection = Failed;

    async fn from_request(request: Request<Body>, state: &Connect) -> Result<Form<T>, Failed> {
        const WRONG: &str = "invalid_request";
        let posted = posted(request, &state.accounts, state.body_timeout).await;
        let (body, _) = posted.map_err(|why| match why {
            NotPosted::TimedOut => Failed::new(StatusCode::REQUEST_TIMEOUT, WRONG, "the body did not come in time"),
            NotPosted::Refused(refusal) => Failed::of(&refusal_problem(refusal)),
            NotPosted::Rejected(rejection) => Failed::new(rejection.status(), WRONG, rejection.body_text()),
            NotPosted::NotAForm => {
                let text = "the body is to be application/x-www-form-urlencoded";
                Failed::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, WRONG, text)
            }
        })?;
        let form = serde_html_form::from_bytes(&body);
        form.map(Form).map_err(|error| Failed::new(StatusCode::BAD_REQUEST, WRONG, error.to_string()))
    }
}

/// What a token is asked for with.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = TokenForm)]
struct Wanted {
    /// `authorization_code` or `refresh_token`.
    grant_type: Option<String>,
    /// What the user was sent back with, for `authorization_code`: good once, for a minute.
    code: Option<String>,
    /// Where the user was sent back to.
    redirect_uri: Option<String>,
    /// What the code challenge was made of that the user was sent with.
    code_verifier: Option<String>,
    /// For `refresh_token`: the newest, which is good once.
    refresh_token: Option<String>,
}

/// Tokens.
#[derive(Serialize, ToSchema)]
struct TokenBody {
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    refresh_token: String,
    /// What they may do, as words.
    scope: String,
    /// The subaccount that they act on.
    account_sid: String,
}

impl TokenBody {
    fn new(tokens: &Tokens) -> TokenBody {
        TokenBody {
            access_token: tokens.access.reveal().to_owned(),
            token_type: "Bearer",
            expires_in: tokens.access_life.as_secs(),
            refresh_token: tokens.refresh.reveal().to_owned(),
            scope: tokens.scope.clone(),
            account_sid: tokens.account.to_string(),
        }
    }
}

/// Gives tokens for a code or for a refresh token.
///
/// A code that comes again revokes what it gave, and a refresh token that comes again all that came of the same code.
#[utoipa::path(post, path = "/connect/token", tag = "Connect", security(("basic" = [])),
    request_body(content = Wanted, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = TokenBody), (status = "4XX", body = OAuthError), (status = "5XX", body = OAuthError)))]
async fn exchange(
    axum::extract::State(connect): axum::extract::State<Connect>,
    Developer(developer): Developer,
    Form(wanted): Form<Wanted>,
) -> Result<Response, Failed> {
    let missing = |name: &str| Failed::new(StatusCode::BAD_REQUEST, "invalid_request", format!("{name} is missing"));
    let tokens = match wanted.grant_type.as_deref() {
        Some("authorization_code") => {
            let code = wanted.code.as_deref().ok_or_else(|| missing("code"))?;
            let (verifier, redirect) = (wanted.code_verifier.as_deref(), wanted.redirect_uri.as_deref());
            connect.accounts.exchange_code(code, verifier, redirect, &developer).await
        }
        Some("refresh_token") => {
            let token = wanted.refresh_token.as_deref().ok_or_else(|| missing("refresh_token"))?;
            connect.accounts.refresh(token, &developer).await
        }
        Some(_) => {
            let text = "expected authorization_code or refresh_token";
            return Err(Failed::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", text));
        }
        None => return Err(missing("grant_type")),
    };
    let tokens = tokens.map_err(|error| Failed::of_grant(&error))?;
    Ok((StatusCode::OK, NOT_KEPT, Json(TokenBody::new(&tokens))).into_response())
}

/// What is to be revoked.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = RevokeForm)]
struct Revoked {
    /// A refresh token or an access token.
    token: Option<String>,
}

/// Revokes a refresh token or an access token, and all that came of the same code.
#[utoipa::path(post, path = "/connect/revoke", tag = "Connect", security(("basic" = [])),
    request_body(content = Revoked, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "It is revoked, or never was."), (status = "4XX", body = OAuthError), (status = "5XX", body = OAuthError)))]
async fn revoke(
    axum::extract::State(connect): axum::extract::State<Connect>,
    Developer(developer): Developer,
    Form(revoked): Form<Revoked>,
) -> Result<Response, Failed> {
    let missing = || Failed::new(StatusCode::BAD_REQUEST, "invalid_request", "token is missing");
    let token = revoked.token.ok_or_else(missing)?;
    let done = connect.accounts.revoke_token(&token, &developer).await;
    done.map(|()| (StatusCode::OK, NOT_KEPT).into_response()).map_err(|error| Failed::of_grant(&error))
}

/// No cache keeps what has tokens in it (RFC 6749 §5.1).
const NOT_KEPT: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::PRAGMA, HeaderValue::from_static("no-cache")),
];

/// A request that failed.
#[derive(Debug)]
pub(super) struct Failed {
    status: StatusCode,
    body: OAuthError,
    retry_after: Option<Duration>,
}

/// The body of an error.
#[derive(Debug, Serialize, ToSchema)]
struct OAuthError {
    /// What went wrong, as RFC 6749 names it.
    error: &'static str,
    /// The same for people.
    error_description: String,
    /// The limit that stood in the way, where one on what is in progress did.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_reached: Option<LimitReached>,
}

impl Failed {
    fn new(status: StatusCode, error: &'static str, description: impl Into<String>) -> Failed {
        let body = OAuthError { error, error_description: description.into(), limit_reached: None };
        Failed { status, body, retry_after: None }
    }

    fn unauthorized_client() -> Failed {
        let text = "an account's own auth token is to be shown, as HTTP Basic";
        Failed::new(StatusCode::BAD_REQUEST, "unauthorized_client", text)
    }

    /// What anything else says, in these words.
    fn of(problem: &Problem) -> Failed {
        let (status, error) = match problem.kind {
            Kind::Unauthorized | Kind::AccountInactive | Kind::Forbidden => {
                (StatusCode::UNAUTHORIZED, "invalid_client")
            }
            kind if kind.status() < 500 => (StatusCode::from_u16(kind.status()).unwrap_or_default(), "invalid_request"),
            Kind::AccountsAway | Kind::Busy => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        };
        let mut failed = Failed::new(status, error, problem.detail.as_ref());
        failed.retry_after = problem.retry_after;
        failed.body.limit_reached = problem.limit.as_deref().copied();
        failed
    }

    fn of_grant(error: &GrantError) -> Failed {
        match error {
            GrantError::Unauthorized => Failed::unauthorized_client(),
            GrantError::Invalid(_) => Failed::new(StatusCode::BAD_REQUEST, "invalid_grant", error.to_string()),
            GrantError::Accounts(error) => Failed::of(&error.problem()),
        }
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let Failed { status, body, retry_after } = self;
        let limit = body.limit_reached;
        tracing::info!(
            status = status.as_u16(),
            error = body.error,
            description = body.error_description,
            "request refused"
        );
        let mut response = (status, NOT_KEPT, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
        }
        if let Some(after) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds_up(after)));
        }
        // Whoever sends it tells of it in headers as well.
        if let Some(limit) = limit {
            response.extensions_mut().insert(limit);
        }
        response
    }
}

/// What the edge refuses before a handler is asked.
pub(super) fn refuse(problem: &Problem) -> Response<Body> {
    Failed::of(problem).into_response()
}
