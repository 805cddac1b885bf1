//! Nodes that share a bucket, what happens to them, and what is known to be true of them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use ringback::{
    clock::Clock,
    ids::{SourceKey, Tenant},
    media::cache::{
        News, Purge, SourceRecord,
        durable::{Directory, ObjectKey, ObjectStore, Replace, Upload},
    },
    testing::faulty_store::Faults,
};

use super::{
    bucket::Bucket,
    node::{self, Node, Outcome, Wrong},
    truth::{Made, Truth},
};

pub(super) const SOURCES: u32 = 4;
/// Steps that a failure tells of.
const TOLD_MAX: usize = 60;

/// What should be true of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Nobody has it, in no outbox either.
    Absent,
    /// It was made and not deleted since.
    Present,
    /// It was deleted: these nodes have heard of it.
    Deleted { is_told: bool, by: u32, heard: BTreeSet<u32> },
    /// It was made and deleted at once, so that either may be the last word.
    Unclear,
}

/// What is known of an artifact.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) status: Status,
    /// Whether the bucket has been told of all of it.
    pub(super) is_told: bool,
    /// Nodes that have its bytes for certain, until they tell the bucket.
    pub(super) safe: BTreeSet<u32>,
}

/// A purge, and who obeys it.
#[derive(Debug)]
pub(super) struct Purged {
    purge: Purge,
    at: SystemTime,
    is_told: bool,
    by: u32,
    known: BTreeSet<u32>,
}

impl Purged {
    fn covers(&self, record: &SourceRecord) -> bool {
        record.asked_at() <= self.at
            && match &self.purge {
                Purge::Url(url) => record.url == *url,
                Purge::Prefix(prefix) => record.url.starts_with(prefix),
                Purge::Tag(tag) => record.tags.contains(tag),
                Purge::All => true,
            }
    }
}

/// What came of one thing that was done beside others.
#[derive(Debug)]
pub(super) enum Event {
    Nothing,
    Made(Made, SystemTime),
    Deleted(Made),
    Purged(Purged),
    /// What was told when it began to listen, and what it obeyed.
    Heard(Vec<Made>, Vec<usize>, Vec<News>),
}

/// Counts of what was seen, so that a run that proves nothing is seen as one.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) steps: u64,
    pub(super) served: [u64; 4],
    pub(super) lost: u64,
    pub(super) failed: u64,
    pub(super) fills: u64,
    pub(super) deletes: u64,
    pub(super) purges: u64,
    pub(super) kills: u64,
    pub(super) found_again: u64,
    pub(super) lost_untold: u64,
    pub(super) unclear: u64,
}

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) step: usize,
    pub(super) calm: bool,
    pub(super) chance: StdRng,
    pub(super) clock: Clock,
    pub(super) truth: Truth,
    pub(super) bucket: Arc<dyn ObjectStore>,
    pub(super) nodes: Vec<Node>,
    pub(super) versions: Vec<u32>,
    pub(super) states: BTreeMap<Made, State>,
    pub(super) purges: Vec<Purged>,
    /// What may be made at this moment, by somebody else than who asks.
    pub(super) making: BTreeSet<Made>,
    pub(super) seen: Seen,
    pub(super) story: VecDeque<String>,
    next_node: u32,
    uploads: Vec<(ObjectKey, Bytes)>,
    _dir: tempfile::TempDir,
}

impl World {
    pub(super) async fn new(seed: u64) -> World {
        let mut chance = StdRng::seed_from_u64(seed);
        let clock = Clock::system();
        let dir = tempfile::tempdir().unwrap();
        let bucket: Arc<dyn ObjectStore> = if seed % 5 == 4 {
            Arc::new(Directory::open(dir.path().to_owned()).await.unwrap())
        } else {
            Arc::new(Bucket::new(clock.clone()))
        };
        let truth = Truth::new(seed);
        let uploads = uploads(&truth);
        for (key, bytes) in &uploads {
            bucket.put(key, Upload::of(bytes.clone(), "x/y", Replace::Never)).await.unwrap();
        }
        let calm = seed.is_multiple_of(3);
        let nodes = chance.random_range(2..4);
        let mut world = World {
            seed,
            step: 0,
            calm,
            chance,
            clock,
            truth,
            bucket,
            nodes: Vec::new(),
            versions: vec![0; SOURCES as usize],
            states: BTreeMap::new(),
            purges: Vec::new(),
            making: BTreeSet::new(),
            seen: Seen::default(),
            story: VecDeque::new(),
            next_node: 0,
            uploads,
            _dir: dir,
        };
        for _ in 0..nodes {
            let node = world.new_node().await;
            world.nodes.push(node);
        }
        world
    }

