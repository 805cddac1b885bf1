//! The durable tier and its cache under everything that goes wrong, drawn from a seed: nodes that share a bucket are asked, killed,
//! damaged and cut off, and hold their promises all the same.
//!
//! - What is served is right, or nothing is served.
//! - When the trouble is over, a node with an empty directory finds everything that was made and not deleted. What the upper tiers lost
//!   before the bucket was told of it is excepted, and where nothing presses on them (every third seed), nothing is.
//! - What was deleted or purged is served by nobody who has heard of it.
//! - What people have put into the bucket stays.
//!
//! `RINGBACK_SIM_SEEDS` names the seeds, `7` or `100..200`; `RINGBACK_SIM_STEPS` how long each lasts; `RINGBACK_SIM_LOG` shows what nodes log,
//! by a filter such as `debug`. Tokio's time is paused, so that pauses pass at once.

mod bucket;
mod damage;
mod node;
mod truth;
mod world;

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use futures_util::future::join_all;
use rand::RngExt as _;
use ringback::{
    ids::Tenant,
    media::cache::{Purge, Tier},
    testing::faulty_store::Call,
};
use tokio::sync::Notify;

use crate::support::setting;

use self::{
    node::{Outcome, Wrong, breathe},
    truth::{Made, tag},
    world::{Event, SOURCES, Seen, State, Status, World},
};

/// Rounds of each seed, each with an end at which all must be well.
const ROUNDS: usize = 3;
const STEPS: usize = 60;
/// Turns that nodes have to tell everything. In tokio's time: a second each.
const TURNS_MAX: usize = 20_000;

#[tokio::test(start_paused = true)]
async fn promises_hold_whatever_goes_wrong() {
    if let Some(filter) = setting("RINGBACK_SIM_LOG") {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
    let seeds = range("RINGBACK_SIM_SEEDS").unwrap_or(0..6);
    let steps = range("RINGBACK_SIM_STEPS").map_or(STEPS, |steps| steps.start as usize);
    let mut all = Seen::default();
    for seed in seeds {
        let seen = run(seed, steps).await;
        println!("seed {seed}: {seen:?}");
        all.found_again += seen.found_again;
        all.served = std::array::from_fn(|tier| all.served[tier] + seen.served[tier]);
        all.kills += seen.kills;
    }
    // A simulation in which nothing happens proves nothing.
    let [memory, disk, _, bucket] = all.served;
    assert!(memory > 0 && disk > 0 && bucket > 0 && all.found_again > 0, "{all:?}");
}

fn range(name: &str) -> Option<Range<u64>> {
    let text = setting(name)?;
    let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text}: a number or FIRST..END"));
    Some(match text.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => number(&text)..number(&text) + 1,
    })
}

/// Moves the paused clock on now and then: it has been seen to rest for good after a node was killed, as if blocking work went on.
struct Pulse {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    fn start() -> Pulse {
        let (ends, beat) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
        let (ended, beats) = (Arc::clone(&ends), Arc::clone(&beat));
        tokio::spawn(async move {
            loop {
                beat.notified().await;
                tokio::time::advance(Duration::from_secs(1)).await;
            }
        });
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                std::thread::park_timeout(Duration::from_millis(50));
                beats.notify_one();
            }
        });
        Pulse { ends, thread: Some(thread) }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            thread.join().ok();
        }
    }
}

async fn run(seed: u64, steps: usize) -> Seen {
    let _pulse = Pulse::start();
    let mut world = World::new(seed).await;
    for _ in 0..ROUNDS {
        for _ in 0..steps {
            world.step += 1;
            world.clock.advance_wall(Duration::from_secs(1));
            let held = world.do_something().await;
            world.hold(held);
        }
        let held = world.quiet().await;
        world.hold(held);
    }
    for node in &mut world.nodes {
        node.close().await;
    }
    world.seen
}

