//! What operators see: logs, metrics, and whether this node lives and is ready, on a listener of its own.

mod config;
mod error;
mod health;
mod logs;
mod metrics;
mod ops;
mod process;

#[cfg(test)]
mod tests;

pub use config::{Config, LogFormat};
pub use error::ObservabilityError;
pub use health::{Health, Lack, Unready};
pub use logs::install_logs;
pub use metrics::{Metrics, install_metrics};
pub use ops::serve_ops;
