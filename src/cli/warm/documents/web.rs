//! Getting documents: within limits of bytes, time, redirects and tries, and only from where they may come.

use std::{fmt, time::Duration};

use anyhow::bail;
use reqwest::{Response, StatusCode, header, redirect};
use url::Url;

use crate::{
    cli::node::{describe, read_bounded, retry_after},
    clock::Clock,
};

use super::{super::retry::Backoff, read};

/// How long a connection to an application may take, and the whole of a document: what platforms give it (2 × 5 s, 15 s).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(15);
/// Redirects that are followed for one document.
const REDIRECTS_MAX: usize = 5;
const USER_AGENT: &str = concat!("ringback/", env!("CARGO_PKG_VERSION"));

/// A host, on one port or on any, that documents may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli::warm) struct AllowedHost {
    host: String,
    port: Option<u16>,
}

impl std::str::FromStr for AllowedHost {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<AllowedHost> {
        // Read as the URL parser reads hosts, so that they compare equal.
        let url = Url::parse(&format!("http://{text}/"));
        let Ok(url) = url else { bail!("expected HOST or HOST:PORT") };
        match (url.host_str(), url.path(), url.username(), url.query()) {
            (Some(host), "/", "", None) => {
                let port = if text.ends_with(":80") { Some(80) } else { url.port() };
                Ok(AllowedHost { host: host.to_owned(), port })
            }
            _ => bail!("expected HOST or HOST:PORT"),
        }
    }
}

/// Where documents may come from.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    /// Scheme, host and port of the documents that were named.
    pub(super) origins: Vec<url::Origin>,
    /// What else is allowed.
    pub(super) allowed: Vec<AllowedHost>,
}

impl Hosts {
    pub(super) fn admit(&self, url: &Url) -> bool {
        let fits = |allowed: &AllowedHost| {
            url.host_str() == Some(&allowed.host)
                && allowed.port.is_none_or(|port| url.port_or_known_default() == Some(port))
        };
        self.origins.contains(&url.origin()) || self.allowed.iter().any(fits)
    }
}

/// What was got.
#[derive(Debug)]
pub(super) enum Got {
    /// A document, or what claims to be one, and where it came from in the end.
    Document(Vec<u8>, Url),
    /// Audio: the address is one that is played.
    Audio,
    /// Text without markup, which is spoken.
    Text(String),
}

/// Gets documents.
pub(super) struct Web {
    http: reqwest::Client,
    retries: u32,
    backoff: Backoff,
    clock: Clock,
}

impl Web {
    pub(super) fn new(hosts: Hosts, retries: u32, backoff: Backoff) -> anyhow::Result<Web> {
        let redirects = redirect::Policy::custom(move |attempt| {
            if REDIRECTS_MAX < attempt.previous().len() {
                return attempt.error("too many redirects");
            }
            if hosts.admit(attempt.url()) { attempt.follow() } else { attempt.error("it redirects to another host") }
        });
        let http = reqwest::Client::builder()
            .no_proxy()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(redirects)
            .build()?;
        Ok(Web { http, retries, backoff, clock: Clock::system() })
    }

    /// Gets what is under an address, by as many tries as there may be.
    ///
    /// # Errors
    /// Why there is nothing, for people.
    pub(super) async fn get(&self, url: &Url) -> Result<Got, Nothing> {
        let mut tries = 0;
        loop {
            let (reason, after) = match self.http.get(url.clone()).send().await {
                Ok(response) if response.status().is_success() => return Ok(got(response).await?),
                Ok(response) => {
                    let (status, after) = (response.status(), retry_after(&response, &self.clock));
                    if !may_pass(status) {
                        let takes_another_method = status == StatusCode::METHOD_NOT_ALLOWED;
                        return Err(Nothing { reason: format!("it answers {status}"), takes_another_method });
                    }
                    (format!("it answers {status}"), after)
                }
                Err(error) if error.is_redirect() => return Err(describe(error).into()),
                Err(error) => (describe(error), None),
            };
            if self.retries <= tries {
                return Err(reason.into());
            }
            tries += 1;
            tokio::time::sleep(self.backoff.wait(tries, after)).await;
        }
    }
}

/// Why there is nothing under an address.
#[derive(Debug)]
pub(super) struct Nothing {
    /// For people.
    pub(super) reason: String,
    /// Whether there is something for another method than GET.
    pub(super) takes_another_method: bool,
}

impl From<String> for Nothing {
    fn from(reason: String) -> Nothing {
        Nothing { reason, takes_another_method: false }
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").finish_non_exhaustive()
    }
}

fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

async fn got(response: Response) -> Result<Got, String> {
    let url = response.url().clone();
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
    if content_type.starts_with("audio/") {
        return Ok(Got::Audio);
    }
    let bytes = read_bounded(response, read::BYTES_MAX).await.map_err(describe)?;
    if content_type.starts_with("text/plain") {
        if read::BYTES_MAX < bytes.len() {
            return Err(read::Unreadable::TooLong.to_string());
        }
        return String::from_utf8(bytes).map(Got::Text).map_err(|_| read::Unreadable::NotText.to_string());
    }
    Ok(Got::Document(bytes, url))
}
