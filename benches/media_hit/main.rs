//! CPU that the node spends on a hit, beside nginx serving the same bytes in the same run.
//!
//! `make bench-hit` builds and starts both and calls this with their addresses. A fixed count of requests goes to each in turn
//! over keep-alive connections; what the server's processes used meanwhile comes from `/proc`. Time on the wall would measure
//! this client and the neighbours of the machine as well.

#![expect(clippy::print_stdout, reason = "the table on standard output is the product")]

mod cpu;
mod load;

use std::{env, fs, io::Write as _, net::SocketAddr};

use anyhow::{Context as _, Result, bail, ensure};

use crate::load::Request;

/// One kind of hit.
struct Case {
    name: &'static str,
    /// The file that nginx serves, and the name of the node's address in the list of paths.
    file: &'static str,
    kind: Kind,
    /// Enough for half a second of CPU: `/proc` counts in hundredths.
    requests: u64,
    /// At most this share of nginx's CPU is aimed at.
    aim: f64,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Whole,
    NotModified,
    Range,
}

const CASES: &[Case] = &[
    Case { name: "8 KiB", file: "8k.sln", kind: Kind::Whole, requests: 30_000, aim: 0.9 },
    Case { name: "80 KiB", file: "80k.sln", kind: Kind::Whole, requests: 16_000, aim: 0.9 },
    Case { name: "480 KiB", file: "480k.sln", kind: Kind::Whole, requests: 6_000, aim: 0.9 },
    Case { name: "5 MiB", file: "5m.sln", kind: Kind::Whole, requests: 800, aim: 1.25 },
    Case { name: "304", file: "80k.sln", kind: Kind::NotModified, requests: 40_000, aim: 1.0 },
    Case { name: "206 of 16 KiB", file: "480k.sln", kind: Kind::Range, requests: 30_000, aim: 1.0 },
];
const RANGE_BYTES: u64 = 16 << 10;
const CONNECTIONS: &[usize] = &[64, 512];

const USAGE: &str = "media_hit NODE_ADDRESS NODE_PID NGINX_ADDRESS NGINX_PID PATHS_FILE [ROUNDS [SCALE [CASE]]]
CASE is the beginning of the name of what alone is to be measured. PATHS_FILE has lines of FILE and the node's path for it. Run it by `make bench-hit`.";

#[derive(Clone)]
struct Server {
    address: SocketAddr,
    pid: u32,
}

fn main() -> Result<()> {
    // `cargo bench` adds --bench; `cargo test --benches` calls without arguments.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [node, node_pid, nginx, nginx_pid, paths, rest @ ..] = arguments.as_slice() else {
        println!("{USAGE}");
        return Ok(());
    };
    let node = Server { address: node.parse()?, pid: node_pid.parse()? };
    let nginx = Server { address: nginx.parse()?, pid: nginx_pid.parse()? };
    let rounds: usize = rest.first().map_or(Ok(5), |text| text.parse())?;
    let scale: f64 = rest.get(1).map_or(Ok(1.0), |text| text.parse())?;
    ensure!(rounds > 0 && scale > 0.0, "rounds and scale are more than nothing");
    let only = rest.get(2).map_or("", String::as_str);
    let paths = fs::read_to_string(paths).with_context(|| format!("reading {paths}"))?;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure_all(&[node, nginx], &paths, rounds, scale, only))
}

async fn measure_all(servers: &[Server; 2], paths: &str, rounds: usize, scale: f64, only: &str) -> Result<()> {
    println!("{}", cpu::machine());
    println!("server CPU (user + system) per request, µs, median of {rounds} interleaved rounds; keep-alive, loopback");
    println!();
    println!(
        "{:<14} {:>11} {:>10} {:>10} {:>8} {:>16} {:>6}",
        "hit", "connections", "ringback", "nginx", "ratio", "(least … most)", "aim"
    );
    for case in CASES.iter().filter(|case| case.name.starts_with(only)) {
        let node_path = paths.lines().find_map(|line| line.strip_prefix(case.file)?.strip_prefix(' '));
        let node_path = node_path.with_context(|| format!("no path for {} in the list", case.file))?;
        let requests = [
            request(&servers[0], node_path.trim(), case).await.context("ringback")?,
            request(&servers[1], &format!("/{}", case.file), case).await.context("nginx")?,
        ];
        for &connections in CONNECTIONS {
            let line = measure(servers, &requests, case, connections, rounds, scale).await?;
            println!("{line}");
            std::io::stdout().flush()?;
        }
    }
    println!();
    println!("ratio = ringback / nginx, the median of the rounds' ratios: below 1.00 the node is cheaper.");
    Ok(())
}

/// Asks once, checks that the answer is of the kind wanted, and returns what is to be asked again and again.
async fn request(server: &Server, path: &str, case: &Case) -> Result<Request> {
    let plain = Request::get(path, "");
    let first = load::once(server.address, &plain).await?;
    let (extra, status, bytes) = match case.kind {
        Kind::Whole => (String::new(), 200, first.body_bytes),
        Kind::NotModified => {
            let etag = first.header("etag").context("there is no ETag")?;
            (format!("If-None-Match: {etag}\r\n"), 304, 0)
        }
        Kind::Range => (format!("Range: bytes=0-{}\r\n", RANGE_BYTES - 1), 206, RANGE_BYTES),
    };
    let request = Request::get(path, &extra);
    let answer = load::once(server.address, &request).await?;
    if (answer.status, answer.body_bytes) != (status, bytes) {
        bail!("{path}: status {} with {} bytes, wanted {status} with {bytes}", answer.status, answer.body_bytes);
    }
    Ok(request.expecting(status, bytes))
}

async fn measure(
    servers: &[Server; 2],
    requests: &[Request; 2],
    case: &Case,
    connections: usize,
    rounds: usize,
    scale: f64,
) -> Result<String> {
    let count = ((case.requests as f64 * scale) as u64).max(connections as u64);
    let mut micros = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        // Who goes first changes from round to round, so that a drift of the machine falls on both.
        for turn in [round % 2, 1 - round % 2] {
            let server = &servers[turn];
            let mut load = load::Load::connect(server.address, &requests[turn], connections).await?;
            load.run(connections as u64).await?;
            let before = cpu::used(server.pid)?;
            let done = load.run(count).await?;
            let used = cpu::used(server.pid)? - before;
            micros[turn].push(used.as_secs_f64() * 1e6 / done as f64);
        }
    }
    let ratios: Vec<f64> = micros[0].iter().zip(&micros[1]).map(|(node, nginx)| node / nginx).collect();
    let [node, nginx] = micros;
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    Ok(format!(
        "{:<14} {connections:>11} {:>10.1} {:>10.1} {:>8.2} {:>16} {:>6}",
        case.name,
        median(node),
        median(nginx),
        median(ratios),
        format!("({least:.2} … {most:.2})"),
        format!("≤{:.2}", case.aim),
    ))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}
