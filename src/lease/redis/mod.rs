//! Leases of a fleet, in Redis or Valkey: one script for each decision, on the server's clock.
//!
//! `link.rs` keeps the one connection; `scripts/` are the decisions, and `scripts/prelude.lua` says how leases lie in the server. A lease is named there by its number and its
//! pools, so that it is counted out where it counted, whoever finds that it has expired.

mod link;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::redis::{Script, ScriptInvocation};
use tokio::sync::watch;

use super::{
    Answer, Chain, Config, Lease, LeaseError, LeaseId, Leases, Paced, Pool, Rate, Standing, Subscription, Take, Taken,
    Values, pool::Ready,
};
use link::Link;

/// Leases that one call renews or releases: the server does nothing else meanwhile, a third of a millisecond.
const BATCH: usize = 500;

/// Leases in a server that nodes share. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    link: Link,
    scripts: Scripts,
    keys: Keys,
    /// Tells this node's leases from those of all others.
    node: u64,
    leases: AtomicU64,
}

struct Scripts {
    take: Script,
    renew: Script,
    release: Script,
    values: Script,
    pace: Script,
    add: Script,
}

/// Names of keys in the server.
struct Keys {
    held: String,
    leases: String,
    prefix: String,
}

/// What the server calls the pools of a chain.
pub(in super::super) struct Names {
    pools: Box<[String]>,
    /// All of them, as they follow a lease's number in its name.
    tail: String,
}

fn script(text: &str) -> Script {
    Script::new(&format!("{}\n{text}", include_str!("scripts/prelude.lua")))
}

impl Redis {
    /// Leases in the server that `config` names. Nothing is asked before [`Leases::keep`] has connected.
    ///
    /// # Errors
    /// It names none.
    pub fn new(config: &Config) -> Result<Redis, LeaseError> {
        let prefix = format!("{{{}}}", config.prefix);
        let keys = Keys { held: format!("{prefix}:held"), leases: format!("{prefix}:leases"), prefix };
        let scripts = Scripts {
            take: script(include_str!("scripts/take.lua")),
            renew: script(include_str!("scripts/renew.lua")),
            release: script(include_str!("scripts/release.lua")),
            values: script(include_str!("scripts/values.lua")),
            pace: Script::new(include_str!("scripts/pace.lua")),
            add: Script::new(include_str!("scripts/add.lua")),
        };
        let open = script(include_str!("scripts/open.lua"));
        let release = script(include_str!("scripts/release.lua"));
        let link = Link::new(config, &keys, open, release)?;
        Ok(Redis { inner: Arc::new(Inner { link, scripts, keys, node: rand::random(), leases: AtomicU64::new(1) }) })
    }

    async fn take_there(&self, take: Take<'_>) -> Result<Taken, LeaseError> {
        let (inner, names) = (&*self.inner, names(take.chain)?);
        // While holders register the server is asked as well: on its clock it is over exactly.
        let epoch = inner.link.epoch(true)?;
        let number = inner.leases.fetch_add(1, Ordering::Relaxed);
        let lease = LeaseId(u128::from(inner.node) << 64 | u128::from(number));
        let member = names.member(lease);
        let lasts = take.lasts.unwrap_or(inner.link.lasts());
        let mut call = inner.call(&inner.scripts.take);
        call.arg(epoch).arg(millis(lasts)).arg(&member).arg(u8::from(take.is_held_already));
        for (level, name) in names.pools.iter().enumerate() {
            call.arg(name).arg(take.caps.get(level).copied().unwrap_or(u32::MAX));
        }
        // From here to the answer it may be taken: whoever gives up waiting leaves it to be released.
        let unheard = inner.link.unheard(member);
        let answer: Vec<i64> =
            if take.is_held_already { inner.link.ask_of_held(&call).await? } else { inner.link.ask(&call).await? };
        unheard.heard();
        let (verdict, values) = answer.split_first().ok_or(LeaseError::Misread("take"))?;
        match usize::try_from(*verdict) {
            Ok(0) => Ok(Taken::Held { lease, epoch, values: counts(values) }),
            Ok(level) => Ok(Taken::Full { level: level - 1, values: counts(values) }),
            Err(_) => Err(inner.link.note_verdict(&answer)),
        }
    }

