//! ADTS framing: several blocks in a frame, check sums, junk, changes; none of them is heard.

use super::support::{convert, fixture};

/// The raw data blocks of a stream with one in each frame and no check sums, and the header of the first.
fn blocks(adts: &[u8]) -> ([u8; 7], Vec<Vec<u8>>) {
    let mut blocks = Vec::new();
    let mut rest = adts;
    while let [0xff, _, _, d, e, f, ..] = rest {
        let size = usize::from(d & 3) << 11 | usize::from(*e) << 3 | usize::from(f >> 5);
        blocks.push(rest[7..size].to_vec());
        rest = &rest[size..];
    }
    (*adts.first_chunk().unwrap(), blocks)
}

/// A frame of some blocks, with check sums (which nobody checks) or without.
fn frame(header: [u8; 7], blocks: &[Vec<u8>], checked: bool) -> Vec<u8> {
    const CHECK: [u8; 2] = [0xab, 0xcd];
    let mut body = Vec::new();
    if checked {
        let mut position = 0;
        for block in &blocks[..blocks.len() - 1] {
            position += block.len() as u16 + 2;
            body.extend_from_slice(&position.to_be_bytes());
        }
        body.extend_from_slice(&CHECK);
    }
    for block in blocks {
        body.extend_from_slice(block);
        if checked && blocks.len() > 1 {
            body.extend_from_slice(&CHECK);
        }
    }
    let [a, b, c, d, _, f, g] = header;
    let size = 7 + body.len();
    let b = if checked { b & 0xfe } else { b };
    let count = blocks.len() as u8 - 1;
    let size_bytes = [d & 0xfc | (size >> 11) as u8, (size >> 3) as u8, (size << 5) as u8 | f & 0x1f];
    [&[a, b, c][..], &size_bytes, &[g & 0xfc | count], &body].concat()
}

#[test]
fn frames_of_several_blocks_and_check_sums_change_nothing() {
    let file = fixture("music.aac");
    let (_, expected) = convert(&file, "sln");
    let (header, blocks) = blocks(&file);
    for (count, checked) in [(1, true), (2, false), (3, true), (4, false), (4, true)] {
        let framed: Vec<u8> = blocks.chunks(count).flat_map(|blocks| frame(header, blocks, checked)).collect();
        let (summary, heard) = convert(&framed, "sln");
        assert!(heard == expected && !summary.truncated, "{count} blocks, check sums: {checked}");
    }
}

#[test]
fn junk_between_frames_is_passed_over() {
    let file = fixture("music.aac");
    let (_, expected) = convert(&file, "sln");
    let (header, blocks) = blocks(&file);
    let mut noisy = Vec::new();
    for (number, block) in blocks.into_iter().enumerate() {
        noisy.extend(frame(header, &[block], false));
        if number % 7 == 5 {
            noisy.extend_from_slice(&[0x11; 300]);
        }
    }
    noisy.extend_from_slice(b"TAG");
    noisy.resize(noisy.len() + 125, 0);
    let (summary, heard) = convert(&noisy, "sln");
    assert!(heard == expected && !summary.truncated);
}

#[test]
fn channels_and_rates_may_change_on_the_way() {
    let (mono, stereo) = (fixture("chirp.aac"), fixture("music.aac"));
    // The same blocks under headers that say 48 kHz, which has the same bands, are shorter.
    let (mut header, blocks) = blocks(&stereo);
    header[2] = header[2] & 0xc3 | 3 << 2;
    let fast: Vec<u8> = blocks.iter().flat_map(|block| frame(header, std::slice::from_ref(block), false)).collect();
    let frames = |bytes: &[u8]| convert(bytes, "sln").0.frames;
    let all = frames(&[mono.clone(), stereo.clone(), fast.clone(), mono.clone()].concat());
    let sum = 2 * frames(&mono) + frames(&stereo) + frames(&fast);
    assert!(all.abs_diff(sum) <= 2, "{all} {sum}");
    assert_eq!(frames(&fast), (blocks.len() as u64 * 1_024 * 8_000 + 24_000) / 48_000);
}

#[test]
fn a_damaged_frame_is_silence_of_its_length() {
    let file = fixture("music.aac");
    let (header, mut blocks) = blocks(&file);
    let (whole, expected) = convert(&file, "sln");
    // An element of another kind than the header promises, with nothing in it.
    blocks[30] = vec![0xff; 20];
    let damaged: Vec<u8> = blocks.iter().flat_map(|block| frame(header, std::slice::from_ref(block), false)).collect();
    let (summary, heard) = convert(&damaged, "sln");
    assert_eq!(summary.frames, whole.frames);
    // Both blocks that it takes part in are lost, with the resampler's 40 ms around them; all else is the same.
    let sample = |frame: usize| frame * 1_024 * 8_000 / 44_100 * 2;
    let (before, behind) = (sample(30) - 1_280, sample(32) + 1_280);
    assert!(heard[..before] == expected[..before] && heard[behind..] == expected[behind..]);
    assert!(heard != expected);
}
