//! What a caller's credentials cost on a hit in memory: CPU of the node for each answer to one who authenticates, beside that to a stranger.
//!
//! `make bench-authenticated` builds the node as it is released and calls this with its path. Both ask the same node for the same bytes in
//! turns, over keep-alive connections; what the node used meanwhile comes from `/proc`.

#![expect(clippy::print_stdout, reason = "the table on standard output is the product")]

#[path = "../media_hit/cpu.rs"]
mod cpu;
#[path = "../media_hit/load.rs"]
mod load;
#[path = "../node.rs"]
mod node;

use std::{env, fs, net::SocketAddr};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ringback::testing::{
    fixture,
    origin::{Body, Origin, Reply},
};

use crate::{
    load::{Load, Request},
    node::Node,
};

const USAGE: &str = "authenticated PROGRAM [ROUNDS]
Run it by `make bench-authenticated`.";
const SETTINGS: &[(&str, &str)] = &[("RINGBACK_LOG", "warn,ringback::app=info")];
const CONNECTIONS: usize = 64;
/// Half a second of CPU and more: `/proc` counts in hundredths.
const REQUESTS: u64 = 60_000;
/// At most this is aimed at, in shares of a stranger's answer.
const AIM: f64 = 1.1;

#[tokio::main]
async fn main() -> Result<()> {
    // `cargo bench` adds --bench; `cargo test --benches` calls without arguments.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [program, rest @ ..] = arguments.as_slice() else {
        println!("{USAGE}");
        return Ok(());
    };
    let rounds: usize = rest.first().map_or(Ok(5), |text| text.parse())?;
    ringback::outbound::install_crypto_provider();
    let origin = Origin::start().await?;
    origin.set("/a.flac", Reply::ok("audio/flac", Body::of(fixture::audio("speech.flac")?)));
    let node = Node::start_for(program, &origin.address().to_string(), SETTINGS)?;
    let text = fs::read_to_string(node.data_dir().context("no directory")?.join("first-credentials"))?;
    let word = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        line.with_context(|| format!("first-credentials has no {name}"))
    };
    let pair = STANDARD.encode(format!("{}:{}", word("account")?, word("token")?));
    let shown = format!("Authorization: Basic {pair}\r\n");
    let escaped: String = url::form_urlencoded::byte_serialize(origin.url("/a.flac").as_bytes()).collect();
    let fetch = format!("/fetch/_/-/plain/{escaped}.ulaw");
    let (stranger, known) = (ready(node.address(), &fetch, "").await?, ready(node.address(), &fetch, &shown).await?);

    println!("{}", cpu::machine());
    println!("hits of {} bytes in memory, {CONNECTIONS} connections, {REQUESTS} requests a turn", stranger.1);
    println!("{:<8} {:>14} {:>18} {:>8}", "round", "stranger µs", "authenticated µs", "ratio");
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let without = turn(&node, &stranger.0).await?;
        let with = turn(&node, &known.0).await?;
        ratios.push(with / without);
        println!("{round:<8} {without:>14.2} {with:>18.2} {:>8.3}", with / without);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ratios.len() / 2).copied().unwrap_or_default();
    println!("median ratio {median:.3}, aim at most {AIM}");
    Ok(())
}

/// A request that is answered from memory, and how many bytes that is.
async fn ready(address: SocketAddr, path: &str, extra: &str) -> Result<(Request, u64)> {
    let request = Request::get(path, extra);
    let mut bytes = 0;
    for _ in 0..3 {
        let answer = load::once(address, &request).await?;
        ensure!(answer.status == 200, "the node answers {}", answer.status);
        bytes = answer.body_bytes;
    }
    Ok((request.expecting(200, bytes), bytes))
}

/// CPU of the node for one answer, in microseconds.
async fn turn(node: &Node, request: &Request) -> Result<f64> {
    let mut load = Load::connect(node.address(), request, CONNECTIONS).await?;
    load.run(CONNECTIONS as u64).await?;
    let before = cpu::used(node.id())?;
    let asked = load.run(REQUESTS).await?;
    let used = cpu::used(node.id())? - before;
    Ok(used.as_secs_f64() * 1e6 / asked as f64)
}
