//! `ringback purge`: has what a running node got before now count as absent, or removes one thing that it keeps. `http_remove_cache` and
//! `http_clear_cache` of FreeSWITCH, `media cache delete` of Asterisk.

use std::io::{self, BufRead, IsTerminal as _};

use clap::Args;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{ids::ArtifactId, media::SPEECH_SCHEME};

use super::{Exit, node::NodeArguments, terminal::Terminal};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Source that is got anew from now on; or what is removed for good: the id of an artifact, or one of the paths
    /// /media/…, /prompts/… and /v1/media/uploads/…. Repeatable
    #[arg(value_name = "URL", required_unless_present_any = ["prefix", "tag", "all"])]
    targets: Vec<String>,
    /// All sources whose URL begins so; repeatable
    #[arg(long, value_name = "URL")]
    prefix: Vec<String>,
    /// All with this label; repeatable
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Everything
    #[arg(long, conflicts_with_all = ["targets", "prefix", "tag"])]
    all: bool,
    #[command(flatten)]
    common: Common,
}

/// `clear`: purges everything.
#[derive(Debug, Args)]
pub(super) struct ClearArguments {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// Do not ask whether everything is meant
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    node: NodeArguments,
    /// Write {"purged", "scope"} for each, one a line: whether all nodes that share the store will hear of it, or this one alone
    #[arg(long)]
    json: bool,
}

/// One thing to ask of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Task {
    /// The body of a purge.
    Purge(Value),
    /// A path to delete.
    Delete(String),
}

/// What the node says to a purge.
#[derive(Debug, Deserialize)]
struct Purged {
    scope: String,
}

pub(super) async fn run(arguments: Arguments, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    if arguments.all {
        return clear(ClearArguments { common: arguments.common }, terminal).await;
    }
    let tasks: Result<Vec<Task>, String> = arguments.targets.iter().map(|target| target_task(target)).collect();
    let mut tasks = match tasks {
        Ok(tasks) => tasks,
        Err(error) => {
            terminal.complain(&error);
            return Ok(Exit::Usage);
        }
    };
    tasks.extend(arguments.prefix.iter().map(|prefix| Task::Purge(json!({ "prefix": prefix }))));
    tasks.extend(arguments.tag.iter().map(|tag| Task::Purge(json!({ "tag": tag }))));
    act(&tasks, &arguments.common, terminal).await
}

pub(super) async fn clear(arguments: ClearArguments, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let common = arguments.common;
    let sure = common.yes || {
        if !io::stdin().is_terminal() {
            terminal.complain("this purges everything: say --yes");
            return Ok(Exit::Usage);
        }
        terminal.note(&format!("Everything that {} got before now will be got anew. Go on? [y/N]", common.node.node));
        is_yes(&mut io::stdin().lock())?
    };
    if !sure {
        terminal.complain("nothing was purged");
        return Ok(Exit::Failed);
    }
    act(&[Task::Purge(json!({ "all": true }))], &common, terminal).await
}

async fn act(tasks: &[Task], common: &Common, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let node = match common.node.client() {
        Ok(node) => node,
        Err(error) => {
            terminal.complain(&format!("{error:#}"));
            return Ok(Exit::Usage);
        }
    };
    let (mut exit, mut any_done) = (Exit::Done, false);
    for task in tasks {
        let (subject, scope) = match task {
            Task::Purge(body) => {
                let request = node.request(Method::POST, "/v1/media/purge").json(body);
                (said(body), node.ask::<Purged>(request).await.map(|purged| purged.scope))
            }
            Task::Delete(path) => {
                let deleted = node.send(node.request(Method::DELETE, path)).await;
                (path.clone(), deleted.map(|_| "removed".to_owned()))
            }
        };
        any_done |= scope.is_ok();
        match scope {
            Ok(scope) if common.json => terminal.say(&json!({ "purged": subject, "scope": scope }).to_string())?,
            Ok(scope) => terminal.say(&match scope.as_str() {
                "removed" => format!("removed  {subject}"),
                "fleet" => format!("purged   {subject}; the nodes that share its store hear of it within seconds"),
                _ => format!("purged   {subject}; on this node alone"),
            })?,
            Err(refusal) => {
                exit = refusal.tell(&subject, common.json, terminal).after(any_done);
                if refusal.is_unreachable() {
                    break;
                }
            }
        }
    }
    Ok(exit)
}