impl World {
    async fn do_something(&mut self) -> Result<(), Wrong> {
        self.seen.steps += 1;
        match self.chance.random_range(0..100) {
            0..70 => return self.do_at_once().await,
            70..78 => {
                let faults = self.draw_faults();
                let index = self.chance.random_range(0..self.nodes.len());
                self.tell(format!("node {}: {faults:?}", self.nodes[index].id));
                self.nodes[index].faulty.set(faults);
            }
            78..84 => {
                let index = self.chance.random_range(0..self.nodes.len());
                self.tell(format!("node {} is well", self.nodes[index].id));
                self.nodes[index].heal();
            }
            84..90 => {
                let wait = Duration::from_millis(self.chance.random_range(0..20_000));
                self.tell(format!("{wait:?} pass"));
                tokio::time::sleep(wait).await;
                breathe().await;
            }
            90..96 => self.stop_or_start().await,
            96..98 if !self.calm => {
                let index = self.chance.random_range(0..self.nodes.len());
                let mebibytes = if self.chance.random_bool(0.2) { 80 } else { 2 };
                self.tell(format!("{mebibytes} MiB through node {}", self.nodes[index].id));
                self.risk(self.nodes[index].id);
                self.nodes[index].press(mebibytes, &mut self.chance).await;
            }
            98..100 if !self.calm => {
                let index = self.chance.random_range(0..self.nodes.len());
                let gone = self.nodes[index].id;
                self.nodes[index].kill(0, &mut self.chance).await;
                self.forget_node(gone);
                let node = self.new_node().await;
                self.tell(format!("node {gone} is lost, node {} takes its place", node.id));
                self.nodes[index] = node;
            }
            _ => {
                let source = self.chance.random_range(0..SOURCES);
                self.versions[source as usize] += 1;
                self.tell(format!("source {source} changes"));
            }
        }
        self.settle();
        Ok(())
    }

    fn draw_alive(&mut self) -> Option<usize> {
        let alive: Vec<usize> = (0..self.nodes.len()).filter(|index| self.nodes[*index].cache.is_some()).collect();
        if alive.is_empty() { None } else { Some(alive[self.chance.random_range(0..alive.len())]) }
    }

    async fn stop_or_start(&mut self) {
        let index = self.chance.random_range(0..self.nodes.len());
        let id = self.nodes[index].id;
        if self.nodes[index].cache.is_none() {
            self.tell(format!("node {id} starts"));
            self.nodes[index].open().await;
            return;
        }
        let kills = self.chance.random_bool(0.6);
        let tears = if self.calm { 0 } else { self.chance.random_range(0..6) };
        self.tell(format!("node {id} {} with {tears} tears", if kills { "is killed" } else { "ends" }));
        self.deafen(id);
        if kills {
            self.seen.kills += 1;
            if self.calm {
                self.nodes[index].cache.as_ref().unwrap().flush().await;
            } else {
                self.risk(id);
            }
            self.nodes[index].kill(tears, &mut self.chance).await;
        } else {
            if !self.nodes[index].has_disk() {
                self.risk(id);
            }
            self.nodes[index].close().await;
        }
    }

    /// Some requests on any nodes at the same time.
    async fn do_at_once(&mut self) -> Result<(), Wrong> {
        let count = self.chance.random_range(1..5);
        let mut plans = Vec::new();
        let mut busy = BTreeSet::new();
        for _ in 0..count {
            let Some(index) = self.draw_alive() else { continue };
            let made = self.draw_made();
            let what = self.chance.random_range(0..100);
            let part = (self.chance.random_range(0.0..1.0), self.chance.random_range(0.0..1.0));
            let part = if self.chance.random_bool(0.5) { (0.0, 1.0) } else { part };
            let (keep, makes) = (self.chance.random_bool(0.4), self.chance.random_bool(0.7));
            // Two changes of the same at the same moment have no last word.
            if what >= 60 && !busy.insert(made) {
                continue;
            }
            plans.push((index, made, what, part, keep, makes));
        }
        let texts: Vec<String> = plans
            .iter()
            .map(|(index, made, what, ..)| format!("node {} {} {made:?}", self.nodes[*index].id, verb(*what)))
            .collect();
        self.tell(texts.join("; "));
        // Where something may forget entries, they are held against nothing.
        if plans.iter().any(|plan| plan.2 >= 80) {
            self.nodes.iter_mut().for_each(|node| node.checked.clear());
        }
        self.making = plans.iter().filter(|plan| (60..80).contains(&plan.2)).map(|plan| plan.1).collect();
        let world = &*self;
        let begun = plans.into_iter().map(async |(index, made, what, part, keep, makes)| {
            let done = world.one(index, made, what, part, keep, makes).await;
            (index, done)
        });
        let mut events = Vec::new();
        let mut outcomes = Vec::new();
        for (index, done) in join_all(begun).await {
            let (outcome, event) = done?;
            outcomes.push(outcome);
            events.push((index, event));
        }
        self.making.clear();
        self.count(&outcomes);
        self.tell(format!("  {outcomes:?}"));
        self.apply(events);
        Ok(())
    }

