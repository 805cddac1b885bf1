//! `ringback limits`: how much accounts and keys may have in progress, by the store itself. A running node that uses the same store holds to it within a second.

use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::{
    accounts::{Actor, Entry, Ledger},
    app,
    clock::Clock,
    concurrency::{
        By, Edit, Giver, Limit, LimitsError, Measure, PerSecond, Policy, Resource, Rule, Scope, Slot, StoredLimit,
        StoredLimits,
    },
    ids::AccountSid,
};

use super::{Exit, serve::Kept, terminal::Terminal};

/// Who changes it, as the store has it.
const OPERATOR: &str = "operator";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    kept: Kept,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Give an account, a key, or everybody together a limit; what is in progress beyond it goes on
    Set(New),
    /// Take a limit away, so that the configuration's holds; what an account at the top has given goes on to hold
    Remove {
        /// platform, an account (AC…) or a key (SK…)
        scope: Scope,
        /// A kind of work, such as fetches
        resource: Resource,
        /// Take away what an account at the top has given instead
        #[arg(long)]
        owners: bool,
    },
    /// List the limits that were given, by the operator and by accounts at the top
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
    /// So many may begin in a second; of accounts only, and of calls and call-writes
    #[arg(long, value_name = "NUMBER")]
    per_second: Option<u32>,
    /// With per-second: how many may wait to begin
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    backlog_max: u32,
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

    /// What is given: of what is not said, what was given before stays.
    fn rules(&self) -> Vec<Rule> {
        let is_limit = self.hard.is_some() || self.soft.is_some();
        let limit = is_limit.then(|| Rule::InProgress(self.limit()));
        let rate = self.per_second.map(|count| Rule::PerSecond(PerSecond { count, backlog_max: self.backlog_max }));
        limit.into_iter().chain(rate).collect()
    }
}

pub(super) async fn run(arguments: Arguments, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let Arguments { verb, kept } = arguments;
    let json = kept.json;
    let config = match kept.settings().load() {
        Ok(loaded) => loaded.config,
        Err(mistakes) => {
            terminal.complain(&mistakes.to_string());
            return Ok(Exit::Usage);
        }
    };
    let (limits, ledger, store) = match app::open_limits(&config).await {
        Ok(opened) => opened,
        Err(error) => {
            terminal.complain(&format!("{error:#}"));
            return Ok(Exit::NothingDone);
        }
    };
    let done = carry_out(verb, &limits, &ledger, json, terminal).await;
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

async fn carry_out(
    verb: Verb,
    limits: &StoredLimits,
    ledger: &Ledger,
    json: bool,
    terminal: &mut Terminal,
) -> anyhow::Result<Exit> {
    match verb {
        Verb::List { scope } => {
            let mut all = limits.list().await?;
            all.retain(|limit| scope.is_none_or(|scope| scope == limit.name.scope));
            all.sort_by_key(|limit| (limit.name.scope, limit.name.resource, limit.name.giver, limit.name.measure));
            for limit in &all {
                tell(limit, json, terminal)?;
            }
        }
        Verb::Set(new) => {
            let rules = new.rules();
            if rules.is_empty() {
                bail!("a limit needs --hard, --soft or --per-second; remove takes one away");
            }
            let wanted = rules.into_iter().map(|rule| ((new.scope, new.resource, rule.measure()), Some(rule)));
            change(limits, ledger, None, new.scope, &wanted.collect::<Vec<_>>()).await?;
            for limit in limits.given_to(new.scope).await? {
                if limit.name.resource == new.resource && limit.name.giver == Giver::Operator {
                    tell(&limit, json, terminal)?;
                }
            }
        }
        Verb::Remove { scope, resource, owners } => {
            let given = if owners { limits.given_to(scope).await? } else { Vec::new() };
            let owner = given.iter().find_map(|limit| limit.owner);
            let is_one = |measure: &Measure| *measure == Measure::InProgress || matches!(scope, Scope::Account(_));
            let measures = [Measure::InProgress, Measure::PerSecond].into_iter().filter(is_one);
            let wanted: Vec<_> = measures.map(|measure| ((scope, resource, measure), None)).collect();
            let was_there = owners == owner.is_some()
                && change(limits, ledger, owner, scope, &wanted).await?.iter().any(|edit| edit.was.is_some());
            if !was_there {
                terminal.complain(&format!("{scope} has no limit of its own on {resource}"));
                return Ok(Exit::NotThere);
            }
        }
    }
    Ok(Exit::Done)
}

/// Changes limits of a scope, of the operator's or of an owner's, and says so in the audit log: of the account whose it is, or whose key.
async fn change(
    limits: &StoredLimits,
    ledger: &Ledger,
    owner: Option<AccountSid>,
    scope: Scope,
    wanted: &[(Slot, Option<Rule>)],
) -> anyhow::Result<Vec<Edit>> {
    let account = match scope {
        Scope::Account(account) => account,
        Scope::Key(key) => ledger.account_of_key(&key).await?.unwrap_or(AccountSid::NOBODY),
        Scope::Platform | Scope::Destination(_) => AccountSid::NOBODY,
    };
    let (actor, at) = (Actor::operator("command line"), Clock::system().now_wall());
    let recorder = |edit: &Edit| {
        let action = if edit.is.is_some() { "limit.set" } else { "limit.remove" };
        let (target, detail) = (edit.name.scope.to_string(), edit.to_string());
        Ledger::write(Entry { account, by: &actor, action, target, detail, at })
    };
    Ok(limits.change(wanted, By { owner, who: OPERATOR, at }, &recorder).await?)
}

fn tell(known: &StoredLimit, json: bool, terminal: &mut Terminal) -> anyhow::Result<()> {
    let StoredLimit { name, owner, rule, version, changed_by } = known;
    let (scope, resource, given_by) = (name.scope, name.resource, name.giver.as_str());
    let text = if json {
        let mut line = json!({
            "scope": scope.to_string(), "resource": resource, "given_by": given_by, "owner": owner, "version": version, "changed_by": changed_by,
        });
        let (key, said) = match rule {
            Rule::InProgress(limit) => ("limit", json!(limit)),
            Rule::PerSecond(rate) => ("per_second", json!(rate)),
        };
        if let Some(fields) = line.as_object_mut() {
            fields.insert(key.to_owned(), said);
        }
        line.to_string()
    } else {
        let said = match rule {
            Rule::PerSecond(PerSecond { count, backlog_max }) => format!("{count} a second, {backlog_max} waiting"),
            Rule::InProgress(Limit { soft, hard, policy }) => {
                let number = |number: &Option<u32>| number.map_or("-".to_owned(), |number| number.to_string());
                let more = match *policy {
                    Policy::Delay { wait_max, waiting_max } => {
                        format!(", for {}, {waiting_max} at once", shown(wait_max))
                    }
                    Policy::Throttle { slowed_by, beyond } => format!(", by {}, {beyond} beyond it", shown(slowed_by)),
                    Policy::Reject | Policy::DryRun => String::new(),
                };
                format!("soft {}  hard {}  {}{more}", number(soft), number(hard), policy.as_str())
            }
        };
        let owner = owner.map(|owner| format!(" {owner}")).unwrap_or_default();
        format!("{scope}  {resource}  {said}  ({given_by}{owner})")
    };
    Ok(terminal.say(&text)?)
}

fn shown(span: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(span)
}
