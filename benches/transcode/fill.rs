//! What a fill costs the node beyond the conversion itself: many different short prompts through a node, and the same conversions
//! by the library alone, in this process.

use std::{
    io::{self, Cursor, Read, Seek, SeekFrom},
    time::Duration,
};

use anyhow::{Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use ringback::{
    media::{self, Limits, format::Format},
    testing::{
        fixture,
        origin::{Body, Origin, Reply},
    },
};

use crate::{cpu, node::Node};

/// Enough for seconds of CPU: `/proc` counts in hundredths.
const PROMPTS: usize = 2_000;
/// Requests at once.
const CALLERS: usize = 16;
/// Most that is aimed at, in ms.
const AIM: f64 = 0.3;
const SETTINGS: &[(&str, &str)] =
    &[("RINGBACK_MEDIA__ORIGIN__PER_ORIGIN_MAX", "64"), ("RINGBACK_LOG", "warn,ringback::app=info")];

/// The system's allocator is not the node's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub(crate) fn measure(ringback: &str) -> Result<()> {
    let prompts: Vec<Vec<u8>> = (0..PROMPTS).map(prompt).collect::<Result<_>>()?;
    let node = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(through_a_node(ringback, &prompts))?;
    let format = Format::parse("ulaw", &[])?;
    let before = cpu::used(std::process::id())?;
    for prompt in &prompts {
        media::transcode(Box::new(Original(Cursor::new(prompt.clone()))), format, &Limits::default(), &mut Nowhere)?;
    }
    let library = cpu::used(std::process::id())? - before;
    let millis = |all: Duration| all.as_secs_f64() * 1_000.0 / PROMPTS as f64;
    println!(
        "CPU of the node for a fill of a prompt of 3.5 s that nobody asked for before (MP3 to μ-law), ms, mean of {PROMPTS}:"
    );
    println!(
        "whole {:.2}, of it the conversion as the library alone does it {:.2}, so that a fill costs {:.2} beside it; aim ≤{AIM}",
        millis(node),
        millis(library),
        millis(node.saturating_sub(library)),
    );
    Ok(())
}

/// The spoken fixture with a tag of its own behind it: other bytes, the same audio.
fn prompt(number: usize) -> Result<Vec<u8>> {
    const TAG_BYTES: usize = 128;
    let mut bytes = fixture::audio("speech.mp3")?.to_vec();
    let audio_bytes = bytes.len();
    bytes.extend_from_slice(format!("TAG{number}").as_bytes());
    bytes.resize(audio_bytes + TAG_BYTES, b' ');
    Ok(bytes)
}

async fn through_a_node(ringback: &str, prompts: &[Vec<u8>]) -> Result<Duration> {
    ringback::outbound::install_crypto_provider();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let origin = Origin::start().await?;
    let path = |number: usize| format!("/{number}.mp3");
    for (number, prompt) in prompts.iter().enumerate() {
        origin.set(&path(number), Reply::ok("audio/mpeg", Body::of(prompt.clone())));
    }
    let node = Node::start(ringback, &origin, SETTINGS)?;
    // The first fill finds everything cold.
    origin.set("/first.mp3", Reply::ok("audio/mpeg", Body::of(prompt(prompts.len())?)));
    get(&client, node.fetch(&origin.url("/first.mp3"), "ulaw")).await?;
    let before = cpu::used(node.id())?;
    let numbers = stream::iter(0..prompts.len()).map(Ok::<_, anyhow::Error>);
    let (client, node, origin) = (&client, &node, &origin);
    numbers
        .try_for_each_concurrent(CALLERS, |number| async move {
            get(client, node.fetch(&origin.url(&path(number)), "ulaw")).await
        })
        .await?;
    Ok(cpu::used(node.id())? - before)
}

async fn get(client: &reqwest::Client, url: String) -> Result<()> {
    let body = client.get(url).send().await?.error_for_status()?.bytes().await?;
    ensure!(!body.is_empty(), "an empty body");
    Ok(())
}

/// An original that is all there.
struct Original(Cursor<Vec<u8>>);

impl Read for Original {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.read(room)
    }
}

impl Seek for Original {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl media::Input for Original {
    fn length(&self) -> Option<u64> {
        Some(self.0.get_ref().len() as u64)
    }

    fn wait_complete(&mut self) -> io::Result<u64> {
        Ok(self.0.get_ref().len() as u64)
    }
}

/// Takes everything and keeps nothing.
struct Nowhere;

impl media::Output for Nowhere {
    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}
