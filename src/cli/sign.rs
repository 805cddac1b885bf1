//! `ringback sign`: prints the signed address of a source. Asks no node: it needs the key, and nothing else.

use std::{
    io::{self, BufRead as _},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::{
    clock::Clock,
    media::{EXPIRES, KEY, Signing},
};

use super::{
    Exit,
    address::{self, KeyArguments, Wanted},
    output::STANDARD,
    terminal::Terminal,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Source to sign an address of; repeatable. - reads a list from standard input, one URL a line
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,
    /// Sign addresses of spoken text: what is named are texts, not URLs
    #[arg(long)]
    say: bool,
    /// Format that is asked for, by its extension
    #[arg(long, value_name = "EXT", default_value = "ulaw")]
    format: String,
    /// Option of the format, such as rate:16000 or preset:NAME, or of speech: voice:NAME, language:TAG; repeatable
    #[arg(long, value_name = "NAME:VALUE", value_parser = super::parse_option)]
    option: Vec<(String, String)>,
    /// When the address ends: a time from now (24h), a Unix time in seconds, or a date (2027-01-31T12:00:00Z)
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// Spell the source so that people can read it, instead of as base64url
    #[arg(long)]
    plain: bool,
    /// What to put before the path, instead of the configured public_url
    #[arg(long, value_name = "URL", visible_alias = "node")]
    public_url: Option<String>,
    #[command(flatten)]
    keys: KeyArguments,
    /// Write {"source", "path", "url", "expires"} for each, one a line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let signer = match Signer::new(arguments, Clock::system().now_wall()) {
        Ok(signer) => signer,
        Err(error) => {
            terminal.complain(&format!("{error:#}"));
            return Ok(Exit::Usage);
        }
    };
    let mut failed = false;
    for source in sources(&arguments.urls) {
        let source = source.context("reading the list")?;
        match signer.address(&source) {
            Ok(address) => terminal.say(&address)?,
            Err(error) => {
                failed = true;
                terminal.complain(&format!("{source}: {error:#}"));
            }
        }
    }
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// The sources as they are named, without the blank lines and comments of a list.
fn sources(urls: &[String]) -> Box<dyn Iterator<Item = io::Result<String>> + '_> {
    if urls != [STANDARD] {
        return Box::new(urls.iter().cloned().map(Ok));
    }
    let lines = io::stdin().lock().lines().map(|line| line.map(|line| line.trim().to_owned()));
    Box::new(lines.filter(|line| !line.as_ref().is_ok_and(|line| line.is_empty() || line.starts_with('#'))))
}

/// What all addresses have in common.
struct Signer<'a> {
    arguments: &'a Arguments,
    signing: Signing,
    public_url: String,
    options: Vec<(String, String)>,
    expires: Option<u64>,
}

impl Signer<'_> {
    fn new(arguments: &Arguments, now: SystemTime) -> anyhow::Result<Signer<'_>> {
        address::check_format(&arguments.format, &arguments.option, arguments.say)?;
        let expires = arguments.expires.as_deref().map(|text| parse_expiry(text, now)).transpose()?;
        let (config, public_url) = arguments.keys.configured()?;
        let public_url = arguments.public_url.clone().or(public_url).unwrap_or_default();
        let mut options = arguments.option.clone();
        options.extend(expires.map(|seconds| (EXPIRES.to_owned(), seconds.to_string())));
        options.extend(arguments.keys.named_key()?.map(|id| (KEY.to_owned(), id)));
        let public_url = public_url.trim_end_matches('/').to_owned();
        Ok(Signer { arguments, signing: Signing::new(&config)?, public_url, options, expires })
    }

    fn address(&self, source: &str) -> anyhow::Result<String> {
        let wanted = if self.arguments.say { Wanted::Text(source) } else { Wanted::Url(source) };
        let path = wanted.path(&self.options, &self.arguments.format, self.arguments.plain)?;
        let path = self.signing.sign(&path).context(match &self.arguments.keys.key_id {
            Some(_) => "no key with this id is configured (media.signing)",
            None => "no key is configured (media.signing): say --key and --salt, or --config",
        })?;
        let url = format!("{}{path}", self.public_url);
        Ok(if self.arguments.json {
            serde_json::json!({ "source": source, "path": path, "url": url, "expires": self.expires }).to_string()
        } else {
            url
        })
    }
}

/// Seconds of the Unix epoch.
fn parse_expiry(text: &str, now: SystemTime) -> anyhow::Result<u64> {
    let seconds = |moment: SystemTime| moment.duration_since(UNIX_EPOCH).map(|since| since.as_secs()).ok();
    let expires = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok().filter(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(*seconds)).is_some())
    } else if let Ok(duration) = humantime::parse_duration(text) {
        now.checked_add(duration).and_then(seconds)
    } else {
        humantime::parse_rfc3339_weak(text).ok().and_then(seconds)
    };
    let expires = expires.with_context(|| {
        format!("--expires {text}: expected a time from now (24h), a Unix time, or a date (2027-01-31T12:00:00Z)")
    })?;
    if seconds(now).is_some_and(|now| expires <= now) {
        bail!("--expires {text}: that time is over");
    }
    Ok(expires)
}
