//! What a miss costs before and while it sounds: time to the first audio byte of a cold hour, memory of a running fill.
//!
//! `make bench-fill` builds the node as it is released and calls this with its path. The origin runs in here and sends at
//! 1 MB/s; for each format the time to the node's first byte is taken beside the time to the origin's own, in turn. Then as
//! many fills of different sources run at once as the node has workers, and its resident memory is compared with before.

#![expect(clippy::print_stdout, reason = "the table on standard output is the product")]

#[path = "../node.rs"]
mod node;

use std::{
    env,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use ringback::testing::{
    fixture,
    origin::{Body, Gate, Origin, Reply},
};

use crate::node::Node;

const USAGE: &str = "fill NODE_BINARY [ROUNDS]
Run it by `make bench-fill`.";

/// An hour at 128 kbit/s.
const HOUR_BYTES: u64 = 128_000 / 8 * 3_600;
const ORIGIN_BYTES_PER_SECOND: u64 = 1_000_000;
const FORMATS: &[&str] = &["ulaw", "opus"];
/// Fills at once when memory is measured.
const FILLS: usize = 32;

#[tokio::main]
async fn main() -> Result<()> {
    // `cargo bench` adds --bench; `cargo test --benches` calls without arguments.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [binary, rest @ ..] = arguments.as_slice() else {
        println!("{USAGE}");
        return Ok(());
    };
    let rounds: usize = rest.first().map_or(Ok(10), |text| text.parse())?;
    ringback::outbound::install_crypto_provider();
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build()?;
    first_bytes(binary, rounds, &client).await?;
    memory(binary, &client).await
}

async fn first_byte(client: &reqwest::Client, url: &str) -> Result<Duration> {
    let started = now();
    let mut response = client.get(url).send().await?.error_for_status()?;
    let first = response.chunk().await?.context("an empty body")?;
    ensure!(!first.is_empty(), "an empty first piece");
    Ok(started.elapsed())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

async fn first_bytes(binary: &str, rounds: usize, client: &reqwest::Client) -> Result<()> {
    println!(
        "time to first byte of a cold hour of MP3 at 1 MB/s, ms, median of {rounds} interleaved rounds (least … most)"
    );
    println!("{:<8} {:>24} {:>24} {:>12}", "format", "origin itself", "through the node", "added");
    let origin = Origin::start().await?;
    let node = Node::start(binary, &origin, &[("RINGBACK_MEDIA__ORIGIN__PER_ORIGIN_MAX", "64")])?;
    for format in FORMATS {
        let (mut direct, mut through) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            // Another query is another source: every request is cold.
            let path = format!("/hour.mp3?{format}{round}");
            let body = Body::repeat(fixture::music_frames()?, HOUR_BYTES);
            origin.set(&path, Reply::ok("audio/mpeg", body).rate(ORIGIN_BYTES_PER_SECOND));
            direct.push(first_byte(client, &origin.url(&path)).await?);
            through.push(first_byte(client, &node.fetch(&origin.url(&path), format)).await?);
        }
        let (direct, through) = (Spread::of(direct), Spread::of(through));
        println!("{format:<8} {direct:>24} {through:>24} {:>12.1}", through.median - direct.median);
    }
    Ok(())
}

/// Median, least and most, in milliseconds.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(mut times: Vec<Duration>) -> Spread {
        times.sort();
        let at = |index: usize| times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0);
        Spread { least: at(0), median: at(times.len() / 2), most: at(times.len() - 1) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{:.1} ({:.1} … {:.1})", self.median, self.least, self.most))
    }
}

async fn memory(binary: &str, client: &reqwest::Client) -> Result<()> {
    println!();
    println!("resident memory of the node, {FILLS} fills of an hour each, every one half-way through its source");
    println!("{:<8} {:>14} {:>14} {:>20}", "format", "idle, MiB", "filling, MiB", "each fill, MiB");
    for format in FORMATS {
        let origin = Origin::start().await?;
        let node = Node::start(binary, &origin, &[("RINGBACK_MEDIA__ORIGIN__PER_ORIGIN_MAX", "64")])?;
        let gate = Gate::closed();
        let idle = node.resident()?;
        let mut responses = Vec::new();
        for index in 0..FILLS {
            let path = format!("/hour.mp3?{index}");
            let body = Body::repeat(fixture::music_frames()?, HOUR_BYTES);
            origin.set(&path, Reply::ok("audio/mpeg", body).hold_after(HOUR_BYTES / 2, &gate));
            let response = client.get(node.fetch(&origin.url(&path), format)).send().await?.error_for_status()?;
            responses.push(response);
        }
        // All of them stand at the gate with half of their source arrived; a decoder that is behind makes it more, not less.
        gate.arrived(FILLS).await;
        for response in &mut responses {
            ensure!(response.chunk().await?.is_some(), "a fill without a byte");
        }
        let filling = node.resident()?;
        let mib = |kib: u64| kib as f64 / 1_024.0;
        let each = mib(filling.saturating_sub(idle)) / FILLS as f64;
        println!("{format:<8} {:>14.1} {:>14.1} {each:>20.2}", mib(idle), mib(filling));
    }
    Ok(())
}
