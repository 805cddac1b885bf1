//! WebM written here with the packets of an Ogg file: however they are packed, they sound as they do there.

use std::io::Cursor;

use super::support::{convert, error, fixture};
use crate::{media::audio::AudioError, problem};

const EBML: u32 = 0x1a45_dfa3;
const SEGMENT: u32 = 0x1853_8067;
const TRACKS: u32 = 0x1654_ae6b;
const TRACK_ENTRY: u32 = 0xae;
const CLUSTER: u32 = 0x1f43_b675;
const BLOCK_GROUP: u32 = 0xa0;
const BLOCK: u32 = 0xa1;
const SIMPLE_BLOCK: u32 = 0xa3;
const DISCARD_PADDING: u32 = 0x75a2;
const VOID: u32 = 0xec;
/// The track of the audio in these files.
const NUMBER: u8 = 2;
const NANOS_PER_TICK: f64 = 1e9 / 48_000.0;

fn id(id: u32) -> Vec<u8> {
    id.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect()
}

fn element(name: u32, body: &[u8]) -> Vec<u8> {
    let size = (1u64 << 56) | body.len() as u64;
    [id(name).as_slice(), &size.to_be_bytes(), body].concat()
}

/// An element that says nothing of its size, in one byte.
fn open_element(name: u32, body: &[u8]) -> Vec<u8> {
    [id(name).as_slice(), &[0xff], body].concat()
}

/// Headers and packets of a fixture, and the ticks of padding at its end.
struct Opus {
    head: Vec<u8>,
    packets: Vec<Vec<u8>>,
    padding: u64,
}

fn opus() -> Opus {
    let mut reader = ogg::PacketReader::new(Cursor::new(fixture("chirp-stereo.opus")));
    let packets: Vec<ogg::Packet> = std::iter::from_fn(|| reader.read_packet().unwrap()).collect();
    let end = packets.last().unwrap().absgp_page();
    let packets: Vec<Vec<u8>> = packets.into_iter().map(|packet| packet.data).collect();
    let [head, _, packets @ ..] = packets.as_slice() else { panic!("two headers") };
    let ticks: usize = packets.iter().map(|packet| opus::packet::get_nb_samples(packet, 48_000).unwrap()).sum();
    Opus { head: head.clone(), packets: packets.to_vec(), padding: ticks as u64 - end }
}

fn entry(number: u8, kind: u8, codec: &[u8], setup: &[u8]) -> Vec<u8> {
    let (number, kind) = ([number], [kind]);
    let elements = [(0xd7, number.as_slice()), (0x83, &kind), (0x86, codec), (0x63a2, setup)];
    element(TRACK_ENTRY, &elements.map(|(name, body)| element(name, body)).concat())
}

/// Bytes of the id and size of a TrackEntry.
const ENTRY_HEAD: usize = 9;

/// A track of video, that of the audio, and another of audio.
fn tracks(head: &[u8]) -> Vec<u8> {
    let entries = [entry(1, 1, b"V_VP9", &[]), entry(NUMBER, 2, b"A_OPUS\0\0", head), entry(3, 2, b"A_AAC", &[])];
    element(TRACKS, &entries.concat())
}

/// A body of a block.
fn block(track: u8, flags: u8, packets: &[u8]) -> Vec<u8> {
    [&[0x80 | track, 0, 0, flags], packets].concat()
}

/// Packets laced in a way: 1 as in Ogg, 3 as EBML numbers.
fn laced(lacing: u8, packets: &[Vec<u8>]) -> Vec<u8> {
    let (last, others) = packets.split_last().unwrap();
    let mut sizes = vec![others.len() as u8];
    let mut before = 0;
    for (nth, packet) in others.iter().enumerate() {
        let size = packet.len() as i64;
        match lacing {
            1 => sizes.extend([vec![255; packet.len() / 255], vec![(packet.len() % 255) as u8]].concat()),
            // Two bytes: 14 bits, and for differences half of their range below zero.
            _ if nth == 0 => sizes.extend_from_slice(&(0x4000 | size as u16).to_be_bytes()),
            _ => sizes.extend_from_slice(&(0x4000 | (size - before + 0x1fff) as u16).to_be_bytes()),
        }
        before = size;
    }
    block(NUMBER, lacing << 1, &[sizes, others.concat(), last.clone()].concat())
}

/// A group whose end is not to be heard.
fn padded(packet: &[u8], ticks: u64) -> Vec<u8> {
    let nanos = (ticks as f64 * NANOS_PER_TICK).round() as i64;
    let padding = element(DISCARD_PADDING, &nanos.to_be_bytes());
    element(BLOCK_GROUP, &[element(BLOCK, &block(NUMBER, 0, packet)), padding].concat())
}

fn file(segment: &[Vec<u8>]) -> Vec<u8> {
    [element(EBML, &element(0x4282, b"webm")), element(SEGMENT, &segment.concat())].concat()
}

