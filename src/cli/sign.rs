//! `ringback sign`: prints the signed address of a source. Asks no node: it needs the key, and nothing else.

use std::{
    fmt,
    io::{self, BufRead as _},
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::{
    clock::Clock,
    config::{self, Config, Mistakes, Sources},
    media::{
        CanonicalUrl, EXPIRES, FetchPath, IgnoredQuery, KEY, Pair, PairError, Presets, Signing, SigningConfig,
        UNSIGNED,
        format::{Format, Headerless},
    },
};

use super::{Exit, terminal::Terminal};

/// The argument that stands for standard input.
const STANDARD: &str = "-";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Source to sign an address of; repeatable. - reads a list from standard input, one URL a line
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,
    /// Format that is asked for, by its extension
    #[arg(long, value_name = "EXT", default_value = "ulaw")]
    format: String,
    /// Option of the format, such as rate:16000 or preset:NAME; repeatable
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
    /// The key to sign with, by its id; without it, the first that has none
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
    /// TOML file of the node, whose keys are used. They can be set as RINGBACK_MEDIA__SIGNING__KEYS, too
    #[arg(long, value_name = "FILE", env = "RINGBACK_CONFIG")]
    config: Option<PathBuf>,
    /// Key in hexadecimal, instead of the configured ones. Better said in the environment, which other users cannot see
    #[arg(long, value_name = "HEX", env = "RINGBACK_SIGN_KEY", hide_env_values = true, requires = "salt")]
    key: Option<Secret>,
    /// Salt in hexadecimal, for --key
    #[arg(long, value_name = "HEX", env = "RINGBACK_SIGN_SALT", hide_env_values = true, requires = "key")]
    salt: Option<Secret>,
    /// Write {"source", "path", "url", "expires"} for each, one a line
    #[arg(long)]
    json: bool,
}

/// What no message and no log may show.
#[derive(Clone)]
struct Secret(String);

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
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
        check_format(arguments)?;
        let expires = arguments.expires.as_deref().map(|text| parse_expiry(text, now)).transpose()?;
        let (config, public_url) = configured(arguments)?;
        let public_url = arguments.public_url.clone().or(public_url).unwrap_or_default();
        let mut options = arguments.option.clone();
        options.extend(expires.map(|seconds| (EXPIRES.to_owned(), seconds.to_string())));
        options.extend(arguments.key_id.clone().map(|id| (KEY.to_owned(), id)));
        let public_url = public_url.trim_end_matches('/').to_owned();
        Ok(Signer { arguments, signing: Signing::new(&config)?, public_url, options, expires })
    }

    fn address(&self, source: &str) -> anyhow::Result<String> {
        CanonicalUrl::parse(source, &IgnoredQuery::default())?;
        let path = FetchPath {
            signature: UNSIGNED.to_owned(),
            options: self.options.clone(),
            source: source.to_owned(),
            extension: self.arguments.format.clone(),
        };
        let path = if self.arguments.plain { path.print_plain()? } else { path.print()? };
        let path = self.signing.sign(&path).context(match &self.arguments.key_id {
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

/// The keys to sign with, and the node's public URL where its configuration says one.
fn configured(arguments: &Arguments) -> anyhow::Result<(SigningConfig, Option<String>)> {
    if let (Some(Secret(key)), Some(Secret(salt))) = (&arguments.key, &arguments.salt) {
        let id = arguments.key_id.as_ref().map(|id| format!("{id}=")).unwrap_or_default();
        let pair: Pair = format!("{id}{key}:{salt}")
            .parse()
            .map_err(|mistake: PairError| anyhow::anyhow!("what --key, --salt and --key-id say {mistake}"))?;
        return Ok((SigningConfig { keys: vec![pair], ..SigningConfig::default() }, None));
    }
    let environment = config::process_environment();
    let sources = Sources { file: arguments.config.clone(), environment, flags: Vec::new() };
    let config = config::load::<Config>(&sources).map_err(|mistakes: Mistakes| anyhow::anyhow!("{mistakes}"))?.config;
    Ok((config.media.signing, config.public_url))
}

/// What presets stand for is known to the node; options beside them must be right by themselves.
fn check_format(arguments: &Arguments) -> anyhow::Result<()> {
    let options: Vec<_> = arguments.option.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    if let Some((name, _)) = options.iter().find(|(name, _)| matches!(*name, EXPIRES | KEY)) {
        bail!("--option {name}: say --expires and --key-id");
    }
    let (options, _) = Headerless::take_option(Presets::beside(&options).into())?;
    Format::parse(&arguments.format, &options).map(drop).with_context(|| format!("--format {}", arguments.format))
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