    async fn one(
        &self,
        index: usize,
        made: Made,
        what: u32,
        part: (f64, f64),
        keep: bool,
        makes: bool,
    ) -> Result<(Option<Outcome>, Event), Wrong> {
        let node = &self.nodes[index];
        if node.cache.is_none() {
            return Ok((None, Event::Nothing));
        }
        Ok(match what {
            // By its name.
            0..30 => (Some(self.ask(node, made, part).await?), Event::Nothing),
            30..35 => {
                node.ask_original(&self.truth, made.source, made.version).await?;
                (None, Event::Nothing)
            }
            // By its source, as an answer of the index says; made, where that leads to nothing.
            35..60 => {
                self.look_up(node, made.source, keep).await?;
                (Some(self.ask(node, made, (0.0, 1.0)).await?), Event::Nothing)
            }
            60..80 => {
                let outcome = self.ask(node, made, part).await?;
                let is_lacking = !matches!(outcome, Outcome::Served(_));
                let at = if is_lacking && makes { node.fill(&self.truth, made, keep).await } else { None };
                (Some(outcome), at.map_or(Event::Nothing, |at| Event::Made(made, at)))
            }
            80..85 => (None, self.delete(node, made).await),
            85..88 => {
                let purge = match what {
                    85 => Purge::Url(made.url()),
                    86 => Purge::Tag(tag(made.source)),
                    _ if keep => Purge::All,
                    _ => Purge::Prefix("https://sounds".to_owned()),
                };
                (None, self.purge(node, purge).await)
            }
            _ => (None, self.hear(node).await),
        })
    }

    fn count(&mut self, outcomes: &[Option<Outcome>]) {
        for outcome in outcomes.iter().flatten() {
            match outcome {
                Outcome::Served(Tier::Memory) => self.seen.served[0] += 1,
                Outcome::Served(Tier::Disk) => self.seen.served[1] += 1,
                Outcome::Served(Tier::Directory) => self.seen.served[2] += 1,
                Outcome::Served(Tier::S3) => self.seen.served[3] += 1,
                Outcome::Lost => self.seen.lost += 1,
                Outcome::Failed => self.seen.failed += 1,
                Outcome::Unknown => {}
            }
        }
    }

    /// The trouble ends: all is told and heard, and then a node with an empty directory finds all that is to be found.
    async fn quiet(&mut self) -> Result<(), Wrong> {
        self.tell("all is well from now on".to_owned());
        for index in 0..self.nodes.len() {
            self.nodes[index].heal();
            if self.nodes[index].cache.is_none() {
                self.nodes[index].open().await;
            }
        }
        // A store that failed is left alone for half a minute and a fifth at most.
        tokio::time::sleep(Duration::from_secs(40)).await;
        // What has another's unfinished bytes in its way waits ten minutes for it.
        self.clock.advance_wall(Duration::from_secs(700));
        for _ in 0..2 {
            self.drain().await?;
            for index in 0..self.nodes.len() {
                let event = self.hear(&self.nodes[index]).await;
                if matches!(event, Event::Nothing) {
                    return Err(Wrong(format!("node {} cannot hear", self.nodes[index].id)));
                }
                self.apply(vec![(index, event)]);
            }
        }
        self.drain().await?;
        self.check_all().await?;
        self.clear_up().await?;
        self.check_uploads().await
    }

