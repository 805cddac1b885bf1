//! `ringback show`: what a running node knows of a source or of an artifact, or of all. `media cache show` of Asterisk.

use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::HumanBytes;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::{ids::ArtifactId, media::SPEECH_SCHEME};

use super::{
    Exit,
    node::{LONG_ANSWER, Node, NodeArguments, Refusal},
    terminal::Terminal,
};

/// Artifacts that are asked for at a time, where their sources are not too long for that: those of speech are its texts.
const PAGE: usize = 500;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A source's URL, the id of an artifact, or its address
    #[arg(value_name = "URL|ID", required_unless_present = "all", conflicts_with = "all")]
    target: Option<String>,
    /// Every artifact that this node knows of
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    node: NodeArguments,
    /// Write what the node says as JSON, one artifact a line; before those of a source {"source": …}, how it stands
    #[arg(long)]
    json: bool,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    source: Option<Value>,
    media: Vec<Value>,
    next: Option<String>,
}

pub(super) async fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let node = match arguments.node.client() {
        Ok(node) => node,
        Err(error) => {
            terminal.complain(&format!("{error:#}"));
            return Ok(Exit::Usage);
        }
    };
    let target = arguments.target.as_deref();
    let shown = match target.map(|target| (target, artifact_of(target))) {
        Some((_, Some(id))) => show_artifact(&node, id, arguments.json, terminal).await,
        Some((source, None)) => show_list(&node, Some(source), arguments.json, terminal).await,
        None => show_list(&node, None, arguments.json, terminal).await,
    }?;
    Ok(match shown {
        Ok(exit) => exit,
        Err(refusal) => {
            let exit = refusal.tell(target.unwrap_or("--all"), arguments.json, terminal);
            if refusal.slug == "not-found" { Exit::NotThere } else { exit }
        }
    })
}

/// The artifact that an id or an address names.
fn artifact_of(target: &str) -> Option<ArtifactId> {
    // That of private audio has something between.
    let name = target.split_once("/media/").map_or(target, |(_, rest)| rest.rsplit('/').next().unwrap_or(rest));
    name.split('.').next()?.parse().ok()
}

async fn show_artifact(
    node: &Node,
    id: ArtifactId,
    json: bool,
    terminal: &mut Terminal,
) -> anyhow::Result<Result<Exit, Refusal>> {
    let said = match node.ask::<Value>(node.request(Method::GET, &format!("/v1/media/{id}"))).await {
        Ok(said) => said,
        Err(refusal) => return Ok(Err(refusal)),
    };
    terminal.say(&if json { said.to_string() } else { fields(&said) })?;
    Ok(Ok(Exit::Done))
}

/// All pages of a list, each as it comes.
async fn show_list(
    node: &Node,
    source: Option<&str>,
    json: bool,
    terminal: &mut Terminal,
) -> anyhow::Result<Result<Exit, Refusal>> {
    let (mut after, mut any, mut limit) = (None, false, PAGE);
    loop {
        let at_once = limit.to_string();
        let query = [("source", source), ("after", after.as_deref()), ("limit", Some(at_once.as_str()))];
        let query = query.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let request = node.request(Method::GET, &format!("/v1/media?{query}"));
        let page: Page = match node.ask(request).await {
            Ok(page) => page,
            Err(refusal) if refusal.slug == LONG_ANSWER && 1 < limit => {
                limit /= 2;
                continue;
            }
            Err(refusal) => return Ok(Err(refusal)),
        };
        let is_first = after.is_none();
        if json {
            if let Some(source) = page.source.as_ref().filter(|_| is_first) {
                terminal.say(&serde_json::json!({ "source": source }).to_string())?;
            }
            for media in &page.media {
                terminal.say(&media.to_string())?;
            }
        } else {
            if let Some(source) = page.source.as_ref().filter(|_| is_first) {
                terminal.say(&fields(source))?;
            }
            if !page.media.is_empty() {
                terminal.say(&table(&page.media, source.is_none()))?;
            }
        }
        any |= !page.media.is_empty() || page.source.is_some();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if !any && let Some(source) = source {
        terminal.complain(&format!("{source}: the node knows nothing of it"));
        return Ok(Ok(Exit::NotThere));
    }
    Ok(Ok(Exit::Done))
}

/// One thing, a line for each of its parts.
fn fields(said: &Value) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    for (name, value) in said.as_object().into_iter().flatten() {
        let value = text(value);
        if !value.is_empty() {
            table.add_row([name.clone(), value]);
        }
    }
    table.trim_fmt()
}