    pub(super) async fn new_node(&mut self) -> Node {
        self.next_node += 1;
        let config = node::config(&mut self.chance, self.calm);
        let rests = self.chance.random_bool(0.5);
        Node::start(self.next_node, Arc::clone(&self.bucket), config, self.clock.clone(), rests).await
    }

    pub(super) fn tell(&mut self, text: String) {
        if self.story.len() == TOLD_MAX {
            self.story.pop_front();
        }
        self.story.push_back(format!("{}: {text}", self.step));
    }

    #[track_caller]
    pub(super) fn hold(&self, outcome: Result<(), Wrong>) {
        if let Err(Wrong(what)) = outcome {
            let story: Vec<&str> = self.story.iter().map(String::as_str).collect();
            panic!(
                "SEED {} step {}: {what}\n{}\nRINGBACK_SIM_SEEDS={} repeats it",
                self.seed,
                self.step,
                story.join("\n"),
                self.seed
            );
        }
    }

    pub(super) fn draw_made(&mut self) -> Made {
        let source = self.chance.random_range(0..SOURCES);
        let latest = self.versions[source as usize];
        let version = if self.chance.random_bool(0.85) { latest } else { self.chance.random_range(0..=latest) };
        Made { source, version, format: self.chance.random_range(0..Made::FORMATS) }
    }

    pub(super) fn status(&self, made: &Made) -> &Status {
        self.states.get(made).map_or(&Status::Absent, |state| &state.status)
    }

    /// Asks and checks what comes against what must not be served.
    pub(super) async fn ask(&self, node: &Node, made: Made, part: (f64, f64)) -> Result<Outcome, Wrong> {
        let outcome = node.ask(&self.truth, made, part).await?;
        let is_gone = match self.status(&made) {
            Status::Absent => true,
            Status::Deleted { is_told: true, heard, .. } => heard.contains(&node.id),
            _ => false,
        };
        if is_gone && !self.making.contains(&made) && matches!(outcome, Outcome::Served(_) | Outcome::Lost) {
            let status = self.status(&made);
            return Err(Wrong(format!("node {} has {made:?}, which is {status:?}: {outcome:?}", node.id)));
        }
        Ok(outcome)
    }

    /// Looks a source up and checks that it is nothing that was purged, and nothing older than what was there.
    pub(super) async fn look_up(&self, node: &Node, source: u32, elsewhere: bool) -> Result<Option<u32>, Wrong> {
        let Some(cache) = &node.cache else { return Ok(None) };
        let made = Made { source, version: 0, format: 0 };
        let (tenant, key): (Tenant, SourceKey) = (Tenant::default_tenant(), made.source_key());
        let Ok(found) = cache.source(&tenant, &key).await else { return Ok(None) };
        let found = match found {
            Some(known) if elsewhere => {
                cache.source_elsewhere(&tenant, &key, &known).await.ok().flatten().or(Some(known))
            }
            found => found,
        };
        let Some(record) = found else { return Ok(None) };
        if record.url != made.url() {
            return Err(Wrong(format!("node {}: the index entry of source {source} is another's", node.id)));
        }
        if let Some(rule) = self.purges.iter().find(|rule| rule.known.contains(&node.id) && rule.covers(&record)) {
            return Err(Wrong(format!("node {}: source {source} was purged: {rule:?} {record:?}", node.id)));
        }
        if let Some(floor) = node.checked.get(&source)
            && record.checked_at < *floor
        {
            return Err(Wrong(format!("node {}: source {source} is older than what was committed", node.id)));
        }
        let versions = 0..=self.versions[source as usize];
        let version =
            versions.into_iter().find(|version| self.truth.content_hash(source, *version) == record.content_hash);
        match version {
            Some(version) => Ok(Some(version)),
            None => Err(Wrong(format!("node {}: source {source} never had these bytes", node.id))),
        }
    }

