//! `POST /v1/media/warm`: sources × formats, one line of JSON for each as it finishes.
//!
//! ```text
//! {"source":0,"format":"ulaw","status":201,"media":{"id":…,"url":…,"bytes":…,"duration_ms":…,"cache":"miss",…}}
//! {"source":1,"format":"ulaw","status":404,"problem":{"type":…,"title":…,"status":404,"detail":…}}
//! ```
//!
//! `source` is the place of the source in the request, from 0. `status` is what `POST /v1/media` would have answered: for what is there
//! already 200. With `"only_if_cached":true` nothing is made: what is not there is 504 `not-cached`, at once.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use axum::{body::Body, extract::Request, response::Response};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa::ToSchema;

use crate::{
    api::told::{self, refusals},
    concurrency::Subject,
    ids::AccountSid,
    media::{Obtained, http::ProblemBody},
    outbound::Hops,
    problem::{Kind, Problem},
    units::seconds_up,
};

use super::{
    Failed, V1, body,
    fills::obtain_patiently,
    media::{self, OptionValue, SourceOfCreate},
};

/// Sources × formats of one request at most.
const ITEMS_MAX: usize = 1_024;
/// Items of a request in progress at once, where it does not say how many.
const CONCURRENCY: usize = 8;
/// The same at most, whatever it says.
const CONCURRENCY_MAX: usize = 64;
/// Items of all requests in progress at once: beyond it they wait for one another.
const WARMING_MAX: usize = 1_024;
/// The same of one account at the top: where its items stand in a line of its own limits, they take nothing from others.
const WARMING_OF_ONE_MAX: usize = 64;
/// Lines that are sent in one piece where they are ready at the same time.
const LINES_AT_ONCE: usize = 64;

/// What a body that is none is told.
const EXPECTED: &str =
    r#"{"sources":[{"url":…},…],"formats":[…]} with "options", "tags", "concurrency" and "only_if_cached" if need be"#;

/// Sources × formats, at most 1,024 in one request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WarmRequest)]
pub(super) struct Warm {
    /// Each as in `POST /v1/media`; read one by one, so that one that is wrong is its own failure and no other's.
    #[schema(value_type = Vec<SourceOfCreate>)]
    sources: Vec<Value>,
    /// Extensions.
    formats: Vec<String>,
    /// As in `POST /v1/media`, of all.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, OptionValue>)]
    options: Map<String, Value>,
    /// As in `POST /v1/media`, of all.
    #[serde(default)]
    #[schema(schema_with = media::labels)]
    tags: Vec<String>,
    /// Items in progress at once.
    #[serde(default = "concurrency")]
    #[schema(minimum = 1, maximum = 64, default = 8)]
    concurrency: usize,
    /// Nothing is made: what is not there is 504 `not-cached`, at once.
    #[serde(default)]
    only_if_cached: bool,
}

fn concurrency() -> usize {
    CONCURRENCY
}

/// How many items may be in progress. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    /// The shares of accounts at the top, while any of their items is in progress. A std lock: held for map operations only.
    each: Arc<Mutex<HashMap<AccountSid, Weak<Semaphore>>>>,
}

impl Default for Places {
    fn default() -> Places {
        Places { all: Arc::new(Semaphore::new(WARMING_MAX)), each: Arc::default() }
    }
}

impl Places {
    /// A place, once there is one in the owner's share and among all. Nobody closes them.
    async fn take(&self, owner: AccountSid) -> Option<[OwnedSemaphorePermit; 2]> {
        let own = self.share(owner).acquire_owned().await.ok()?;
        Some([own, Arc::clone(&self.all).acquire_owned().await.ok()?])
    }

    fn share(&self, owner: AccountSid) -> Arc<Semaphore> {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = each.get(&owner).and_then(Weak::upgrade) {
            return share;
        }
        each.retain(|_, share| 0 < share.strong_count());
        let share = Arc::new(Semaphore::new(WARMING_OF_ONE_MAX));
        each.insert(owner, Arc::downgrade(&share));
        share
    }
}

/// A line of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WarmLine)]
struct Line<'a> {
    /// The place of the source in the request, from 0.
    source: usize,
    /// As asked for.
    format: &'a str,
    /// What `POST /v1/media` would have answered.
    status: u16,
    /// What was found or made.
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<media::Made>,
    /// Or why there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemOfLine>,
}

/// A problem, and when it is worth asking again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WarmProblem)]
struct ProblemOfLine {
    #[serde(flatten)]
    problem: ProblemBody,
    /// Seconds after which asking again is worth it.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl From<&Problem> for ProblemOfLine {
    fn from(problem: &Problem) -> ProblemOfLine {
        let retry_after = problem.retry_after.map(seconds_up);
        ProblemOfLine { problem: problem.into(), retry_after }
    }
}