    async fn drain(&mut self) -> Result<(), Wrong> {
        for turn in 0..TURNS_MAX {
            if turn == TURNS_MAX / 2 {
                self.nodes.iter().for_each(|node| drop(node.faulty.take_calls()));
            }
            if self.nodes.iter().all(|node| node.pending() == 0) {
                self.settle();
                return Ok(());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            breathe().await;
        }
        let pending: Vec<u64> = self.nodes.iter().map(node::Node::pending).collect();
        // What they asked the bucket in the second half of the time: the same again and again, or nothing.
        let asked = self.nodes.iter().map(|node| {
            // Lists are the sweep's.
            let calls = node.faulty.take_calls().into_iter().filter(|call| !matches!(call, Call::List(_)));
            calls.rev().take(8).collect::<Vec<_>>()
        });
        Err(Wrong(format!("the bucket is never told everything: {pending:?}; {:#?}", asked.collect::<Vec<_>>())))
    }

    async fn check_all(&mut self) -> Result<(), Wrong> {
        let mut fresh = self.new_node().await;
        // What it is to obey, it hears first.
        let event = self.hear(&fresh).await;
        let Event::Heard(deleted, purged, _) = &event else { return Err(Wrong("a fresh node cannot hear".to_owned())) };
        self.tell(format!("node {} is new and heard {deleted:?} {purged:?}", fresh.id));
        self.nodes.push(fresh);
        let last = self.nodes.len() - 1;
        self.apply(vec![(last, event)]);
        for source in 0..SOURCES {
            for node in &self.nodes {
                self.look_up(node, source, true).await?;
            }
        }
        let mut found_again = 0;
        for (made, state) in &self.states {
            for node in self.nodes.iter().rev() {
                let outcome = self.ask(node, *made, (0.0, 1.0)).await?;
                let is_purged = self.is_purged(node, *made).await;
                if node.id == self.nodes[last].id && state.status == Status::Present && state.is_told {
                    if !is_purged && !matches!(outcome, Outcome::Served(_)) {
                        return Err(Wrong(format!("{made:?} was told and is not there: {outcome:?}")));
                    }
                    found_again += 1;
                }
            }
            if self.calm && state.status == Status::Present && !state.is_told {
                return Err(Wrong(format!("{made:?} was lost although nothing pressed: {state:?}")));
            }
        }
        self.seen.found_again += found_again;
        fresh = self.nodes.remove(last);
        fresh.close().await;
        self.forget_node(fresh.id);
        Ok(())
    }

    async fn is_purged(&self, node: &node::Node, made: Made) -> bool {
        let Some(cache) = &node.cache else { return false };
        let tenant = Tenant::default_tenant();
        let reference = cache.reference(&tenant, &made.id()).await.ok().flatten();
        reference.is_some_and(|reference| cache.is_purged(&tenant, &reference))
    }

    /// What is told and heard by all is gone; what is unclear is made so.
    async fn clear_up(&mut self) -> Result<(), Wrong> {
        let unclear =
            |state: &State| state.status == Status::Unclear || (state.status == Status::Present && !state.is_told);
        let unclear: Vec<Made> =
            self.states.iter().filter(|(_, state)| unclear(state)).map(|(made, _)| *made).collect();
        for made in unclear {
            match self.status(&made) {
                Status::Unclear => self.seen.unclear += 1,
                _ => self.seen.lost_untold += 1,
            }
            self.clock.advance_wall(Duration::from_secs(1));
            let tenant = Tenant::default_tenant();
            let cache = self.nodes[0].cache.as_ref().unwrap();
            cache.drop_reference(&tenant, &made.id(), self.clock.now_wall()).await.unwrap();
            let heard = BTreeSet::from([self.nodes[0].id]);
            let status = Status::Deleted { is_told: false, by: self.nodes[0].id, heard };
            self.states.insert(made, State { status, is_told: false, safe: BTreeSet::new() });
        }
        for _ in 0..2 {
            self.drain().await?;
            for index in 0..self.nodes.len() {
                let event = self.hear(&self.nodes[index]).await;
                self.apply(vec![(index, event)]);
            }
        }
        self.drain().await?;
        let ids: Vec<u32> = self.nodes.iter().map(|node| node.id).collect();
        for (made, state) in &mut self.states {
            let Status::Deleted { is_told, heard, .. } = &state.status else { continue };
            if !is_told || !ids.iter().all(|id| heard.contains(id)) {
                return Err(Wrong(format!("{made:?} was deleted, and not all know: {state:?}")));
            }
            state.status = Status::Absent;
        }
        for made in self.states.keys() {
            for node in &self.nodes {
                self.ask(node, *made, (0.0, 1.0)).await?;
            }
        }
        Ok(())
    }
}

fn verb(what: u32) -> &'static str {
    match what {
        0..30 => "asks for",
        30..35 => "reads the original of",
        35..60 => "looks up the source of",
        60..80 => "asks for or makes",
        80..85 => "deletes",
        85..88 => "purges by",
        _ => "hears, not",
    }
}
