//! What an account that floods its `delay` limit costs another: p99 of the other's answers with the flood, beside that without.
//!
//! `make bench-fairness` builds the node as it is released and calls this with its path. Account A keeps hundreds of requests in line at its own limit, for a source
//! that comes slowly; account B asks for audio that has to be made, one request after the other. Turns alternate in which A is silent, asks for no more than it may have,
//! and floods; all answers of a kind are taken together. What A may have costs CPU, and so B time; what it asks for beyond that should cost nothing.

#![expect(clippy::print_stdout, reason = "the table on standard output is the product")]

#[expect(dead_code, reason = "what it knows of processes is for others")]
#[path = "../media_hit/cpu.rs"]
mod cpu;
#[path = "../node.rs"]
mod node;

use std::{env, fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use ringback::{
    clock::Clock,
    testing::{
        fixture,
        origin::{Body, Origin, Reply},
    },
};
use tokio_util::sync::CancellationToken;

use crate::node::Node;

const USAGE: &str = "fairness PROGRAM [ROUNDS]
Run it by `make bench-fairness`.";
const SETTINGS: &[(&str, &str)] = &[("RINGBACK_LOG", "warn,ringback::app=info")];
/// What A may have in progress at once.
const LIMIT: usize = 4;
/// Requests of A that are in progress or wait, at any time of a flood.
const FLOOD: usize = 400;
/// Requests of B in a turn.
const ASKED: usize = 500;
/// Bytes a second in which A's source comes: its fills wait for it and need no CPU to speak of.
const RATE: u64 = 200_000;
/// At most this is aimed at.
const AIM: f64 = 1.2;

/// An account and how it authenticates.
struct Account {
    sid: String,
    token: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    // `cargo bench` adds --bench; `cargo test --benches` calls without arguments.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [program, rest @ ..] = arguments.as_slice() else {
        println!("{USAGE}");
        return Ok(());
    };
    let rounds: usize = rest.first().map_or(Ok(8), |text| text.parse())?;
    ringback::outbound::install_crypto_provider();
    let origin = Origin::start().await?;
    let audio = fixture::audio("speech.wav")?;
    origin.set("/slow.wav", Reply::ok("audio/wav", Body::of(audio.clone())).rate(RATE));
    origin.set("/b.wav", Reply::ok("audio/wav", Body::of(audio)));
    let node = Node::start(program, &origin, SETTINGS)?;
    let directory = node.data_dir().context("no directory")?;
    let (a, b) = (account(program, directory, "a")?, account(program, directory, "b")?);
    let policy = ["--policy", "delay", "--wait-max", "5m", "--waiting-max", "1000"];
    let hard = LIMIT.to_string();
    run(program, directory, &[&["limits", "set", &a.sid, "fetches", "--hard", &hard], &policy[..]].concat())?;
    let client = Client::builder().no_proxy().build()?;
    let (slow, plain) = (node.fetch(&origin.url("/slow.wav"), "ulaw"), node.fetch(&origin.url("/b.wav"), "ulaw"));
    // The node has heard of the limit, and knows everybody.
    let clock = Clock::system();
    turn(&client, &b, &plain, &clock).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;

    println!("{}", cpu::machine());
    println!("A: limit {LIMIT}, {FLOOD} at once in a flood; B: {ASKED} answers a turn, each a fill; p99 in ms");
    println!("{:<8} {:>10} {:>16} {:>14} {:>14}", "round", "A silent", "A at its limit", "A floods", "A answered");
    let mut all = [Vec::new(), Vec::new(), Vec::new()];
    for round in 1..=rounds {
        let mut answered = 0;
        for (askers, took) in [0, LIMIT, FLOOD].into_iter().zip(&mut all) {
            let (over, pair) = (CancellationToken::new(), a.pair());
            let asking = join_all(
                (0..askers)
                    .map(|_| tokio::spawn(keep_asking(client.clone(), pair.clone(), slow.clone(), over.clone()))),
            );
            let measured = async {
                // All of them are in line.
                tokio::time::sleep(Duration::from_secs(1)).await;
                let measured = turn(&client, &b, &plain, &clock).await;
                over.cancel();
                measured
            };
            let (asked, measured) = tokio::join!(asking, measured);
            took.push(measured?);
            answered = 0;
            for asked in asked {
                answered += asked??;
            }
        }
        let last = all.each_ref().map(|turns: &Vec<Vec<f64>>| turns.last().map_or(0.0, |turn| p99(turn)));
        println!("{round:<8} {:>10.2} {:>16.2} {:>14.2} {answered:>14}", last[0], last[1], last[2]);
    }
    let [silent, within, flood] = all.map(|turns| p99(&turns.concat()));
    println!("p99 of all: silent {silent:.2} ms, at its limit {within:.2} ms, flood {flood:.2} ms");
    println!("flood beside silent {:.3}, beside at its limit {:.3}; aim under {AIM}", flood / silent, flood / within);
    Ok(())
}

impl Account {
    fn pair(&self) -> (String, String) {
        (self.sid.clone(), self.token.clone())
    }
}

/// Runs the program on the node's data.
fn run(program: &str, directory: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).arg("--json").arg("--data-dir").arg(directory).output()?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn account(program: &str, directory: &Path, name: &str) -> Result<Account> {
    let secrets = directory.join(name);
    let to = secrets.to_str().context("a path that is no text")?;
    let made = run(program, directory, &["account", "create", name, "--secrets-to", to])?;
    let made: serde_json::Value = serde_json::from_str(made.lines().next().context("no account")?)?;
    let secrets: serde_json::Value = serde_json::from_str(&fs::read_to_string(&secrets)?)?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned).context("no text");
    Ok(Account { sid: text(&made["sid"])?, token: text(&secrets["auth_token"])? })
}

/// Asks for audio that nobody may keep, so that it has to be made: milliseconds until all of it was there.
async fn ask(client: &Client, (sid, token): &(String, String), url: &str, clock: &Clock) -> Result<f64> {
    let began = clock.now();
    let asked = client.get(url).basic_auth(sid, Some(token)).header("cache-control", "no-store").send().await?;
    ensure!(asked.status() == StatusCode::OK, "the node answers {}", asked.status());
    asked.bytes().await?;
    Ok((clock.now() - began).as_secs_f64() * 1_000.0)
}

async fn turn(client: &Client, account: &Account, url: &str, clock: &Clock) -> Result<Vec<f64>> {
    let pair = account.pair();
    let mut took = Vec::with_capacity(ASKED);
    for _ in 0..ASKED {
        took.push(ask(client, &pair, url, clock).await?);
    }
    Ok(took)
}

/// Asks again and again until it is over: how often it was answered.
async fn keep_asking(client: Client, pair: (String, String), url: String, over: CancellationToken) -> Result<usize> {
    let (clock, mut answered) = (Clock::system(), 0);
    loop {
        tokio::select! {
            // Who leaves is out of the line.
            () = over.cancelled() => return Ok(answered),
            asked = ask(&client, &pair, &url, &clock) => asked?,
        };
        answered += 1;
    }
}

fn p99(took: &[f64]) -> f64 {
    let mut sorted = took.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() * 99 / 100).copied().unwrap_or_default()
}
