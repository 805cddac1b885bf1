//! The listener of operators: `/metrics`, `/health/live`, `/health/ready`.

use std::{io, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Health, Metrics};

/// How often samples of histograms are folded into their buckets.
const FOLD_INTERVAL: Duration = Duration::from_secs(5);

/// How long connections may take to finish after shutdown: a scrape is short, and a probe may not hold up the exit.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The body of every health answer.
#[derive(Serialize)]
struct HealthAnswer {
    status: &'static str,
    reasons: Vec<&'static str>,
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
    let serving = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let closed = async {
        shutdown.cancelled().await;
        tokio::time::sleep(CLOSE_TIMEOUT).await;
    };
    tokio::select! {
        served = serving.into_future() => served,
        () = closed => Ok(()),
        never = fold_for_ever(&metrics) => match never {},
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
    answer(ops.health.is_ready(), "ready", "not ready", ops.health.reasons())
}

async fn live(State(ops): State<Ops>) -> impl IntoResponse {
    let live = ops.health.is_live();
    answer(live, "live", "failed", if live { Vec::new() } else { ops.health.reasons() })
}

fn answer(holds: bool, yes: &'static str, no: &'static str, reasons: Vec<&'static str>) -> impl IntoResponse {
    let (code, status) = if holds { (StatusCode::OK, yes) } else { (StatusCode::SERVICE_UNAVAILABLE, no) };
    (code, [(header::CACHE_CONTROL, "no-store")], Json(HealthAnswer { status, reasons }))
}
