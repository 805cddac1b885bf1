//! Metrics of the whole process, rendered for Prometheus.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::{ObservabilityError, process};

/// Upper bounds, in seconds, of the buckets of every histogram whose name ends in `_seconds`.
///
/// From a hit in memory (tens of microseconds) over a cold fill's first byte (tens of milliseconds and the origin's
/// own time) to the limit of a whole fetch (300 s).
const SECONDS: [f64; 17] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0];

/// Upper bounds, in bytes, of the buckets of every histogram whose name ends in `_bytes`: 1 KiB to 512 MiB.
const BYTES: [f64; 7] = [1024.0, 8192.0, 65_536.0, 524_288.0, 4_194_304.0, 33_554_432.0, 536_870_912.0];

/// Reads what the process has counted so far.
#[derive(Clone, Debug)]
pub struct Metrics(PrometheusHandle);

/// Receives the metrics of the whole process. Call once, before the first metric is touched: what comes earlier is lost.
///
/// # Errors
/// Metrics were set up before.
pub fn install_metrics() -> Result<Metrics, ObservabilityError> {
    let recorder = recorder()?;
    let handle = Metrics(recorder.handle());
    ::metrics::set_global_recorder(recorder).map_err(|_| ObservabilityError::Metrics)?;
    process::describe();
    Ok(handle)
}

/// A recorder with our buckets that receives nothing yet.
pub(super) fn recorder() -> Result<PrometheusRecorder, ObservabilityError> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &BYTES))
        .map_err(ObservabilityError::Buckets)?;
    Ok(builder.build_recorder())
}

impl Metrics {
    /// The reader of a recorder that is not the process's own.
    #[cfg(test)]
    pub(super) fn of(recorder: &PrometheusRecorder) -> Metrics {
        Metrics(recorder.handle())
    }

    /// Every metric in the text format of Prometheus.
    pub fn render(&self) -> String {
        process::record();
        self.0.render()
    }

    /// Folds samples of histograms that were recorded since the last time into their buckets, so that their memory stays
    /// bounded when nobody asks for [`render`](Metrics::render).
    pub fn fold(&self) {
        self.0.run_upkeep();
    }
}
