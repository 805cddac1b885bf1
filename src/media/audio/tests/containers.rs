//! The same samples in every container and coding: what comes out is the same as from WAV, and what a header claims is not believed
//! further than the bytes go.

use super::support::{Coding, Original, convert, error, fixture, format, run, tone, wav, wav_of};
use crate::{
    media::audio::{AudioError, Limits},
    problem,
};

const RATE: u32 = 8_000;
const FRAMES: usize = 4_001;
/// No coding has so few bits that two channels of three samples could be taken for others.
const CHANNELS: u16 = 2;

/// A WAV file and its samples: little-endian, and with their bytes the other way round.
fn samples(coding: Coding, size: usize) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let file = wav(RATE, CHANNELS, FRAMES, coding, |frame, channel| {
        tone(500.0, RATE)(frame + 7 * usize::from(channel), channel)
    });
    let little = file[44..].to_vec();
    let big = little.chunks_exact(size).flat_map(|sample| sample.iter().rev()).copied().collect();
    (file, little, big)
}

fn au(magic: &[u8; 4], coding: u32, length: u32, data: &[u8]) -> Vec<u8> {
    let fields = [28, length, coding, RATE, u32::from(CHANNELS)];
    let fields = fields.map(|field| if magic == b".snd" { field.to_be_bytes() } else { field.to_le_bytes() });
    [magic.as_slice(), fields.as_flattened(), b"text", data].concat()
}

/// 8 kHz in 80 bits.
const RATE_80: [u8; 10] = [0x40, 0x0b, 0xfa, 0, 0, 0, 0, 0, 0, 0];

fn aiff_chunk(id: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let padding = &[0][..body.len() % 2];
    [id.as_slice(), &(body.len() as u32).to_be_bytes(), body, padding].concat()
}

fn common(coding: Option<&[u8; 4]>, bits: u16, channels: u16, rate: [u8; 10]) -> Vec<u8> {
    let body = [&channels.to_be_bytes(), [0; 4].as_slice(), &bits.to_be_bytes(), &rate].concat();
    // A name of no letters, with the byte that makes its length even.
    let coding = coding.map(|coding| [coding.as_slice(), &[0, 0]].concat()).unwrap_or_default();
    aiff_chunk(b"COMM", &[body, coding].concat())
}

fn sound(data: &[u8]) -> Vec<u8> {
    aiff_chunk(b"SSND", &[&[0; 8], data].concat())
}

fn aiff_of(kind: &[u8; 4], chunks: &[Vec<u8>]) -> Vec<u8> {
    let chunks = chunks.concat();
    [b"FORM", (4 + chunks.len() as u32).to_be_bytes().as_slice(), kind, &chunks].concat()
}

fn aiff(coding: Option<&[u8; 4]>, bits: u16, data: &[u8]) -> Vec<u8> {
    let kind = if coding.is_some() { b"AIFC" } else { b"AIFF" };
    aiff_of(kind, &[common(coding, bits, CHANNELS, RATE_80), sound(data)])
}

fn caf_chunk(id: &[u8; 4], length: i64, body: &[u8]) -> Vec<u8> {
    [id.as_slice(), &length.to_be_bytes(), body].concat()
}

fn description(coding: &[u8; 4], flags: u32, packet: [u32; 2], channels: u32, rate: f64) -> Vec<u8> {
    let numbers = [flags, packet[0], packet[1], channels, 0].map(u32::to_be_bytes);
    caf_chunk(b"desc", 32, &[&rate.to_be_bytes(), coding.as_slice(), numbers.as_flattened()].concat())
}

fn caf_data(length: i64, data: &[u8]) -> Vec<u8> {
    caf_chunk(b"data", length, &[&[0; 4], data].concat())
}

fn caf_of(chunks: &[Vec<u8>]) -> Vec<u8> {
    [b"caff\0\x01\0\0".as_slice(), &chunks.concat()].concat()
}

fn caf(coding: &[u8; 4], flags: u32, size: u32, data: &[u8]) -> Vec<u8> {
    let description = description(coding, flags, [size * u32::from(CHANNELS), 1], u32::from(CHANNELS), 8_000.0);
    caf_of(&[description, caf_data(data.len() as i64 + 4, data)])
}

/// Little-endian where the flag is set.
const LITTLE: u32 = 2;
const FLOAT: u32 = 1;

