//! `ringback limits`: how much accounts and keys may have in progress, by the store itself. A running node that uses the same store holds to it within a second.

use std::{path::PathBuf, time::Duration};

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::{
    app,
    clock::Clock,
    concurrency::{Limit, LimitsError, Policy, Resource, Scope, StoredLimit, StoredLimits},
};

use super::{Exit, serve::Settings, terminal::Terminal};

/// Who changes it, as the store has it.
const OPERATOR: &str = "operator";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
    /// TOML file to read, the node's own
    #[arg(long, global = true, value_name = "FILE", env = "RINGBACK_CONFIG")]
    config: Option<PathBuf>,
    /// Directory of all local state [default: ./ringback-data]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// Write JSON, one object a line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Give an account, a key, or everybody together a limit; what is in progress beyond it goes on
    Set(New),
    /// Take a limit away, so that the configuration's holds
    Remove {
        /// platform, an account (AC…) or a key (SK…)
        scope: Scope,
        /// A kind of work, such as fetches
        resource: Resource,
    },
    /// List the limits that were given
    List {
        /// Those of this account or key, or of the platform
        scope: Option<Scope>,
    },
}

#[derive(Debug, Args)]
struct New {
    /// platform, an account (AC…) or a key (SK…)
    scope: Scope,
    /// A kind of work, such as fetches
    resource: Resource,
    /// So many at most; without it there is no limit
    #[arg(long, value_name = "NUMBER")]
    hard: Option<u32>,
    /// From so many on it is told and counted
    #[arg(long, value_name = "NUMBER")]
    soft: Option<u32>,
    /// What happens to one more
    #[arg(long, default_value = "reject")]
    policy: What,
    /// With delay: how long it waits before it is refused
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    wait_max: humantime::Duration,
    /// With delay: how many may wait at once on one node
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    waiting_max: u32,
    /// With throttle: by how much its answer is slowed
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    slowed_by: humantime::Duration,
    /// With throttle: how many beyond the limit are let in so, before the next is refused
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    beyond: u32,
}

/// What happens to one more.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// It is refused
    Reject,
    /// It waits
    Delay,
    /// Its answer is slowed
    Throttle,
    /// It is only counted and logged
    DryRun,
}

impl New {
    fn limit(&self) -> Limit {
        let policy = match self.policy {
            What::Reject => Policy::Reject,
            What::Delay => Policy::Delay { wait_max: *self.wait_max, waiting_max: self.waiting_max },
            What::Throttle => Policy::Throttle { slowed_by: *self.slowed_by, beyond: self.beyond },
            What::DryRun => Policy::DryRun,
        };
        Limit { soft: self.soft, hard: self.hard, policy }
    }
}

pub(super) async fn run(arguments: Arguments, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let Arguments { verb, config, data_dir, json } = arguments;
    let config = match Settings::of(config, data_dir).load() {
        Ok(loaded) => loaded.config,
        Err(mistakes) => {
            terminal.complain(&mistakes.to_string());
            return Ok(Exit::Usage);
        }
    };
    let (limits, store) = match app::open_limits(&config).await {
        Ok(opened) => opened,
        Err(error) => {
            terminal.complain(&format!("{error:#}"));
            return Ok(Exit::NothingDone);
        }
    };
    let done = carry_out(verb, &limits, json, terminal).await;
    store.close().await;
    let exit = match &done {
        Ok(exit) => *exit,
        Err(error) => match error.downcast_ref::<LimitsError>() {
            Some(LimitsError::Store(_)) => Exit::NothingDone,
            _ => Exit::Failed,
        },
    };
    if let Err(error) = done {
        terminal.complain(&format!("{error:#}"));
    }
    Ok(exit)
}

async fn carry_out(verb: Verb, limits: &StoredLimits, json: bool, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let (scope, resource, limit) = match verb {
        Verb::List { scope } => {
            let mut all = limits.list().await?;
            all.retain(|limit| scope.is_none_or(|scope| scope == limit.scope));
            all.sort_by_key(|limit| (limit.scope, limit.resource));
            for limit in &all {
                tell(limit, json, terminal)?;
            }
            return Ok(Exit::Done);
        }
        Verb::Set(new) => {
            if new.hard.is_none() && new.soft.is_none() {
                bail!("a limit needs --hard or --soft; remove takes one away");
            }
            (new.scope, new.resource, Some(new.limit()))
        }
        Verb::Remove { scope, resource } => (scope, resource, None),
    };
    let of =
        |limits: Vec<StoredLimit>| limits.into_iter().find(|known| (known.scope, known.resource) == (scope, resource));
    if limit.is_none() && of(limits.list().await?).is_none() {
        terminal.complain(&format!("{scope} has no limit of its own on {resource}"));
        return Ok(Exit::NotThere);
    }
    limits.set(scope, resource, limit, (OPERATOR, Clock::system().now_wall())).await?;
    if let Some(set) = of(limits.list().await?) {
        tell(&set, json, terminal)?;
    }
    Ok(Exit::Done)
}

fn tell(known: &StoredLimit, json: bool, terminal: &mut Terminal) -> anyhow::Result<()> {
    let StoredLimit { scope, resource, limit, version, changed_by } = known;
    let text = if json {
        json!({
            "scope": scope.to_string(), "resource": resource, "limit": limit, "version": version, "changed_by": changed_by,
        })
        .to_string()
    } else {
        let number = |number: Option<u32>| number.map_or("-".to_owned(), |number| number.to_string());
        let more = match limit.policy {
            Policy::Delay { wait_max, waiting_max } => format!(", for {}, {waiting_max} at once", shown(wait_max)),
            Policy::Throttle { slowed_by, beyond } => format!(", by {}, {beyond} beyond it", shown(slowed_by)),
            Policy::Reject | Policy::DryRun => String::new(),
        };
        let (soft, hard, policy) = (number(limit.soft), number(limit.hard), limit.policy.as_str());
        format!("{scope}  {resource}  soft {soft}  hard {hard}  {policy}{more}")
    };
    Ok(terminal.say(&text)?)
}

fn shown(span: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(span)
}
