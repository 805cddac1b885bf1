//! Ten thousand prompts warmed by `ringback warm`, cold and again: throughput, CPU of both sides, and what the origin has to bear.
//!
//! `make bench-warm` builds the program as it is released and calls this with its path, which is both the node and the client. The
//! origin is here, and counts how many prompts it is asked for at once.

#![expect(clippy::print_stdout, reason = "the table on standard output is the product")]

#[path = "../media_hit/cpu.rs"]
mod cpu;
#[path = "../node.rs"]
mod node;

use std::{
    env, fs,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use ringback::{
    testing::signal::{Depth, Signal},
    units::SampleRate,
};
use tokio::net::TcpListener;
use wait4::Wait4 as _;

use crate::node::Node;

const USAGE: &str = "warm PROGRAM [PROMPTS [CONCURRENCY [PER_ORIGIN]]]
Run it by `make bench-warm`.";

/// Large enough for all of them: what capacity evicts is another question.
const SETTINGS: &[(&str, &str)] = &[("RINGBACK_LOG", "warn,ringback::app=info")];
/// How long the origin takes for an answer, as one on another machine does.
const LATENCY: Duration = Duration::from_millis(2);

#[tokio::main]
async fn main() -> Result<()> {
    // `cargo bench` adds --bench; `cargo test --benches` calls without arguments.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [program, rest @ ..] = arguments.as_slice() else {
        println!("{USAGE}");
        return Ok(());
    };
    let prompts: usize = rest.first().map_or(Ok(10_000), |text| text.parse())?;
    let concurrency = rest.get(1).map_or("16", String::as_str);
    let per_origin = rest.get(2).map_or("8", String::as_str);
    ringback::outbound::install_crypto_provider();

    let origin = Prompts::serve().await?;
    let list = tempfile::NamedTempFile::new()?;
    let lines: Vec<String> = (0..prompts).map(|number| format!("http://{}/{number}.wav", origin.address)).collect();
    fs::write(list.path(), lines.join("\n"))?;
    let node = Node::start_for(program, &origin.address.to_string(), SETTINGS)?;

    println!("{}", cpu::machine());
    println!(
        "{prompts} different prompts of 1 s to μ-law; warm --concurrency {concurrency} --per-origin {per_origin};"
    );
    println!("the origin takes {} ms for an answer", LATENCY.as_millis());
    println!(
        "{:<10} {:>9} {:>9} {:>12} {:>12} {:>14}",
        "", "seconds", "items/s", "client CPU", "node CPU", "origin at once"
    );
    let list = list.path().to_str().context("a path that is text")?.to_owned();
    for run in ["cold", "again", "and again"] {
        origin.at_once_max.store(0, Ordering::Relaxed);
        let (asked, node_before) = (origin.asked.load(Ordering::Relaxed), cpu::used(node.id())?);
        let started = now();
        let line = [
            "warm",
            "--node",
            &node.url(""),
            "--from",
            &list,
            "--concurrency",
            concurrency,
            "--per-origin",
            per_origin,
            "--json",
        ];
        let ran = warm(program, &line).await?;
        let took = started.elapsed().as_secs_f64();
        let report = &ran.report;
        let (filled, already) = (report["filled"].as_u64().unwrap_or(0), report["warm"].as_u64().unwrap_or(0));
        let expected = if run == "cold" { (prompts as u64, 0) } else { (0, prompts as u64) };
        ensure!((filled, already) == expected, "{run}: {filled} filled and {already} warm: {}", report["reasons"]);
        let asked = origin.asked.load(Ordering::Relaxed) - asked;
        ensure!(asked as u64 == filled, "the origin was asked {asked} times for {filled}");
        println!(
            "{run:<10} {took:>9.2} {:>9.0} {:>10.2} s {:>10.2} s {:>14}",
            prompts as f64 / took,
            ran.cpu.as_secs_f64(),
            (cpu::used(node.id())? - node_before).as_secs_f64(),
            origin.at_once_max.load(Ordering::Relaxed),
        );
    }
    Ok(())
}

struct Ran {
    report: serde_json::Value,
    cpu: Duration,
}

/// Runs the client to its end.
async fn warm(program: &str, line: &[&str]) -> Result<Ran> {
    let mut command = Command::new(program);
    command.args(line).stdout(Stdio::piped()).stderr(Stdio::null());
    let run = move || -> Result<Ran> {
        let mut child = command.spawn()?;
        let mut out = child.stdout.take().context("no output")?;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut out, &mut text)?;
        let used = child.wait4()?;
        ensure!(used.status.success(), "the client failed: {text}");
        Ok(Ran { report: serde_json::from_str(&text)?, cpu: used.rusage.utime + used.rusage.stime })
    };
    tokio::task::spawn_blocking(run).await?
}

/// An origin that makes each prompt when it is asked for, and counts how many at once.
struct Prompts {
    address: std::net::SocketAddr,
    asked: Arc<AtomicUsize>,
    at_once_max: Arc<AtomicUsize>,
}

impl Prompts {
    async fn serve() -> Result<Prompts> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (asked, at_once, at_once_max) =
            (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default(), Arc::default());
        let served = Prompts { address, asked: Arc::clone(&asked), at_once_max: Arc::clone(&at_once_max) };
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (asked, at_once, at_once_max) = (asked.clone(), at_once.clone(), at_once_max.clone());
                let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                    let (at_once, at_once_max) = (at_once.clone(), at_once_max.clone());
                    asked.fetch_add(1, Ordering::Relaxed);
                    async move {
                        at_once_max.fetch_max(at_once.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                        tokio::time::sleep(LATENCY).await;
                        let name = request.uri().path().trim_matches(|character: char| !character.is_ascii_digit());
                        let seed = name.parse().unwrap_or(0);
                        let tone = Signal::noise(SampleRate::HZ_8000, seed, 0.5, Duration::from_secs(1));
                        let body = Full::new(Bytes::from(tone.wav(Depth::S16)));
                        at_once.fetch_sub(1, Ordering::Relaxed);
                        Response::builder()
                            .header("content-type", "audio/wav")
                            .header("cache-control", "max-age=86400")
                            .body(body)
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(served)
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}
