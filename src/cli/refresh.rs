//! `ringback refresh`: has a running node ask the origins of sources anew, whatever it has. `media cache refresh` of Asterisk.

use clap::Args;
use reqwest::Method;
use serde_json::json;

use super::{
    Exit,
    address::{self, KeyArguments, Wanted},
    node::{NodeArguments, is_of_a_node},
    terminal::Terminal,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Source to ask for; repeatable
    #[arg(value_name = "URL", required = true)]
    sources: Vec<String>,
    /// Format to have afterwards, by its extension; others are made when they are asked for
    #[arg(long, value_name = "EXT", default_value = "ulaw")]
    format: String,
    /// Option of the format; repeatable
    #[arg(long, value_name = "NAME:VALUE", value_parser = super::parse_option)]
    option: Vec<(String, String)>,
    #[command(flatten)]
    keys: KeyArguments,
    #[command(flatten)]
    node: NodeArguments,
    /// Write {"source", "address", "cache"} for each, one a line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let prepared = arguments.node.client().and_then(|node| {
        address::check_format(&arguments.format, &arguments.option, false)?;
        let mut options = arguments.option.clone();
        let signing = arguments.keys.signer(&mut options)?;
        let path = |source: &String| Wanted::Url(source).signed_path(&options, &arguments.format, signing.as_ref());
        Ok((node, arguments.sources.iter().map(path).collect::<anyhow::Result<Vec<_>>>()?))
    });
    let (node, paths) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            terminal.complain(&format!("{error:#}"));
            return Ok(Exit::Usage);
        }
    };
    let (mut exit, mut any_done) = (Exit::Done, false);
    for (source, path) in arguments.sources.iter().zip(&paths) {
        // A range waits for the whole and brings next to nothing of it. HEAD would bring no reasons.
        let request =
            || node.request(Method::GET, path).header("cache-control", "no-cache").header("range", "bytes=0-0");
        let response = match node.send_and_wait(request).await.and_then(|got| is_of_a_node(&got).map(|()| got)) {
            Ok(response) => response,
            Err(refusal) => {
                exit = refusal.tell(source, arguments.json, terminal).after(any_done);
                if refusal.is_unreachable() {
                    return Ok(exit);
                }
                continue;
            }
        };
        any_done = true;
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let (address, cache) = (text("content-location"), text("cache-status").unwrap_or_default());
        terminal.say(&if arguments.json {
            json!({ "source": source, "address": address, "cache": cache }).to_string()
        } else {
            format!("{}  {source}", outcome(cache))
        })?;
    }
    Ok(exit)
}

/// What `Cache-Status` says of it (RFC 9211), for people.
fn outcome(cache: &str) -> &'static str {
    let has = |parameter: &str| cache.split(';').any(|part| part.trim() == parameter);
    if has("fwd-status=304") {
        "unchanged"
    } else if has("hit") {
        "stale    "
    } else {
        "fetched  "
    }
}
