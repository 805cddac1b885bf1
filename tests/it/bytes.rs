//! The same bytes under the same name whichever way they come: transcoded locally, fetched cold and warm, by their address,
//! in ranges, streamed, whole, from memory and from disk.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, StatusCode};
use proptest::{
    collection::vec,
    prelude::{Strategy, any, prop_oneof},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use ringback::{
    media::{PIPELINE, format::Format},
    testing::{
        fixture,
        origin::{Body, Length, Origin, Reply},
        signal::Depth,
    },
    units::{Channels, SampleRate},
};
use sha2::{Digest as _, Sha256};

use crate::support::{
    audio,
    clip::{Clip, Content, clips},
    node::{Answer, TestNode, fetch_path_with},
    process,
};

/// Random clips. Each is asked for in every output, some fifteen times, from two nodes and once more after a restart.
const CASES: u32 = 10;
/// So that a failure repeats: the seed stands here and not in a file beside the source.
const SEED: [u8; 32] = *b"ringback: equal bytes everywhere";
/// Steps towards a smaller clip that fails as well. Each costs as much as a case.
const SHRINK_STEPS_MAX: u32 = 100;
/// Nothing here takes a fraction of it: a request that hangs fails instead.
const HANG: Duration = Duration::from_secs(60);

/// One output: extension, options as in an address, and what the specification calls it in the name of an artifact.
#[derive(Clone, Copy, Debug)]
struct Output {
    extension: &'static str,
    options: &'static str,
    recipe: &'static str,
}

const fn output(extension: &'static str, options: &'static str, recipe: &'static str) -> Output {
    Output { extension, options, recipe }
}

const OUTPUTS: &[Output] = &[
    output("ulaw", "-", "ulaw;none;8000"),
    output("alaw", "-", "alaw;none;8000"),
    output("wav", "-", "pcm16;wav;8000"),
    output("wav16", "-", "pcm16;wav;16000"),
    output("wav", "rate:24000", "pcm16;wav;24000"),
    output("wav", "rate:32000", "pcm16;wav;32000"),
    output("wav", "rate:48000", "pcm16;wav;48000"),
    output("wav", "codec:ulaw", "ulaw;wav;8000"),
    output("wav", "codec:alaw", "alaw;wav;8000"),
    output("sln", "-", "pcm16;none;8000"),
    output("sln16", "-", "pcm16;none;16000"),
    output("sln24", "-", "pcm16;none;24000"),
    output("sln32", "-", "pcm16;none;32000"),
    output("sln48", "-", "pcm16;none;48000"),
    output("g722", "-", "g722;none;16000"),
    output("opus", "-", "opus;ogg;48000"),
    output("ogg", "bitrate:16000", "opus;ogg;48000;bitrate=16000"),
    output("raw", "-", "raw"),
    output("ulaw", "gain:-3.5", "ulaw;none;8000;gain=-3.5"),
    output("alaw", "loudness:-23,gain:3", "alaw;none;8000;gain=3;loudness=-23"),
    output("wav", "trim:both:-40,rate:16000,loudness:-19.0", "pcm16;wav;16000;loudness=-19;trim=both:-40"),
    output("sln24", "channel:right,trim:leading", "pcm16;none;24000;channel=right;trim=leading"),
    output("opus", "trim:trailing,bitrate:16000", "opus;ogg;48000;bitrate=16000;trim=trailing"),
];

/// For originals whose decoding is what is of interest.
const FEW_OUTPUTS: [Output; 6] = [OUTPUTS[0], OUTPUTS[6], OUTPUTS[14], OUTPUTS[15], OUTPUTS[17], OUTPUTS[20]];

impl Output {
    fn options(self) -> Vec<(&'static str, &'static str)> {
        self.options.split(',').filter_map(|option| option.split_once(':')).collect()
    }

    fn format(self) -> Format {
        Format::parse(self.extension, &self.options()).unwrap()
    }

    fn path(self, url: &str) -> String {
        fetch_path_with(url, self.options, self.extension)
    }
}

/// The lengths of the outputs whose length says everything.
fn check_lengths(clip: &Clip, original: &[u8]) {
    // What is trimmed is as long as it sounds.
    let whole = |output: &&Output| !output.format().is_raw() && output.format().effects().trim.is_none();
    for output in OUTPUTS.iter().filter(whole) {
        let (summary, body) = audio::transcode(original, output.format()).unwrap();
        let frames = clip.frames_at(output.format().rate());
        assert_eq!((summary.frames, summary.truncated), (frames, false), "{output:?}");
        let length = match output.recipe.split(';').collect::<Vec<_>>()[..2] {
            ["ulaw" | "alaw", "none"] => frames,
            ["ulaw" | "alaw", "wav"] => 58 + frames,
            ["pcm16", "none"] => 2 * frames,
            ["pcm16", "wav"] => 44 + 2 * frames,
            ["g722", "none"] => frames.div_ceil(2),
            _ => continue,
        };
        assert_eq!(body.len() as u64, length, "{output:?}");
    }
}

/// How an original arrives and an answer is asked for.
#[derive(Clone, Debug)]
struct Cuts {
    /// Sizes of the origin's writes.
    pieces: Vec<u64>,
    /// Where ranges begin, in parts of 2¹⁶ of the body.
    starts: Vec<u16>,
}

fn cuts() -> impl Strategy<Value = Cuts> {
    let piece = prop_oneof![1..=16_u64, 17..=2_000_u64, 2_001..=70_000_u64];
    // One write that is not tiny, lest a large clip goes out byte by byte.
    let pieces = (vec(piece, 1..5), 5_000..=40_000_u64).prop_map(|(mut pieces, large)| {
        pieces.push(large);
        pieces
    });
    (pieces, vec(any::<u16>(), 0..3)).prop_map(|(pieces, starts)| Cuts { pieces, starts })
}

/// What an answer must be, computed without the node.
struct Expected {
    body: Vec<u8>,
    content_hash: String,
    id: String,
    address: String,
    etag: String,
    repr_digest: String,
    duration_ms: u64,
}

impl Expected {
    fn of(original: &[u8], output: Output) -> Expected {
        let (body, duration_ms) = if output.format().is_raw() {
            // How long an original plays is not measured where nothing is made of it.
            (original.to_vec(), 0)
        } else {
            let (summary, body) = audio::transcode(original, output.format()).unwrap();
            let rate = u64::from(output.format().rate().hz());
            (body, summary.frames * 1_000 / rate)
        };
        let content_hash = hex(&Sha256::digest(original));
        let pipeline = [PIPELINE.decoder, PIPELINE.resampler, PIPELINE.effects, PIPELINE.encoder];
        let pipeline = pipeline.map(|version| version.to_string()).join(".");
        let recipe = format!("ringback1\n{content_hash}\nsniffed\n{}\n{pipeline}", output.recipe);
        let id = hex(&Sha256::digest(recipe));
        let digest = Sha256::digest(&body);
        Expected {
            // Players choose their decoder by the extension: it stays the one that was asked for.
            address: format!("/media/{id}.{}", output.extension),
            etag: format!("\"{}\"", hex(&digest)),
            repr_digest: format!("sha-256=:{}:", STANDARD.encode(digest)),
            body,
            content_hash,
            id,
            duration_ms,
        }
    }

    /// A whole answer whose length was known before its first byte.
    fn check(&self, answer: &Answer, body: &[u8], what: &str) {
        assert_eq!(answer.status, StatusCode::OK, "{what}: {answer:?}");
        assert_eq!(answer.header("content-length"), self.body.len().to_string(), "{what}");
        assert_eq!(answer.header("etag"), self.etag, "{what}");
        assert_eq!(answer.header("repr-digest"), self.repr_digest, "{what}");
        assert!(answer.body == body, "{what}: {} bytes instead of {}", answer.body.len(), body.len());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An artifact to be found again after a restart.
struct Kept {
    path: String,
    address: String,
    etag: String,
    length: usize,
}

/// An origin and two nodes: one that waits for the whole, one that sends from the first byte on.
struct Bench {
    origin: Origin,
    whole: TestNode,
    streaming: TestNode,
    kept: Vec<Kept>,
    clips: usize,
    /// Answers that began before their length was known.
    streamed: usize,
}

impl Bench {
    async fn start() -> Bench {
        let origin = Origin::start().await.unwrap();
        let whole = TestNode::start(&origin).await;
        let streaming = TestNode::start_with(&origin, |config| config.media.fill.grace = Duration::ZERO).await;
        Bench { origin, whole, streaming, kept: Vec::new(), clips: 0, streamed: 0 }
    }

    /// Asks for an original in every way there is.
    async fn check(&mut self, original: &[u8], outputs: &[Output], cuts: &Cuts) {
        self.clips += 1;
        let path = format!("/{}", self.clips);
        self.origin.set(&path, fresh(original));
        for (index, output) in outputs.iter().enumerate() {
            let expected = Expected::of(original, *output);
            let fetch = output.path(&self.origin.url(&path));
            self.check_whole(&expected, &fetch, *output, cuts).await;

            // Under a path of its own, so that it comes from the origin once more, and slowly.
            let path = format!("{path}/{index}");
            self.origin.set(&path, fresh(original).length(Length::Chunked).pieces(cuts.pieces.clone()));
            self.check_streamed(&expected, &output.path(&self.origin.url(&path))).await;
            let (address, etag) = (expected.address, expected.etag);
            self.kept.push(Kept { path: fetch, address, etag, length: expected.body.len() });
        }
    }

    async fn check_whole(&self, expected: &Expected, fetch: &str, output: Output, cuts: &Cuts) {
        let node = &self.whole;
        let what = |how: &str| format!("{output:?} {how}");
        let cold = node.get(fetch).await;
        expected.check(&cold, &expected.body, &what("cold"));
        assert!(cold.header("cache-status").contains("fwd=miss; stored"), "{cold:?}");
        assert_eq!(cold.header("content-location"), expected.address);
        let warm = node.get(fetch).await;
        expected.check(&warm, &expected.body, &what("warm"));
        assert!(warm.header("cache-status").contains("hit"), "{warm:?}");
        assert_eq!(warm.header("content-location"), expected.address);
        expected.check(&node.get(&expected.address).await, &expected.body, &what("by address"));
        for path in [fetch, &expected.address] {
            expected.check(&node.send(node.request(Method::HEAD, path)).await, &[], &what("HEAD"));
            check_ranges(node, path, expected, &cuts.starts).await;
        }
        self.check_described(expected, fetch, output).await;
    }

    async fn check_described(&self, expected: &Expected, fetch: &str, output: Output) {
        let node = &self.whole;
        let path = format!("/{}", self.clips);
        let options: serde_json::Map<_, _> =
            output.options().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let body = serde_json::json!({
            "source": { "url": self.origin.url(&path) }, "format": output.extension, "options": options,
        });
        let answer = node.send(node.request(Method::POST, "/v1/media").body(body.to_string())).await;
        assert_eq!(answer.status, StatusCode::OK, "{fetch}: {answer:?}");
        let made: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(made["id"], expected.id, "{output:?}");
        assert_eq!(made["url"], expected.address, "{output:?}");
        assert_eq!(made["content_hash"], expected.content_hash, "{output:?}");
        assert_eq!(made["bytes"], expected.body.len(), "{output:?}");
        assert_eq!(made["duration_ms"], expected.duration_ms, "{output:?}");
    }

    async fn check_streamed(&mut self, expected: &Expected, fetch: &str) {
        let node = &self.streaming;
        // Whoever wants only the beginning waits for the end of the same fill.
        let (cold, start) = tokio::join!(node.get(fetch), node.get_with(fetch, "range", "bytes=0-9"));
        self.streamed += usize::from(cold.header("content-length").is_empty());
        assert_eq!(start.status.is_success(), !expected.body.is_empty(), "{fetch}: {start:?}");
        assert!(expected.body.is_empty() || expected.body.starts_with(&start.body), "{fetch}: {start:?}");
        assert_eq!(cold.status, StatusCode::OK, "{fetch}: {cold:?}");
        let length = cold.body.len();
        assert!(cold.body == expected.body, "{fetch}: {length} bytes instead of {}", expected.body.len());
        // The end of a streamed answer is not the end of its fill: HEAD waits for that.
        expected.check(&node.send(node.request(Method::HEAD, fetch)).await, &[], fetch);
        let warm = node.get(fetch).await;
        expected.check(&warm, &expected.body, fetch);
        assert_eq!(warm.header("content-location"), expected.address);
    }

    /// Everything so far again, by a node that has only what is on the disk.
    async fn check_after_restart(self) {
        assert!(self.streamed > 0, "nothing was streamed");
        let node = self.whole.restart(&self.origin).await;
        let asked = self.origin.seen().len();
        for Kept { path, address, etag, length } in &self.kept {
            for path in [address, path] {
                let answer = node.get(path).await;
                assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, *length), "{path}: {answer:?}");
                assert_eq!(answer.header("etag"), etag, "{path}");
                assert_eq!(format!("\"{}\"", hex(&Sha256::digest(&answer.body))), *etag, "{path}");
            }
        }
        assert_eq!(self.origin.seen().len(), asked, "all of it was on the disk");
    }
}

fn fresh(original: &[u8]) -> Reply {
    Reply::ok("audio/wav", Body::of(original.to_vec())).header("cache-control", "max-age=3600")
}

/// Pieces that begin at `starts`, put together. Of nothing there is no piece.
async fn check_ranges(node: &TestNode, path: &str, expected: &Expected, starts: &[u16]) {
    let length = expected.body.len();
    if length == 0 {
        let answer = node.get_with(path, "range", "bytes=0-").await;
        assert_eq!((answer.status, answer.header("content-range")), (StatusCode::RANGE_NOT_SATISFIABLE, "bytes */0"));
        return;
    }
    let mut starts: Vec<usize> = starts.iter().map(|start| length * usize::from(*start) / (1 << 16)).collect();
    starts.extend([0, length]);
    starts.sort_unstable();
    starts.dedup();
    let mut whole = Vec::new();
    for pair in starts.windows(2) {
        let (start, last) = (pair[0], pair[1] - 1);
        let part = node.get_with(path, "range", &format!("bytes={start}-{last}")).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{path}: {part:?}");
        assert_eq!(part.header("content-range"), format!("bytes {start}-{last}/{length}"));
        assert_eq!(part.header("etag"), expected.etag, "{path}");
        whole.extend(part.body);
    }
    assert!(whole == expected.body, "{path} in pieces from {starts:?}");
}

#[test]
fn every_format_is_among_the_outputs() {
    for (extension, format) in Format::all() {
        assert!(OUTPUTS.iter().any(|output| output.format() == format), "{extension}");
    }
    for output in OUTPUTS {
        assert_eq!(output.format().normal_form(), output.recipe);
    }
}

#[test]
fn any_clip_has_the_same_bytes_whichever_way_they_come() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config =
        Config { cases: CASES, failure_persistence: None, max_shrink_iters: SHRINK_STEPS_MAX, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &SEED));
    let bench = tokio::sync::Mutex::new(runtime.block_on(Bench::start()));
    let outcome = runner.run(&(clips(), cuts()), |(clip, cuts)| {
        runtime.block_on(async {
            let original = clip.wav();
            check_lengths(&clip, &original);
            let check = async { bench.lock().await.check(&original, OUTPUTS, &cuts).await };
            tokio::time::timeout(HANG, check).await.expect("an answer hangs");
        });
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    runtime.block_on(bench.into_inner().check_after_restart());
}

#[tokio::test]
async fn artifacts_of_several_chunks_have_the_same_bytes_too() {
    // 3.5 s: more than a chunk at 48 kHz, and more than one as 32-bit stereo.
    let clip = Clip {
        rate: SampleRate::HZ_16000,
        channels: Channels::STEREO,
        depth: Depth::F32,
        frames: 56_001,
        content: Content::Noise(5),
    };
    let mut bench = Bench::start().await;
    let cuts = Cuts { pieces: vec![100, 60_000, 3], starts: vec![1, 52_000, 65_535] };
    bench.check(&clip.wav(), OUTPUTS, &cuts).await;
    bench.check_after_restart().await;
}

#[tokio::test]
async fn originals_of_every_family_have_the_same_bytes_however_they_arrive() {
    let mut bench = Bench::start().await;
    let cuts = Cuts { pieces: vec![1, 3_000, 17, 700], starts: vec![30_000] };
    let extensions = ["mp3", "flac", "ogg", "opus", "m4a"].map(|extension| format!("speech.{extension}"));
    for name in extensions.iter().map(String::as_str).chain(["speech-moov-last.m4a"]) {
        bench.check(&fixture::audio(name).unwrap(), &FEW_OUTPUTS, &cuts).await;
    }
    bench.check_after_restart().await;
}

#[tokio::test]
async fn an_empty_clip_is_audio_of_no_frames_in_every_output() {
    let clip = Clip {
        rate: SampleRate::HZ_48000,
        channels: Channels::STEREO,
        depth: Depth::S24,
        frames: 0,
        content: Content::Silence,
    };
    let original = clip.wav();
    check_lengths(&clip, &original);
    let mut bench = Bench::start().await;
    let cuts = Cuts { pieces: vec![1], starts: vec![] };
    let check = bench.check(&original, OUTPUTS, &cuts);
    tokio::time::timeout(HANG, check).await.expect("an answer hangs");
    bench.check_after_restart().await;
}

#[test]
fn the_command_line_makes_the_same_bytes_under_the_same_name() {
    let clip = Clip {
        rate: SampleRate::new(22_050).unwrap(),
        channels: Channels::new(3).unwrap(),
        depth: Depth::S24,
        frames: 4_801,
        content: Content::Noise(9),
    };
    let directory = tempfile::tempdir().unwrap();
    let (input, made) = (directory.path().join("in"), directory.path().join("out"));
    let originals =
        [clip.wav(), Clip { frames: 0, ..clip.clone() }.wav(), fixture::audio("speech.mp3").unwrap().to_vec()];
    for (original, outputs) in originals.iter().zip([OUTPUTS, &FEW_OUTPUTS, &FEW_OUTPUTS]) {
        std::fs::write(&input, original).unwrap();
        for output in outputs.iter().filter(|output| !output.format().is_raw()) {
            let mut arguments = vec!["transcode", "--json", "--format", output.extension];
            let options = output.options.split(',').filter(|option| *option != "-");
            arguments.extend(options.flat_map(|option| ["--option", option]));
            arguments.extend([input.to_str().unwrap(), made.to_str().unwrap()]);
            let run = process::run(&arguments);
            assert!(run.status.success(), "{output:?}: {run:?}");
            let expected = Expected::of(original, *output);
            assert!(std::fs::read(&made).unwrap() == expected.body, "{output:?}");
            let report: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
            assert_eq!(report["id"], expected.id, "{output:?}");
            assert_eq!(report["bytes"], expected.body.len(), "{output:?}");
            assert_eq!(report["duration_ms"], expected.duration_ms, "{output:?}");
        }
    }
}
