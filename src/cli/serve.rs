//! `ringback serve`: runs the node.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use crate::{
    app,
    config::{self, Config, Flag, Loaded, Mistakes, Sources},
};

use super::{Exit, terminal::Terminal};

/// The key that `--allow-origin` sets.
const ALLOW_ORIGIN_KEY: &str = "outbound.allow_origins";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Show the configuration in force as TOML, with where each value comes from, and start nothing
    #[arg(long)]
    print_config: bool,
}

/// Flags that decide the configuration. Each wins over the environment, which wins over the file.
#[derive(Debug, Default, Args)]
pub(super) struct Settings {
    /// TOML file to read; config/default.toml documents every key. Each can be set as RINGBACK_<ROOM>__<KEY> too
    #[arg(long, value_name = "FILE", env = "RINGBACK_CONFIG")]
    config: Option<PathBuf>,
    /// Directory of all local state [default: ./ringback-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Where media and API are served [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Where metrics and health are served [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR:PORT")]
    ops_listen: Option<String>,
    /// Where the reverse proxy is served; goes with --proxy-origin
    #[arg(long, value_name = "ADDR:PORT")]
    proxy_listen: Option<String>,
    /// Whom the reverse proxy stands in front of: scheme, host and port
    #[arg(long, value_name = "URL")]
    proxy_origin: Option<String>,
    /// Private origin that may be fetched; repeatable, replaces the configured list
    #[arg(long, value_name = "CIDR|HOST[:PORT]")]
    allow_origin: Vec<String>,
    /// What addresses handed out begin with
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Certificate chain in PEM
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<String>,
    /// Private key of the certificate in PEM
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,
    /// Serve beyond loopback although not everybody has to authenticate
    #[arg(long)]
    insecure_open: bool,
}

/// What a verb is told that works on what a node keeps, without the node.
#[derive(Debug, Args)]
pub(super) struct Kept {
    /// TOML file to read, the node's own
    #[arg(long, global = true, value_name = "FILE", env = "RINGBACK_CONFIG")]
    config: Option<PathBuf>,
    /// Directory of all local state [default: ./ringback-data]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// Write JSON, one object a line
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl Kept {
    /// The node's settings.
    pub(super) fn settings(self) -> Settings {
        Settings { config: self.config, data_dir: self.data_dir, ..Settings::default() }
    }
}

impl Settings {
    /// The flags that were given, as values of keys.
    fn flags(&self) -> Vec<Flag> {
        let text = |value: &Option<String>| value.clone().map(Value::from);
        let origins = (!self.allow_origin.is_empty()).then(|| Value::from(self.allow_origin.clone()));
        [
            ("--data-dir", "data_dir", text(&self.data_dir)),
            ("--listen", "listen", text(&self.listen)),
            ("--ops-listen", "ops_listen", text(&self.ops_listen)),
            ("--proxy-listen", "proxy.listen", text(&self.proxy_listen)),
            ("--proxy-origin", "proxy.origin", text(&self.proxy_origin)),
            ("--allow-origin", ALLOW_ORIGIN_KEY, origins),
            ("--public-url", "public_url", text(&self.public_url)),
            ("--tls-cert", "tls_cert", text(&self.tls_cert)),
            ("--tls-key", "tls_key", text(&self.tls_key)),
            ("--insecure-open", "insecure_open", self.insecure_open.then(|| Value::from(true))),
        ]
        .into_iter()
        .filter_map(|(name, key, value)| value.map(|value| Flag { name, key, value }))
        .collect()
    }

    /// Loads the configuration from the file, this process's environment and these flags.
    pub(super) fn load(self) -> Result<Loaded<Config>, Mistakes> {
        let flags = self.flags();
        config::load(&Sources { file: self.config, environment: config::process_environment(), flags })
    }
}

pub(super) fn run(arguments: Arguments, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let loaded = match arguments.settings.load() {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            terminal.complain(&mistakes.to_string());
            return Ok(Exit::Usage);
        }
    };
    if arguments.print_config {
        let text = loaded.print().context("printing the configuration")?;
        terminal.say(text.trim_end())?;
        return Ok(Exit::Done);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(app::serve(loaded.config))?;
    Ok(Exit::Done)
}
