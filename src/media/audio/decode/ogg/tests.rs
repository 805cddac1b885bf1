//! Pages as another writer makes them, whole, cut and lost.

use std::collections::VecDeque;

use ::ogg::{PacketWriteEndInfo, PacketWriter};

use super::{
    Found, Link, PageEnd, Purpose, checksum, open,
    page::{self, Page},
};
use crate::{
    media::{
        audio::{AudioError, Kind, decode::Block, fuzz, source::Source},
        format::Channel,
    },
    units::SampleRate,
};

#[test]
fn sums_are_those_of_the_polynomial() {
    let bytes: Vec<u8> = (0..100u32).map(|n| (n * n * 7 + n) as u8).collect();
    for length in 0..bytes.len() {
        let expected = bytes[..length].iter().fold(0u32, |sum, byte| {
            let shift = |sum: u32| if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 };
            (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| shift(sum))
        });
        assert_eq!(checksum::update(0, &bytes[..length]), expected);
        let (head, tail) = bytes.split_at(length);
        assert_eq!(checksum::update(checksum::update(0, head), tail), checksum::update(0, &bytes));
    }
}

/// A link that writes down what it is given.
struct Echo {
    headers: usize,
    pages: VecDeque<(usize, PageEnd)>,
}

impl Link for Echo {
    const KIND: Kind = Kind::OggVorbis;

    fn open(head: &[u8], _: Purpose) -> Result<Option<Echo>, AudioError> {
        Ok(head.starts_with(b"echo").then(|| Echo { headers: 1, pages: VecDeque::new() }))
    }

    fn take_header(&mut self, _: &[u8]) -> Result<bool, AudioError> {
        let is_header = self.headers > 0;
        self.headers -= usize::from(is_header);
        Ok(is_header)
    }

    fn begin_page(&mut self, packets: &VecDeque<Vec<u8>>, end: PageEnd) -> Result<(), AudioError> {
        self.pages.push_back((packets.len(), end));
        Ok(())
    }

    /// One sample for each packet: its length and its last byte.
    fn decode(&mut self, packet: &[u8], block: &mut Block) -> bool {
        block.samples.push(packet.len() as f32 + f32::from(packet.last().copied().unwrap_or(0)) / 256.0);
        true
    }
}

/// What an echo gives of a file, and whether the file was cut short.
fn echo(file: &[u8]) -> Result<(Vec<f32>, bool), AudioError> {
    let mut decoder = open::<Echo>(Source::new(fuzz::input(file)), SampleRate::HZ_8000, Channel::Mix)?;
    let (mut block, mut samples) = (Block::new(), Vec::new());
    while decoder.next_block(&mut block)? {
        samples.extend_from_slice(&block.samples);
    }
    Ok((samples, decoder.truncated()))
}

/// Lengths of packets that end just before, at and behind the borders of segments and pages.
const LENGTHS: [usize; 12] = [1, 0, 254, 255, 256, 510, 65_024, 65_025, 65_026, 200_000, 3, 70];

fn packet(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 % 251) as u8).collect()
}

fn sample(length: usize) -> f32 {
    length as f32 + f32::from(packet(length).last().copied().unwrap_or(0)) / 256.0
}

/// A stream of the packets, with as many packets to a page as fit, or one.
fn stream(serial: u32, lengths: &[usize], one_by_one: bool) -> Vec<u8> {
    let mut writer = PacketWriter::new(Vec::new());
    for header in [&b"echo"[..], b"second"] {
        writer.write_packet(header.to_vec(), serial, PacketWriteEndInfo::EndPage, 0).unwrap();
    }
    for (number, length) in lengths.iter().enumerate() {
        let end = match number + 1 == lengths.len() {
            true => PacketWriteEndInfo::EndStream,
            false if one_by_one => PacketWriteEndInfo::EndPage,
            false => PacketWriteEndInfo::NormalPacket,
        };
        writer.write_packet(packet(*length), serial, end, number as u64).unwrap();
    }
    writer.into_inner()
}

