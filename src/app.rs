//! The composition root.

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    observability::{self, Health, Unready},
};

/// Runs the node until SIGTERM or Ctrl-C, then drains it.
///
/// # Errors
/// A part could not be set up, or one that the node cannot do without ended.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    observability::install_logs(&config.observability)?;
    let metrics = observability::install_metrics()?;
    let listener =
        TcpListener::bind(config.ops_listen).await.with_context(|| format!("listening on {}", config.ops_listen))?;
    tracing::info!(ops_listen = %listener.local_addr()?, "node is ready");
    let health = Health::new();
    health.clear(Unready::Starting);
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let interrupted = async {
        let result = tokio::signal::ctrl_c().await;
        stop.cancel();
        result
    };
    let (served, interrupted) =
        tokio::join!(observability::serve_ops(listener, metrics, health, shutdown), interrupted);
    served?;
    Ok(interrupted?)
}
