//! What the durable tier costs: a hit from S3 beside bare GETs with the same client, whether write-behind keeps up with fills, and what hits
//! in memory feel of a store that is stopped, slow, busy or lying.
//!
//! `make bench-durable` builds the node as it is released and calls this with its path. The S3 server is the tests' own (SeaweedFS), on the
//! same machine; its CPU is not counted. Hits and bare GETs take turns in one process, whose CPU is read from the kernel.

#![expect(clippy::print_stdout, reason = "the table on standard output is the product")]

#[path = "../node.rs"]
mod node;
mod spent;

use std::{
    env,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use ringback::{
    clock::Clock,
    ids::{ArtifactId, BodyDigest, ChunkId, ContentHash, SourceKey, Tenant},
    media::{
        cache::{
            CHUNK_MAX, Cache, Checksum, ChunkRef, Commit, Config, Manifest, Reader, Reference, Visibility, Whole,
            durable::{ObjectKey, ObjectStore as _, Replace, Resting, S3, StoreKind, Upload, s3},
        },
        format::Format,
    },
    testing::{
        origin::{Body, Origin, Reply},
        s3_server::{ACCESS_KEY, S3Server, SECRET_KEY},
        shaky_way::{Mood, Shaky},
        signal::{Depth, Signal},
    },
    units::{ByteCount, SampleRate},
};

use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::{
    node::Node,
    spent::{Spent, now, spent},
};

const USAGE: &str = "durable NODE_BINARY [ROUNDS [FILLS [SIDES [PART]]]]
ROUNDS of hits from S3, FILLS before the write-behind, SIDES of hits in memory on each side of each comparison.
PART: hits, unknown (hits of which the node knows nothing), fills or ill; all of them without it.
Run it by `make bench-durable`.";

const BUCKET: &str = "bench";
/// Hits that are measured together: many, so that what one kind leaves behind in caches and other threads is not the next one's.
const TURN: usize = 64;
/// The memory tier, full of other chunks: a node that has run for a while has no memory left that was never used.
const MEMORY: ByteCount = ByteCount::mib(32);
/// What is learned is written down a little later.
const LEARNING: Duration = Duration::from_millis(150);
/// As the node allocates: what is received and kept is most of what a hit costs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Requests at once while fills run.
const CALLERS: usize = 64;
/// Objects of a fill: bytes and manifest of the artifact, the original, the reference, the index entry.
const OBJECTS: usize = 5;
/// Rows of the list of what the store is to be told that they are.
const ROWS: usize = 4;
/// Hits in memory of one side of a comparison.
const ASKED: usize = 200;

/// The thread that asks is to the others what one of the node's lanes is: it has a runtime of its own.
fn main() -> Result<()> {
    let services = tokio::runtime::Runtime::new()?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure(services.handle()))
}

async fn measure(services: &Handle) -> Result<()> {
    // `cargo bench` adds --bench; `cargo test --benches` calls without arguments.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [binary, rest @ ..] = arguments.as_slice() else {
        println!("{USAGE}");
        return Ok(());
    };
    let rounds: usize = rest.first().map_or(Ok(200), |text| text.parse())?;
    let fills: usize = rest.get(1).map_or(Ok(5_000), |text| text.parse())?;
    let sides: usize = rest.get(2).map_or(Ok(60), |text| text.parse())?;
    ringback::outbound::install_crypto_provider();
    let server = S3Server::start().await?;
    server.create_bucket(BUCKET).await?;
    let part = rest.get(3).map(String::as_str);
    let is_wanted = |name: &str| part.is_none_or(|part| part == name);
    if is_wanted("hits") {
        hits(&server, services, rounds).await?;
    }
    if is_wanted("unknown") {
        hits_without_state(&server, services, rounds).await?;
    }
    if is_wanted("fills") {
        write_behind(&server, binary, fills).await?;
    }
    if is_wanted("ill") {
        memory_beside_a_bad_store(&server, binary, sides).await?;
    }
    Ok(())
}

fn config(endpoint: String) -> Config {
    let mut config = Config::default();
    config.durable.store = StoreKind::S3;
    config.durable.s3 = s3::Config {
        bucket: Some(BUCKET.to_owned()),
        endpoint: Some(endpoint),
        path_style: true,
        access_key: Some(s3::Secret::new(ACCESS_KEY.to_owned())),
        secret_key: Some(s3::Secret::new(SECRET_KEY.to_owned())),
        ..s3::Config::default()
    };
    config
}

