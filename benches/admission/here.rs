//! In process.

use std::{
    hint::black_box,
    pin::pin,
    sync::{Arc, Barrier},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use ringback::{
    clock::Clock,
    concurrency::{Concurrency, Config, Limit, MemoryLimits, Place, Resource, Scope, Subject},
    ids::{AccountSid, KeySid},
    lease::{Lease, LeaseId, Leases as _, Local, Pool, Take, Taken},
};

/// Decisions that are measured at once, and their places held meanwhile: far fewer than there are accounts, more than a clock's error.
const BATCH: usize = 1_000;
const BATCHES: usize = 2_000;
const RESOURCE: Resource = Resource::Fetches;
const HARD: u32 = 1_000_000;

/// Numbers that are always the same and look like chance.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count as u64).unwrap_or_default()
    }
}

/// A subaccount with a key, in an account of its own: four levels.
fn subjects(count: usize) -> Result<Vec<Subject>> {
    let mut chance = Chance(1);
    let mut hex = || format!("{:016x}{:016x}", chance.next(), chance.next());
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let account: AccountSid = format!("AC{}", hex()).parse()?;
        let parent: AccountSid = format!("AC{}", hex()).parse()?;
        let key: KeySid = format!("SK{}", hex()).parse()?;
        all.push(Subject { account, parent: Some(parent), key: Some(key), ..Subject::account(account) });
    }
    Ok(all)
}

fn gate(accounts: usize) -> Result<Concurrency> {
    let mut config = Config { callers_max: 4 * accounts.max(1_000), ..Config::default() };
    for table in [&mut config.limits.platform, &mut config.limits.account, &mut config.limits.key] {
        table.insert(RESOURCE, Limit::hard(HARD));
    }
    let records = MemoryLimits::default();
    records.set(Scope::Platform, RESOURCE, Limit::hard(HARD))?;
    let clock = Clock::system();
    Ok(Concurrency::new(config, Arc::new(Local::new(clock.clone())), Duration::ZERO, Arc::new(records), clock))
}

/// Admits without waiting, as one does who finds room.
fn admit(gate: &Concurrency, subject: Subject) -> Option<Place> {
    let mut admitting = pin!(gate.admit(subject, RESOURCE));
    match admitting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(place) => place.ok(),
        Poll::Pending => None,
    }
}

