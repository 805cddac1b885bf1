//! Whether decisions are made.

/// What can be expected of who keeps the leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Decisions are made.
    Deciding {
        /// Another number than before: all leases were lost, and those that are still held are to be registered again.
        epoch: u64,
    },
    /// Leases were lost and are being registered again; nothing is decided.
    Recovering {
        /// As above.
        epoch: u64,
    },
    /// Nobody answers.
    Away,
}

impl Standing {
    /// What [`as_str`](Standing::as_str) may say.
    pub const STATES: &'static [&'static str] = &["deciding", "recovering", "away"];

    /// The number of times that leases were lost, as far as this node knows; `None` while it cannot know.
    pub fn epoch(self) -> Option<u64> {
        match self {
            Standing::Deciding { epoch } | Standing::Recovering { epoch } => Some(epoch),
            Standing::Away => None,
        }
    }

    /// Label of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Standing::Deciding { .. } => "deciding",
            Standing::Recovering { .. } => "recovering",
            Standing::Away => "away",
        }
    }
}