/// Hits from S3 beside bare GETs of the same objects.
async fn hits(server: &S3Server, services: &Handle, rounds: usize) -> Result<()> {
    println!(
        "a hit from S3 with its manifest here beside bare GETs of the same objects, the memory tier full, medians of turns of {TURN} (an eighth \
         for the long one), turn and turn about: by the node's client with the body let go as it comes (`bare`) and kept until its end (`kept`), \
         and by the SDK's client, let go. `by SDK` is a hit over that client. Writing to the disk tier is counted with the hit that causes it: \
         not the `first`, but the one `again`"
    );
    println!(
        "{:>9} {:>5} {:>8} {:>14} {:>14} {:>14} {:>14} {:>14}   of bare, time CPU   of kept, time CPU   of SDK's, time CPU",
        "bytes", "disk", "hit", "bare ms (CPU)", "kept ms (CPU)", "SDK ms (CPU)", "hit ms (CPU)", "by SDK ms (CPU)"
    );
    for (disk, again) in [(ByteCount::bytes(0), false), (ByteCount::gib(1), false), (ByteCount::gib(1), true)] {
        let settings = Config { disk, memory: MEMORY, ..config(server.endpoint()) };
        let limits = &settings.durable;
        let ours = open_s3(services, &settings).await?;
        let bare = Arc::new(Resting::new(Arc::new(ours.clone()), limits, Clock::system()));
        let sdk = Arc::new(Resting::new(Arc::new(ours.by_sdk_alone()), limits, Clock::system()));
        let directories = [tempfile::tempdir()?, tempfile::tempdir()?];
        let [in_first, in_second] = &directories;
        let cache = open_cache(services, &settings, in_first, &bare).await?;
        let cache_by_sdk = open_cache(services, &settings, in_second, &sdk).await?;
        for (length, at_a_turn) in [(80_000, TURN), (5_000_000, TURN / 8)] {
            for cache in [&cache, &cache_by_sdk] {
                fill_memory(cache, length).await;
            }
            let mut all: [Vec<Spent>; 5] = Default::default();
            for turn in 0..rounds / TURN + 1 {
                let mut manifests = Vec::with_capacity(at_a_turn);
                for number in 0..at_a_turn {
                    let (manifest, body) = artifact(length, turn * at_a_turn + number)?;
                    let key = format!("artifacts/{}/{}.ulaw", &manifest.artifact.to_string()[..2], manifest.artifact);
                    let key = ObjectKey::new(key)?;
                    bare.put(&key, Upload::of(body, "audio/basic", Replace::Never)).await?;
                    manifests.push((key, Arc::new(manifest)));
                }
                // Turn by turn another one comes first, and each after each other: what one leaves in caches falls to all alike.
                for place in 0..all.len() {
                    let kind = (turn + place * (1 + turn % (all.len() - 1))) % all.len();
                    let whole = async |store: &Resting| {
                        spent(in_turn(&manifests, async |key, _| read_bare(store, key, length).await), async {}).await
                    };
                    let kept = in_turn(&manifests, async |key, manifest| read_kept(&bare, key, manifest).await);
                    let hit = async |cache: &Cache| {
                        if again {
                            in_turn(&manifests, async |_, manifest| read_hit(cache, manifest).await).await?;
                            for (_, manifest) in &manifests {
                                forget(cache, manifest).await;
                            }
                        }
                        let hits = in_turn(&manifests, async |_, manifest| read_hit(cache, manifest).await);
                        spent(hits, cache.flush()).await
                    };
                    let one = match kind {
                        0 => whole(&bare).await?,
                        1 => spent(kept, async {}).await?,
                        2 => whole(&sdk).await?,
                        3 => hit(&cache).await?,
                        _ => hit(&cache_by_sdk).await?,
                    };
                    // The first turn warms connections and statements.
                    if let Some(all) = all.get_mut(kind).filter(|_| turn > 0) {
                        all.push(one.each(at_a_turn));
                    }
                }
            }
            let [bare, kept, sdk, hit, by_sdk] = all.map(Spent::median);
            let of = |other: Spent| format!("{:>11.2} {:>7.2}", hit.wall / other.wall, hit.cpu / other.cpu);
            println!(
                "{length:>9} {:>5} {:>8} {:>14} {:>14} {:>14} {:>14} {:>14} {} {} {}",
                if disk.get() == 0 { "off" } else { "on" },
                if again { "again" } else { "first" },
                bare.text(),
                kept.text(),
                sdk.text(),
                hit.text(),
                by_sdk.text(),
                of(bare),
                of(kept),
                of(sdk)
            );
        }
        for cache in [&cache, &cache_by_sdk] {
            cache.close().await;
        }
    }
    Ok(())
}