/// A purge as people named it.
fn said(body: &Value) -> String {
    let entry = body.as_object().and_then(|body| body.iter().next());
    match entry {
        Some((_, Value::String(text))) => text.clone(),
        Some((name, _)) => name.clone(),
        None => String::new(),
    }
}

/// What a word of the command line means.
fn target_task(target: &str) -> Result<Task, String> {
    // A text that is spoken is called so by `show`.
    if ["http://", "https://", SPEECH_SCHEME].iter().any(|scheme| target.starts_with(scheme)) {
        return Ok(Task::Purge(json!({ "url": target })));
    }
    if target.parse::<ArtifactId>().is_ok() {
        return Ok(Task::Delete(format!("/v1/media/{target}")));
    }
    let inside = |prefix: &str| {
        target.strip_prefix(prefix).filter(|rest| !rest.is_empty() && !rest.split('/').any(|part| part == ".."))
    };
    if let Some(name) = inside("/media/") {
        // That of private audio has something between.
        let id = name.rsplit('/').next().and_then(|last| last.split('.').next()).unwrap_or_default();
        return match id.parse::<ArtifactId>() {
            Ok(id) => Ok(Task::Delete(format!("/v1/media/{id}"))),
            Err(_) => Err(format!("{target}: there is no artifact id in it")),
        };
    }
    if inside("/prompts/").or_else(|| inside("/v1/media/uploads/")).is_some() {
        return Ok(Task::Delete(target.to_owned()));
    }
    Err(format!(
        "{target}: expected a URL, the id of an artifact, or a path that begins with /media/, /prompts/ or /v1/media/uploads/"
    ))
}

/// Whether the answer is yes; nothing is no.
fn is_yes(answer: &mut dyn BufRead) -> io::Result<bool> {
    let mut line = String::new();
    answer.read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes" | "Yes" | "YES"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_sources_or_what_is_removed() {
        let id = "0f".repeat(32);
        let purge = |url: &str| Ok(Task::Purge(json!({ "url": url })));
        let delete = |path: String| Ok(Task::Delete(path));
        assert_eq!(target_task("http://a/b?c"), purge("http://a/b?c"));
        assert_eq!(target_task("https://a/b"), purge("https://a/b"));
        assert_eq!(target_task(&id), delete(format!("/v1/media/{id}")));
        assert_eq!(target_task(&format!("/media/{id}.ulaw")), delete(format!("/v1/media/{id}")));
        let private = format!("/media/0a1b2c3d-0-AbCdEfGhIjKlMnOpQrStUv/{id}.ulaw");
        assert_eq!(target_task(&private), delete(format!("/v1/media/{id}")));
        assert_eq!(target_task("speech:eyJ0ZXh0"), purge("speech:eyJ0ZXh0"));
        assert_eq!(target_task("/prompts/welcome.wav"), delete("/prompts/welcome.wav".to_owned()));
        assert_eq!(target_task(&format!("/v1/media/uploads/{id}")), delete(format!("/v1/media/uploads/{id}")));
        for wrong in ["", "a", "ftp://a/b", "/media/x.ulaw", "/prompts/", "/v1/media/purge", "/prompts/../v1/media/x"] {
            assert!(target_task(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_a_yes_is_one() {
        for (answer, yes) in
            [("y\n", true), ("YES\n", true), ("n\n", false), ("\n", false), ("", false), ("yep\n", false)]
        {
            assert_eq!(is_yes(&mut answer.as_bytes()).unwrap(), yes, "{answer:?}");
        }
    }
}
