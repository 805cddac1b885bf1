//! Decoding on spare CPUs against decoding without: the same blocks, to the bit.

use std::{
    io::{self, Cursor, Read, Seek, SeekFrom},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{super::Mp3, *};
use crate::{
    media::{
        audio::{
            AudioError, Input, Limits, Output,
            decode::{Block, Decode as _, Extent},
            source::Source,
            transcode,
        },
        format::{Channel, Format},
    },
    testing::signal::{Depth, Signal},
    units::SampleRate,
};

type Lend = Box<dyn FnMut() -> Option<Box<dyn Send>> + Send>;

/// An original that is all there, and lends CPUs as told.
struct Original {
    bytes: Cursor<Vec<u8>>,
    is_complete: bool,
    lend: Mutex<Lend>,
}

impl Original {
    fn new(file: &[u8], lend: impl FnMut() -> Option<Box<dyn Send>> + Send + 'static) -> Original {
        Original { bytes: Cursor::new(file.to_vec()), is_complete: true, lend: Mutex::new(Box::new(lend)) }
    }
}

impl Read for Original {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(room)
    }
}

impl Seek for Original {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

impl Input for Original {
    fn length(&self) -> Option<u64> {
        Some(self.bytes.get_ref().len() as u64)
    }

    fn complete_length(&self) -> Option<u64> {
        self.length().filter(|_| self.is_complete)
    }

    fn spare_cpu(&self) -> Option<Box<dyn Send>> {
        (self.lend.lock().unwrap())()
    }