/// What lives as long as the node does lives on the services' runtime.
async fn open_s3(services: &Handle, settings: &Config) -> Result<S3> {
    let s3 = settings.durable.s3.clone();
    Ok(services.spawn(async move { S3::open(&s3).await }).await?)
}

async fn open_cache(services: &Handle, settings: &Config, directory: &TempDir, store: &Arc<Resting>) -> Result<Cache> {
    let (settings, directory, store) = (settings.clone(), directory.path().to_owned(), Arc::clone(store));
    let open = async move { Cache::open_on(&settings, &directory, Some(store), Clock::system()).await };
    Ok(services.spawn(open).await??)
}

/// Hits of a node that knows nothing, beside bare GETs of the same three objects: reference, manifest, body.
async fn hits_without_state(server: &S3Server, services: &Handle, rounds: usize) -> Result<()> {
    println!(
        "\nhits from S3 of which the node knows nothing beside bare GETs of the same three objects, kept until their ends: so many at once, another \
         artifact each, medians of turns of {TURN}. What is learned is written to the catalogue, which is counted"
    );
    println!("{:>9} {:>8} {:>14} {:>14}   time CPU", "bytes", "at once", "GETs ms (CPU)", "hit ms (CPU)");
    let settings = Config { disk: ByteCount::bytes(0), memory: MEMORY, ..config(server.endpoint()) };
    let store = open_s3(services, &settings).await?;
    let store = Arc::new(Resting::new(Arc::new(store), &settings.durable, Clock::system()));
    for (length, at_once) in [(80_000, 1), (80_000, 16), (5_000_000, 1), (5_000_000, 4)] {
        let directories = [tempfile::tempdir()?, tempfile::tempdir()?];
        let [full, empty] = &directories;
        let cache = open_cache(services, &settings, full, &store).await?;
        let at_a_turn = if length == 80_000 { TURN } else { TURN / 8 };
        let mut manifests = Vec::new();
        for number in 0..at_a_turn * (rounds / TURN + 1) {
            let manifest = commit(&cache, length, number).await?;
            // So many would drive out others that the bucket has not got yet.
            forget(&cache, &manifest).await;
            manifests.push(manifest);
        }
        cache.close().await;
        let cache = open_cache(services, &settings, empty, &store).await?;
        fill_memory(&cache, length).await;
        let (mut gets, mut hits) = (Vec::new(), Vec::new());
        for (turn, manifests) in manifests.chunks(at_a_turn).enumerate() {
            let gets_all = async || {
                let gets = stream::iter(manifests).map(|manifest| get_all(&store, manifest)).buffer_unordered(at_once);
                spent(gets.try_for_each(async |()| Ok(())), async {}).await
            };
            let hits_all = async || {
                let hits =
                    stream::iter(manifests).map(|manifest| hit_unknown(&cache, manifest)).buffer_unordered(at_once);
                spent(hits.try_for_each(async |()| Ok(())), tokio::time::sleep(LEARNING)).await
            };
            let (get, hit) = if turn % 2 == 0 {
                let get = gets_all().await?;
                (get, hits_all().await?)
            } else {
                let hit = hits_all().await?;
                (gets_all().await?, hit)
            };
            // The first warms connections and statements.
            if turn > 0 {
                gets.push(get.each(at_a_turn));
                hits.push(hit.each(at_a_turn));
            }
        }
        cache.close().await;
        let (get, hit) = (Spent::median(gets), Spent::median(hits));
        println!(
            "{length:>9} {at_once:>8} {:>14} {:>14} {:>6.2} {:>4.2}",
            get.text(),
            hit.text(),
            hit.wall / get.wall,
            hit.cpu / get.cpu
        );
    }
    Ok(())
}

