//! A million artifacts in the catalogue: how long they take to write down, what each costs on disk and in memory, and what finding one costs.
//!
//! `make bench-index` builds this as the node is released. Records are committed as fills commit them (index entry, manifest of one chunk,
//! reference; URLs of a hundred bytes), many at a time. Chunks are not there: their tiers are measured by `scale`.

#![expect(clippy::print_stdout, reason = "the table on standard output is the product")]

use std::{
    env, fs,
    path::Path,
    process::Command,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderMap, HeaderValue, header};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use ringback::{
    clock::Clock,
    ids::{ArtifactId, BodyDigest, ChunkId, ContentHash, SourceKey, Tenant},
    media::{
        cache::{Cache, Checksum, ChunkRef, Commit, Config, Manifest, Reference, SourceRecord, Visibility},
        format::Format,
        freshness::{Said, Selection},
    },
    units::ByteCount,
};

/// As the node has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "index [ARTIFACTS]
Run it by `make bench-index`.";

/// The argument under which the benchmark calls itself on a catalogue that is full.
const OPENED: &str = "--opened";
/// Commits at a time.
const COMMITTERS: usize = 512;
/// Look-ups of each kind.
const LOOKUPS: usize = 100_000;
/// Bytes of one second of μ-law.
const LENGTH: u32 = 8_000;
/// Records of an artifact: index entry, manifest, reference.
const RECORDS: usize = 3;

#[tokio::main]
async fn main() -> Result<()> {
    // `cargo bench` adds --bench; `cargo test --benches` calls without arguments.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.as_slice() {
        [flag, dir, count] if flag == OPENED => opened(dir.as_ref(), count.parse()?).await,
        [count] => filled(count.parse()?).await,
        _ => {
            println!("{USAGE}");
            Ok(())
        }
    }
}

/// Fills an empty catalogue, then has a process of its own open it.
async fn filled(count: usize) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let cache = open(dir.path()).await?;
    let (idle, busy, started) = (resident()?, cpu()?, now());
    let committed = async |number| -> Result<()> { Ok(cache.commit(commit(number)?).await?) };
    let commits = stream::iter(0..count).map(committed);
    commits.buffer_unordered(COMMITTERS).try_collect::<()>().await?;
    let (took, busy) = (started.elapsed(), cpu()? - busy);
    let stats = cache.stats();
    ensure!(stats.counts.artifacts == count as u64, "{stats:?}");
    let full = resident()?;
    cache.close().await;
    drop(cache);

    println!(
        "{count} artifacts, each with index entry, manifest of one chunk and reference; {COMMITTERS} commits at a time"
    );
    println!(
        "filled                    {:>10.1} s, {:.0} a second, {:.0} µs of CPU each",
        took.as_secs_f64(),
        count as f64 / took.as_secs_f64(),
        busy.as_secs_f64() * 1e6 / count as f64
    );
    let bytes = fs::metadata(dir.path().join("media.db"))?.len();
    println!(
        "on disk                   {:>10.0} B an artifact, {:.1} MiB in all",
        bytes as f64 / count as f64,
        mib(bytes)
    );
    println!(
        "resident while filling    {:>10.1} MiB idle, {:.1} MiB full: {:.0} B an artifact",
        mib(idle),
        mib(full),
        full.saturating_sub(idle) as f64 / count as f64
    );

    let again = Command::new(env::current_exe()?).arg(OPENED).arg(dir.path()).arg(count.to_string()).status()?;
    ensure!(again.success(), "opening it again failed");
    Ok(())
}

/// What a start on a full catalogue and looking things up in it cost.
async fn opened(dir: &Path, count: usize) -> Result<()> {
    let (before, busy, started) = (resident()?, cpu()?, now());
    let cache = open(dir).await?;
    let took = started.elapsed();
    println!(
        "opened                    {:>10.1} ms, {:.0} ms of CPU, {:.1} MiB resident more",
        took.as_secs_f64() * 1e3,
        (cpu()? - busy).as_secs_f64() * 1e3,
        mib(resident()?.saturating_sub(before))
    );
    ensure!(cache.stats().counts.artifacts == count as u64, "{:?}", cache.stats());

    // What the front cannot have yet: each is read from the file.
    let mut chance = StdRng::seed_from_u64(1);
    let numbers: Vec<usize> = (0..LOOKUPS).map(|_| chance.random_range(0..count)).collect();
    let tenant = Tenant::default_tenant();
    measure("SQLite, manifest", &numbers, async |number| {
        let found = cache.manifest(&artifact(number)).await?;
        ensure!(found.is_some_and(|manifest| manifest.artifact == artifact(number)), "artifact {number} is lost");
        Ok(())
    })
    .await?;
    measure("SQLite, index entry", &numbers, async |number| {
        ensure!(cache.source(&tenant, &source_key(number)).await?.is_some(), "source {number} is lost");
        Ok(())
    })
    .await?;
    measure("SQLite, unknown", &numbers, async |number| {
        ensure!(cache.reference(&tenant, &artifact(count + number)).await?.is_none(), "nobody has made that");
        Ok(())
    })
    .await?;

    // As many of those that were asked for last as the front holds for certain.
    let front: Vec<usize> = numbers.iter().rev().copied().take(LOOKUPS / 10).collect();
    for number in &front {
        cache.reference(&tenant, &artifact(*number)).await?;
    }
    let front: Vec<usize> =
        front.into_iter().filter(|number| cache.reference_in_memory(&tenant, &artifact(*number)).is_some()).collect();
    let hot: Vec<usize> = front.iter().cycle().take(LOOKUPS).copied().collect();
    measure("front, reference", &hot, async |number| {
        ensure!(cache.reference_in_memory(&tenant, &artifact(number)).is_some(), "reference {number} left the front");
        Ok(())
    })
    .await?;

    // Until the front is full: one in each record's turn.
    for number in 0..count.min(200_000) {
        cache.reference(&tenant, &artifact(number)).await?;
    }
    let (stats, full) = (cache.stats(), resident()?);
    println!(
        "resident with full front  {:>10.1} MiB in all, {:.0} B an artifact; {} records in front, {:.0} B each by its own count",
        mib(full),
        full as f64 / count as f64,
        stats.record_entries,
        stats.record_bytes as f64 / stats.record_entries.max(1) as f64
    );
    println!(
        "resident over its start   {:>10.1} MiB: {:.0} B a record in front; without it {:.0} B a record in the file",
        mib(full.saturating_sub(before)),
        full.saturating_sub(before) as f64 / stats.record_entries.max(1) as f64,
        full.saturating_sub(before).saturating_sub(stats.record_bytes as u64) as f64 / (RECORDS * count) as f64
    );
    cache.close().await;
    Ok(())
}

