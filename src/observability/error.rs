//! What can fail while logs and metrics are set up.

use tracing_subscriber::{filter::ParseError, util::TryInitError};

/// Logs or metrics could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObservabilityError {
    /// The filter of log lines is not one; validation refuses it before this.
    #[error("the log filter {filter:?} cannot be read")]
    Filter {
        /// As configured.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
    /// Something else already receives the log lines of this process.
    #[error("logs were set up twice")]
    Logs(#[source] TryInitError),
    /// A histogram's buckets are empty.
    #[error("the buckets of a histogram are wrong")]
    Buckets(#[source] metrics_exporter_prometheus::BuildError),
    /// Something else already receives the metrics of this process.
    #[error("metrics were set up twice")]
    Metrics,
}