    /// What a node hears: with what was told for certain before it listened.
    pub(super) async fn hear(&self, node: &Node) -> Event {
        let Some(cache) = &node.cache else { return Event::Nothing };
        let deleted = |state: &State| matches!(state.status, Status::Deleted { is_told: true, .. });
        let deleted: Vec<Made> =
            self.states.iter().filter(|(_, state)| deleted(state)).map(|(made, _)| *made).collect();
        let purged = (0..self.purges.len()).filter(|index| self.purges[*index].is_told).collect();
        let mut all = Vec::new();
        loop {
            match cache.hear(self.clock.now_wall()).await {
                Ok(news) if news.is_empty() => return Event::Heard(deleted, purged, all),
                Ok(news) => all.extend(news),
                Err(_) => return Event::Nothing,
            }
        }
    }

    pub(super) async fn delete(&self, node: &Node, made: Made) -> Event {
        let Some(cache) = &node.cache else { return Event::Nothing };
        let tenant = Tenant::default_tenant();
        match cache.reference(&tenant, &made.id()).await {
            Ok(Some(_)) => {}
            _ => return Event::Nothing,
        }
        match cache.drop_reference(&tenant, &made.id(), self.clock.now_wall()).await {
            Ok(_) => Event::Deleted(made),
            Err(error) => panic!("a delete failed: {error}"),
        }
    }

    pub(super) async fn purge(&self, node: &Node, purge: Purge) -> Event {
        let Some(cache) = &node.cache else { return Event::Nothing };
        let at = self.clock.now_wall();
        cache.purge(&Tenant::default_tenant(), purge.clone(), at).await.unwrap();
        Event::Purged(Purged { purge, at, is_told: false, by: node.id, known: BTreeSet::from([node.id]) })
    }

    /// Notes what came of things that were done at once on nodes.
    pub(super) fn apply(&mut self, events: Vec<(usize, Event)>) {
        let made: BTreeSet<Made> = events
            .iter()
            .filter_map(|(_, event)| if let Event::Made(made, _) = event { Some(*made) } else { None })
            .collect();
        let mut sources = BTreeMap::new();
        for (index, event) in &events {
            if let Event::Made(made, _) = event {
                *sources.entry((*index, made.source)).or_insert(0) += 1;
            }
        }
        for (index, event) in events {
            let id = self.nodes[index].id;
            match event {
                Event::Nothing => {}
                Event::Made(made, at) => {
                    self.seen.fills += 1;
                    // Of several at once either may be the last.
                    let is_last = sources.get(&(index, made.source)) == Some(&1);
                    let checked = &mut self.nodes[index].checked;
                    if is_last {
                        checked.insert(made.source, at)
                    } else {
                        checked.remove(&made.source)
                    };
                    self.nodes[index].unsettled.insert(made);
                    let is_safe = self.calm || self.nodes[index].has_disk();
                    let state = self.states.entry(made).or_insert(State {
                        status: Status::Absent,
                        is_told: false,
                        safe: BTreeSet::new(),
                    });
                    if state.status == Status::Absent {
                        *state = State { status: Status::Present, is_told: false, safe: BTreeSet::new() };
                    }
                    if matches!(state.status, Status::Deleted { .. }) {
                        state.status = Status::Unclear;
                    }
                    if is_safe {
                        state.safe.insert(id);
                    }
                }
                Event::Deleted(gone) => {
                    self.seen.deletes += 1;
                    let status = if made.contains(&gone) || *self.status(&gone) == Status::Unclear {
                        Status::Unclear
                    } else {
                        Status::Deleted { is_told: false, by: id, heard: BTreeSet::from([id]) }
                    };
                    self.states.insert(gone, State { status, is_told: false, safe: BTreeSet::new() });
                    self.nodes[index].checked.clear();
                }
                Event::Purged(purged) => {
                    self.seen.purges += 1;
                    self.purges.push(purged);
                }
                Event::Heard(deleted, purged, news) => {
                    for made in deleted {
                        if let Some(State { status: Status::Deleted { heard, .. }, .. }) = self.states.get_mut(&made) {
                            heard.insert(id);
                        }
                    }
                    for rule in purged {
                        self.purges[rule].known.insert(id);
                    }
                    if news.iter().any(|news| matches!(news, News::Forgotten(..))) {
                        self.nodes[index].checked.clear();
                    }
                }
            }
        }
        self.settle();
    }

