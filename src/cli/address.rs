//! Paths of the node that a verb asks for or hands out: what is to be had, in which format, signed where there are keys.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Deserialize;

use crate::{
    config::{self, Config, Mistakes, Sources},
    ids::KeySid,
    media::{
        CanonicalUrl, EXPIRES, FetchPath, IgnoredQuery, KEY, Pair, PairError, Presets, Signing, SigningConfig,
        SpeechWish, UNSIGNED, Verb,
        format::{Format, Headerless},
    },
    secret::Secret,
};

/// Options of a text to be spoken that are not options of a format.
pub(super) const SPEECH_OPTIONS: [&str; 7] = SpeechWish::OPTIONS;

/// Keys of a node.
#[derive(Debug, Args)]
pub(super) struct KeyArguments {
    /// The key to sign with, by its id; without it, the first that has none
    #[arg(long, value_name = "ID")]
    pub(super) key_id: Option<String>,
    /// TOML file of the node, whose keys are used. They can be set as RINGBACK_MEDIA__SIGNING__KEYS, too
    #[arg(long, value_name = "FILE", env = "RINGBACK_CONFIG")]
    config: Option<PathBuf>,
    /// Key in hexadecimal, instead of the configured ones. Better said in the environment, which other users cannot see
    #[arg(long, value_name = "HEX", env = "RINGBACK_SIGN_KEY", hide_env_values = true, requires = "salt")]
    key: Option<Secret>,
    /// Salt in hexadecimal, for --key
    #[arg(long, value_name = "HEX", env = "RINGBACK_SIGN_SALT", hide_env_values = true, requires = "key")]
    salt: Option<Secret>,
    /// Sign with an account's signing key: the file that `account keys create --signing --secrets-to` has written
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "key_id"])]
    account_key: Option<PathBuf>,
}

/// A signing key of an account, as it lies in a file.
#[derive(Deserialize)]
struct AccountKey {
    sid: KeySid,
    secret: Secret,
}

impl KeyArguments {
    /// The keys to sign with, and the node's public URL where its configuration says one.
    pub(super) fn configured(&self) -> anyhow::Result<(SigningConfig, Option<String>)> {
        if let (Some(key), Some(salt)) = (&self.key, &self.salt) {
            let (key, salt) = (key.reveal(), salt.reveal());
            let id = self.key_id.as_ref().map(|id| format!("{id}=")).unwrap_or_default();
            let pair: Pair = format!("{id}{key}:{salt}")
                .parse()
                .map_err(|mistake: PairError| anyhow::anyhow!("what --key, --salt and --key-id say {mistake}"))?;
            return Ok((SigningConfig { keys: vec![pair], ..SigningConfig::default() }, None));
        }
        if let Some(key) = self.account_key()? {
            let pair = Pair::of_account(key.sid.to_string(), key.secret.reveal());
            return Ok((SigningConfig { keys: vec![pair], ..SigningConfig::default() }, None));
        }
        let environment = config::process_environment();
        let sources = Sources { file: self.config.clone(), environment, flags: Vec::new() };
        let config =
            config::load::<Config>(&sources).map_err(|mistakes: Mistakes| anyhow::anyhow!("{mistakes}"))?.config;
        Ok((config.media.signing, config.public_url))
    }

    /// Puts a signature into paths where there are keys, and the id of the key into `options`.
    pub(super) fn signer(&self, options: &mut Vec<(String, String)>) -> anyhow::Result<Option<Signing>> {
        let (config, _) = self.configured()?;
        if !config.has_keys() {
            if self.key_id.is_some() {
                bail!("--key-id: no key is configured (media.signing)");
            }
            return Ok(None);
        }
        options.extend(self.named_key()?.map(|id| (KEY.to_owned(), id)));
        Ok(Some(Signing::new(&config)?))
    }

    /// The id that the paths are to name.
    pub(super) fn named_key(&self) -> anyhow::Result<Option<String>> {
        Ok(self.account_key()?.map(|key| key.sid.to_string()).or_else(|| self.key_id.clone()))
    }

    fn account_key(&self) -> anyhow::Result<Option<AccountKey>> {
        let Some(path) = &self.account_key else { return Ok(None) };
        let shown = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {shown}"))?;
        // Nothing of it is quoted.
        let key = serde_json::from_str(&text).map_err(|_| anyhow::anyhow!("{shown} is no file of a signing key"))?;
        Ok(Some(key))
    }
}

/// What is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted<'a> {
    /// Audio of a source, by its URL.
    Url(&'a str),
    /// This text, spoken.
    Text(&'a str),
}

impl Wanted<'_> {
    /// The unsigned path that asks for it.
    ///
    /// # Errors
    /// The URL or an option is none, or the path would be longer than clients read.
    pub(super) fn path(self, options: &[(String, String)], extension: &str, plain: bool) -> anyhow::Result<String> {
        let (Wanted::Url(source) | Wanted::Text(source)) = self;
        if let Wanted::Url(url) = self {
            CanonicalUrl::parse(url, &IgnoredQuery::default())?;
        }
        let path = FetchPath {
            signature: UNSIGNED.to_owned(),
            options: options.to_vec(),
            source: source.to_owned(),
            extension: extension.to_owned(),
        };
        let verb = match self {
            Wanted::Url(_) => Verb::Fetch,
            Wanted::Text(_) => Verb::Say,
        };
        Ok(if plain { path.print_plain_as(verb)? } else { path.print_as(verb)? })
    }

    /// The same, signed where there is something to sign with.
    pub(super) fn signed_path(
        self,
        options: &[(String, String)],
        extension: &str,
        signing: Option<&Signing>,
    ) -> anyhow::Result<String> {
        let path = self.path(options, extension, false)?;
        match signing {
            None => Ok(path),
            Some(signing) => signing.sign(&path).context("no key with this id is configured (media.signing)"),
        }
    }
}

/// What presets stand for is known to the node alone; options beside them must be right by themselves.
///
/// # Errors
/// Which of them, and why.
pub(super) fn check_format(extension: &str, options: &[(String, String)], speech: bool) -> anyhow::Result<()> {
    let options = options.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let options: Vec<_> = options.filter(|(name, _)| !speech || !SPEECH_OPTIONS.contains(name)).collect();
    if let Some((name, _)) = options.iter().find(|(name, _)| matches!(*name, EXPIRES | KEY)) {
        bail!("--option {name}: say --expires and --key-id");
    }
    let (options, _) = Headerless::take_option(Presets::beside(&options).into())?;
    Format::parse(extension, &options).map(drop).with_context(|| format!("--format {extension}"))
}
