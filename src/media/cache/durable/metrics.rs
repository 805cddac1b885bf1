//! What is counted of the requests to the durable store.

use std::time::Duration;

use metrics::{Counter, Gauge, counter, gauge, histogram};

/// What a store is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Put,
    Get,
    Head,
    Delete,
    List,
}

impl Operation {
    /// The label of metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Operation::Put => "put",
            Operation::Get => "get",
            Operation::Head => "head",
            Operation::Delete => "delete",
            Operation::List => "list",
        }
    }

    /// Whether it changes what is there.
    pub(super) const fn changes(self) -> bool {
        matches!(self, Operation::Put | Operation::Delete)
    }
}

/// Counters of one store.
pub(super) struct Metrics {
    store: &'static str,
    /// Bytes of bodies that came.
    pub(super) read_bytes: Counter,
    /// Bytes of objects that were written.
    pub(super) written_bytes: Counter,
    resting: Gauge,
}

impl Metrics {
    /// Registers with the recorder installed at this time.
    pub(super) fn new(store: &'static str) -> Metrics {
        let metrics = Metrics {
            store,
            read_bytes: counter!("ringback_media_durable_read_bytes_total", "store" => store),
            written_bytes: counter!("ringback_media_durable_written_bytes_total", "store" => store),
            resting: gauge!("ringback_media_durable_resting", "store" => store),
        };
        metrics.resting(false);
        metrics
    }

    /// A request has ended, its body included.
    pub(super) fn ended(&self, operation: Operation, result: &'static str) {
        let operation = operation.as_str();
        counter!("ringback_media_durable_requests_total", "store" => self.store, "op" => operation, "result" => result)
            .increment(1);
    }

    /// A request was answered, or failed; bodies come after it.
    pub(super) fn answered(&self, operation: Operation, took: Duration) {
        histogram!("ringback_media_durable_request_seconds", "store" => self.store, "op" => operation.as_str())
            .record(took);
    }

    pub(super) fn resting(&self, is_resting: bool) {
        self.resting.set(if is_resting { 1.0 } else { 0.0 });
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("store", &self.store).finish_non_exhaustive()
    }
}
