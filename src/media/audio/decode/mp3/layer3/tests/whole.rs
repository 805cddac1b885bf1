//! Whole files against full decoding by nanomp3, which follows minimp3 bit for bit.

use std::f64::consts::PI;

use super::{super::*, random};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/fixtures/audio/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The audio frames of a file.
fn frames(file: &[u8]) -> Vec<(Header, &[u8])> {
    let mut frames = Vec::new();
    let mut at = 0;
    while at < file.len() {
        match Header::parse(&file[at..]) {
            Some(header) if at + header.frame_size() <= file.len() => {
                frames.push((header, &file[at..at + header.frame_size()]));
                at += header.frame_size();
            }
            _ => at += 1,
        }
    }
    frames.retain(|(_, frame)| nanomp3::VbrTag::parse(frame).is_none());
    frames
}

/// One channel at the full rate, and which frames could be decoded.
fn full(frames: &[(Header, &[u8])], channel: Channel) -> (Vec<f32>, Vec<bool>) {
    let mut decoder = nanomp3::Decoder::new();
    let mut pcm = vec![0f32; nanomp3::MAX_SAMPLES_PER_FRAME];
    let (mut samples, mut decoded) = (Vec::new(), Vec::new());
    for (header, frame) in frames {
        let is_whole = decoder.decode(frame, &mut pcm).1.is_ok();
        let channels = header.channels();
        samples.extend(pcm[..header.samples() * channels].chunks(channels).map(|frame| match channel {
            _ if !is_whole => 0.0,
            Channel::Mix => frame.iter().sum::<f32>() / channels as f32,
            Channel::Left => frame[0],
            Channel::Right => frame[channels - 1],
        }));
        decoded.push(is_whole);
    }
    (samples, decoded)
}

/// The same by the decoder here.
fn reduced(frames: &[(Header, &[u8])], reduction: Reduction, phase: usize, channel: Channel) -> (Vec<f32>, Vec<bool>) {
    let mut decoder = Layer3::new(reduction, phase, channel);
    let (mut samples, mut decoded) = (Vec::new(), Vec::new());
    for (header, frame) in frames {
        let before = samples.len();
        let is_whole = decoder.decode(*header, frame, &mut samples).is_some();
        let count = header.samples() / reduction.factor();
        assert_eq!(samples.len() - before, if is_whole { count } else { 0 });
        samples.resize(before + count, 0.0);
        decoded.push(is_whole);
    }
    (samples, decoded)
}

/// Half the length in seconds of a low-pass filter that ends below 3.8 kHz and is flat to 3.4 kHz.
const FILTER_SECONDS: f64 = 0.01;

/// A sinc of 3.6 kHz under Blackman and Harris' window, at `t` seconds from its middle.
fn low_pass(t: f64) -> f64 {
    let x = PI * (t / FILTER_SECONDS + 1.0);
    let window = 0.358_75 - 0.488_29 * x.cos() + 0.141_28 * (2.0 * x).cos() - 0.011_68 * (3.0 * x).cos();
    let angle = 2.0 * PI * 3_600.0 * t;
    window * if t == 0.0 { 1.0 } else { angle.sin() / angle }
}

/// The filter's taps at a rate.
fn taps(rate: f64) -> Vec<f64> {
    let half = (FILTER_SECONDS * rate) as i32;
    (-half..=half).map(|n| low_pass(f64::from(n) / rate) / rate).collect()
}

/// The filtered signal at `frame`, up to a factor.
fn filtered(samples: &[f32], taps: &[f64], frame: usize) -> f64 {
    samples[frame - taps.len() / 2..].iter().zip(taps).map(|(sample, tap)| f64::from(*sample) * tap).sum()
}

