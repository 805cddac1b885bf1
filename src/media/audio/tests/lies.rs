//! Headers that lie in ways that would cost time or memory, and originals without an end.

use std::{
    io::{self, Read, Seek, SeekFrom},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::support::{Body, convert, error, fixture, format};
use crate::{
    media::audio::{AudioError, Input, Limits, transcode},
    problem,
};

/// An original that goes on for ever: `head`, then the piece of each number.
struct Endless<P> {
    piece: P,
    number: u64,
    pending: Vec<u8>,
    position: u64,
    read: Arc<AtomicU64>,
}

impl<P: FnMut(u64) -> Vec<u8>> Read for Endless<P> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.pending.is_empty() {
            self.pending = (self.piece)(self.number);
            self.number += 1;
        }
        let count = room.len().min(self.pending.len());
        room[..count].copy_from_slice(&self.pending[..count]);
        self.pending.drain(..count);
        self.position += count as u64;
        self.read.fetch_max(self.position, Ordering::Relaxed);
        Ok(count)
    }
}

impl<P: FnMut(u64) -> Vec<u8>> Seek for Endless<P> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(to) = to else { return Err(io::ErrorKind::Unsupported.into()) };
        // Pieces depend on nothing but their number, so that going back is going through them again.
        if to < self.position {
            (self.number, self.position) = (0, 0);
            self.pending.clear();
        }
        let mut skipped = vec![0; 64 * 1024];
        while self.position < to {
            let most = skipped.len().min(usize::try_from(to - self.position).unwrap());
            assert_ne!(self.read(&mut skipped[..most])?, 0, "a piece of nothing");
        }
        Ok(to)
    }
}

impl<P: FnMut(u64) -> Vec<u8> + Send + Sync> Input for Endless<P> {
    fn length(&self) -> Option<u64> {
        None
    }

    fn wait_complete(&mut self) -> io::Result<u64> {
        Err(io::Error::other("it never is"))
    }
}

/// How an endless original fails, and how many of its bytes were read until then.
fn endless(piece: impl FnMut(u64) -> Vec<u8> + Send + Sync + 'static) -> (AudioError, u64) {
    let read = Arc::new(AtomicU64::new(0));
    let original = Endless { piece, number: 0, pending: Vec::new(), position: 0, read: Arc::clone(&read) };
    let outcome = transcode(Box::new(original), format("ulaw"), &Limits::default(), &mut Body::default());
    (outcome.unwrap_err(), read.load(Ordering::Relaxed))
}

/// A page of Ogg (RFC 3533 §6) with one lacing value for each 255 bytes of `body` and, where the packet ends, what is left of it.
fn page(serial: u32, sequence: u64, flags: u8, granule: u64, body: &[u8], ends: bool) -> Vec<u8> {
    let mut lacing = vec![255; body.len() / 255];
    if ends {
        lacing.push((body.len() % 255) as u8);
    }
    let mut page = b"OggS\0".to_vec();
    page.push(flags);
    page.extend_from_slice(&granule.to_le_bytes());
    page.extend_from_slice(&serial.to_le_bytes());
    page.extend_from_slice(&(sequence as u32).to_le_bytes());
    page.extend_from_slice(&[0; 4]);
    page.push(lacing.len() as u8);
    page.extend_from_slice(&lacing);
    page.extend_from_slice(body);
    let checksum = page.iter().fold(0u32, |sum, byte| sum << 8 ^ CHECKSUMS[usize::from((sum >> 24) as u8 ^ byte)]);
    page[22..26].copy_from_slice(&checksum.to_le_bytes());
    page
}

/// What a byte adds to a page's checksum: CRC-32 with 0x04c11db7, the highest bit first.
const CHECKSUMS: [u32; 256] = {
    let mut sums = [0; 256];
    let mut byte = 0;
    while byte < sums.len() {
        let mut sum = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 };
            bit += 1;
        }
        sums[byte] = sum;
        byte += 1;
    }
    sums
};

