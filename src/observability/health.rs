//! Whether this node lives and should be sent requests.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

/// Why no requests should be sent to this node now.
///
/// Only what is this node's own matters here: a store that all nodes share and that is down must not empty the balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unready {
    /// Rooms are still being built.
    Starting,
    /// SIGTERM came: what runs is finished, new requests belong elsewhere.
    Draining,
    /// The data directory cannot be written.
    DataDirectory,
}

impl Unready {
    /// Every reason.
    pub const ALL: [Unready; 3] = [Unready::Starting, Unready::Draining, Unready::DataDirectory];

    /// The name in answers and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Unready::Starting => "starting",
            Unready::Draining => "draining",
            Unready::DataDirectory => "data-directory-unusable",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What this node does without for the moment, while it serves all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The durable tier fails, is full or refuses us: what is made is not in it yet.
    DurableTier,
    /// The disk tier takes no chunks: they are in memory only.
    DiskTier,
    /// The store of accounts does not answer: callers that are known may read, and that is all.
    AccountStore,
    /// The server of leases does not answer, or hears again of what is held: this node counts alone, as `concurrency.when_away` says.
    Leases,
}

impl Lack {
    /// Each of them.
    pub const ALL: [Lack; 4] = [Lack::DurableTier, Lack::DiskTier, Lack::AccountStore, Lack::Leases];

    /// The name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Lack::DurableTier => "durable-tier",
            Lack::DiskTier => "disk-tier",
            Lack::AccountStore => "account-store",
            Lack::Leases => "leases",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Set when nothing but a new process helps.
const DEAD: u8 = 1 << 7;

/// The state of the node, shared by all who change or tell it. Starts as [`Unready::Starting`].
#[derive(Clone, Debug)]
pub struct Health(Arc<States>);

#[derive(Debug)]
struct States {
    unready: AtomicU8,
    lacking: AtomicU8,
}

impl Default for Health {
    fn default() -> Health {
        let unready = AtomicU8::new(Unready::Starting.bit());
        Health(Arc::new(States { unready, lacking: AtomicU8::new(0) }))
    }
}

impl Health {
    /// A node that is starting.
    pub fn new() -> Health {
        Health::default()
    }

    /// Notes that `reason` holds now.
    pub fn set(&self, reason: Unready) {
        self.0.unready.fetch_or(reason.bit(), Ordering::Relaxed);
    }

    /// Notes that `reason` holds no longer.
    pub fn clear(&self, reason: Unready) {
        self.0.unready.fetch_and(!reason.bit(), Ordering::Relaxed);
    }

    /// Notes whether the node does without something now.
    pub fn set_lack(&self, lack: Lack, holds: bool) {
        if holds {
            self.0.lacking.fetch_or(lack.bit(), Ordering::Relaxed);
        } else {
            self.0.lacking.fetch_and(!lack.bit(), Ordering::Relaxed);
        }
    }

    /// What the node does without now. It is ready all the same: what all nodes lack must not empty the balancer.
    pub fn lacks(&self) -> Vec<&'static str> {
        let state = self.0.lacking.load(Ordering::Relaxed);
        Lack::ALL.into_iter().filter(|lack| state & lack.bit() != 0).map(Lack::as_str).collect()
    }

    /// Notes that a part the node cannot do without has ended: only a restart helps.
    pub fn fail(&self) {
        self.0.unready.fetch_or(DEAD, Ordering::Relaxed);
    }

    /// Whether a restart would change nothing for the better.
    pub fn is_live(&self) -> bool {
        self.0.unready.load(Ordering::Relaxed) & DEAD == 0
    }

    /// Whether requests should be sent here.
    pub fn is_ready(&self) -> bool {
        self.0.unready.load(Ordering::Relaxed) == 0
    }

    /// Why not, if not.
    pub fn reasons(&self) -> Vec<&'static str> {
        let state = self.0.unready.load(Ordering::Relaxed);
        let failed = (state & DEAD != 0).then_some("failed");
        let unready = Unready::ALL.into_iter().filter(|reason| state & reason.bit() != 0).map(Unready::as_str);
        unready.chain(failed).collect()
    }
}