/// The three objects that an artifact is.
async fn get_all(store: &Resting, manifest: &Manifest) -> Result<()> {
    let id = manifest.artifact.to_string();
    let name = |folder: &str, end: &str| ObjectKey::new(format!("{folder}/{}/{id}{end}", &id[..2]));
    for key in [name("references", &format!("/{}", Tenant::default_tenant()))?, name("manifests", "")?] {
        let got: Vec<Bytes> = store.get(&key, None).await?.body.try_collect().await?;
        ensure!(!got.is_empty(), "{key} is empty");
    }
    read_kept(store, &name("artifacts", ".ulaw")?, manifest).await
}

/// A hit by a node that has to learn of all three.
async fn hit_unknown(cache: &Cache, manifest: &Manifest) -> Result<()> {
    cache.reference(&Tenant::default_tenant(), &manifest.artifact).await?.context("no reference")?;
    let found = cache.manifest(&manifest.artifact).await?.context("no manifest")?;
    read_hit(cache, &found).await
}

async fn read_bare(store: &Resting, key: &ObjectKey, length: usize) -> Result<()> {
    let mut body = store.get(key, None).await?.body;
    let mut read = 0;
    while let Some(piece) = body.try_next().await? {
        read += piece.len();
    }
    ensure!(read == length, "{read} bytes of {length}");
    Ok(())
}

/// All of it is in memory at its end, as whoever is to answer with it needs it.
async fn read_kept(store: &Resting, key: &ObjectKey, manifest: &Manifest) -> Result<()> {
    let lengths = manifest.chunks.iter().map(|chunk| chunk.length as usize).collect();
    let body: Vec<Bytes> = store.get_cut(key, None, lengths).await?.body.try_collect().await?;
    let read: usize = body.iter().map(Bytes::len).sum();
    ensure!(read as u64 == manifest.length, "{read} bytes of {}", manifest.length);
    Ok(())
}

async fn read_hit(cache: &Cache, manifest: &Arc<Manifest>) -> Result<()> {
    let mut reader = Reader::new(cache, Whole::Artifact(Arc::clone(manifest)), 0..manifest.chunks.len());
    let mut read = 0;
    while let Some((bytes, tier)) = reader.next().await {
        ensure!(tier.as_str() == "s3", "from {}", tier.as_str());
        read += bytes.len() as u64;
    }
    ensure!(read == manifest.length, "{read} bytes of {}", manifest.length);
    Ok(())
}

/// The same with each, one after the other.
async fn in_turn(
    manifests: &[(ObjectKey, Arc<Manifest>)],
    read: impl AsyncFn(&ObjectKey, &Arc<Manifest>) -> Result<()>,
) -> Result<()> {
    for (key, manifest) in manifests {
        read(key, manifest).await?;
    }
    Ok(())
}

/// Fills the memory tier with chunks like those of artifacts of so many bytes, which nobody asks for.
async fn fill_memory(cache: &Cache, length: usize) {
    let length = length.min(CHUNK_MAX);
    for number in 0..2 * MEMORY.get() / length as u64 {
        let mut chunk = number.to_le_bytes().repeat(length / 8 + 1);
        chunk.truncate(length);
        let chunk = Bytes::from(chunk);
        cache.admit(ChunkId::of(&chunk), chunk).await;
    }
}

/// Has the upper tiers forget an artifact.
async fn forget(cache: &Cache, manifest: &Manifest) {
    cache.flush().await;
    for chunk in &manifest.chunks {
        cache.remove_chunk(&chunk.id).await;
    }
}

