//! Headers that nothing can be decoded by: each is refused, and none takes much memory.

use super::{
    super::Refused,
    Channel, Channels, Extent, HeaderKind, Identification, Layout, Random, Setup,
    packer::{CLASS_BOOK, HEIGHT_BOOK, Header, LSP_BOOK, Lookup, Packer, VECTOR_BOOK, codebook, identification},
};

fn parse(header: &Header) -> Result<Setup, Refused> {
    parse_body(HeaderKind::Setup.body(&header.packet()).unwrap())
}

fn parse_body(body: &[u8]) -> Result<Setup, Refused> {
    let gains = Layout::vorbis(Channels::STEREO).factors(Channel::Mix);
    Setup::parse(body, &gains[..2], Extent { lines: [128, 1_024], reach: [32, 256] })
}

fn header() -> Header {
    Header::random(2, &mut Random(31))
}

fn packed(fields: &[(u64, u32)]) -> Packer {
    let mut packer = Packer::default();
    for (value, bits) in fields {
        packer.put(*value, *bits);
    }
    packer
}

#[test]
fn an_identification_is_one_or_refused() {
    let parse = |packet: &[u8]| Identification::parse(HeaderKind::Identification.body(packet).unwrap());
    let good = identification(2, 44_100, [8, 11]);
    assert_eq!(parse(&good), Ok(Identification { channels: 2, hz: 44_100, sizes: [256, 2_048] }));
    for exponents in [[5, 11], [8, 14], [11, 8], [0, 0], [15, 15]] {
        assert!(parse(&identification(2, 44_100, exponents)).is_err(), "{exponents:?}");
    }
    for size in 7..good.len() {
        assert!(parse(&good[..size]).is_err());
    }
    let mut version = good.clone();
    version[7] = 1;
    let mut unframed = good;
    unframed[29] = 0;
    assert!(parse(&version).is_err() && parse(&unframed).is_err());
}

#[test]
fn headers_that_are_cut_short_are_refused() {
    let packet = header().packet();
    let body = HeaderKind::Setup.body(&packet).unwrap();
    assert!(parse_body(body).is_ok());
    for size in 0..body.len() {
        assert!(parse_body(&body[..size]).is_err(), "{size} bytes");
    }
}

#[test]
fn what_would_take_much_memory_is_over_a_limit() {
    let vectors = |kind| Some(Lookup { kind, minimum: 0, delta: 1, value_bits: 1, is_sequence: false });
    let mut random = Random(32);
    let books = [
        // 2²⁴ codewords of 24 bits; the same, not one of them used.
        packed(&[(0x56_4342, 24), (1, 16), ((1 << 24) - 1, 24), (1, 1), (23, 5), ((1 << 24) - 1, 24)]),
        packed(&[(0x56_4342, 24), (1, 16), ((1 << 24) - 1, 24), (0, 1), (1, 1)]),
        codebook(1, &vec![17; 1 << 17], None, &mut random),
        // 65535 dimensions.
        codebook(65_535, &[4; 16], vectors(1), &mut random),
        codebook(65_535, &[5; 32], vectors(2), &mut random),
    ];
    for (number, book) in books.into_iter().enumerate() {
        let mut header = header();
        // Only the first is alone: the others share what there is with those before.
        header.books.push(book);
        assert!(matches!(parse(&header), Err(Refused::OverLimit { .. })), "book {number}");
    }
    let mut many = header();
    many.books.resize(256, codebook(8, &[10; 1_024], vectors(1), &mut random));
    assert!(matches!(parse(&many), Err(Refused::OverLimit { .. })));
    let mut posts = header();
    posts.floors[0] = packed(&[(1, 16), (9, 5), (0, 9 * 4), (7, 3), (0, 2), (0, 8), (0, 2), (15, 4)]);
    assert!(matches!(parse(&posts), Err(Refused::OverLimit { .. })));
}

#[test]
fn books_that_contradict_themselves_are_refused() {
    let vectors = Some(Lookup { kind: 3, minimum: 0, delta: 1, value_bits: 1, is_sequence: false });
    let mut random = Random(33);
    let books = [
        packed(&[(0x56_4343, 24), (1, 16), (1, 24), (0, 3), (0, 5), (0, 4)]),
        codebook(0, &[1, 1], None, &mut random),
        codebook(1, &[1, 2], None, &mut random),
        codebook(1, &[1, 1, 1], None, &mut random),
        codebook(1, &[2], None, &mut random),
        codebook(1, &[1, 1], vectors, &mut random),
        // In order: three of two.
        packed(&[(0x56_4342, 24), (1, 16), (2, 24), (1, 1), (0, 5), (3, 2), (0, 4)]),
        // In order, and never all of them.
        packed(&[(0x56_4342, 24), (1, 16), (2, 24), (1, 1), (0, 5), (0, 200)]),
    ];
    for (number, book) in books.into_iter().enumerate() {
        let mut header = header();
        header.books.push(book);
        assert!(matches!(parse(&header), Err(Refused::Damaged(_))), "book {number}");
    }
}

