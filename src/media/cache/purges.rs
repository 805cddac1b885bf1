//! What was purged: rules by which older entries count as absent (`spec/media.md` §2).
//!
//! A purge writes down one rule and is done, however many entries it speaks of. Each entry is held against the rules when it is looked up:
//! one whose origin was asked before the rule came is a miss. Rules are few and stay; beyond [`RULES_MAX`] the oldest become one that
//! speaks of everything of that age, which purges too much and never too little.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use super::records::{Reference, SourceRecord};
use crate::ids::Tenant;

/// Rules of one tenant at most.
pub(super) const RULES_MAX: usize = 10_000;
/// Of these, by prefix: each look-up is held against all of them.
pub(super) const PREFIXES_MAX: usize = 1_000;

/// What a purge speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Purge {
    /// One source, by its canonical URL.
    Url(String),
    /// All whose canonical URL begins so.
    Prefix(String),
    /// All with this label.
    Tag(String),
    /// All of the tenant's.
    All,
}

impl Purge {
    /// As it is written down: kind and text.
    pub(super) fn to_row(&self) -> (&'static str, &str) {
        match self {
            Purge::Url(url) => ("url", url),
            Purge::Prefix(prefix) => ("prefix", prefix),
            Purge::Tag(tag) => ("tag", tag),
            Purge::All => ("all", ""),
        }
    }

    /// Reads it back; none where a later version wrote it, which is then no rule for this one.
    pub(super) fn from_row(kind: &str, text: String) -> Option<Purge> {
        match kind {
            "url" => Some(Purge::Url(text)),
            "prefix" => Some(Purge::Prefix(text)),
            "tag" => Some(Purge::Tag(text)),
            "all" => Some(Purge::All),
            _ => None,
        }
    }
}

/// A rule as it stands in the catalogue.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) tenant: Tenant,
    pub(super) purge: Purge,
    pub(super) at: SystemTime,
}

/// The rules of all tenants. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Purges {
    /// A std lock: held for map operations only.
    tenants: Arc<RwLock<HashMap<Tenant, OfTenant>>>,
}

#[derive(Debug, Default)]
struct OfTenant {
    all: Option<SystemTime>,
    urls: HashMap<String, SystemTime>,
    tags: HashMap<String, SystemTime>,
    prefixes: HashMap<String, SystemTime>,
}

impl Purges {
    /// Rules that were written down.
    pub(super) fn of(rules: Vec<Rule>) -> Purges {
        let purges = Purges::default();
        for rule in rules {
            // What it gives back was given back when the rule was new.
            let _known = purges.add(rule);
        }
        purges
    }

    /// Makes a rule hold. Where there are too many, gives back the one that now stands for the oldest of them.
    pub(super) fn add(&self, rule: Rule) -> Option<Rule> {
        let Rule { tenant, purge, at } = rule;
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        let rules = tenants.entry(tenant.clone()).or_default();
        let known = match purge {
            Purge::Url(url) => rules.urls.entry(url).or_insert(at),
            Purge::Prefix(prefix) => rules.prefixes.entry(prefix).or_insert(at),
            Purge::Tag(tag) => rules.tags.entry(tag).or_insert(at),
            Purge::All => rules.all.get_or_insert(at),
        };
        *known = at.max(*known);
        let before = rules.merge_oldest()?;
        Some(Rule { tenant, purge: Purge::All, at: before })
    }

    /// Whether there are rules for a tenant.
    pub(super) fn has_any(&self, tenant: &Tenant) -> bool {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).contains_key(tenant)
    }

    /// Whether an index entry counts as absent.
    pub(super) fn cover_source(&self, tenant: &Tenant, record: &SourceRecord) -> bool {
        self.cover(tenant, record.asked_at(), [&record.tags, &record.labels], &record.url)
    }

    /// Whether an artifact counts as evicted.
    pub(super) fn cover_reference(&self, tenant: &Tenant, reference: &Reference) -> bool {
        let asked_at = reference.asked_at.unwrap_or(reference.created_at);
        // Another source of the same bytes is not meant by the name of one, so that the artifact goes only with its latest.
        self.cover(tenant, asked_at, [&reference.tags, &reference.source_tags], &reference.source_url)
    }

    fn cover(&self, tenant: &Tenant, asked_at: SystemTime, tags: [&[String]; 2], url: &str) -> bool {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let Some(rules) = tenants.get(tenant) else { return false };
        let newer = |at: &SystemTime| asked_at <= *at;
        rules.all.as_ref().is_some_and(newer)
            || tags.into_iter().flatten().any(|tag| rules.tags.get(tag).is_some_and(newer))
            || rules.urls.get(url).is_some_and(newer)
            || rules.prefixes.iter().any(|(prefix, at)| newer(at) && url.starts_with(prefix))
    }
}

impl OfTenant {
    /// Where there are too many rules, the older half becomes one: since when it holds.
    fn merge_oldest(&mut self) -> Option<SystemTime> {
        let count = self.urls.len() + self.tags.len() + self.prefixes.len();
        if count <= RULES_MAX && self.prefixes.len() <= PREFIXES_MAX {
            return None;
        }
        let too_many_prefixes = PREFIXES_MAX < self.prefixes.len();
        let others = self.urls.values().chain(self.tags.values()).filter(|_| !too_many_prefixes);
        let mut times: Vec<SystemTime> = self.prefixes.values().chain(others).copied().collect();
        times.sort_unstable();
        let before = times.get(times.len() / 2).copied()?;
        for rules in [&mut self.urls, &mut self.tags, &mut self.prefixes] {
            rules.retain(|_, at| before < *at);
        }
        self.all = Some(self.all.map_or(before, |all| all.max(before)));
        Some(before)
    }
}

#[cfg(test)]
mod tests;