#[test]
fn lacing_and_sizes_change_nothing() {
    let Opus { head, packets, padding } = opus();
    let expected = convert(&fixture("chirp-stereo.opus"), "sln48").1;
    let (last, others) = packets.split_last().unwrap();
    let video = element(SIMPLE_BLOCK, &block(1, 0, &[0; 5_000]));
    let single: Vec<Vec<u8>> = others.iter().map(|packet| element(SIMPLE_BLOCK, &block(NUMBER, 0, packet))).collect();
    let cases = [
        ("one by one", single.concat()),
        ("laced as in Ogg", others.chunks(7).flat_map(|some| element(SIMPLE_BLOCK, &laced(1, some))).collect()),
        ("laced by EBML", others.chunks(9).flat_map(|some| element(SIMPLE_BLOCK, &laced(3, some))).collect()),
    ];
    for (what, blocks) in cases {
        let cluster = [element(0xe7, &[0]), video.clone(), blocks, padded(last, padding)].concat();
        let void = element(VOID, &[0; 300]);
        let sized = file(&[void.clone(), tracks(&head), element(CLUSTER, &cluster)]);
        let live = [tracks(&head), open_element(CLUSTER, &cluster), void].concat();
        let live = [element(EBML, &[]), open_element(SEGMENT, &live)].concat();
        for (how, bytes) in [("sized", &sized), ("live", &live)] {
            let (summary, body) = convert(bytes, "sln48");
            assert!(body == expected && !summary.truncated, "{what}, {how}");
        }
        let twice = [sized.clone(), live].concat();
        assert!(convert(&twice, "sln48").1 == expected.repeat(2), "{what}, twice");
    }
}

#[test]
fn equal_lacing_is_read() {
    let Opus { head, packets, .. } = opus();
    let same = vec![packets[5].clone(); 4];
    let single: Vec<u8> = same.iter().flat_map(|packet| element(SIMPLE_BLOCK, &block(NUMBER, 0, packet))).collect();
    let laced = element(SIMPLE_BLOCK, &block(NUMBER, 4, &[vec![3], same.concat()].concat()));
    let [single, laced] = [single, laced].map(|blocks| file(&[tracks(&head), element(CLUSTER, &blocks)]));
    assert!(convert(&laced, "sln48").1 == convert(&single, "sln48").1);
}

#[test]
fn the_delay_of_the_track_takes_precedence() {
    let Opus { head, packets, .. } = opus();
    let delay = element(0x56aa, &20_000_000u32.to_be_bytes());
    let entry = [&entry(NUMBER, 2, b"A_OPUS", &head)[ENTRY_HEAD..], &delay].concat();
    let blocks: Vec<u8> = packets.iter().flat_map(|packet| element(SIMPLE_BLOCK, &block(NUMBER, 0, packet))).collect();
    let (summary, _) =
        convert(&file(&[element(TRACKS, &element(TRACK_ENTRY, &entry)), element(CLUSTER, &blocks)]), "sln48");
    assert_eq!(summary.frames, 960 * (packets.len() as u64 - 1));
}

#[test]
fn lies_and_endless_files_end_in_typed_errors() {
    use problem::Kind::{NotAudio, OverLimit, Undecodable};
    let Opus { head, packets, .. } = opus();
    let clustered = |blocks: &[u8]| file(&[tracks(&head), element(CLUSTER, blocks)]);
    let one = element(SIMPLE_BLOCK, &block(NUMBER, 0, &packets[0]));
    let vorbis = element(TRACKS, &entry(1, 2, b"A_VORBIS", &[]));
    let encoded = [&entry(1, 2, b"A_OPUS", &head)[ENTRY_HEAD..], &element(0x6d80, &[])].concat();
    let huge = [id(SIMPLE_BLOCK).as_slice(), &[0x01, 0, 0, 0, 0x7f, 0, 0, 0, 0x80 | NUMBER]].concat();
    let setup = [id(0x63a2).as_slice(), &[0x01, 0, 0, 0x7f, 0, 0, 0, 0]].concat();
    let described = [element(0xd7, &[1]), setup].concat();
    let cases = [
        ("nothing", file(&[]), Undecodable),
        ("no tracks", file(&[element(CLUSTER, &one)]), Undecodable),
        ("no audio", file(&[element(TRACKS, &entry(1, 1, b"V_VP9", &[])), element(CLUSTER, &one)]), Undecodable),
        ("Vorbis", file(&[vorbis, element(CLUSTER, &one)]), NotAudio),
        ("encryption", file(&[element(TRACKS, &element(TRACK_ENTRY, &encoded)), element(CLUSTER, &one)]), NotAudio),
        ("a block of 500 GB", clustered(&huge), Undecodable),
        ("a setup of 500 GB", file(&[element(TRACKS, &open_element(TRACK_ENTRY, &described))]), Undecodable),
        ("wrong lacing", clustered(&element(SIMPLE_BLOCK, &block(NUMBER, 2, &[9])).repeat(600)), Undecodable),
        ("packets of nothing", clustered(&element(SIMPLE_BLOCK, &block(NUMBER, 0, &[])).repeat(600)), Undecodable),
        ("endless emptiness", clustered(&element(VOID, &[0; 1_000]).repeat(35_000)), OverLimit),
        ("one endless element", clustered(&[id(VOID).as_slice(), &[0x01, 0x7f, 0, 0, 0, 0, 0, 0]].concat()), OverLimit),
    ];
    for (what, bytes, kind) in cases {
        let error = error(&bytes, "ulaw");
        assert!(!matches!(error, AudioError::Panicked { .. }), "{what}: {error:?}");
        assert_eq!(error.problem().kind, kind, "{what}: {error:?}");
    }
    let nested = [open_element(CLUSTER, &[]).repeat(100_000), one.repeat(20)].concat();
    assert_eq!(convert(&clustered(&nested), "ulaw"), convert(&clustered(&one.repeat(20)), "ulaw"));
    // Damage behind audio ends it.
    let (summary, body) = convert(&[clustered(&one.repeat(20)), vec![0; 100]].concat(), "ulaw");
    assert!(summary.truncated && !body.is_empty());
}