#[test]
fn the_container_and_the_order_of_bytes_change_nothing() {
    let codings = [
        (Coding::Int16, 2, [3, 16], 0),
        (Coding::Int24, 3, [4, 24], 0),
        (Coding::Int32, 4, [5, 32], 0),
        (Coding::Float32, 4, [6, 32], FLOAT),
        (Coding::Float64, 8, [7, 64], FLOAT),
    ];
    for (coding, size, [au_number, bits], float) in codings {
        let (file, little, big) = samples(coding, size);
        let expected = convert(&file, "sln");
        let length = big.len() as u32;
        let compression = match (coding, size) {
            (Coding::Float32, _) => Some(b"fl32"),
            (Coding::Float64, _) => Some(b"fl64"),
            _ => None,
        };
        let mut cases = vec![
            ("AU", au(b".snd", au_number, length, &big)),
            ("AU of a DEC machine", au(b"dns.", au_number, length, &little)),
            ("AU of no length", au(b".snd", au_number, u32::MAX, &big)),
            ("AU of length 0", au(b".snd", au_number, 0, &big)),
            ("AIFF", aiff(compression, bits as u16, &big)),
            ("CAF", caf(b"lpcm", float, size as u32, &big)),
            ("CAF, little-endian", caf(b"lpcm", float | LITTLE, size as u32, &little)),
        ];
        if float == 0 {
            cases.push(("AIFF-C, little-endian", aiff(Some(b"sowt"), bits as u16, &little)));
            cases.push(("AIFF-C of nothing new", aiff(Some(b"NONE"), bits as u16, &big)));
        }
        for (what, bytes) in cases {
            let (summary, body) = convert(&bytes, "sln");
            assert!(body == expected.1 && !summary.truncated, "{what}, {coding:?}");
            assert_eq!(summary.frames, FRAMES as u64, "{what}, {coding:?}");
        }
    }
}

#[test]
fn bytes_and_codes_are_the_same_everywhere() {
    let (file, unsigned, _) = samples(Coding::Unsigned8, 1);
    let signed: Vec<u8> = unsigned.iter().map(|byte| byte ^ 0x80).collect();
    let ulaw = wav_of(7, RATE, CHANNELS, 1, &unsigned);
    let alaw = wav_of(6, RATE, CHANNELS, 1, &unsigned);
    let length = unsigned.len() as u32;
    let cases = [
        (&file, "AU", au(b".snd", 2, length, &signed)),
        (&file, "AIFF", aiff(None, 8, &signed)),
        (&file, "AIFF-C", aiff(Some(b"raw "), 8, &unsigned)),
        (&file, "CAF", caf(b"lpcm", 0, 1, &signed)),
        (&ulaw, "μ-law AU", au(b".snd", 1, length, &unsigned)),
        (&ulaw, "μ-law AIFF-C", aiff(Some(b"ulaw"), 16, &unsigned)),
        (&ulaw, "μ-law CAF", caf(b"ulaw", 0, 1, &unsigned)),
        (&alaw, "A-law AU", au(b".snd", 27, length, &unsigned)),
        (&alaw, "A-law AIFF-C", aiff(Some(b"ALAW"), 16, &unsigned)),
        (&alaw, "A-law CAF", caf(b"alaw", 0, 1, &unsigned)),
    ];
    for (expected, what, bytes) in cases {
        assert!(convert(&bytes, "sln").1 == convert(expected, "sln").1, "{what}");
    }
}

#[test]
fn chunks_of_aiff_come_in_any_order_and_padded() {
    let (file, _, big) = samples(Coding::Int16, 2);
    let expected = convert(&file, "sln").1;
    let described = common(None, 16, CHANNELS, RATE_80);
    let odd = aiff_chunk(b"NAME", b"odd");
    let gap = aiff_chunk(b"SSND", &[&[0, 0, 0, 6, 0, 0, 0, 0], b"before".as_slice(), &big].concat());
    let orders = [
        vec![sound(&big), described.clone()],
        vec![odd.clone(), sound(&big), odd.clone(), described.clone(), odd.clone()],
        vec![described.clone(), odd.clone(), sound(&big), odd.clone()],
        vec![described.clone(), gap],
    ];
    for (nth, chunks) in orders.iter().enumerate() {
        for steps in [usize::MAX, 100] {
            let original = Original::stepped(&aiff_of(b"AIFF", chunks), vec![steps]);
            let (summary, body) = run(original, format("sln"), &Limits::default()).unwrap();
            assert!(body.bytes == expected && !summary.truncated, "order {nth}");
        }
    }
    // As written to a pipe: nothing was ever filled in.
    let unfinished = [b"FORM\0\0\0\0AIFF".as_slice(), &described, b"SSND", &[0; 12], &big].concat();
    let (summary, body) = convert(&unfinished, "sln");
    assert!(body == expected && !summary.truncated);
}