/// An artifact of `length` bytes, the same for the same number.
fn artifact(length: usize, number: usize) -> Result<(Manifest, Bytes)> {
    let noise = |place: usize| {
        // SplitMix64: no chunk is like another.
        let z = ((number << 32 | place) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 27)).to_le_bytes()
    };
    let mut body: Vec<u8> = (0..length.div_ceil(8)).flat_map(noise).collect();
    body.truncate(length);
    let chunks = body.chunks(CHUNK_MAX);
    let content_hash = ContentHash::of(&body);
    let artifact = ArtifactId::of(format!("{length} {number}").as_bytes());
    let format = Format::parse("ulaw", &[]).context("μ-law")?;
    let manifest = Manifest {
        artifact,
        content_hash,
        format,
        pipeline: "1.1.1.1".to_owned(),
        raw_type: None,
        length: length as u64,
        duration_ms: length as u64 / 8,
        digest: BodyDigest::of(&body),
        chunks: chunks
            .map(|chunk| ChunkRef {
                id: ChunkId::of(chunk),
                length: chunk.len() as u32,
                sum: Some(Checksum::of(chunk)),
            })
            .collect(),
    };
    Ok((manifest, Bytes::from(body)))
}

/// The same, as a cache keeps it and tells the bucket of it.
async fn commit(cache: &Cache, length: usize, number: usize) -> Result<Manifest> {
    let (manifest, body) = artifact(length, number)?;
    for (at, chunk) in manifest.chunks.iter().enumerate() {
        let begin = at * CHUNK_MAX;
        cache.admit(chunk.id, body.slice(begin..begin + chunk.length as usize)).await;
    }
    let reference = Reference {
        source_url: format!("https://prompts.example/{length}-{number}.wav"),
        content_hash: manifest.content_hash,
        input: None,
        format: manifest.format,
        pipeline: manifest.pipeline.clone(),
        visibility: Visibility::Public,
        tags: Vec::new(),
        source_tags: Vec::new(),
        created_at: SystemTime::UNIX_EPOCH,
        asked_at: None,
        also: Vec::new(),
    };
    let commit = Commit {
        manifest: Some(manifest.clone()),
        reference: Some((manifest.artifact, reference)),
        ..Commit::new(Tenant::default_tenant(), SourceKey::of(b"bench"))
    };
    cache.commit(commit).await?;
    while cache.stats().counts.pending > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(manifest)
}

/// As many fills as the node can do, and how far the bucket is behind.
async fn write_behind(server: &S3Server, binary: &str, fills: usize) -> Result<()> {
    let origin = Origin::start().await?;
    for index in 0..fills {
        let noise = Signal::noise(SampleRate::HZ_8000, index as u64, 0.5, Duration::from_secs(1));
        let reply = Reply::ok("audio/wav", Body::of(noise.wav(Depth::S16)));
        origin.set(&format!("/{index}.wav"), reply.header("cache-control", "max-age=86400"));
    }
    let endpoint = server.endpoint();
    let on = settings(&endpoint);
    let idle = Idle::start().await?;
    let with_idle = self::settings(&idle.endpoint);
    println!(
        "\n{fills} fills of prompts of 1 s, {CALLERS} callers, origin, store and node on one machine; `idle` is a server that forgets what it \
         is told, after 2 ms"
    );
    for (name, settings, endpoint) in [
        ("off", on.get(6..).unwrap_or_default(), None),
        ("idle", with_idle.as_slice(), Some(&idle.endpoint)),
        ("s3", on.as_slice(), Some(&endpoint)),
    ] {
        let node = Node::start(binary, &origin, settings)?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let began = now();
        let requests = stream::iter(0..fills).map(|index| {
            let request = client.get(node.fetch(&origin.url(&format!("/{index}.wav")), "ulaw"));
            async move {
                let answer = request.send().await?.error_for_status()?;
                anyhow::Ok(answer.bytes().await?.len())
            }
        });
        requests.buffer_unordered(CALLERS).try_for_each(async |_| Ok(())).await?;
        let filled = began.elapsed().as_secs_f64();
        print!("store {name:<4} filled in {filled:>6.1} s, {:>5.0} a second", fills as f64 / filled);
        let Some(endpoint) = endpoint else {
            println!();
            continue;
        };
        let rows = (fills * ROWS) as f64;
        let (behind, cpu) = (rows - told(&node).await?, node.cpu_seconds()?);
        while told(&node).await? < rows {
            ensure!(began.elapsed() < Duration::from_secs(600), "{} of {rows} are told", told(&node).await?);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let after = began.elapsed().as_secs_f64();
        let lost = node.metric("ringback_media_durable_lost_total").await?;
        let objects = behind * OBJECTS as f64 / ROWS as f64;
        let told = Spent { wall: after - filled, cpu: node.cpu_seconds()? - cpu }.each(objects as usize);
        println!("; then {behind:.0} changes behind, all told after {after:.1} s, {lost:.0} lost");
        let bare = bare_writes(endpoint.clone(), fills).await?;
        println!(
            "           an object of those {} ms ({} CPU); the same objects from the bare client {} ms ({} CPU{}): {:.2} of its time, {:.2} of its CPU",
            milliseconds(told.wall),
            milliseconds(told.cpu),
            milliseconds(bare.wall),
            milliseconds(bare.cpu),
            if name == "idle" { ", the server's with it" } else { "" },
            told.wall / bare.wall,
            told.cpu / bare.cpu
        );
    }
    Ok(())
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.2}", seconds * 1e3)
}

