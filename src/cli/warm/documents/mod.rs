//! An application's instruction documents, read from one to the next to find all that they play and say.
//!
//! Followed are links that are there in the document and are asked for by GET, from one host, level by level, each document once.
//! A document that nobody else would get to see (in answer to a POST, to other parameters, by a script) is not found.

mod read;
#[cfg(test)]
mod tests;
mod web;

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use url::Url;

use read::Document;
use web::{Got, Hosts, Nothing, Web};

use super::retry::Backoff;

pub(super) use read::Spoken;
pub(super) use web::AllowedHost;

/// Documents that are asked for at once.
const AT_ONCE: usize = 4;
/// Loops that are told of: in a menu everything leads everywhere.
const LOOPS_MAX: usize = 100;

/// How far to go.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Links from a document that was named to the last that is read.
    pub(super) depth: usize,
    /// Documents in all.
    pub(super) documents: usize,
    /// Other hosts that documents may come from.
    pub(super) allowed: Vec<AllowedHost>,
    /// Further tries of a document.
    pub(super) retries: u32,
}

/// Something that is played or said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Medium {
    /// Audio at an address.
    Played(Url),
    /// A text.
    Said(Spoken),
}

/// What was found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Found {
    /// Documents that were read.
    pub(super) read: usize,
    /// What they play and say, each thing once, and the first document that does.
    #[serde(skip)]
    pub(super) media: Vec<(Url, Medium)>,
    /// Ways that lead back to where they came from, from there on.
    pub(super) loops: Vec<Vec<String>>,
    /// What could not be read.
    pub(super) dead: Vec<NotRead>,
    /// What was left alone.
    pub(super) not_followed: Vec<NotRead>,
    /// Whether a limit kept documents from being read.
    pub(super) cut_short: bool,
}

/// A link whose document was not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct NotRead {
    /// Where it leads.
    pub(super) link: String,
    /// Where it stands; none where it was named on the command line.
    pub(super) from: Option<String>,
    /// Why not.
    pub(super) reason: String,
}

/// Reads the documents at `starts` and all that they lead to.
///
/// **Cost** Holds no more than the texts and addresses that it finds. **Cancel-safe**.
///
/// # Errors
/// The client cannot be made.
pub(super) async fn crawl(starts: &[Url], limits: &Limits, backoff: Backoff) -> anyhow::Result<Found> {
    let hosts = Hosts { origins: starts.iter().map(Url::origin).collect(), allowed: limits.allowed.clone() };
    let web = Web::new(hosts.clone(), limits.retries, backoff)?;
    let mut crawl = Crawl {
        hosts,
        limits,
        found: Found::default(),
        seen: HashSet::new(),
        media: HashSet::new(),
        without_method: HashSet::new(),
    };
    let mut graph = Graph::default();
    let mut level = Vec::new();
    for start in starts {
        let mut start = start.clone();
        start.set_fragment(None);
        crawl.admit(start, None, 0, &mut level);
    }
    let mut depth = 0;
    while !level.is_empty() {
        let web = &web;
        let got = stream::iter(std::mem::take(&mut level)).map(async |step: Step| (web.get(&step.url).await, step));
        // In their order, so that two runs over the same documents tell the same.
        let mut got = Box::pin(got.buffered(AT_ONCE));
        let mut next = Vec::new();
        while let Some((got, step)) = got.next().await {
            for link in crawl.take(got, &step) {
                graph.lead(&step.url, &link);
                crawl.admit(link, Some(&step.url), depth + 1, &mut next);
            }
        }
        drop(got);
        level = next;
        depth += 1;
    }
    crawl.found.loops = graph.loops();
    Ok(crawl.found)
}

/// A document to get.
#[derive(Debug)]
struct Step {
    url: Url,
    from: Option<Url>,
}

struct Crawl<'a> {
    hosts: Hosts,
    limits: &'a Limits,
    found: Found,
    seen: HashSet<Url>,
    media: HashSet<Medium>,
    /// Links of which a document that leads there does not say by which method.
    without_method: HashSet<Url>,
}