/// Signal to difference in dB below 3.6 kHz, at the same times.
fn likeness(full: &[f32], reduced: &[f32], rate: u32, reduction: Reduction, phase: usize) -> f64 {
    let (rate, factor) = (f64::from(rate), reduction.factor());
    let (full_taps, reduced_taps) = (taps(rate), taps(rate / factor as f64));
    let margin = full_taps.len();
    let (mut wanted, mut rest) = (0.0, 0.0);
    // A prime stride: every part of a cycle is met.
    for n in (margin..reduced.len() - margin).step_by(7) {
        let expected = filtered(full, &full_taps, phase + n * factor);
        let heard = filtered(reduced, &reduced_taps, n);
        wanted += expected * expected;
        rest += (expected - heard).powi(2);
    }
    // A side may be silent on both.
    if rest == 0.0 { f64::INFINITY } else { 10.0 * (wanted / rest).log10() }
}

#[test]
fn every_channel_phase_and_reduction_is_like_full_decoding() {
    // MPEG-1 in joint stereo, and MPEG-2 in mono, in stereo, and at a variable bitrate.
    for (name, reductions) in [
        ("music.mp3", &[Reduction::Quarter, Reduction::Half][..]),
        ("speech.mp3", &[Reduction::Half]),
        ("chirp-44k-stereo.mp3", &[Reduction::Half]),
        ("chirp-22k-vbr-untagged.mp3", &[Reduction::Half]),
    ] {
        let file = fixture(name);
        let frames = frames(&file);
        let frames = &frames[..frames.len().min(60)];
        let rate = frames[0].0.rate();
        for reduction in reductions.iter().copied() {
            for phase in 0..reduction.factor() {
                let channel = [Channel::Mix, Channel::Left, Channel::Right, Channel::Mix][phase];
                let (expected, _) = full(frames, channel);
                let (heard, _) = reduced(frames, reduction, phase, channel);
                let likeness = likeness(&expected, &heard, rate, reduction, phase);
                assert!(likeness > 85.0, "{name} {reduction:?} {phase} {channel:?}: {likeness} dB");
            }
        }
    }
}

/// Frames of MPEG-1 stereo with mixed_block_flag set wherever window_switching_flag is.
fn with_mixed_blocks(frames: &[(Header, &[u8])]) -> Vec<Vec<u8>> {
    const GRANULES_FROM: usize = 32 + 20;
    const GRANULE_BITS: usize = 59;
    const SWITCHING: usize = 33;
    const MIXED: usize = 36;
    let mixed = |(_, frame): &(Header, &[u8])| {
        let mut frame = frame.to_vec();
        for from in (0..4).map(|granule| GRANULES_FROM + granule * GRANULE_BITS) {
            let mask = |at: usize| 0x80u8 >> (at % 8);
            if frame[(from + SWITCHING) / 8] & mask(from + SWITCHING) != 0 {
                frame[(from + MIXED) / 8] |= mask(from + MIXED);
            }
        }
        frame
    };
    frames.iter().map(mixed).collect()
}

/// Frames whose headers say what `change` makes of their fourth byte.
fn with_mode(frames: &[(Header, &[u8])], change: impl Fn(u8) -> u8) -> Vec<Vec<u8>> {
    let changed = |(_, frame): &(Header, &[u8])| {
        let mut frame = frame.to_vec();
        frame[3] = change(frame[3]);
        frame
    };
    frames.iter().map(changed).collect()
}

fn assert_like_full_decoding(what: &str, bytes: &[Vec<u8>], reduction: Reduction, least: f64) {
    let frames: Vec<_> = bytes.iter().map(|frame| (Header::parse(frame).unwrap(), frame.as_slice())).collect();
    for (phase, channel) in [Channel::Mix, Channel::Left, Channel::Right].into_iter().enumerate() {
        let phase = phase % reduction.factor();
        let (expected, _) = full(&frames, channel);
        let (heard, _) = reduced(&frames, reduction, phase, channel);
        let likeness = likeness(&expected, &heard, frames[0].0.rate(), reduction, phase);
        assert!(likeness > least, "{what} {channel:?}: {likeness} dB");
    }
}

