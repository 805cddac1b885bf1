#![allow(clippy::indexing_slicing, reason = "in a test a panic is the answer")]

use std::{
    io::{self, Read, Seek, SeekFrom},
    sync::mpsc,
};

use proptest::prelude::*;

use super::{BLOCK_MAX, FrameError, FramedParts, Framer};
use crate::{
    clock::Clock,
    media::{
        audio::{self, AudioError, Input, Limits, Parts},
        format::{Format, Headerless},
        speech::{self, Speech, TextIn, Wish},
    },
    outbound::{self, Guard, Hops},
    testing::speech_service::tone,
};

/// A stream that is fed piece by piece, and is complete when its other end is dropped.
struct Growing {
    pieces: std::sync::Mutex<mpsc::Receiver<Vec<u8>>>,
    bytes: Vec<u8>,
    position: u64,
    complete: bool,
    /// What reads give at most.
    step: usize,
}

impl Growing {
    fn new(step: usize) -> (mpsc::Sender<Vec<u8>>, Growing) {
        let (feed, pieces) = mpsc::channel();
        let pieces = std::sync::Mutex::new(pieces);
        (feed, Growing { pieces, bytes: Vec::new(), position: 0, complete: false, step })
    }

    /// All of it there.
    fn whole(bytes: &[u8], step: usize) -> Growing {
        let (_, growing) = Growing::new(step);
        Growing { bytes: bytes.to_vec(), complete: true, ..growing }
    }

    fn wait(&mut self) {
        match self.pieces.get_mut().unwrap().recv() {
            Ok(piece) => self.bytes.extend(piece),
            Err(_) => self.complete = true,
        }
    }
}

impl Read for Growing {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        while self.bytes.len() as u64 <= self.position && !self.complete {
            self.wait();
        }
        let start = self.bytes.len().min(self.position as usize);
        let wanted = room.len().min(self.step);
        let read = (&self.bytes[start..]).read(&mut room[..wanted])?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Growing {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(position) = target else { panic!("{target:?}") };
        self.position = position;
        Ok(position)
    }
}

impl Input for Growing {
    fn length(&self) -> Option<u64> {
        self.complete_length()
    }

    fn complete_length(&self) -> Option<u64> {
        self.complete.then_some(self.bytes.len() as u64)
    }

    fn wait_complete(&mut self) -> io::Result<u64> {
        panic!("nobody waits for all of the parts")
    }
}

type Declared<'a> = (Option<Headerless>, Vec<&'a [u8]>);

fn framed(parts: &[Declared<'_>]) -> Vec<u8> {
    let mut framer = Framer::default();
    let mut stream = Vec::new();
    for (declared, blocks) in parts {
        stream.extend(framer.begin(*declared));
        for block in blocks {
            stream.extend(framer.block(block));
        }
    }
    stream.extend(framer.end());
    assert!(framer.end().is_empty(), "there is nothing more to end");
    stream
}

fn read_all(part: &mut dyn Input) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    part.read_to_end(&mut all).map(|_| all)
}

fn frame_error(error: &io::Error) -> Option<FrameError> {
    error.get_ref()?.downcast_ref().copied()
}

