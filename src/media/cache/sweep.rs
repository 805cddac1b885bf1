//! The sweep: removes from the durable tier what its rules let go, a little at a time, while everybody reads and writes there.
//!
//! A pass goes through 256 parts, one for each first byte of a digest, from a part that chance chooses at the first start: so nodes that
//! share a store sweep it at different places. Removing is the same however often it is done, so they need not know of one another.
//! How far a pass has come is in `sweep.json` in the data directory, and goes on there after a restart. A store that fails costs the part
//! that is being swept; it is swept again when its turn comes.
//!
//! What goes:
//! - references and index entries that were not written for `artifacts_keep`. Those of audio that is used are written again once a day
//!   (see `uses`), so this is the time since the last use;
//! - kept originals that were not written for `originals_keep`;
//! - when a pass has found more than `bytes_max`, the next removes what is oldest, by a sum of bytes for each step of age. It is a guess
//!   that a step of age can make too large by a twentieth, and it never takes what is younger than `orphans_keep`;
//! - what nothing leads to: manifests without a reference, bytes without a manifest, chunk records without an original, older than
//!   `orphans_keep`, because whoever writes them writes bytes first;
//! - announcements that everybody has heard.
//!
//! The order is: references, manifest, bytes. Whoever looks finds either all that leads to the bytes, or no way to them; whoever had
//! begun to read loses a chunk, which is a miss, and never gets another byte: every chunk is checked against its name. Before something
//! goes it is looked at once more. What still slips through between that look and the removal (another node finds the bytes there
//! and writes a reference to them) is a reference without bytes, which is made again like any evicted audio.
//!
//! Uploads are no cache: nothing here looks at them, and `bytes_max` does not count them.

mod pages;
mod slice;
mod tally;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use metrics::gauge;
use serde::{Deserialize, Serialize};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::{
    slice::{Reason, Rules, What},
    tally::Tally,
};
use super::{
    catalogue::Announcement,
    durable::{self, Durable, ObjectKey, StoreError, layout},
    uses::Uses,
};
use crate::clock::Clock;

/// Parts of a pass.
const PARTS: u16 = 256;
/// Where it is written how far a pass has come.
const FILE: &str = "sweep.json";
/// How long announcements are kept at least, for nodes that are away.
const ANNOUNCEMENTS_KEEP: Duration = Duration::from_secs(30 * 24 * 3600);
/// Announcements in one list.
const LISTED_MAX: usize = 1000;
/// Announcements that are remembered as those that stay. Beyond, they are read again in the next pass.
const STAYING_MAX: usize = 100_000;
/// How often it is looked whether a new day has begun, where nothing is swept.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// The task. Dropping it ends the task where it stands.
#[derive(Debug)]
pub(super) struct Sweep {
    ended: CancellationToken,
    _ends: DropGuard,
}

impl Sweep {
    /// Starts the task: a pass takes `sweep_every`; with none, it only notices that a new day has begun.
    pub(super) fn start(mut sweeper: Sweeper, uses: Uses, every: Duration) -> Sweep {
        let ended = CancellationToken::new();
        let until = ended.clone();
        let pause = if every.is_zero() { LOOK_EVERY } else { every / u32::from(PARTS) };
        let run = async move {
            loop {
                tokio::time::sleep(pause).await;
                uses.look_at_the_clock();
                if !every.is_zero()
                    && let Err(error) = sweeper.step().await
                {
                    tracing::warn!(%error, "a part of the durable tier could not be swept; it is tried again");
                }
            }
        };
        tokio::spawn(async move {
            tokio::select! {
                () = run => {}
                () = until.cancelled() => {}
            }
        });
        Sweep { ended: ended.clone(), _ends: ended.drop_guard() }
    }

    /// Ends the task where it stands.
    pub(super) fn end(&self) {
        self.ended.cancel();
    }
}

/// How far the passes have come, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// Which store it is about: what was found in another says nothing of this one.
    place: String,
    /// The part that a pass begins with.
    first: u8,
    /// Parts of this pass that were swept.
    swept: u16,
    /// When this pass began.
    begun: SystemTime,
    /// What it has left so far.
    tally: Tally,
    /// The pass before it.
    last: Option<Pass>,
}

/// A pass that came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pass {
    begun: SystemTime,
    ended: SystemTime,
    /// What it left.
    tally: Tally,
}

/// Who sweeps.
#[derive(Debug)]
pub(super) struct Sweeper {
    config: durable::Config,
    durable: Durable,
    clock: Clock,
    path: PathBuf,
    record: Record,
    /// Old announcements that stay for ever. Only a shortcut.
    staying: HashSet<ObjectKey>,
}

impl Sweeper {
    /// Goes on where the last process stopped, if it swept the same store.
    pub(super) fn open(config: durable::Config, data_dir: &Path, durable: Durable, clock: Clock) -> Sweeper {
        let (path, place) = (data_dir.join(FILE), config.place(data_dir));
        let record = read(&path).filter(|record| record.place == place && record.swept < PARTS);
        let record = record.unwrap_or_else(|| Record {
            place,
            first: rand::random(),
            swept: 0,
            begun: clock.now_wall(),
            tally: Tally::default(),
            last: None,
        });
        let sweeper = Sweeper { config, durable, clock, path, record, staying: HashSet::new() };
        sweeper.show();
        sweeper
    }

