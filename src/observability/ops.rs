//! The listener of operators: `/metrics`, `/health/live`, `/health/ready`.

use std::{io, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use serde::Serialize;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{Health, Metrics};

/// How often samples of histograms are folded into their buckets.
const FOLD_INTERVAL: Duration = Duration::from_secs(5);

/// Connections at once: scrapers and probes are few, and what they leave open must not eat up the node's files.
const CONNECTIONS_MAX: usize = 64;
/// How long a connection may take to send the head of a request, and may be idle between requests: longer than scrapes are apart.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);
/// After a failed accept (out of file descriptors), how long until the next.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// How long connections may take to finish after shutdown: a scrape is short, and a probe may not hold up the exit.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The body of every health answer.
#[derive(Serialize)]
struct HealthAnswer {
    status: &'static str,
    reasons: Vec<&'static str>,
    /// What it does without for the moment.
    lacks: Vec<&'static str>,
}

#[derive(Clone)]
struct Ops {
    metrics: Metrics,
    health: Health,
}

/// Answers operators on `listener` until `shutdown`.
///
/// `shutdown` should come last when the node stops: while it drains, this listener is what tells the balancer so.
///
/// # Errors
/// The listener failed.
pub async fn serve_ops(
    listener: TcpListener,
    metrics: Metrics,
    health: Health,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(render_metrics))
        .route("/health", get(ready))
        .route("/health/ready", get(ready))
        .route("/health/live", get(live))
        .with_state(Ops { metrics: metrics.clone(), health });
    tokio::select! {
        () = accept(listener, router, shutdown) => Ok(()),
        never = fold_for_ever(&metrics) => match never {},
    }
}

/// One task for each connection, so many at once; after `shutdown` they get a moment to finish.
async fn accept(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => accepted,
            Some(_ended) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => drop(connections.spawn(connection(stream, router.clone(), shutdown.clone()))),
            Err(error) => {
                tracing::warn!(%error, "operators' listener could not accept");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
    let finished = async { while connections.join_next().await.is_some() {} };
    let _closed = tokio::time::timeout(CLOSE_TIMEOUT, finished).await;
}

async fn connection(stream: TcpStream, router: Router, shutdown: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "operators' connection ended");
    }
}

async fn fold_for_ever(metrics: &Metrics) -> std::convert::Infallible {
    let mut ticks = tokio::time::interval(FOLD_INTERVAL);
    loop {
        ticks.tick().await;
        metrics.fold();
    }
}

async fn render_metrics(State(ops): State<Ops>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], ops.metrics.render())
}

async fn ready(State(ops): State<Ops>) -> impl IntoResponse {
    answer(ops.health.is_ready(), "ready", "not ready", ops.health.reasons(), ops.health.lacks())
}

async fn live(State(ops): State<Ops>) -> impl IntoResponse {
    let live = ops.health.is_live();
    answer(live, "live", "failed", if live { Vec::new() } else { ops.health.reasons() }, ops.health.lacks())
}

fn answer(
    holds: bool,
    yes: &'static str,
    no: &'static str,
    reasons: Vec<&'static str>,
    lacks: Vec<&'static str>,
) -> impl IntoResponse {
    let (code, status) = if holds { (StatusCode::OK, yes) } else { (StatusCode::SERVICE_UNAVAILABLE, no) };
    (code, [(header::CACHE_CONTROL, "no-store")], Json(HealthAnswer { status, reasons, lacks }))
}