#[test]
fn a_book_of_one_entry_is_in_order_and_one_of_none_may_not_be_used() {
    let mut random = Random(34);
    let mut lone = header();
    lone.books[HEIGHT_BOOK as usize] = codebook(1, &[0, 1, 0], None, &mut random);
    assert!(parse(&lone).is_ok());
    let mut unused = header();
    unused.books.push(codebook(1, &[0, 0], None, &mut random));
    assert!(parse(&unused).is_ok());
    let mut empty = header();
    empty.books[HEIGHT_BOOK as usize] = codebook(1, &[0, 0], None, &mut random);
    assert!(parse(&empty).is_err());
}

#[test]
fn parts_that_name_what_there_is_not_are_refused() {
    type Spoil = fn(&mut Header);
    let spoilt: [(&str, Spoil); 18] = [
        ("no framing", |header| header.is_framed = false),
        ("transform", |header| header.transforms[0] = packed(&[(1, 16)])),
        ("floor type", |header| header.floors[0] = packed(&[(2, 16)])),
        ("floor 0 of no order", |header| header.floors[2] = lsp(0, 44_100, 64, LSP_BOOK)),
        ("floor 0 of no rate", |header| header.floors[2] = lsp(8, 0, 64, LSP_BOOK)),
        ("floor 0 of no scale", |header| header.floors[2] = lsp(8, 44_100, 0, LSP_BOOK)),
        ("floor 0 of no book", |header| header.floors[2] = lsp(8, 44_100, 64, 200)),
        ("floor 0 of a book without vectors", |header| header.floors[2] = lsp(8, 44_100, 64, CLASS_BOOK)),
        ("posts in one place", |header| header.floors[0] = lines(2, &[5, 5])),
        ("a post at the beginning", |header| header.floors[0] = lines(2, &[0, 5])),
        ("floor 1 of no book", |header| header.floors[0] = lines(201, &[3, 5])),
        ("residue type", |header| header.residues[0] = residue(3, CLASS_BOOK, VECTOR_BOOK)),
        ("residue of no book", |header| header.residues[0] = residue(1, CLASS_BOOK, 200)),
        ("residue of a book without vectors", |header| header.residues[0] = residue(1, CLASS_BOOK, CLASS_BOOK)),
        ("classes of a book that is too small", |header| header.residues[0] = residue(1, LSP_BOOK, VECTOR_BOOK)),
        ("mapping type", |header| header.mappings[0] = packed(&[(1, 16), (0, 4), (0, 24)])),
        ("a channel coupled to itself", |header| {
            header.mappings[0] = packed(&[(0, 17), (1, 1), (0, 8), (3, 2), (0, 26)])
        }),
        ("mode of no mapping", |header| header.modes[0] = packed(&[(0, 33), (2, 8)])),
    ];
    for (what, spoil) in spoilt {
        let mut header = header();
        spoil(&mut header);
        assert!(matches!(parse(&header), Err(Refused::Damaged(_))), "{what}");
    }
    for (floor, residue) in [(3, 0), (0, 3)] {
        let mut header = header();
        header.mappings[0] = packed(&[(0, 20), (0, 8), (floor, 8), (residue, 8)]);
        assert!(parse(&header).is_err());
    }
}

fn lsp(order: u64, rate: u64, scale: u64, book: u64) -> Packer {
    packed(&[(0, 16), (order, 8), (rate, 16), (scale, 16), (6, 6), (6, 8), (0, 4), (book, 8)])
}

/// One partition of two posts.
fn lines(book: u64, places: &[u64; 2]) -> Packer {
    packed(&[(1, 16), (1, 5), (0, 4), (1, 3), (0, 2), (book + 1, 8), (0, 2), (6, 4), (places[0], 6), (places[1], 6)])
}

/// One class with one pass; sixteen of them where the book of classes has four dimensions.
fn residue(kind: u64, class_book: u64, book: u64) -> Packer {
    let classes = if class_book == LSP_BOOK { 16 } else { 1 };
    let mut residue = packed(&[(kind, 16), (0, 24), (100, 24), (23, 24), (classes - 1, 6), (class_book, 8)]);
    for _ in 0..classes {
        residue.put(1, 4);
    }
    for _ in 0..classes {
        residue.put(book, 8);
    }
    residue
}