    /// What a node with nothing pending has done is in the bucket, but for what it lost before.
    pub(super) fn settle(&mut self) {
        for index in 0..self.nodes.len() {
            if self.nodes[index].has_lost() {
                let node = self.nodes[index].id;
                self.tell(format!("node {node} has lost bytes that the bucket was to be told of"));
                // What another node had written before may lie there all the same: where nothing presses, that is the only reason.
                if !self.calm {
                    self.risk(node);
                }
            }
        }
        for node in &mut self.nodes {
            if node.cache.is_none() || node.pending() > 0 {
                continue;
            }
            for made in std::mem::take(&mut node.unsettled) {
                if let Some(state) = self.states.get_mut(&made)
                    && state.safe.contains(&node.id)
                {
                    state.is_told = true;
                }
            }
            for state in self.states.values_mut() {
                if let Status::Deleted { is_told, by, .. } = &mut state.status {
                    *is_told |= *by == node.id;
                }
            }
            for purged in &mut self.purges {
                purged.is_told |= purged.by == node.id;
            }
        }
    }

    /// A node may have lost bytes that nobody else has.
    pub(super) fn risk(&mut self, node: u32) {
        for state in self.states.values_mut() {
            state.safe.remove(&node);
        }
    }

    /// A node that ends hears everything anew at its next start.
    pub(super) fn deafen(&mut self, node: u32) {
        for state in self.states.values_mut() {
            if let Status::Deleted { heard, .. } = &mut state.status {
                heard.remove(&node);
            }
        }
    }

    /// A node will not say any more what it has not said yet.
    pub(super) fn forget_node(&mut self, node: u32) {
        self.risk(node);
        for state in self.states.values_mut() {
            if matches!(state.status, Status::Deleted { is_told: false, by, .. } if by == node) {
                state.status = Status::Unclear;
            }
        }
        self.purges.retain(|purged| purged.is_told || purged.by != node);
    }

    pub(super) fn draw_faults(&mut self) -> Faults {
        let mut faults = Faults { is_down: self.chance.random_bool(0.25), ..Faults::default() };
        let mut maybe = || if self.chance.random_bool(0.3) { self.chance.random_range(0.05..0.7) } else { 0.0 };
        (faults.fail, faults.corrupt, faults.truncate) = (maybe(), maybe(), maybe());
        (faults.break_off, faults.swap, faults.lose_acknowledgement, faults.tear) =
            (maybe(), maybe(), maybe(), maybe());
        if self.chance.random_bool(0.3) {
            faults.delay = Duration::from_millis(self.chance.random_range(0..3_000));
            faults.piece_delay = Duration::from_millis(self.chance.random_range(0..300));
        }
        faults
    }

    /// What people have put into the bucket is none of the cache's business.
    pub(super) async fn check_uploads(&self) -> Result<(), Wrong> {
        for (key, right) in &self.uploads {
            let found = self.bucket.head(key).await;
            if !found.as_ref().is_ok_and(|meta| meta.length == right.len() as u64) {
                return Err(Wrong(format!("the upload {key} is gone: {found:?}")));
            }
        }
        Ok(())
    }
}

/// Uploads under the very hashes that originals have, so that a removal by name alone would hit them.
fn uploads(truth: &Truth) -> Vec<(ObjectKey, Bytes)> {
    let upload = |source| {
        let hash = truth.content_hash(source, 0).to_string();
        let key = ObjectKey::new(format!("uploads/default/{}/{hash}", &hash[..2])).unwrap();
        (key, Bytes::from(hash))
    };
    (0..SOURCES).map(upload).collect()
}