refusals! {
    OfWarm: told::ANY, told::BODY;
}

/// Makes what is asked for and tells of each item as it finishes. Whoever leaves ends what nobody else waits for.
#[utoipa::path(post, path = "/v1/media/warm", tag = "Media", request_body = Warm,
    responses(
        (status = 200, body = Line<'_>, content_type = "application/x-ndjson", description = "One object in each line, for each item as it finishes.",
            headers(("Cache-Control" = String, description = "`no-store`."))),
        OfWarm,
    ))]
pub(super) async fn warm(v1: V1, headers: HeaderMap, sent: Request) -> Result<Response, Failed> {
    let body = body::receive(sent, v1.body_timeout).await?;
    media::may_be_kept(&headers)?;
    let warm: Warm = body::read(&body, EXPECTED)?;
    let items = warm.sources.len().saturating_mul(warm.formats.len());
    if items > ITEMS_MAX {
        let detail = format!("{items} items, sources times formats; at most {ITEMS_MAX} in one request");
        return Err(Problem::new(Kind::OverLimit, detail).into());
    }
    if !(1..=CONCURRENCY_MAX).contains(&warm.concurrency) {
        let detail = format!("concurrency is a number from 1 to {CONCURRENCY_MAX}");
        return Err(Problem::new(Kind::BadRequest, detail).into());
    }
    // Labels are of all items: where they are none, nothing is begun.
    media::check_labels(&warm.tags)?;
    let concurrency = warm.concurrency;
    let (warm, hops) = (Arc::new(warm), Hops::of(&headers));
    let formats = warm.formats.len();
    let lines = stream::iter(0..items).map(move |item| {
        let (v1, warm, hops) = (v1.clone(), Arc::clone(&warm), hops.clone());
        // Source by source, each in all formats: they share its download.
        async move { line(&v1, &warm, item / formats, item % formats, hops).await }
    });
    let lines = lines.buffer_unordered(concurrency).ready_chunks(LINES_AT_ONCE);
    let pieces = lines.map(|lines| Ok::<Bytes, Infallible>(Bytes::from(lines.concat())));
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn line(v1: &V1, warm: &Warm, source: usize, format: usize, hops: Hops) -> Vec<u8> {
    let format = warm.formats.get(format).map_or("", String::as_str);
    let obtained = match warm.sources.get(source) {
        Some(wanted) => obtain(v1, warm, wanted, format, hops).await,
        None => Err(Problem::new(Kind::Internal, "there are more items than sources")),
    };
    let line = match &obtained {
        Ok(obtained) => Line {
            source,
            format,
            status: if obtained.cached { 200 } else { 201 },
            media: Some(media::Made::new(obtained, format, &v1.parts)),
            problem: None,
        },
        Err(problem) => {
            Line { source, format, status: problem.kind.status(), media: None, problem: Some(problem.into()) }
        }
    };
    let mut text = BytesMut::with_capacity(512).writer();
    // Strings and numbers: there is nothing that JSON could not say.
    serde_json::to_writer(&mut text, &line).unwrap_or_default();
    let mut text = text.into_inner();
    text.put_u8(b'\n');
    text.into()
}

async fn obtain(v1: &V1, warm: &Warm, source: &Value, format: &str, hops: Hops) -> Result<Obtained, Problem> {
    let body = json!({ "source": source, "format": format, "options": warm.options, "tags": warm.tags });
    let mut request = media::request_of(v1, body, hops)?;
    request.directives.only_if_cached = warm.only_if_cached;
    // Whoever only looks waits for nobody.
    let owner = v1.subject.map_or(AccountSid::NOBODY, Subject::owner);
    let _places = if warm.only_if_cached { None } else { v1.warming.take(owner).await };
    obtain_patiently(&v1.parts.media, &v1.parts.tenant, &request).await
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::{Places, WARMING_MAX, WARMING_OF_ONE_MAX};
    use crate::ids::AccountSid;

    fn account(number: usize) -> AccountSid {
        format!("AC{number:032x}").parse().unwrap()
    }

    #[test]
    fn one_account_leaves_places_to_others_and_all_of_them_are_bounded() {
        let places = Places::default();
        let take = |owner| places.take(owner).now_or_never().flatten();
        let mut held: Vec<_> = (0..WARMING_OF_ONE_MAX).map(|_| take(account(1)).unwrap()).collect();
        assert!(take(account(1)).is_none());
        held.extend(
            (WARMING_OF_ONE_MAX..WARMING_MAX).map(|item| take(account(2 + item / WARMING_OF_ONE_MAX)).unwrap()),
        );
        assert!(take(account(1_000)).is_none());
        drop(held);
        drop(take(account(1)).unwrap());
        // What nobody uses any more is not remembered.
        assert_eq!(places.each.lock().unwrap().len(), 1);
    }
}
