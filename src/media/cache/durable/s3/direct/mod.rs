//! The short way to the server, for the requests that there are many of: reading an object, writing one, looking at one, removing one.
//!
//! It does the same as the SDK, for a fraction of the CPU, because it does nothing else: one signature, one connection, one header that is
//! read. Where a server is, which region signs for it, and whose keys there are, the SDK says; lists, parts and everything that is rare
//! are left to it, and so is a whole store that wants more than a plain signature (see [`Direct::find`]).

mod body;
mod connection;
mod pool;
mod signature;
#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use aws_sdk_s3::{
    Client,
    config::{ProvideCredentials as _, SharedCredentialsProvider},
    presigning::PresigningConfig,
};
use bytes::Bytes;
use http::Uri;

use self::{
    connection::{Connection, Framing, Head},
    pool::Pool,
    signature::{Keys, Request, digest_of_nothing, is_plain},
};
use super::{
    client::{PAUSE_FIRST, PAUSE_MAX},
    config::Config,
    error::{Failure, Meaning, innermost, meaning},
};
use crate::{clock::Clock, ids::BodyDigest};

pub(super) use self::body::Incoming;

/// The name of an object that need not be there: how a request for it is addressed says how all are.
const PROBE: &str = "x";
/// Letters of an error's code at most.
const CODE_MAX: usize = 64;

/// The way to a bucket. Clones share connections and keys.
#[derive(Clone)]
pub(super) struct Direct {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool,
    /// The server, as requests name it.
    host: String,
    /// What comes before the names of objects.
    path: String,
    region: String,
    provider: SharedCredentialsProvider,
    /// The keys that were used last. A std lock: held to copy or replace the handle.
    keys: Mutex<Option<Arc<Keys>>>,
    clock: Clock,
    attempts_max: u32,
    /// For each attempt of a request without a body.
    asking: Duration,
    /// For each attempt of one that takes an object with it.
    writing: Duration,
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direct").field("pool", &self.shared.pool).finish_non_exhaustive()
    }
}

/// An object that is to be written.
#[derive(Debug)]
pub(super) struct Object<'a> {
    pub(super) bytes: &'a Bytes,
    pub(super) digest: Option<BodyDigest>,
    pub(super) content_type: &'a str,
    pub(super) cache_control: Option<&'a str>,
    pub(super) if_none_match: Option<&'a str>,
}

/// What is known of an object, as the server says it.
#[derive(Debug)]
pub(super) struct Known {
    /// Of what comes, or would come.
    pub(super) length: Option<u64>,
    pub(super) content_range: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) modified: Option<SystemTime>,
}

impl From<Head> for Known {
    fn from(head: Head) -> Known {
        let length = match head.framing {
            Framing::Length(length) => Some(length),
            Framing::Chunked | Framing::Close => None,
        };
        let Head { content_range, content_type, modified, .. } = head;
        Known { length, content_range, content_type, modified }
    }
}

impl Direct {
    /// The way that the SDK's `client` would go to `bucket`; none where it signs by other rules than those of an ordinary bucket (as
    /// for access points, directory buckets and several regions at once).
    ///
    /// # Errors
    /// The SDK cannot say: there are no keys, or they cannot be had at the moment.
    pub(super) async fn find(
        client: &Client,
        provider: Option<SharedCredentialsProvider>,
        bucket: &str,
        config: &Config,
    ) -> Result<Option<Direct>, Failure> {
        let lasting =
            PresigningConfig::expires_in(Duration::from_secs(60)).map_err(|error| Failure::lies(innermost(&error)))?;
        let signed = client.get_object().bucket(bucket).key(PROBE).presigned(lasting).await?;
        let Some((provider, (uri, host, path, region))) = provider.zip(address(signed.uri())) else { return Ok(None) };
        let pool = Pool::to(uri, config.connect_timeout).map_err(failed)?;
        Ok(Some(Direct {
            shared: Arc::new(Shared {
                pool,
                host,
                path,
                region,
                provider,
                keys: Mutex::default(),
                clock: Clock::system(),
                attempts_max: config.attempts_max,
                asking: config.connect_timeout + config.read_timeout,
                writing: config.connect_timeout + config.write_timeout,
            }),
        }))
    }

    /// Begins to read an object, or a part of it as `range` says in a header's words.
    pub(super) async fn get(&self, name: &str, range: Option<&str>) -> Result<(Known, Incoming), Failure> {
        let fields = range.map(|range| ("range", range));
        let (head, connection) = self.ask("GET", name, "x-id=GetObject", fields.into_iter().collect(), None).await?;
        let stays_open = head.stays_open;
        let known = Known::from(head);
        let incoming = Incoming::new(self.clone(), connection, known.length.unwrap_or_default(), stays_open);
        Ok((known, incoming))
    }

    /// What is known of an object.
    pub(super) async fn head(&self, name: &str) -> Result<Known, Failure> {
        let (head, connection) = self.ask("HEAD", name, "", Vec::new(), None).await?;
        if head.stays_open {
            self.shared.pool.give_back(connection);
        }
        Ok(Known::from(head))
    }

    /// Writes an object. None where it cannot be said by this way what it is.
    pub(super) async fn put(&self, name: &str, object: &Object<'_>) -> Option<Result<(), Failure>> {
        let Object { bytes, digest, content_type, cache_control, if_none_match } = *object;
        if !is_plain(content_type) {
            return None;
        }
        let fields =
            [("cache-control", cache_control), ("content-type", Some(content_type)), ("if-none-match", if_none_match)];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let body = (bytes, digest.unwrap_or_else(|| BodyDigest::of(bytes)));
        Some(match self.ask("PUT", name, "x-id=PutObject", fields, Some(body)).await {
            Ok((head, connection)) => {
                self.finish(&head, connection).await;
                Ok(())
            }
            Err(failure) => Err(failure),
        })
    }

