//! Where log lines go and which are written.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use super::{Config, LogFormat, ObservabilityError};

/// Sends the log lines of the whole process to standard error. Call once, before the first task starts.
///
/// # Errors
/// The filter cannot be read, or logs were set up before.
pub fn install_logs(config: &Config) -> Result<(), ObservabilityError> {
    let filter = EnvFilter::try_new(&config.filter)
        .map_err(|source| ObservabilityError::Filter { filter: config.filter.clone(), source })?;
    let terminal = io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let installed = if json {
        registry.with(lines.json().flatten_event(true)).try_init()
    } else {
        registry.with(lines.with_ansi(terminal)).try_init()
    };
    installed.map_err(ObservabilityError::Logs)
}