/// Changes that a node has done with.
async fn told(node: &Node) -> Result<f64> {
    let told = node.metric("ringback_media_durable_told_total").await?;
    Ok(told + node.metric("ringback_media_durable_lost_total").await?)
}

/// What an object takes of what as many fills write, by the node's client and nothing else.
async fn bare_writes(endpoint: String, fills: usize) -> Result<Spent> {
    let settings = config(endpoint).durable;
    let store = Resting::new(Arc::new(S3::open(&settings.s3).await), &settings, Clock::system());
    let writes = stream::iter(0..fills * OBJECTS).map(|number| {
        let (folder, length, replace) = match number % OBJECTS {
            0 => ("artifacts", 8_000, Replace::Never),
            1 => ("sources", 16_044, Replace::Never),
            2 => ("manifests", 700, Replace::Never),
            3 => ("references", 700, Replace::Always),
            _ => ("index", 700, Replace::Always),
        };
        let name = ContentHash::of(format!("bare {number}").as_bytes()).to_string();
        let store = &store;
        async move {
            let key = ObjectKey::new(format!("{folder}/{}/{name}", &name[..2]))?;
            let bytes = Bytes::from(name.repeat(length / name.len() + 1)).slice(..length);
            store.put(&key, Upload::of(bytes, "application/octet-stream", replace)).await?;
            anyhow::Ok(())
        }
    });
    let all = writes.buffer_unordered(settings.writers).try_for_each(async |()| Ok(()));
    Ok(spent(all, async {}).await?.each(fills * OBJECTS))
}

/// A server that speaks enough of S3 to be told everything, and has nothing.
struct Idle {
    endpoint: String,
}

impl Idle {
    async fn start() -> Result<Idle> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let answer = async |request: axum::extract::Request| {
            let (head, body) = request.into_parts();
            let is_list = head.uri.query().is_some_and(|query| query.contains("list-type"));
            match head.method {
                http::Method::PUT => {
                    let whole = axum::body::to_bytes(body, usize::MAX).await;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    let status = if whole.is_ok() { http::StatusCode::OK } else { http::StatusCode::BAD_REQUEST };
                    (status, [("etag", "\"0\"")], "")
                }
                http::Method::GET if is_list => (http::StatusCode::OK, [("etag", "\"0\"")], "<ListBucketResult/>"),
                http::Method::DELETE => (http::StatusCode::NO_CONTENT, [("etag", "\"0\"")], ""),
                _ => {
                    let text = "<Error><Code>NoSuchKey</Code><Message>nothing</Message></Error>";
                    (http::StatusCode::NOT_FOUND, [("etag", "\"0\"")], text)
                }
            }
        };
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
        Ok(Idle { endpoint })
    }
}

