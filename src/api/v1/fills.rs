//! Fills that were started without waiting: `GET /v1/fills/{fill}`.

use std::sync::{Arc, OnceLock};

use axum::Json;
use foyer::{Cache, CacheBuilder};
use serde::Serialize;
use tokio::{runtime::Handle, sync::Semaphore};
use tokio_util::task::TaskTracker;
use utoipa::ToSchema;

use crate::{
    ids::{RandomId, Tenant},
    media::{FetchRequest, Media, Obtained, http::ProblemBody},
    problem::{Kind, Problem},
};

use super::{Failed, Named, V1, media::Made};
use crate::api::{
    edge::Parts,
    told::{self, refusals},
};

/// How often a fill that takes longer than callers wait is waited for again: with the default wait, as long as a fetch may take.
const WAITS_MAX: usize = 20;

/// A fill that can be asked for.
#[derive(Debug)]
struct Known {
    /// Whose it is.
    tenant: Tenant,
    /// The extension that was asked for.
    extension: String,
    /// How it ended, once it has.
    outcome: OnceLock<Result<Obtained, Problem>>,
}

/// The fills that can be asked for: the newest ones, within a bound.
#[derive(Clone, Debug)]
pub(super) struct Fills {
    media: Media,
    tasks: TaskTracker,
    /// Where tasks run: a caller's lane is for callers.
    runtime: Handle,
    known: Cache<RandomId, Arc<Known>>,
    /// One permit for each fill that runs, so that callers who do not wait cannot pile up work.
    places: Arc<Semaphore>,
}

impl Fills {
    pub(super) fn new(parts: &Parts) -> Fills {
        Fills {
            media: parts.media.clone(),
            tasks: parts.tasks.clone(),
            runtime: Handle::current(),
            known: CacheBuilder::new(parts.fills_remembered_max).build(),
            places: Arc::new(Semaphore::new(parts.fills_remembered_max)),
        }
    }

    /// Starts a fill that nobody waits for.
    ///
    /// # Errors
    /// `busy` when as many run as are remembered.
    pub(super) fn start(&self, tenant: Tenant, request: FetchRequest, extension: String) -> Result<RandomId, Problem> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Problem::new(Kind::Busy, "as many fills run as can be remembered (media.fill.remembered_max)")
        })?;
        let id = RandomId::draw(&mut rand::rng());
        let known = Arc::new(Known { tenant: tenant.clone(), extension, outcome: OnceLock::new() });
        self.known.insert(id, Arc::clone(&known));
        let media = self.media.clone();
        let fill = async move {
            let result = obtain_patiently(&media, &tenant, &request).await;
            // Nobody else sets it.
            known.outcome.get_or_init(|| result);
            drop(place);
        };
        self.tasks.spawn_on(fill, &self.runtime);
        Ok(id)
    }
}

/// Finds or makes audio, and waits for it for longer than callers do.
///
/// # Errors
/// As [`Media::obtain`]; `fill-running` where it takes longer than a fetch may.
pub(super) async fn obtain_patiently(
    media: &Media,
    tenant: &Tenant,
    request: &FetchRequest,
) -> Result<Obtained, Problem> {
    let mut obtained = media.obtain(tenant, request.clone()).await;
    for _ in 1..WAITS_MAX {
        match &obtained {
            Err(problem) if problem.kind == Kind::FillRunning => {
                obtained = media.obtain(tenant, request.clone()).await;
            }
            _ => break,
        }
    }
    obtained
}

/// How a fill stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "lowercase")]
#[schema(as = Fill)]
pub(super) enum Standing {
    /// It goes on.
    Running {
        /// Its name.
        fill: RandomId,
    },
    /// The audio is there.
    Done {
        /// Its name.
        fill: RandomId,
        media: Made,
    },
    /// There will be no audio of it.
    Failed {
        /// Its name.
        fill: RandomId,
        problem: ProblemBody,
    },
}

refusals! {
    Describe: told::ANY, &[Kind::NotFound];
}

/// Tells how a fill stands that nobody waited for.
#[utoipa::path(get, path = "/v1/fills/{fill}", tag = "Media", operation_id = "describe_fill", params(("fill" = RandomId, Path)),
    responses((status = 200, body = Standing, description = "How it stands."), Describe))]
pub(super) async fn describe(v1: V1, fill: Named) -> Result<Json<Standing>, Failed> {
    let id = fill.ok().and_then(|fill| fill.parse::<RandomId>().ok());
    let found = id.and_then(|id| Some((id, v1.fills.known.get(&id)?)));
    let Some((fill, known)) = found.filter(|(_, known)| known.tenant == v1.parts.tenant) else {
        return Err(Problem::new(Kind::NotFound, "there is no such fill").into());
    };
    Ok(Json(match known.outcome.get() {
        None => Standing::Running { fill },
        Some(Ok(obtained)) => Standing::Done { fill, media: Made::new(obtained, &known.extension, &v1.parts) },
        Some(Err(problem)) => Standing::Failed { fill, problem: problem.into() },
    }))
}