    /// Sweeps the next part. Whether it was the last of a pass.
    ///
    /// **Cancel-safe**: the part is then swept again.
    ///
    /// # Errors
    /// The store's; the part is swept again with the next step.
    pub(super) async fn step(&mut self) -> Result<bool, StoreError> {
        if self.record.swept == 0 {
            self.record.begun = self.clock.now_wall();
            self.sweep_announcements().await?;
        }
        // Below 256, as everything modulo it.
        let part = ((u16::from(self.record.first) + self.record.swept) % PARTS) as u8;
        let left = slice::sweep(&self.durable, part, self.rules()).await?;
        self.record.tally.merge(&left);
        self.record.swept += 1;
        let is_last = self.record.swept == PARTS;
        if is_last {
            let tally = std::mem::take(&mut self.record.tally);
            self.record.last = Some(Pass { begun: self.record.begun, ended: self.clock.now_wall(), tally });
            self.record.swept = 0;
            self.show();
        }
        self.note().await;
        Ok(is_last)
    }

    /// What goes in this pass.
    fn rules(&self) -> Rules {
        let now = self.clock.now_wall();
        let before = |keep: Duration| if keep.is_zero() { None } else { now.checked_sub(keep) };
        let orphans_before = before(self.config.orphans_keep).unwrap_or(SystemTime::UNIX_EPOCH);
        let bytes_max = self.config.bytes_max.get();
        let last = self.record.last.as_ref().filter(|_| bytes_max > 0);
        let too_old = last.and_then(|last| last.begun.checked_sub(last.tally.too_old(bytes_max)?));
        Rules {
            artifacts_before: before(self.config.artifacts_keep),
            originals_before: before(self.config.originals_keep),
            room_before: too_old.map(|too_old| too_old.min(orphans_before)),
            orphans_before,
            begun: self.record.begun,
        }
    }

    /// Removes announcements that have been heard by all who were here within a month. Those of purges stay as long as there may be
    /// something that they speak of: a node that is new here must not serve what was purged.
    async fn sweep_announcements(&mut self) -> Result<(), StoreError> {
        let now = self.clock.now_wall();
        let Some(until) = now.checked_sub(ANNOUNCEMENTS_KEEP) else { return Ok(()) };
        // What was not used goes after artifacts_keep, in a pass that was begun then; twice that leaves the sweep time for it.
        let keep = self.config.artifacts_keep;
        let purges_until = if keep.is_zero() { None } else { now.checked_sub(ANNOUNCEMENTS_KEEP.max(keep * 2)) };
        let store = self.durable.store().clone();
        let mut after = None;
        loop {
            let listed = store.list(layout::ANNOUNCEMENTS, after.as_ref(), LISTED_MAX).await?;
            let Some(last) = listed.last() else { return Ok(()) };
            after = Some(last.key.clone());
            for listed in listed {
                let Some(at) = layout::announced_at(&listed.key) else { continue };
                // They are in order of time.
                if until <= at {
                    return Ok(());
                }
                if self.staying.contains(&listed.key) {
                    continue;
                }
                if purges_until.is_none_or(|until| until <= at) && self.is_purge(&listed.key).await? {
                    if purges_until.is_none() && self.staying.len() < STAYING_MAX {
                        self.staying.insert(listed.key);
                    }
                    continue;
                }
                store.delete(&listed.key).await?;
                slice::count(What::Announcement, Reason::Expired, listed.length);
            }
        }
    }

    async fn is_purge(&self, key: &ObjectKey) -> Result<bool, StoreError> {
        let announcement = self.durable.record::<Announcement>(key).await?;
        // One that cannot be read may be a later version's, of whatever kind.
        Ok(announcement.is_none_or(|announcement| announcement.forgotten().is_none()))
    }

    /// Tells operators what the last whole pass has found.
    fn show(&self) {
        let Some(last) = &self.record.last else { return };
        gauge!("ringback_media_durable_bytes").set(last.tally.bytes as f64);
        gauge!("ringback_media_durable_objects").set(last.tally.objects as f64);
        let ended = last.ended.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        gauge!("ringback_media_durable_swept_time_seconds").set(ended.as_secs_f64());
    }

    /// Writes down how far it has come. Where that fails, it is only lost at the end of the process.
    async fn note(&self) {
        let (path, record) = (self.path.clone(), self.record.clone());
        let written = tokio::task::spawn_blocking(move || write(&path, &record)).await;
        if let Err(error) = written.map_err(io::Error::other).flatten() {
            tracing::warn!(%error, "it cannot be noted how far the durable tier was swept");
        }
    }
}

fn read(path: &Path) -> Option<Record> {
    let text = std::fs::read(path).ok()?;
    serde_json::from_slice(&text)
        .inspect_err(|error| tracing::warn!(%error, "the note of how far the durable tier was swept is damaged"))
        .ok()
}

/// Not synced: after a loss of power a pass begins anew.
fn write(path: &Path, record: &Record) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(&serde_json::to_vec(record)?)?;
    file.persist(path)?;
    Ok(())
}