/// How much longer the slowest hundredth of hits in memory take while the store is ill than while it is well.
async fn memory_beside_a_bad_store(server: &S3Server, binary: &str, sides: usize) -> Result<()> {
    let origin = Origin::start().await?;
    let way = Shaky::before(server.endpoint()).await?;
    let endpoint = way.endpoint();
    // Its warnings of the store would be most of what is printed.
    let quiet = [settings(&endpoint).as_slice(), &[("RINGBACK_LOG", "error,ringback::app=info")]].concat();
    let node = Node::start(binary, &origin, &quiet)?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let prompt = |name: &str, seed: u64| {
        let noise = Signal::noise(SampleRate::HZ_8000, seed, 0.5, Duration::from_secs(1));
        let reply = Reply::ok("audio/wav", Body::of(noise.wav(Depth::S16)));
        origin.set(&format!("/{name}.wav"), reply.header("cache-control", "max-age=86400"));
        node.fetch(&origin.url(&format!("/{name}.wav")), "ulaw")
    };
    let fetch = prompt("known", 0);
    let first = client.get(&fetch).send().await?.error_for_status()?;
    let media = first.headers().get("content-location").context("no address")?.to_str()?.to_owned();
    first.bytes().await?;
    let media = node.url(&media);
    println!(
        "\nhits in memory of 8 KB while the store is ill beside while it is well: {sides} sides of {ASKED} requests each, turn and turn about, \
         one after the other; medians of the sides' p99 and p50, of which the ratio of p99 may be 1.20"
    );
    println!(
        "{:>14} {:>12} {:>12} {:>7} {:>12} {:>12} {:>7}",
        "store", "p99 well us", "p99 ill us", "ratio", "p50 well us", "p50 ill us", "ratio"
    );
    let moods = [
        ("well again", Mood::Well),
        ("stopped", Mood::Gone),
        ("2 s slow", Mood::Slow(Duration::from_secs(2))),
        ("503", Mood::Busy),
        ("corrupt", Mood::Lying),
    ];
    for (number, (name, mood)) in moods.into_iter().enumerate() {
        let (mut well, mut ill) = (Latencies::default(), Latencies::default());
        for side in 0..sides {
            for (mood, latencies) in [(Mood::Well, &mut well), (mood, &mut ill)] {
                way.be(mood);
                // One miss a side, so that the node reads from the store, or tries, and has something to tell it.
                let seed = 1 + (number * 2 * sides + 2 * side + usize::from(mood != Mood::Well)) as u64;
                let miss = client.get(prompt(&format!("miss-{seed}"), seed)).send().await?.error_for_status()?;
                miss.bytes().await?;
                let mut spans = Vec::with_capacity(ASKED);
                for request in 0..ASKED {
                    let began = now();
                    let hit = client.get(if request % 2 == 0 { &fetch } else { &media }).send().await?;
                    let from = hit.headers().get("cache-status").context("no Cache-Status")?.to_str()?;
                    ensure!(from.ends_with("detail=memory"), "{from}");
                    hit.bytes().await?;
                    spans.push(began.elapsed().as_secs_f64() * 1e6);
                }
                latencies.add(spans);
            }
        }
        let (well, ill) = (well.medians(), ill.medians());
        println!(
            "{name:>14} {:>12.0} {:>12.0} {:>7.2} {:>12.0} {:>12.0} {:>7.2}",
            well.0,
            ill.0,
            ill.0 / well.0,
            well.1,
            ill.1,
            ill.1 / well.1
        );
    }
    Ok(())
}

/// Percentiles of the sides of a comparison, in microseconds.
#[derive(Default)]
struct Latencies {
    p99: Vec<f64>,
    p50: Vec<f64>,
}

impl Latencies {
    fn add(&mut self, mut spans: Vec<f64>) {
        spans.sort_by(f64::total_cmp);
        self.p99.extend(spans.get(spans.len() * 99 / 100));
        self.p50.extend(spans.get(spans.len() / 2));
    }

    /// Of p99 and of p50.
    fn medians(mut self) -> (f64, f64) {
        let median = |values: &mut Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
        };
        (median(&mut self.p99), median(&mut self.p50))
    }
}

/// What has a node use the server behind an endpoint.
fn settings(endpoint: &str) -> [(&str, &str); 8] {
    [
        ("RINGBACK_MEDIA__CACHE__DURABLE__STORE", "s3"),
        ("RINGBACK_MEDIA__CACHE__DURABLE__S3__BUCKET", BUCKET),
        ("RINGBACK_MEDIA__CACHE__DURABLE__S3__ENDPOINT", endpoint),
        ("RINGBACK_MEDIA__CACHE__DURABLE__S3__PATH_STYLE", "true"),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("RINGBACK_MEDIA__ORIGIN__PER_ORIGIN_MAX", "64"),
        ("RINGBACK_LOG", "warn,ringback::app=info"),
    ]
}