    /// Removes an object.
    pub(super) async fn delete(&self, name: &str) -> Result<(), Failure> {
        let (head, connection) = self.ask("DELETE", name, "x-id=DeleteObject", Vec::new(), None).await?;
        self.finish(&head, connection).await;
        Ok(())
    }

    /// Reads what is left of an answer whose head has said everything.
    async fn finish(&self, head: &Head, mut connection: Connection) {
        let read = tokio::time::timeout(self.shared.asking, connection.small_body(head.framing)).await;
        if head.stays_open && matches!(read, Ok(Ok(_))) {
            self.shared.pool.give_back(connection);
        }
    }

    /// Asks until the server has said something that another attempt would not change, or often enough. Nothing that is asked for here
    /// does harm when it is done twice.
    async fn ask(
        &self,
        method: &'static str,
        name: &str,
        query: &'static str,
        fields: Vec<(&'static str, &str)>,
        body: Option<(&Bytes, BodyDigest)>,
    ) -> Result<(Head, Connection), Failure> {
        let shared = &self.shared;
        let path = format!("{}{name}", shared.path);
        let digest = body.map_or_else(digest_of_nothing, |(_, digest)| digest);
        let request =
            Request { method, path: &path, query, fields, digest, body_length: body.map(|(bytes, _)| bytes.len()) };
        let (nothing, limit) = (Bytes::new(), if body.is_some() { shared.writing } else { shared.asking });
        let body = body.map_or(&nothing, |(bytes, _)| bytes);
        let mut pause = PAUSE_FIRST;
        for attempt in 1.. {
            let answered = tokio::time::timeout(limit, self.attempt(&request, body)).await;
            match answered.unwrap_or_else(|_| Err(Failure::lies("no answer in time"))) {
                Err(Failure { meaning: Meaning::Fails, .. }) if attempt < shared.attempts_max => {
                    tokio::time::sleep(pause.mul_f64(rand::random())).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                answered => return answered,
            }
        }
        Err(Failure::lies("not asked at all"))
    }

    async fn attempt(&self, request: &Request<'_>, body: &Bytes) -> Result<(Head, Connection), Failure> {
        let shared = &self.shared;
        let keys = self.keys().await?;
        let (mut head, mut connection) = loop {
            let known = shared.pool.take();
            let is_known = known.is_some();
            let mut connection = match known {
                Some(connection) => connection,
                None => shared.pool.connect().await.map_err(failed)?,
            };
            let head = keys.head(request, &shared.host, &shared.region, shared.clock.now_wall());
            match connection.ask(head, body).await {
                Ok(head) => break (head, connection),
                // Given up by the server since its last use: that says nothing of the next one.
                Err(none) if is_known && none.is_unbegun => {}
                Err(none) => return Err(failed(none.error)),
            }
        };
        let has_body = request.method != "HEAD";
        head.stays_open &= !has_body || head.framing != Framing::Close;
        if (200..300).contains(&head.status) {
            return Ok((head, connection));
        }
        let text = if has_body { connection.small_body(head.framing).await } else { Ok(Default::default()) };
        let code = text.as_deref().map(code).unwrap_or_default();
        if head.stays_open && text.is_ok() {
            shared.pool.give_back(connection);
        }
        let reason = format!("{} {code}", head.status).trim_end().to_owned();
        Err(Failure { meaning: meaning(head.status, &code), reason })
    }

    /// The keys of this moment.
    async fn keys(&self) -> Result<Arc<Keys>, Failure> {
        let now = self.shared.clock.now_wall();
        if let Some(keys) = self.shared.keys().as_ref().filter(|keys| keys.are_good_at(now)) {
            return Ok(Arc::clone(keys));
        }
        let credentials = self.shared.provider.provide_credentials().await;
        let keys = Arc::new(Keys::new(&credentials.map_err(|error| Failure::lies(innermost(&error)))?));
        *self.shared.keys() = Some(Arc::clone(&keys));
        Ok(keys)
    }
}

impl Shared {
    fn keys(&self) -> MutexGuard<'_, Option<Arc<Keys>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(error: io::Error) -> Failure {
    Failure::lies(innermost(&error))
}

/// The code in an error's text, which is XML of one level. **Source**: S3 API reference, "Error responses".
fn code(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let code = code.map_or("", |(code, _)| code);
    code.chars().filter(char::is_ascii_alphanumeric).take(CODE_MAX).collect()
}

/// Server, `Host`, what comes before the names of objects, and the region, of a request for [`PROBE`] that was signed in its query.
fn address(signed: &str) -> Option<(Uri, String, String, String)> {
    let uri: Uri = signed.parse().ok()?;
    let host = uri.authority()?.as_str().to_owned();
    let path = uri.path().strip_suffix(PROBE).filter(|path| path.ends_with('/'))?.to_owned();
    let query = url::form_urlencoded::parse(uri.query()?.as_bytes());
    let (mut algorithm, mut scope) = (None, None);
    for (name, value) in query {
        match name.as_ref() {
            "X-Amz-Algorithm" => algorithm = Some(value),
            "X-Amz-Credential" => scope = Some(value),
            _ => {}
        }
    }
    let scope = scope?;
    let mut parts = scope.rsplit('/');
    let (end, service, region) = (parts.next()?, parts.next()?, parts.next()?);
    let is_plain = algorithm.as_deref() == Some("AWS4-HMAC-SHA256") && end == "aws4_request" && service == "s3";
    is_plain.then(|| (uri.clone(), host, path, region.to_owned()))
}