    fn wait_complete(&mut self) -> io::Result<u64> {
        Ok(self.bytes.get_ref().len() as u64)
    }
}

/// CPUs: how many are lent, and how often one was.
#[derive(Clone, Default)]
struct Cpus {
    used: Arc<AtomicUsize>,
    lent: Arc<AtomicUsize>,
}

/// One that is given back on drop.
struct Lent(Arc<AtomicUsize>);

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Cpus {
    /// Lends one while fewer than `count` are lent.
    fn borrow(&self, count: usize) -> Option<Box<dyn Send>> {
        if count <= self.used.load(Ordering::Relaxed) {
            return None;
        }
        self.used.fetch_add(1, Ordering::Relaxed);
        self.lent.fetch_add(1, Ordering::Relaxed);
        Some(Box::new(Lent(Arc::clone(&self.used))))
    }

    fn lent(&self) -> usize {
        self.lent.load(Ordering::Relaxed)
    }
}

/// Numbers that look random (Marsaglia's xorshift).
fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

const fn tiny(segment: usize) -> Sizes {
    Sizes { segment, left_min: 0, look_every: 1 }
}

/// What a decoder gives: of each block its rate, its samples by their bits, and what of the source it stands for.
#[derive(Debug, PartialEq)]
struct Heard {
    blocks: Vec<(SampleRate, Vec<u32>, Option<Extent>)>,
    outcome: Result<bool, String>,
}

fn hear(original: Original, target: SampleRate, channel: Channel, sizes: Sizes) -> Heard {
    let mut decoder = Mp3::new(Source::new(Box::new(original)), target, channel, sizes);
    let (mut block, mut blocks) = (Block::new(), Vec::new());
    let outcome = loop {
        match decoder.next_block(&mut block) {
            Ok(true) => {}
            Ok(false) => break Ok(decoder.truncated()),
            Err(error) => break Err(error.to_string()),
        }
        let bits = block.samples.iter().map(|sample| sample.to_bits()).collect();
        blocks.push((block.rate, bits, block.reduced));
    };
    Heard { blocks, outcome }
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/fixtures/audio/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// What lame makes of two seconds of tones, noise and bursts that differ from left to right.
fn lame(options: &str) -> Vec<u8> {
    let rate = SampleRate::new(44_100).unwrap();
    let mut next = random(7);
    let mut side = |pace: f64, hz: f64| {
        Signal::from_fn(rate, Duration::from_secs(2), |t| {
            let noise = (next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
            let loudness = 0.03 + 0.6 * (-(t % pace) / 0.01).exp();
            // Silence between the sounds makes the frames of a variable rate small.
            if t % 1.0 < 0.3 { 0.0 } else { 0.3 * (t * hz * std::f64::consts::TAU).sin() + loudness * noise }
        })
    };
    let signal = Signal::interleave(&[side(0.17, 330.0), side(0.23, 1_250.0)]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("in.wav"), signal.wav(Depth::S16)).unwrap();
    let mut command = Command::new("lame");
    command.args(["--quiet"]).args(options.split(' ')).args(["in.wav", "out.mp3"]);
    assert!(command.current_dir(directory.path()).status().unwrap().success(), "lame {options}");
    std::fs::read(directory.path().join("out.mp3")).unwrap()
}

/// Where the frames of a file begin.
fn frame_offsets(file: &[u8]) -> Vec<usize> {
    let (mut offsets, mut at) = (Vec::new(), 0);
    while at < file.len() {
        match Header::parse(&file[at..]) {
            Some(header) => {
                offsets.push(at);
                at += header.frame_size();
            }
            None => at += 1,
        }
    }
    offsets
}

/// The file with something before every `every`-th frame.
fn interspersed(file: &[u8], every: usize, what: &[u8]) -> Vec<u8> {
    let mut offsets = frame_offsets(file);
    offsets.push(file.len());
    let mut out = file[..offsets[0]].to_vec();
    for (number, frame) in offsets.windows(2).enumerate() {
        if number % every == every - 1 {
            out.extend_from_slice(what);
        }
        out.extend_from_slice(&file[frame[0]..frame[1]]);
    }
    out
}

/// The file with about one in `rarity` frames damaged behind its header: in its side information, its data, or both.
fn damaged(file: &[u8], rarity: u64, seed: u64) -> Vec<u8> {
    let mut next = random(seed);
    let mut out = file.to_vec();
    for offset in frame_offsets(file).into_iter().skip(1) {
        if next().is_multiple_of(rarity) {
            let from = offset + [4, 4, 40][(next() % 3) as usize];
            let length = [10, 32, 200][(next() % 3) as usize];
            out.iter_mut().skip(from).take(length).for_each(|byte| *byte = next() as u8);
        }
    }
    out
}

/// Decodes with as many CPUs as are wanted, and with CPUs that come and go, in segments shorter and longer than what is decoded before them, and gives how many were lent.
fn assert_same(name: &str, file: &[u8]) -> usize {
    let mut lent = 0;
    let outputs = [(SampleRate::HZ_8000, Channel::Mix), (SampleRate::HZ_16000, Channel::Right)];
    for (target, channel) in outputs {
        let serial = hear(Original::new(file, || None), target, channel, Sizes::USUAL);
        for segment in [3, 20] {
            let cpus = Cpus::default();
            let lender = cpus.clone();
            let original = Original::new(file, move || lender.borrow(3));
            assert!(hear(original, target, channel, tiny(segment)) == serial, "{name}, segments of {segment}");
            lent += cpus.lent();
            let mut next = random(segment as u64);
            let original = Original::new(file, move || if next().is_multiple_of(3) { cpus.borrow(2) } else { None });
            assert!(hear(original, target, channel, tiny(segment)) == serial, "{name}, withdrawn, {segment}");
        }
    }
    lent
}

#[test]
fn every_kind_of_file_is_the_same_on_any_number_of_cpus() {
    for name in ["music.mp3", "chirp-22k-vbr-untagged.mp3"] {
        assert!(0 < assert_same(name, &fixture(name)), "{name}");
    }
    let kinds =
        ["-b 128 -h", "-V 2", "-b 320", "-b 32", "-m s -b 192", "--resample 22.05 -m m -b 8", "--resample 16 -V 5"];
    for kind in kinds {
        assert!(0 < assert_same(kind, &lame(kind)), "{kind}");
    }
}

#[test]
fn damaged_joined_and_interrupted_files_are_the_same_on_any_number_of_cpus() {
    let [reservoir, variable, low] = ["-b 128 -h", "-V 4", "--resample 22.05 -b 32"].map(lame);
    for (rarity, seed) in [(2, 1), (5, 2), (20, 3)] {
        assert_same("damaged, constant rate", &damaged(&reservoir, rarity, seed));
        assert_same("damaged, variable rate", &damaged(&variable, rarity, seed));
        assert_same("damaged, low rate", &damaged(&low, rarity, seed));
    }
    assert_same("joined", &[reservoir.as_slice(), &low, &variable, &variable, &reservoir[..9_999]].concat());
    let untagged = |file: &[u8]| file[frame_offsets(file)[1]..].to_vec();
    assert_same("joined without tags", &[untagged(&reservoir), untagged(&low), untagged(&variable)].concat());
    let tag = [b"ID3\x04\0\0\0\0\0\x09".as_slice(), b"\xff\xfb\x90\x64 tag "].concat();
    assert_same("tags inside", &interspersed(&reservoir, 9, &tag));
    assert_same("junk inside", &interspersed(&variable, 17, b"\xff\xfb\x90\x64 is no frame \xff\xe0"));
    assert_same("cut short", &variable[..variable.len() - 100]);
}

/// The segment of a file from frame `from` on, behind `from` others.
fn segment(file: &[u8], from: usize) -> Frames {
    let mut frames = [Frames::default(), Frames::default()];
    for (number, offset) in frame_offsets(file).into_iter().skip(1).enumerate() {
        let header = Header::parse(&file[offset..]).unwrap();
        let frame = &file[offset..offset + header.frame_size()];
        frames[usize::from(from <= number)].push(header, frame);
        if number + 1 == from {
            let [before, segment] = &mut frames;
            segment.begin_behind(Some(before));
        }
    }
    let [_, segment] = frames;
    segment
}

/// Whether a new decoder settles before a segment.
fn settles(segment: &Frames) -> bool {
    let reduction =
        super::super::frames::reduction(Header::parse(&[0xff, 0xfb, 0x90, 0x64]).unwrap(), SampleRate::HZ_8000);
    let mut decoder = FrameDecoder::new(reduction, 0, Channel::Mix);
    segment.decode(&mut decoder, &mut Vec::new(), &mut Vec::new())
}

#[test]
fn a_thread_settles_before_its_segment_or_says_that_it_does_not() {
    for kind in ["-b 128 -h", "-b 320", "-V 2", "-V 7", "--resample 22.05 -b 32"] {
        let file = lame(kind);
        for from in [WARM_UP, 20, 50] {
            assert!(settles(&segment(&file, from)), "{kind} from {from}");
        }
    }
    let reservoir = lame("-b 128 -h");
    assert!(!settles(&segment(&reservoir, 2)), "two frames are too few");
    let tiny_frames = lame("--resample 22.05 -m m -b 8");
    assert!(!settles(&segment(&tiny_frames, 50)), "twelve frames do not fill the reservoir");
}

/// A file that is worth spare CPUs.
fn long() -> Vec<u8> {
    let music = fixture("music.mp3");
    let tag_end = frame_offsets(&music)[1];
    let frames = &music[tag_end..];
    frames.repeat((Sizes::USUAL.left_min as usize * 5 / 4).div_ceil(frames.len()))
}

struct Body(Vec<u8>);

impl Output for Body {
    fn write(&mut self, body: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(body);
        Ok(())
    }
}

fn ulaw(original: Original) -> Result<Vec<u8>, AudioError> {
    let mut body = Body(Vec::new());
    let format = Format::parse("ulaw", &[]).unwrap();
    transcode(Box::new(original), format, &Limits::default(), &mut body).map(|_| body.0)
}

#[test]
fn a_long_file_borrows_cpus_once_it_is_all_there() {
    let file = long();
    let counting = |cpus: &Cpus| {
        let cpus = cpus.clone();
        move || cpus.borrow(2)
    };
    let (alone, helped) = (Cpus::default(), Cpus::default());
    let arriving = Original { is_complete: false, ..Original::new(&file, counting(&alone)) };
    let serial = ulaw(arriving).unwrap();
    assert!(ulaw(Original::new(&file, counting(&helped))).unwrap() == serial);
    assert_eq!(alone.lent(), 0);
    assert!(1 < helped.lent());
    let short = Cpus::default();
    ulaw(Original::new(&fixture("music.mp3"), counting(&short))).unwrap();
    assert_eq!(short.lent(), 0);
}

/// A CPU that cannot be given back.
struct Stuck;

impl Drop for Stuck {
    fn drop(&mut self) {
        panic!("as a decoder might");
    }
}

#[test]
fn a_thread_that_panics_ends_the_transcode() {
    let outcome = ulaw(Original::new(&long(), || Some(Box::new(Stuck))));
    assert!(matches!(outcome, Err(AudioError::Panicked { .. })), "{outcome:?}");
}