    async fn renew_there(&self, leases: &[Lease<'_>], lasts: Duration) -> Result<Vec<bool>, LeaseError> {
        let inner = &*self.inner;
        let mut all = Vec::with_capacity(leases.len());
        for batch in leases.chunks(BATCH) {
            let epoch = inner.link.epoch(true)?;
            let mut call = inner.call(&inner.scripts.renew);
            call.arg(epoch).arg(millis(lasts));
            for lease in batch {
                call.arg(names(lease.chain)?.member(lease.id));
            }
            let answer: Vec<i64> = inner.link.ask_of_held(&call).await?;
            match answer.first() {
                Some(-1) => return Err(inner.link.note_verdict(&answer)),
                _ if answer.len() == batch.len() => all.extend(answer.iter().map(|there| *there == 1)),
                _ => return Err(LeaseError::Misread("renew")),
            }
        }
        Ok(all)
    }

    async fn release_there(&self, leases: &[Lease<'_>]) -> Result<usize, LeaseError> {
        let inner = &*self.inner;
        let mut released = 0;
        for batch in leases.chunks(BATCH) {
            let mut call = inner.call(&inner.scripts.release);
            for lease in batch {
                call.arg(names(lease.chain)?.member(lease.id));
            }
            released += inner.link.ask_of_held::<usize>(&call).await?;
        }
        Ok(released)
    }

    async fn values_there(&self, chain: &Chain) -> Result<Values, LeaseError> {
        let inner = &*self.inner;
        let mut call = inner.call(&inner.scripts.values);
        call.arg(inner.link.epoch(false)?);
        for name in &names(chain)?.pools {
            call.arg(name);
        }
        let answer: Vec<i64> = inner.link.ask(&call).await?;
        match answer.split_first() {
            Some((0, values)) => Ok(counts(values)),
            _ => Err(inner.link.note_verdict(&answer)),
        }
    }

    async fn pace_there(&self, pool: Pool, rate: Rate) -> Result<Paced, LeaseError> {
        let inner = &*self.inner;
        let mut call = inner.scripts.pace.key(format!("{}:pace:{}", inner.keys.prefix, pool.name()));
        call.arg(rate.interval_micros()).arg(rate.tolerance_micros()).arg(rate.wait_max_micros());
        let (is_turn, wait): (u8, u64) = inner.link.ask(&call).await?;
        let wait = Duration::from_micros(wait);
        Ok(if is_turn == 1 { Paced::Turn { starts_in: wait } } else { Paced::Full { retry_in: wait } })
    }

    async fn add_there(&self, counter: Pool, by: i64, lasts: Duration) -> Result<i64, LeaseError> {
        let inner = &*self.inner;
        let mut call = inner.scripts.add.key(format!("{}:count:{}", inner.keys.prefix, counter.name()));
        call.arg(by).arg(millis(lasts));
        inner.link.ask(&call).await
    }
}

impl Inner {
    fn call<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        call.key(&self.keys.held).key(&self.keys.leases);
        call
    }
}

impl Names {
    fn new(pools: &[Pool]) -> Names {
        let pools: Box<[String]> = pools.iter().map(|pool| pool.name()).collect();
        let tail = pools.iter().flat_map(|name| ["|", name]).collect();
        Names { pools, tail }
    }

    fn member(&self, lease: LeaseId) -> String {
        format!("{:x}{}", lease.0, self.tail)
    }
}

fn names(chain: &Chain) -> Result<&Names, LeaseError> {
    match chain.ready() {
        Ready::Redis(names) => Ok(names),
        Ready::Local(_) => Err(LeaseError::Chain("a chain is used with leases that it was not made for")),
    }
}

fn counts(values: &[i64]) -> Values {
    values.iter().map(|value| u32::try_from(*value).unwrap_or_default()).collect()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Leases for Redis {
    fn is_shared(&self) -> bool {
        true
    }

    fn chain(&self, pools: &[Pool]) -> Result<Chain, LeaseError> {
        Chain::check(pools)?;
        Ok(Chain::new(pools, Ready::Redis(Box::new(Names::new(pools)))))
    }

    fn take<'a>(&'a self, take: Take<'a>) -> Answer<'a, Result<Taken, LeaseError>> {
        Answer::later(self.take_there(take))
    }

    fn renew<'a>(&'a self, leases: &'a [Lease<'a>], lasts: Duration) -> Answer<'a, Result<Vec<bool>, LeaseError>> {
        Answer::later(self.renew_there(leases, lasts))
    }

    fn release<'a>(&'a self, leases: &'a [Lease<'a>]) -> Answer<'a, Result<usize, LeaseError>> {
        Answer::later(self.release_there(leases))
    }

    fn values<'a>(&'a self, chain: &'a Chain) -> Answer<'a, Result<Values, LeaseError>> {
        Answer::later(self.values_there(chain))
    }

    fn pace(&self, pool: Pool, rate: Rate) -> Answer<'_, Result<Paced, LeaseError>> {
        Answer::later(self.pace_there(pool, rate))
    }

    fn add(&self, counter: Pool, by: i64, lasts: Duration) -> Answer<'_, Result<i64, LeaseError>> {
        Answer::later(self.add_there(counter, by, lasts))
    }

    fn publish<'a>(&'a self, topic: &'a str, message: &'a [u8]) -> Answer<'a, Result<(), LeaseError>> {
        Answer::later(self.inner.link.publish(topic, message))
    }

    fn subscribe(&self, topic: &str) -> Result<Subscription, LeaseError> {
        self.inner.link.subscribe(topic)
    }

    fn standing(&self) -> watch::Receiver<Standing> {
        self.inner.link.standing()
    }

    fn keep(&self) -> Answer<'_, ()> {
        Answer::later(self.inner.link.keep())
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("keys", &self.keys_shown()).finish_non_exhaustive()
    }
}

impl Redis {
    fn keys_shown(&self) -> &str {
        &self.inner.keys.prefix
    }
}