const BEGINS: u8 = 2;
const CONTINUES: u8 = 1;
const NOWHERE: u64 = u64::MAX;

fn opus_head() -> Vec<u8> {
    b"OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0".to_vec()
}

#[test]
fn ogg_without_an_end_and_without_audio_is_given_up() {
    let tags = [b"OpusTags\0\0\0\0".as_slice(), &[0; 4]].concat();
    let unending = vec![b'x'; 255 * 255];
    let mut long_head = opus_head();
    // As long as one lacing value can say.
    long_head.resize(254, 0);
    type Piece = Box<dyn FnMut(u64) -> Vec<u8> + Send + Sync>;
    let cases: [(&str, Piece); 3] = [
        // A comment that goes on and on.
        (
            "a packet",
            Box::new(move |number| match number {
                0 => page(1, 0, BEGINS, 0, &opus_head(), true),
                1 => page(1, 1, 0, NOWHERE, &unending, false),
                _ => page(1, number, CONTINUES, NOWHERE, &unending, false),
            }),
        ),
        // Pages of another stream, all of them in order.
        (
            "another stream",
            Box::new(move |number| match number {
                0 => page(1, 0, BEGINS, 0, &opus_head(), true),
                1 => page(1, 1, 0, 0, &tags, true),
                _ => page(2, number, 0, 0, &[b'y'; 255 * 100], true),
            }),
        ),
        // One stream begins after the other, and none has anything in it.
        ("beginnings", Box::new(move |number| page(number as u32, 0, BEGINS, 0, &long_head, true))),
    ];
    for (what, piece) in cases {
        let (error, read) = endless(piece);
        let kind = error.problem().kind;
        assert!(matches!(kind, problem::Kind::OverLimit | problem::Kind::Undecodable), "{what}: {error:?}");
        assert!(read < 40 << 20, "{what}: {read} bytes");
    }
}

#[test]
fn tags_without_an_end_are_given_up() {
    // ID3v2 after ID3v2, 64 KiB each.
    let tag = [b"ID3\x04\0\0\0\x04\0\0".as_slice(), &vec![0; 1 << 16]].concat();
    let (error, read) = endless(move |_| tag.clone());
    assert!(matches!(error, AudioError::NotAudio | AudioError::OverLimit { .. }), "{error:?}");
    assert!(read < 40 << 20, "{read} bytes");
}

#[test]
fn audio_without_an_end_stops_at_the_longest_that_is_decoded() {
    let frames = fixture("chirp-44k-stereo.mp3");
    let limits = Limits { decoded_max: std::time::Duration::from_secs(30) };
    let original =
        Endless { piece: move |_| frames.clone(), number: 0, pending: Vec::new(), position: 0, read: Arc::default() };
    let mut body = Body::default();
    let error = transcode(Box::new(original), format("ulaw"), &limits, &mut body).unwrap_err();
    assert_eq!(error.problem().kind, problem::Kind::OverLimit);
    assert!((29 * 8_000..=30 * 8_000 + 8_000).contains(&body.bytes.len()), "{}", body.bytes.len());
}

#[test]
fn boxes_in_boxes_in_boxes_are_no_recursion() {
    const DEPTH: u32 = 100_000;
    for kind in [b"moov", b"trak", b"udta", b"moof"] {
        let mut file = b"\0\0\0\x18ftypM4A \0\0\0\0M4A isom".to_vec();
        for depth in 0..DEPTH {
            file.extend_from_slice(&(8 * (DEPTH - depth)).to_be_bytes());
            file.extend_from_slice(if depth == 0 { b"moov" } else { kind });
        }
        let error = error(&file, "ulaw");
        let kind = error.problem().kind;
        assert!(
            matches!(kind, problem::Kind::Undecodable | problem::Kind::OverLimit | problem::Kind::NotAudio),
            "{error:?}"
        );
    }
}