#[test]
fn parts_come_out_as_they_went_in() {
    let pcm = Headerless::from_option("l16:24000").unwrap();
    let stream = framed(&[(None, vec![b"one", b"", b" and more"]), (Some(pcm), vec![]), (None, vec![b"three"])]);
    assert_eq!(&stream[..8], b"\0\x03\0\0\0one", "as the diagram says");
    let mut parts = FramedParts::new(Box::new(Growing::whole(&stream, 2)));
    let mut first = parts.next().unwrap().unwrap();
    assert_eq!((first.declared(), first.complete_length(), first.length()), (None, Some(12), Some(12)));
    assert_eq!(read_all(&mut *first).unwrap(), b"one and more");
    assert_eq!(first.seek(SeekFrom::End(-4)).unwrap(), 8);
    assert_eq!(read_all(&mut *first).unwrap(), b"more");
    assert_eq!(first.seek(SeekFrom::Start(2)).unwrap(), 2);
    assert_eq!(first.seek(SeekFrom::Current(2)).unwrap(), 4);
    assert_eq!(read_all(&mut *first).unwrap(), b"and more");
    assert_eq!(first.seek(SeekFrom::Start(100)).unwrap(), 100);
    assert_eq!(first.read(&mut [0; 4]).unwrap(), 0);
    assert_eq!(first.seek(SeekFrom::End(-13)).unwrap_err().kind(), io::ErrorKind::InvalidInput);

    let mut second = parts.next().unwrap().unwrap();
    assert_eq!((second.declared(), second.wait_complete().unwrap()), (Some(pcm), 0));
    assert_eq!(read_all(&mut *second).unwrap(), b"");
    // One that is over is no way into the next.
    assert!(first.seek(SeekFrom::Start(0)).is_ok() && first.read(&mut [0; 4]).is_err());
    assert_eq!(read_all(&mut *parts.next().unwrap().unwrap()).unwrap(), b"three");
    assert!(parts.next().unwrap().is_none() && parts.next().unwrap().is_none());
    assert!(FramedParts::new(Box::new(Growing::whole(b"", 9))).next().unwrap().is_none());
}

#[test]
fn a_part_is_read_while_it_arrives() {
    let (feed, growing) = Growing::new(100);
    let mut framer = Framer::default();
    let mut parts = FramedParts::new(Box::new(growing));
    feed.send(framer.begin(None)).unwrap();
    let mut part = parts.next().unwrap().unwrap();
    assert_eq!((part.length(), part.complete_length()), (None, None));
    feed.send(framer.block(b"first")).unwrap();
    let mut room = [0; 100];
    assert_eq!(part.read(&mut room).unwrap(), 5);
    // Headers that come in pieces.
    let (head, tail) = (framer.block(b"second")[..2].to_vec(), framer.block(b"second")[2..].to_vec());
    feed.send(head).unwrap();
    feed.send(tail).unwrap();
    assert_eq!(part.read(&mut room).unwrap(), 6);
    feed.send(framer.end()).unwrap();
    assert_eq!(part.read(&mut room).unwrap(), 0);
    assert_eq!((part.length(), part.wait_complete().unwrap()), (Some(11), 11));
    drop(feed);
    assert!(parts.next().unwrap().is_none());
}

#[test]
fn damage_is_an_error_by_type() {
    let good = framed(&[(None, vec![b"some bytes"]), (None, vec![b"more"])]);
    for cut in 1..good.len() {
        // Where the first part ends is where a stream may end.
        if cut == 1 + 4 + 10 + 4 {
            continue;
        }
        let mut parts = FramedParts::new(Box::new(Growing::whole(&good[..cut], 3)));
        let read = (|| {
            while let Some(mut part) = parts.next()? {
                read_all(&mut *part)?;
            }
            Ok::<_, io::Error>(())
        })();
        assert_eq!(frame_error(&read.unwrap_err()), Some(FrameError::BrokenOff), "cut at {cut}");
    }
    let too_long = [&[0][..], &(BLOCK_MAX as u32 + 1).to_le_bytes()].concat();
    for stream in [&b"\x05hello"[..], b"\x02\xff\xff", b"\0\xff\xff\xff\xff", &too_long] {
        let mut parts = FramedParts::new(Box::new(Growing::whole(stream, 9)));
        let read = parts.next().and_then(|part| read_all(&mut *part.unwrap()));
        assert_eq!(frame_error(&read.unwrap_err()), Some(FrameError::Damaged), "{stream:?}");
    }
    // A decoder hears of it as of any other failure to read.
    let mut body = Sink(Vec::new());
    let parts = FramedParts::new(Box::new(Growing::whole(&good[..8], 3)));
    let error = audio::transcode_parts(Box::new(parts), ulaw(), &Limits::default(), &mut body).unwrap_err();
    assert!(
        matches!(&error, AudioError::Input(error) if frame_error(error) == Some(FrameError::BrokenOff)),
        "{error:?}"
    );
}