// No encoder at hand makes these. A stream that says it has them decodes to other sounds than it was made of, but to the same in
// every decoder.
#[test]
fn what_encoders_seldom_make_is_like_full_decoding_too() {
    let (music, chirp) = (fixture("music.mp3"), fixture("chirp-44k-stereo.mp3"));
    let (music, chirp) = (frames(&music), frames(&chirp));
    for (what, bits) in [("separate", 0x00), ("intensity", 0x50), ("middle and side", 0x60), ("both", 0x70)] {
        let changed = |byte: u8| byte & 0x0f | bits;
        assert_like_full_decoding(what, &with_mode(&music, changed), Reduction::Quarter, 80.0);
        assert_like_full_decoding(what, &with_mode(&chirp, changed), Reduction::Half, 80.0);
    }
    // Wherever the window is switched, the lowest two sub-bands keep the normal one.
    let mixed = with_mixed_blocks(&music);
    assert_like_full_decoding("mixed blocks", &mixed, Reduction::Quarter, 80.0);
}

#[test]
fn frames_are_lost_where_a_full_decoder_loses_them() {
    let file = fixture("music.mp3");
    let frames = frames(&file);
    for cut in 0..12 {
        let rest = &frames[cut..cut + 8];
        let (_, expected) = full(rest, Channel::Mix);
        assert_eq!(reduced(rest, Reduction::Quarter, 0, Channel::Mix).1, expected, "from frame {cut}");
    }
    // And where one is missing in the middle.
    let gap = [&frames[..20], &frames[21..40]].concat();
    let (_, expected) = full(&gap, Channel::Mix);
    assert_eq!(reduced(&gap, Reduction::Quarter, 0, Channel::Mix).1, expected);
    assert!(expected.contains(&true));
}

#[test]
fn no_bytes_make_it_panic() {
    let mut random = random(11);
    let headers =
        [[0xff, 0xfb, 0x90, 0x60], [0xff, 0xfb, 0xe0, 0x70], [0xff, 0xf3, 0x80, 0x50], [0xff, 0xfa, 0x54, 0xc0]];
    for (head, reduction) in headers.iter().zip([Reduction::Quarter, Reduction::Half].into_iter().cycle()) {
        let header = Header::parse(head).unwrap();
        for channel in [Channel::Mix, Channel::Right] {
            let mut decoder = Layer3::new(reduction, 1, channel);
            let mut heard = Vec::new();
            for _ in 0..300 {
                let mut frame: Vec<u8> = head.to_vec();
                let zeros = random() % 4;
                frame.extend((4..header.frame_size()).map(|_| if random() % 4 < zeros { 0 } else { random() as u8 }));
                heard.clear();
                if decoder.decode(header, &frame, &mut heard).is_some() {
                    assert_eq!(heard.len(), header.samples() / reduction.factor());
                }
                let cut = random() as usize % frame.len();
                if decoder.decode(header, &frame[..cut], &mut heard).is_some() {
                    assert!(12 < cut);
                }
            }
        }
    }
}

#[test]
fn damaged_frames_never_panic_and_keep_their_length() {
    let file = fixture("music.mp3");
    let frames = frames(&file);
    let mut random = random(12);
    for _ in 0..20 {
        let damaged: Vec<(Header, Vec<u8>)> = frames[..40]
            .iter()
            .map(|(header, frame)| {
                let mut frame = frame.to_vec();
                for _ in 0..random() % 4 {
                    // Behind the header; the side information gets half of it.
                    let within = if random().is_multiple_of(2) { 32 } else { frame.len() - 4 };
                    frame[4 + random() as usize % within] = random() as u8;
                }
                (*header, frame)
            })
            .collect();
        let damaged: Vec<(Header, &[u8])> = damaged.iter().map(|(header, frame)| (*header, frame.as_slice())).collect();
        let (samples, _) = reduced(&damaged, Reduction::Quarter, 3, Channel::Mix);
        assert_eq!(samples.len(), 40 * 288);
    }
}