#[test]
fn tables_that_claim_billions_of_entries_are_not_believed() {
    let file = fixture("chirp-moov-first.m4a");
    for table in [b"stts", b"stsc", b"stsz", b"stco"] {
        let at = file.windows(4).position(|window| window == table).unwrap();
        // Entries are counted behind version and flags; stsz has a size for all of them before.
        let count = at + if table == b"stsz" { 12 } else { 8 };
        for claimed in [u32::MAX, 1 << 31, 1 << 24] {
            let mut file = file.clone();
            file[count..count + 4].copy_from_slice(&claimed.to_be_bytes());
            let mut body = Body::default();
            let original = super::support::Original::whole(&file);
            // Whatever can be made out is audio; all else is damage. It never panics and never fills the memory.
            if let Err(error) = transcode(Box::new(original), format("ulaw"), &Limits::default(), &mut body) {
                assert!(!matches!(error, AudioError::Panicked { .. }), "{claimed} in {table:?}: {error:?}");
            }
            assert!(body.bytes.len() < 100_000);
        }
    }
}

#[test]
fn counts_and_rates_of_nothing_are_damage_in_every_header() {
    let opus = |channels: u8| {
        let mut head = opus_head();
        head[9] = channels;
        page(1, 0, BEGINS, 0, &head, true)
    };
    let mut vorbis = fixture("chirp-44k-stereo.ogg");
    // Behind the first page's header, one lacing value and "\x01vorbis" with its version.
    let channels = 28 + 11;
    vorbis[channels] = 0;
    let vorbis = [page(1, 0, BEGINS, 0, &vorbis[28..58], true), vorbis[58..].to_vec()].concat();
    let mut flac = fixture("chirp-8k-mono.flac");
    // The 20 bits of the rate.
    flac[18] = 0;
    flac[19] = 0;
    flac[20] &= 0x0f;
    for (what, file) in [("Opus", opus(0)), ("Vorbis", vorbis), ("FLAC", flac)] {
        let error = error(&file, "ulaw");
        let kind = error.problem().kind;
        assert!(matches!(kind, problem::Kind::Undecodable | problem::Kind::NotAudio), "{what}: {error:?}");
    }
    assert_eq!(error(&opus(9), "ulaw").problem().kind, problem::Kind::OverLimit);
}

#[test]
fn lengths_of_two_to_the_thirty_first_samples_are_over_the_limit_before_the_first_byte() {
    let mut flac = fixture("chirp-8k-mono.flac");
    flac[21] |= 0x0f;
    flac[22..26].fill(0xff);
    let mut wav = fixture("speech.wav");
    wav[40..44].copy_from_slice(&(u32::MAX - 1).to_le_bytes());
    for (what, file) in [("FLAC", flac), ("WAV", wav)] {
        let mut body = Body::default();
        let original = super::support::Original::whole(&file);
        let error = transcode(Box::new(original), format("ulaw"), &Limits::default(), &mut body).unwrap_err();
        assert_eq!(error.problem().kind, problem::Kind::OverLimit, "{what}");
        assert!(body.bytes.is_empty(), "{what}");
    }
}

#[test]
fn a_rate_that_changes_again_and_again_costs_no_length() {
    // Frames of silence, 128 kbit/s, without reservoir: 48 kHz and 32 kHz by turns, 24 and 36 ms.
    let frame = |second: u8, third: u8, bytes: usize| {
        let mut frame = vec![0xff, second, third, 0xc4];
        frame.resize(bytes, 0);
        frame
    };
    let (short, long) = (frame(0xfb, 0x94, 384), frame(0xfb, 0x98, 576));
    // A lone frame of another kind is junk to the framer: three are a change. One rate long enough to be known for MP3 comes first.
    let changing = [short.repeat(3), long.repeat(3)].concat();
    let file = [short.repeat(100), changing.repeat(33)].concat();
    let (summary, body) = convert(&file, "ulaw");
    assert_eq!((summary.frames, body.len()), (66_720, 66_720));
}