impl Crawl<'_> {
    /// Has a document be got next, unless it was before, or may not be.
    fn admit(&mut self, url: Url, from: Option<&Url>, depth: usize, level: &mut Vec<Step>) {
        if self.seen.contains(&url) {
            return;
        }
        let refused = if !self.hosts.admit(&url) {
            Some("it is on another host".to_owned())
        } else if self.limits.depth < depth {
            Some(format!("it is more than {} links away", self.limits.depth))
        } else if self.limits.documents <= self.seen.len() {
            Some(format!("{} documents were read", self.limits.documents))
        } else {
            None
        };
        match refused {
            Some(reason) => {
                self.found.cut_short |= self.hosts.admit(&url);
                self.skip(url.to_string(), from, reason);
            }
            None => {
                self.seen.insert(url.clone());
                level.push(Step { url, from: from.cloned() });
            }
        }
    }

    /// Takes in what came; gives the links that stand in it.
    fn take(&mut self, got: Result<Got, Nothing>, step: &Step) -> Vec<Url> {
        let document = match got {
            Ok(Got::Document(bytes, base)) => read::read(&bytes, &base).map_err(|unreadable| unreadable.to_string()),
            Ok(Got::Audio) => Ok(Document { plays: vec![step.url.clone()], ..Document::default() }),
            Ok(Got::Text(text)) if text.trim().is_empty() => Ok(Document::default()),
            Ok(Got::Text(text)) => {
                let spoken = Spoken { text: text.trim().to_owned(), options: Vec::new() };
                Ok(Document { says: vec![spoken], ..Document::default() })
            }
            // A platform asks it by POST, and there it is not dead.
            Err(nothing) if nothing.takes_another_method && self.without_method.contains(&step.url) => {
                let reason = "it is asked for by another method than GET".to_owned();
                self.skip(step.url.to_string(), step.from.as_ref(), reason);
                return Vec::new();
            }
            Err(nothing) => Err(nothing.reason),
        };
        let document = match document {
            Ok(document) => document,
            Err(reason) => {
                let from = step.from.as_ref().map(Url::to_string);
                self.found.dead.push(NotRead { link: step.url.to_string(), from, reason });
                return Vec::new();
            }
        };
        self.found.read += 1;
        let played = document.plays.into_iter().map(Medium::Played);
        for medium in played.chain(document.says.into_iter().map(Medium::Said)) {
            if self.media.insert(medium.clone()) {
                self.found.media.push((step.url.clone(), medium));
            }
        }
        self.without_method.extend(document.without_method);
        for (link, reason) in document.skipped {
            self.skip(link, Some(&step.url), reason.to_owned());
        }
        document.links
    }

    fn skip(&mut self, link: String, from: Option<&Url>, reason: String) {
        let skipped = NotRead { link, from: from.map(Url::to_string), reason };
        if !self.found.not_followed.contains(&skipped) {
            self.found.not_followed.push(skipped);
        }
    }
}

/// Which document leads to which.
#[derive(Debug, Default)]
struct Graph {
    numbers: HashMap<Url, usize>,
    names: Vec<String>,
    links: Vec<Vec<usize>>,
}

impl Graph {
    fn number(&mut self, url: &Url) -> usize {
        if let Some(number) = self.numbers.get(url) {
            return *number;
        }
        let number = self.names.len();
        self.numbers.insert(url.clone(), number);
        self.names.push(url.to_string());
        self.links.push(Vec::new());
        number
    }

    fn lead(&mut self, from: &Url, to: &Url) {
        let (from, to) = (self.number(from), self.number(to));
        if let Some(links) = self.links.get_mut(from)
            && !links.contains(&to)
        {
            links.push(to);
        }
    }

    /// The ways back: for each link that leads to a document on its own way, the documents from there to it.
    fn loops(&self) -> Vec<Vec<String>> {
        let mut loops = Vec::new();
        let mut done = vec![false; self.names.len()];
        for start in 0..self.names.len() {
            if done.get(start).copied().unwrap_or(true) {
                continue;
            }
            // The way from the start, and how many links of each document on it were tried.
            let mut way: Vec<(usize, usize)> = vec![(start, 0)];
            while let Some((at, tried)) = way.last_mut() {
                let at = *at;
                let link = self.links.get(at).and_then(|links| links.get(*tried)).copied();
                *tried += 1;
                let is_done = |number: usize| done.get(number).copied().unwrap_or(true);
                match link {
                    None => {
                        if let Some(done) = done.get_mut(at) {
                            *done = true;
                        }
                        way.pop();
                    }
                    Some(to) if is_done(to) => {}
                    Some(to) => match way.iter().position(|(on_it, _)| *on_it == to) {
                        Some(first) if loops.len() < LOOPS_MAX => {
                            let documents = way.iter().skip(first).filter_map(|(on_it, _)| self.names.get(*on_it));
                            loops.push(documents.cloned().collect());
                        }
                        Some(_) => return loops,
                        None => way.push((to, 0)),
                    },
                }
            }
        }
        loops
    }
}

/// Any bytes as a document: see [`crate::testing::fuzz`].
pub(super) fn fuzz(data: &[u8]) {
    read::fuzz(data);
}