/// Looks each up, one after the other, and prints what that took.
async fn measure(what: &str, numbers: &[usize], look: impl AsyncFn(usize) -> Result<()>) -> Result<()> {
    let mut times = Vec::with_capacity(numbers.len());
    let busy = cpu()?;
    for number in numbers {
        let started = now();
        look(*number).await?;
        times.push(started.elapsed());
    }
    let busy = cpu()? - busy;
    times.sort_unstable();
    let at = |part: usize| times.get((times.len() * part / 1000).min(times.len().saturating_sub(1)));
    let micros = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e6);
    println!(
        "{what:<25} {:>10.2} µs p50, {:.2} µs p99, {:.2} µs p99.9, {:.2} µs of CPU each",
        micros(at(500)),
        micros(at(990)),
        micros(at(999)),
        busy.as_secs_f64() * 1e6 / numbers.len().max(1) as f64
    );
    Ok(())
}

/// The catalogue as the node opens it, without a disk tier.
async fn open(dir: &Path) -> Result<Cache> {
    let config = Config { disk: ByteCount::bytes(0), ..Config::default() };
    Ok(Cache::open(&config, dir, Clock::system()).await?)
}

fn artifact(number: usize) -> ArtifactId {
    ArtifactId::of(&number.to_le_bytes())
}

/// A hundred bytes long.
fn url(number: usize) -> String {
    let name = ContentHash::of(&number.to_le_bytes()).to_string();
    format!("https://sounds.example.com/{number:09}/{name}")
}

fn source_key(number: usize) -> SourceKey {
    SourceKey::of(url(number).as_bytes())
}

/// What a fill of one second of μ-law writes down.
fn commit(number: usize) -> Result<Commit> {
    let content_hash = ContentHash::of(url(number).as_bytes());
    let format = Format::parse("ulaw", &[])?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    let chunk = ChunkRef {
        id: ChunkId::of(url(number).as_bytes()),
        length: LENGTH,
        sum: Some(Checksum::of(url(number).as_bytes())),
    };
    let manifest = Manifest {
        artifact: artifact(number),
        content_hash,
        format,
        pipeline: "1.1.1.1".to_owned(),
        raw_type: None,
        length: u64::from(LENGTH),
        duration_ms: 1000,
        digest: BodyDigest::from_bytes(*chunk.id.as_bytes()),
        chunks: vec![chunk],
    };
    let reference = Reference {
        source_url: url(number),
        content_hash,
        input: None,
        also: Vec::new(),
        format,
        pipeline: "1.1.1.1".to_owned(),
        visibility: Visibility::Public,
        tags: Vec::new(),
        source_tags: Vec::new(),
        created_at: now,
        asked_at: Some(now),
    };
    let headers = [
        (header::ETAG, HeaderValue::from_static("\"5f3759df-1f40\"")),
        (header::CACHE_CONTROL, HeaderValue::from_static("max-age=86400")),
        (header::LAST_MODIFIED, HeaderValue::from_static("Sun, 01 Nov 2026 08:49:37 GMT")),
    ];
    let source = SourceRecord {
        url: url(number),
        content_hash,
        headerless: false,
        length: 16_044,
        declared: None,
        said: Said::of(&HeaderMap::from_iter(headers)),
        selection: Some(Selection::default()),
        tags: Vec::new(),
        labels: Vec::new(),
        rules_stamp: 0,
        asked_at: Some(now),
        checked_at: now,
        fresh_until: now + Duration::from_secs(86_400),
        changed_at: now,
    };
    Ok(Commit {
        source: Some(source),
        manifest: Some(manifest),
        reference: Some((artifact(number), reference)),
        ..Commit::new(Tenant::default_tenant(), source_key(number))
    })
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// Resident memory of this process in bytes.
fn resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1_024)
}

/// CPU time of this process, all threads, user and system, in steps of 10 ms.
fn cpu() -> Result<Duration> {
    const TICKS_PER_SECOND: u64 = 100;
    let stat = fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which may hold anything: fields 3 on, of which 14 and 15 are user and system time.
    let fields = stat.rsplit_once(')').context("no name")?.1.split_whitespace();
    let ticks = fields.skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
