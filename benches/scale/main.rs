//! Ten and twenty thousand artifacts: nothing is silently dropped, restarts stay fast, entries stay small.
//!
//! `make bench-scale` builds the node as it is released and calls this with its path. As many different sources as asked for are
//! filled as fast as the node allows; then every one of them must be a hit with the right bytes, before and after a restart.

#![expect(clippy::print_stdout, reason = "the table on standard output is the product")]

#[path = "../node.rs"]
mod node;

use std::{
    env,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use ringback::{
    testing::{
        origin::{Body, Origin, Reply},
        signal::{Depth, Signal},
    },
    units::SampleRate,
};
use sha2::{Digest as _, Sha256};

use crate::node::Node;

const USAGE: &str = "scale NODE_BINARY [ARTIFACTS]
Run it by `make bench-scale`.";

/// Asks for what is there: a dropped artifact must not be made again unseen.
const ONLY_IF_CACHED: &str = "only-if-cached";
/// Requests at once.
const CALLERS: usize = 64;
/// Large enough for all of them: what capacity evicts is another question.
const SETTINGS: &[(&str, &str)] =
    &[("RINGBACK_MEDIA__ORIGIN__PER_ORIGIN_MAX", "64"), ("RINGBACK_LOG", "warn,ringback::app=info")];

#[tokio::main]
async fn main() -> Result<()> {
    // `cargo bench` adds --bench; `cargo test --benches` calls without arguments.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [binary, rest @ ..] = arguments.as_slice() else {
        println!("{USAGE}");
        return Ok(());
    };
    let artifacts: usize = rest.first().map_or(Ok(20_000), |text| text.parse())?;
    ringback::outbound::install_crypto_provider();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let origin = prompts(artifacts).await?;

    let node = Node::start(binary, &origin, SETTINGS)?;
    let idle = node.resident()?;
    let started = now();
    let digests = sweep(&client, &node, &origin, artifacts, "").await?;
    let filled = started.elapsed();
    println!("{artifacts} different prompts of 1 s as μ-law, {CALLERS} callers, empty stores");
    println!(
        "filled                 {:>10.1} s, {:.0} a second",
        filled.as_secs_f64(),
        artifacts as f64 / filled.as_secs_f64()
    );
    let resident = node.resident()?;
    println!("resident memory        {:>10.1} MiB idle, {:.1} MiB full", mib(idle), mib(resident));

    let (again, took) = timed(sweep(&client, &node, &origin, artifacts, ONLY_IF_CACHED)).await?;
    check("before the restart", &digests, &again)?;
    println!("all there, same bytes  {:>10.1} s to read them all", took.as_secs_f64());

    let started = now();
    let node = node.restart(binary, &origin, SETTINGS)?;
    let restart = started.elapsed();
    println!("restart until ready    {:>10.3} s, drain of the old process included", restart.as_secs_f64());
    let fresh = node.resident()?;
    let (after, took) = timed(sweep(&client, &node, &origin, artifacts, ONLY_IF_CACHED)).await?;
    check("after the restart", &digests, &after)?;
    println!("all there after it     {:>10.1} s to read them all, from disk", took.as_secs_f64());
    let warm = node.resident()?;
    // The bodies are in memory as well now; what is left is what an entry costs over its bytes.
    let bytes = artifacts as u64 * PROMPT_BYTES;
    let over = (warm.saturating_sub(fresh) * 1_024).saturating_sub(bytes) as f64 / artifacts as f64;
    println!(
        "resident memory        {:>10.1} MiB fresh, {:.1} MiB warm: {over:.0} B an artifact over its bytes",
        mib(fresh),
        mib(warm)
    );
    ensure!(origin.seen().len() == artifacts, "the origin was asked {} times", origin.seen().len());
    Ok(())
}

/// One second of μ-law.
const PROMPT_BYTES: u64 = 8_000;

/// An origin with that many different prompts.
async fn prompts(count: usize) -> Result<Origin> {
    let origin = Origin::start().await?;
    for index in 0..count {
        let tone = Signal::noise(SampleRate::HZ_8000, index as u64, 0.5, Duration::from_secs(1));
        let reply = Reply::ok("audio/wav", Body::of(tone.wav(Depth::S16)));
        origin.set(&format!("/{index}.wav"), reply.header("cache-control", "max-age=86400"));
    }
    Ok(origin)
}

/// All must be there with the bytes that they had.
fn check(when: &str, expected: &[[u8; 32]], found: &[[u8; 32]]) -> Result<()> {
    let missing: Vec<usize> = (0..expected.len()).filter(|index| found.get(*index) == Some(&[0; 32])).collect();
    if !missing.is_empty() {
        println!("MISSING {when}: {} of {}, such as {:?}", missing.len(), expected.len(), missing.get(..8));
    }
    ensure!(missing.is_empty(), "artifacts are missing");
    ensure!(expected == found, "an artifact came back with other bytes {when}");
    Ok(())
}

/// Asks for every prompt and gives back the digests of the answers.
async fn sweep(
    client: &reqwest::Client,
    node: &Node,
    origin: &Origin,
    count: usize,
    cache_control: &'static str,
) -> Result<Vec<[u8; 32]>> {
    let digests = Arc::new(Mutex::new(vec![[0; 32]; count]));
    let requests = stream::iter(0..count).map(|index| {
        let digests = Arc::clone(&digests);
        let request = client.get(node.fetch(&origin.url(&format!("/{index}.wav")), "ulaw"));
        async move {
            let answer = request.header("cache-control", cache_control).send().await?;
            let status = answer.status();
            let body = answer.bytes().await?;
            if status == reqwest::StatusCode::GATEWAY_TIMEOUT && cache_control == ONLY_IF_CACHED {
                return Ok(());
            }
            ensure!(status.is_success(), "prompt {index}: {status} {}", String::from_utf8_lossy(&body));
            ensure!(body.len() as u64 == PROMPT_BYTES, "prompt {index}: {} bytes", body.len());
            let digest = Sha256::digest(&body).into();
            *digests.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index).context("out of range")? = digest;
            Ok(())
        }
    });
    requests.buffer_unordered(CALLERS).try_collect::<()>().await?;
    let digests = digests.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(digests)
}

async fn timed<T>(work: impl Future<Output = Result<T>>) -> Result<(T, Duration)> {
    let started = now();
    let result = work.await?;
    Ok((result, started.elapsed()))
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1_024.0
}