#[test]
fn caf_plays_to_the_end_and_what_its_packet_table_says() {
    let (_, _, big) = samples(Coding::Int16, 2);
    let described = description(b"lpcm", 0, [4, 1], 2, 8_000.0);
    let whole = convert(&caf(b"lpcm", 0, 2, &big), "sln").1;
    let (summary, body) = convert(&caf_of(&[described.clone(), caf_data(-1, &big)]), "sln");
    assert!(body == whole && !summary.truncated);

    let table = |frames: i64, priming: i32| {
        caf_chunk(b"pakt", 24, &[&[0; 8], frames.to_be_bytes().as_slice(), &priming.to_be_bytes(), &[0; 4]].concat())
    };
    let cut = caf_of(&[described, table(1_000, 100), caf_data(big.len() as i64 + 4, &big)]);
    assert!(convert(&cut, "sln").1 == whole[200..2_200]);

    // Behind the data it matters to coded packets, which are padded.
    let coded = fixture("chirp-ima.caf");
    let whole = convert(&coded, "sln16").1;
    let (summary, body) = convert(&[coded, table(17_640 - 1_000, 0)].concat(), "sln16");
    let frames = (16_640.0_f64 * 16_000.0 / 22_050.0).round() as usize;
    assert_eq!((summary.frames, body.len()), (frames as u64, 2 * frames));
    // The resampler's filter looks ahead at what was cut away.
    assert!(body[..2 * frames - 4_000] == whole[..2 * frames - 4_000]);
}

#[test]
fn headers_of_other_containers_that_lie_give_typed_errors() {
    use problem::Kind::{NotAudio, OverLimit, Undecodable};
    let data = [0; 64];
    let au_with = |field: usize, value: u32| {
        let mut file = au(b".snd", 3, 64, &data);
        file[4 * field..4 * field + 4].copy_from_slice(&value.to_be_bytes());
        file
    };
    let aiff_with = |bits, channels, rate| aiff_of(b"AIFF", &[common(None, bits, channels, rate), sound(&data)]);
    let caf_with =
        |coding, packet, channels, rate| caf_of(&[description(coding, 0, packet, channels, rate), caf_data(68, &data)]);
    let infinite = [0x7f, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0];
    let cases = [
        ("AU within its header", au_with(1, 20), Undecodable),
        ("AU of an unknown coding", au_with(3, 99), NotAudio),
        ("AU of rate 0", au_with(4, 0), Undecodable),
        ("AU of rate 2³¹", au_with(4, 1 << 31), OverLimit),
        ("AU of no channels", au_with(5, 0), Undecodable),
        ("AU of 2³¹ channels", au_with(5, 1 << 31), OverLimit),
        ("AU cut in its header", au_with(1, 24)[..20].to_vec(), Undecodable),
        ("AU of days", au_with(2, u32::MAX - 1), OverLimit),
        ("AIFF of no bits", aiff_with(0, 1, RATE_80), NotAudio),
        ("AIFF of 33 bits", aiff_with(33, 1, RATE_80), NotAudio),
        ("AIFF of no channels", aiff_with(16, 0, RATE_80), Undecodable),
        ("AIFF of 9 channels", aiff_with(16, 9, RATE_80), OverLimit),
        ("AIFF of rate 0", aiff_with(16, 1, [0; 10]), Undecodable),
        ("AIFF of an infinite rate", aiff_with(16, 1, infinite), OverLimit),
        ("AIFF without a sound", aiff_of(b"AIFF", &[common(None, 16, 1, RATE_80)]), Undecodable),
        ("AIFF without a description", aiff_of(b"AIFF", &[sound(&data)]), Undecodable),
        ("AIFF of many chunks", aiff_of(b"AIFF", &vec![aiff_chunk(b"NAME", b""); 100_000]), Undecodable),
        ("AIFF-C of another coding", aiff(Some(b"QDM2"), 16, &data), NotAudio),
        ("CAF of no channels", caf_with(b"lpcm", [2, 1], 0, 8_000.0), Undecodable),
        ("CAF of 9 channels", caf_with(b"lpcm", [18, 1], 9, 8_000.0), OverLimit),
        ("CAF of no rate", caf_with(b"lpcm", [2, 1], 1, f64::NAN), Undecodable),
        ("CAF of rate 10³⁰⁰", caf_with(b"lpcm", [2, 1], 1, 1e300), OverLimit),
        ("CAF of packets of 4 GiB", caf_with(b"lpcm", [u32::MAX, 1], 1, 8_000.0), NotAudio),
        ("CAF with AAC", caf_with(b"aac ", [0, 1_024], 1, 8_000.0), NotAudio),
        ("CAF without a description", caf_of(&[caf_data(68, &data)]), Undecodable),
        ("CAF of a negative length", caf_of(&[caf_chunk(b"free", -2, &[])]), Undecodable),
        ("CAF of one endless chunk", caf_of(&[caf_chunk(b"free", i64::MAX, &[])]), Undecodable),
        ("CAF of many chunks", caf_of(&vec![caf_chunk(b"free", 0, &[]); 100_000]), Undecodable),
    ];
    for (what, bytes, kind) in cases {
        let error = error(&bytes, "ulaw");
        assert_eq!(error.problem().kind, kind, "{what}: {error:?}");
    }
}