/// Several artifacts, a line for each.
fn table(media: &[Value], with_sources: bool) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let head = ["format", "bytes", "seconds", "tiers", "address"];
    table.set_header(head.into_iter().chain(with_sources.then_some("source")));
    for said in media {
        let seconds = said["duration_ms"].as_u64().map(|milliseconds| format!("{:.1}", milliseconds as f64 / 1_000.0));
        let bytes = said["bytes"].as_u64().map(|bytes| HumanBytes(bytes).to_string());
        let tiers = if said["purged"] == true { "purged".to_owned() } else { text(&said["tiers"]) };
        let mut row = vec![
            text(&said["format"]),
            bytes.unwrap_or_default(),
            seconds.unwrap_or_default(),
            if tiers.is_empty() { "evicted".to_owned() } else { tiers },
            text(&said["url"]),
        ];
        row.extend(with_sources.then(|| source(said)));
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1).take(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// Where it comes from, in a line: a text that is spoken is known by its hash.
fn source(said: &Value) -> String {
    let source = text(&said["source"]);
    if source.starts_with(SPEECH_SCHEME) { format!("speech {}", text(&said["content_hash"])) } else { source }
}

/// A value as people write it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_addresses_name_artifacts_and_nothing_else_does() {
        let id = "0f".repeat(32);
        let check = |target: &str, is_one: bool| {
            assert_eq!(artifact_of(target).map(|id| id.to_string()), is_one.then(|| id.clone()), "{target}");
        };
        check(&id, true);
        check(&format!("{id}.ulaw"), true);
        check(&format!("/media/{id}.ulaw"), true);
        check(&format!("http://node/media/{id}.wav"), true);
        check(&format!("/media/0a1b2c3d-0-AbCdEfGhIjKlMnOpQrStUv/{id}.ulaw"), true);
        check(&format!("http://node/media/0a1b2c3d-0-AbCdEfGhIjKlMnOpQrStUv/{id}.ulaw"), true);
        check("http://a/b.wav", false);
        check("http://a/media/greeting.wav", false);
    }

    #[test]
    fn what_is_gone_is_said_to_be() {
        let media = serde_json::json!([
            { "format": "ulaw", "bytes": 8000, "duration_ms": 1000, "tiers": ["memory"], "url": "/media/a.ulaw", "source": "http://a/b" },
            { "format": "opus", "bytes": null, "duration_ms": null, "tiers": [], "url": "/media/b.opus", "source": "http://a/c" },
            { "format": "wav", "tiers": ["disk"], "purged": true, "url": "/media/c.wav", "source": "http://a/d" },
            { "format": "wav", "tiers": ["disk"], "url": "/media/d.wav", "source": "speech:eyJ0ZXh0", "content_hash": "0f0f" },
        ]);
        let text = table(media.as_array().unwrap(), true);
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["format", "bytes", "seconds", "tiers", "address", "source"]);
        assert_eq!(rows[1], ["ulaw", "7.81", "KiB", "1.0", "memory", "/media/a.ulaw", "http://a/b"]);
        assert_eq!(rows[2], ["opus", "evicted", "/media/b.opus", "http://a/c"]);
        assert_eq!(rows[3], ["wav", "purged", "/media/c.wav", "http://a/d"]);
        assert_eq!(rows[4], ["wav", "disk", "/media/d.wav", "speech", "0f0f"]);
        assert!(!table(media.as_array().unwrap(), false).contains("http://a/b"));
    }
}