struct Sink(Vec<u8>);

impl audio::Output for Sink {
    fn write(&mut self, body: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(body);
        Ok(())
    }
}

fn ulaw() -> Format {
    Format::parse("ulaw", &[]).unwrap()
}

/// What the real program says in two sentences is heard as one, while it is being said, and ends where it ends although its headers lie.
#[tokio::test]
async fn sentences_of_the_real_program_are_one_piece_of_audio() {
    let outbound = outbound::Config::default();
    let speech =
        Speech::start(speech::Config::default(), &outbound, Guard::default(), "ringback-test", Clock::system());
    let speech = speech.await.unwrap();
    let text = "Thank you for calling. Please hold the line.";
    let utterance = speech.utterance(&Wish::default(), text, TextIn::Path).unwrap();
    let pieces = utterance.pieces();
    assert_eq!(pieces.len(), 2);

    let (feed, growing) = Growing::new(1_000);
    let parts = FramedParts::new(Box::new(growing));
    let decoding = std::thread::spawn(move || {
        let mut body = Sink(Vec::new());
        audio::transcode_parts(Box::new(parts), ulaw(), &Limits::default(), &mut body).map(|summary| (summary, body.0))
    });
    let mut framer = Framer::default();
    let mut bytes = 0;
    for piece in &pieces {
        let mut spoken = speech.speak(piece, &Hops::default()).await.unwrap();
        feed.send(framer.begin(spoken.declared())).unwrap();
        while let Some(piece) = spoken.chunk().await.unwrap() {
            feed.send(framer.block(&piece)).unwrap();
        }
        bytes += spoken.received() - 44;
    }
    feed.send(framer.end()).unwrap();
    drop(feed);
    let (summary, body) = decoding.join().unwrap().unwrap();
    // 22.05 kHz of 16 bits.
    let frames = (bytes as f64 / 2.0 * 8_000.0 / 22_050.0).round() as u64;
    assert_eq!((summary.frames, body.len() as u64, summary.truncated), (frames, frames, false));
    assert!(8_000 < frames);
}

#[test]
fn a_part_without_a_container_is_what_it_is_declared_to_be() {
    let pcm = Headerless::from_option("l16:8000").unwrap();
    let samples = [0x10_u8, 0x27].repeat(4_000);
    let clip = tone(std::time::Duration::from_millis(500));
    let stream = framed(&[(Some(pcm), vec![&samples]), (None, vec![&clip])]);
    let mut body = Sink(Vec::new());
    let parts = FramedParts::new(Box::new(Growing::whole(&stream, 777)));
    let summary = audio::transcode_parts(Box::new(parts), ulaw(), &Limits::default(), &mut body).unwrap();
    assert_eq!(summary.frames, 8_000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn anything_in_any_pieces_comes_out_again(
        contents in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..6), 0..6),
        step in 1usize..20,
        seeks in prop::collection::vec(0u64..300, 0..6),
    ) {
        let parts: Vec<Declared<'_>> =
            contents.iter().map(|blocks| (None, blocks.iter().map(Vec::as_slice).collect())).collect();
        let mut read = FramedParts::new(Box::new(Growing::whole(&framed(&parts), step)));
        for blocks in &contents {
            let expected = blocks.concat();
            let mut part = read.next().unwrap().unwrap();
            for seek in &seeks {
                part.seek(SeekFrom::Start(*seek)).unwrap();
                let start = expected.len().min(*seek as usize);
                prop_assert_eq!(&read_all(&mut *part).unwrap(), &expected[start..]);
            }
            prop_assert_eq!(part.wait_complete().unwrap(), expected.len() as u64);
            // The rest is passed over.
        }
        prop_assert!(read.next().unwrap().is_none());
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..200)) {
        let mut parts = FramedParts::new(Box::new(Growing::whole(&bytes, 7)));
        while let Ok(Some(mut part)) = parts.next() {
            let read = read_all(&mut *part);
            if read.is_err() {
                break;
            }
            prop_assert_eq!(part.wait_complete().unwrap(), read.unwrap().len() as u64);
        }
    }
}