/// A cut anywhere is an error in the header and noticed in the audio.
#[test]
fn truncation_anywhere_is_seen() {
    for name in [
        "chirp-gsm.wav",
        "chirp-ulaw.au",
        "chirp.aiff",
        "chirp-ima.aifc",
        "chirp-ima.caf",
        "chirp-alaw.caf",
        "chirp-stereo.webm",
    ] {
        let file = fixture(name);
        let whole = convert(&file, "ulaw").1;
        for length in (0..file.len()).step_by(file.len() / 120) {
            match run(Original::whole(&file[..length]), format("ulaw"), &Limits::default()) {
                Ok((summary, body)) => {
                    // The last chunk may be one that is no audio.
                    let complete = body.bytes == whole;
                    assert!(summary.truncated || complete, "{name} cut at {length}");
                    assert!(body.bytes.len() <= whole.len(), "{name} cut at {length}");
                }
                Err(AudioError::NotAudio | AudioError::Undecodable { .. }) => {}
                Err(error) => panic!("{name} cut at {length}: {error:?}"),
            }
        }
    }
}

#[test]
fn chunks_around_wav_data_of_any_kind_change_nothing() {
    let plain = wav(RATE, 1, FRAMES, Coding::Int16, tone(500.0, RATE));
    let expected = convert(&plain, "sln").1;
    let chunk = |id: &[u8; 4], size: usize| {
        let body = vec![0x5a; size + size % 2];
        [id.as_slice(), &(size as u32).to_le_bytes(), &body].concat()
    };
    for id in [b"LIST", b"bext", b"cue ", b"id3 ", b"JUNK"] {
        for size in [0, 1, 602, 70_001] {
            let between = [&plain[..36], chunk(id, size).as_slice(), &plain[36..], &chunk(id, size)].concat();
            let (summary, body) = convert(&between, "sln");
            assert!(body == expected && !summary.truncated, "{} of {size}", id.escape_ascii());
        }
    }
    // What is behind MP3 in WAV is none of it.
    let coded = fixture("chirp-mp3.wav");
    let expected = convert(&coded, "sln").1;
    let sync = [chunk(b"LIST", 3), fixture("chirp-44k-stereo.mp3")].concat();
    assert!(convert(&[coded, sync].concat(), "sln").1 == expected);
}

#[test]
fn extensible_wav_is_what_its_subformat_says() {
    const GUID: &[u8] = b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71";
    let codings = [
        (Coding::Unsigned8, 1u16, 1u16),
        (Coding::Int16, 1, 2),
        (Coding::Int24, 1, 3),
        (Coding::Int32, 1, 4),
        (Coding::Float32, 3, 4),
        (Coding::Float64, 3, 8),
        (Coding::Unsigned8, 6, 1),
        (Coding::Unsigned8, 7, 1),
    ];
    for (coding, tag, size) in codings {
        let (file, data, _) = samples(coding, usize::from(size));
        let plain = wav_of(tag, RATE, CHANNELS, size, &data);
        let mut extensible = file[..36].to_vec();
        extensible[16] = 40;
        extensible[20..22].copy_from_slice(&[0xfe, 0xff]);
        extensible[32..34].copy_from_slice(&(CHANNELS * size).to_le_bytes());
        extensible.extend_from_slice(&[22, 0]);
        extensible.extend_from_slice(&(8 * size).to_le_bytes());
        extensible.extend_from_slice(&3u32.to_le_bytes());
        extensible.extend_from_slice(&tag.to_le_bytes());
        extensible.extend_from_slice(GUID);
        extensible.extend_from_slice(&file[36..]);
        assert!(convert(&extensible, "sln").1 == convert(&plain, "sln").1, "tag {tag}, {coding:?}");
    }
}

#[test]
fn codings_of_wav_that_are_not_read_are_named() {
    let error = error(&wav_of(0x1234, RATE, 1, 1, &[0; 640]), "ulaw");
    assert!(error.to_string().contains("format tag 4660"), "{error}");
    assert_eq!(error.problem().kind, problem::Kind::NotAudio);
}
