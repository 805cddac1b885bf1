//! What pages say of where the audio begins and ends.

use ::ogg::{PacketWriteEndInfo, PacketWriter};

use super::{Packets, decode, fixture};
use crate::units::SampleRate;

/// The highest position that there is: none.
const NOWHERE: u64 = u64::MAX;

/// A file of pages with so many packets each, and their granule positions; the last one ends the stream.
fn file(packets: &Packets, pages: &[(usize, u64)]) -> Vec<u8> {
    let mut writer = PacketWriter::new(Vec::new());
    let mut write = |packet: &Vec<u8>, end, position| writer.write_packet(packet.clone(), 1, end, position).unwrap();
    for header in &packets.headers {
        write(header, PacketWriteEndInfo::EndPage, 0);
    }
    let mut audio = packets.audio.iter();
    for (page, (count, position)) in pages.iter().enumerate() {
        for number in 1..=*count {
            let end = match (number == *count, page + 1 == pages.len()) {
                (false, _) => PacketWriteEndInfo::NormalPacket,
                (true, false) => PacketWriteEndInfo::EndPage,
                (true, true) => PacketWriteEndInfo::EndStream,
            };
            write(audio.next().unwrap(), end, *position);
        }
    }
    writer.into_inner()
}

/// Frames in all of so many packets.
fn frames(packets: &Packets, count: usize) -> usize {
    packets.stream(SampleRate::HZ_48000, 0).frames(&packets.audio[..count]) as usize
}

/// Checks that pages let a stretch of the frames through, at every rate.
fn check(packets: &Packets, pages: &[(usize, u64)], from: usize, to: usize) {
    let file = file(packets, pages);
    for (target, factor) in [(SampleRate::HZ_48000, 1), (SampleRate::HZ_16000, 2), (SampleRate::HZ_8000, 4)] {
        let decoded = decode(&file, target).unwrap();
        assert_eq!((decoded.frames, decoded.truncated), (to - from, false), "{pages:?}");
        let (whole, _) = packets.decode(target, from as u64);
        let count = (to - from).div_ceil(factor);
        assert_eq!(decoded.samples.len(), count, "{pages:?}");
        assert!(decoded.samples == whole[..count], "{pages:?}");
    }
}

#[test]
fn positions_say_where_the_audio_begins_and_ends() {
    let packets = Packets::of(&fixture("chirp-44k-stereo.ogg"));
    let [first, all] = [6, 20].map(|count| frames(&packets, count));
    let [first_position, all_position] = [first, all].map(|frames| frames as u64);
    // All of it, and a later start.
    check(&packets, &[(6, first_position), (14, all_position)], 0, all);
    check(&packets, &[(6, first_position + 9_000), (14, all_position + 9_000)], 0, all);
    check(&packets, &[(6, NOWHERE), (14, NOWHERE)], 0, all);
    // The end is cut, also by more than a packet.
    check(&packets, &[(6, first_position), (14, all_position - 77)], 0, all - 77);
    check(&packets, &[(6, first_position), (14, all_position - 5_000)], 0, all - 5_000);
    // The beginning is cut, and then also the end.
    for cut in [1, 2, 3, 1_000, 1_029] {
        check(&packets, &[(6, first_position - cut), (14, all_position - cut)], cut as usize, all);
        check(&packets, &[(6, first_position - cut), (14, all_position - cut - 99)], cut as usize, all - 99);
    }
    // A first page that is the last cuts the end.
    check(&packets, &[(6, first_position - 1_001)], 0, first - 1_001);
    check(&packets, &[(6, 0)], 0, 0);
    // A position that does not fit on a page between is not believed.
    check(&packets, &[(6, first_position), (7, 17), (7, NOWHERE)], 0, all);
}

#[test]
fn what_is_no_audio_among_the_audio_is_ignored() {
    let packets = Packets::of(&fixture("chirp-44k-stereo.ogg"));
    let expected = packets.decode(SampleRate::HZ_8000, 0);
    let mut audio = packets.audio.clone();
    for (at, packet) in [(9, vec![]), (7, packets.headers[1].clone()), (0, vec![1; 300])] {
        audio.insert(at, packet);
    }
    let count = audio.len();
    let disturbed = Packets::new(packets.headers, audio);
    let decoded = decode(&file(&disturbed, &[(count, expected.1 as u64)]), SampleRate::HZ_8000).unwrap();
    assert_eq!((decoded.samples, decoded.frames), expected);
}

#[test]
fn headers_and_an_orderly_end_are_an_empty_clip() {
    let packets = Packets::of(&fixture("chirp-44k-stereo.ogg"));
    for count in [1, 2] {
        let decoded = decode(&file(&packets, &[(count, 0)]), SampleRate::HZ_8000).unwrap();
        assert_eq!((decoded.samples.len(), decoded.frames, decoded.truncated), (0, 0, false));
    }
    let headers = file(&packets, &[]);
    assert!(decode(&headers, SampleRate::HZ_8000).is_err());
}