/// Where the pages of a file begin.
fn pages(file: &[u8]) -> Vec<(u64, Page)> {
    let mut source = Source::new(fuzz::input(file));
    let mut pages = Vec::new();
    while let Found::Page(page) = page::find(&mut source, u64::MAX).unwrap() {
        pages.push((source.position(), page));
        source.peek(page.size).unwrap();
        source.consume(page.size);
    }
    pages
}

#[test]
fn packets_of_all_lengths_come_out_whole() {
    let expected = LENGTHS.map(sample);
    for one_by_one in [false, true] {
        let file = stream(7, &LENGTHS, one_by_one);
        assert_eq!(echo(&file).unwrap(), (expected.to_vec(), false));
        // A file joined to itself, and to one of another number.
        let joined = [file.clone(), file.clone(), stream(8, &LENGTHS, one_by_one)].concat();
        assert_eq!(echo(&joined).unwrap(), (expected.repeat(3), false));
    }
}

#[test]
fn packets_longer_than_any_that_matters_are_kept_in_part() {
    let (samples, truncated) = echo(&stream(7, &[9, 400_000, 10], false)).unwrap();
    assert_eq!(samples.iter().map(|sample| *sample as usize).collect::<Vec<_>>(), [9, 256 * 1024, 10]);
    assert!(!truncated);
}

#[test]
fn a_damaged_page_is_lost_with_the_packets_that_are_partly_on_it() {
    let file = stream(7, &LENGTHS, false);
    let pages = pages(&file);
    assert!(pages.len() > 5);
    let all = LENGTHS.map(sample);
    for (number, (at, page)) in pages.iter().enumerate().skip(2) {
        let mut damaged = file.clone();
        damaged[*at as usize + page.size - 1] ^= 1;
        let (samples, truncated) = echo(&damaged).unwrap();
        assert!(samples.len() < all.len(), "page {number}");
        assert!(samples.iter().all(|sample| all.contains(sample)), "page {number}: {samples:?}");
        assert_eq!(truncated, number + 1 == pages.len());
        // The same page gone without a trace.
        let without = [&file[..*at as usize], &file[*at as usize + page.size..]].concat();
        assert_eq!(echo(&without).unwrap(), (samples, truncated), "page {number}");
        // Junk before it changes nothing.
        let junk = [&file[..*at as usize], &b"OggS and so on, OggOggS"[..], &file[*at as usize..]].concat();
        assert_eq!(echo(&junk).unwrap(), (all.to_vec(), false), "page {number}");
    }
}

#[test]
fn a_file_that_is_cut_gives_the_pages_that_are_whole() {
    let file = stream(7, &LENGTHS, true);
    let pages = pages(&file);
    let all = LENGTHS.map(sample);
    for size in (pages[2].0 as usize..file.len()).step_by(997) {
        match echo(&file[..size]) {
            Ok((samples, truncated)) => assert!(truncated && all.starts_with(&samples)),
            // Not one packet is whole.
            Err(error) => assert!(matches!(error, AudioError::Undecodable { .. }) && size < pages[3].0 as usize),
        }
    }
}

#[test]
fn other_streams_beside_are_passed_over() {
    let (ours, other) = (stream(7, &[100; 40], true), stream(9, &[55; 40], true));
    let (ours_pages, other_pages) = (pages(&ours), pages(&other));
    let mut mixed = Vec::new();
    for (index, ((at, page), (other_at, other_page))) in ours_pages.iter().zip(&other_pages).enumerate() {
        mixed.extend_from_slice(&ours[*at as usize..*at as usize + page.size]);
        // Without its beginning: one that begins takes over.
        if index > 0 {
            mixed.extend_from_slice(&other[*other_at as usize..*other_at as usize + other_page.size]);
        }
    }
    assert_eq!(echo(&mixed).unwrap(), (vec![sample(100); 40], false));
}