/// Nanoseconds for each of `BATCH` turns.
#[expect(clippy::disallowed_methods, reason = "measures")]
fn timed(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64() * 1e9 / BATCH as f64
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

struct Figures {
    enter: f64,
    leave: f64,
}

/// `active` of them are asked for, at random; all are remembered.
fn admissions(gate: &Concurrency, subjects: &[Subject], active: usize) -> Result<Figures> {
    for subject in subjects {
        drop(admit(gate, *subject).context("not admitted")?);
    }
    let mut chance = Chance(2);
    let (mut enters, mut leaves) = (Vec::new(), Vec::new());
    let mut places = Vec::with_capacity(BATCH);
    for _ in 0..BATCHES {
        let chosen: Vec<Subject> = (0..BATCH).filter_map(|_| subjects.get(chance.below(active)).copied()).collect();
        enters.push(timed(|| places.extend(chosen.iter().filter_map(|subject| admit(gate, *subject)))));
        anyhow::ensure!(places.len() == BATCH, "not all were admitted");
        leaves.push(timed(|| places.clear()));
    }
    Ok(Figures { enter: median(enters), leave: median(leaves) })
}

/// One after the other by the same caller: what is uncontended and warm.
fn pairs(gate: &Concurrency, subject: Subject) -> f64 {
    let turn = || {
        timed(|| {
            for _ in 0..BATCH {
                drop(black_box(admit(gate, black_box(subject))));
            }
        })
    };
    median((0..BATCHES).map(|_| turn()).collect())
}

/// Leases alone, without what admission knows of callers.
fn leases() -> Result<Figures> {
    let leases = Local::new(Clock::system());
    let pools = [Pool::shared(1, 0), Pool::of_family(7, 2, 1), Pool::of_family(7, 2, 2), Pool::of_family(7, 3, 3)];
    let chain = leases.chain(&pools)?;
    let take = Take { chain: &chain, caps: &[HARD; 4], lasts: None, is_held_already: false };
    let (mut enters, mut leaves) = (Vec::new(), Vec::new());
    let mut held: Vec<LeaseId> = Vec::with_capacity(BATCH);
    for _ in 0..BATCHES {
        enters.push(timed(|| {
            for _ in 0..BATCH {
                if let Ok(Taken::Held { lease, .. }) = leases.take_now(take) {
                    held.push(lease);
                }
            }
        }));
        leaves.push(timed(|| {
            for id in held.drain(..) {
                black_box(leases.release_now(Lease { id, chain: &chain }));
            }
        }));
    }
    Ok(Figures { enter: median(enters), leave: median(leaves) })
}

/// Two threads: nanoseconds for each pair of one of them.
fn contended(gate: &Concurrency, subjects: [Subject; 2]) -> Result<f64> {
    let start = Arc::new(Barrier::new(2));
    let threads = subjects.map(|subject| {
        let (gate, start) = (gate.clone(), start.clone());
        std::thread::spawn(move || {
            start.wait();
            pairs(&gate, subject)
        })
    });
    let mut worst = 0_f64;
    for thread in threads {
        worst = worst.max(thread.join().map_err(|_| anyhow::anyhow!("a thread failed"))?);
    }
    Ok(worst)
}

pub(crate) fn run(accounts: usize) -> Result<()> {
    println!("in process, four levels, median of {BATCHES} times {BATCH}, in ns");
    let row = |what: &str, figures: &Figures| println!("{what:<44} {:>8.0} {:>8.0}", figures.enter, figures.leave);
    println!("{:<44} {:>8} {:>8}", "", "enter", "leave");
    row("leases alone", &leases()?);
    let few = subjects(1)?;
    let small = gate(1)?;
    let figures = admissions(&small, &few, few.len())?;
    row("admission, 1 account", &figures);
    let many = subjects(accounts)?;
    let large = gate(accounts)?;
    let before = resident_bytes()?;
    let all = admissions(&large, &many, accounts)?;
    for active in [1_000, 10_000] {
        let figures = admissions(&large, many.get(..active).unwrap_or(&many), active.min(accounts))?;
        row(&format!("admission, {active} of {accounts} accounts"), &figures);
    }
    row(&format!("admission, {accounts} accounts at random"), &all);
    let bytes = resident_bytes()?.saturating_sub(before);
    let each = bytes / accounts.max(1) as u64;
    println!("{:<44} {:>8.0}", "one read of as much memory at random", one_read(bytes));
    println!("{:<44} {:>8.0}", "entering and leaving, 1 account", pairs(&small, few.first().copied().context("none")?));
    let two = subjects(2)?;
    let [one, other] = two.as_slice() else { anyhow::bail!("not two") };
    println!("{:<44} {:>8.0}", "the same on two threads, two accounts", contended(&small, [*one, *other])?);
    println!("{:<44} {:>8.0}", "the same on two threads, one account", contended(&small, [*one, *one])?);
    println!("memory of each caller that is remembered: {each} bytes");
    Ok(())
}

/// What a processor waits for one read that is in no cache, among so many bytes: each tells where the next is.
fn one_read(bytes: u64) -> f64 {
    let count = usize::try_from(bytes / 64).unwrap_or_default().max(2);
    let mut lines: Vec<[u64; 8]> = (0..count as u64).map(|at| [at; 8]).collect();
    let mut chance = Chance(3);
    // One circle through all of them.
    for at in (1..count).rev() {
        lines.swap(at, chance.below(at));
    }
    let mut at = 0_u64;
    let turn = |at: &mut u64| {
        timed(|| {
            for _ in 0..BATCH {
                *at = lines.get(usize::try_from(*at).unwrap_or_default()).map_or(0, |line| line[0]);
            }
            black_box(*at);
        })
    };
    median((0..BATCHES).map(|_| turn(&mut at)).collect())
}

fn resident_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}
