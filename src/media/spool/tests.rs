use std::time::Duration;

use proptest::prelude::{any, prop, prop_assert_eq, proptest};
use tempfile::TempDir;

use super::*;

/// Spools with so much room in all, and so much in memory where the disk refuses; none of them is short.
fn spools(total_max: u64, memory_max: u64) -> (TempDir, Spools) {
    spools_of_short(0, total_max, memory_max)
}

/// The same, where so many bytes are short.
fn spools_of_short(short_max: u64, total_max: u64, memory_max: u64) -> (TempDir, Spools) {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits {
        total: ByteCount::bytes(total_max),
        short: ByteCount::bytes(short_max),
        memory: ByteCount::bytes(memory_max),
        memory_total: ByteCount::bytes(2 * memory_max),
    };
    let spools = Spools::open(&directory.path().join("spool"), limits);
    (directory, spools.unwrap())
}

/// Spools whose directory is gone.
fn without_disk(total_max: u64, memory_max: u64) -> Spools {
    let (directory, spools) = spools(total_max, memory_max);
    std::fs::remove_dir_all(directory.path()).unwrap();
    spools
}

/// From now on the spool's file refuses to be written to. What is in it can still be read.
fn refuse_writes(spool: &Spool) {
    let copy = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(copy.path(), read_all(spool)).unwrap();
    *spool.store.write().unwrap() = Store::File(Arc::new(File::open(copy.path()).unwrap()));
}

fn in_memory(spool: &Spool) -> bool {
    matches!(*spool.store.read().unwrap(), Store::Memory(_))
}

fn is_short(spool: &Spool) -> bool {
    matches!(*spool.store.read().unwrap(), Store::Short(_))
}

fn is_file(spool: &Spool) -> bool {
    matches!(*spool.store.read().unwrap(), Store::File(_))
}

fn read_all(spool: &Spool) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(spool.length()).unwrap()];
    assert_eq!(spool.read_at(0, &mut bytes).unwrap(), bytes.len());
    bytes
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("a reader was not woken")
}

#[test]
fn what_was_appended_is_read_at_any_offset() {
    for spool in [spools(100, 100).1.create(), without_disk(100, 100).create()] {
        assert_eq!((spool.length(), read_all(&spool)), (0, Vec::new()));
        for part in [b"abc".as_slice(), b"", b"defgh"] {
            spool.append(part).unwrap();
        }
        assert_eq!(read_all(&spool), b"abcdefgh");
        let mut three = [0; 3];
        assert_eq!((spool.read_at(2, &mut three).unwrap(), &three), (3, b"cde"));
        assert_eq!((spool.read_at(6, &mut three).unwrap(), &three[..2]), (2, b"gh".as_slice()));
        for behind in [8, 9, u64::MAX] {
            assert_eq!(spool.read_at(behind, &mut three).unwrap(), 0);
        }
    }
}

#[test]
fn a_spool_has_no_name_and_its_room_comes_back() {
    let (directory, spools) = spools(10, 10);
    let (first, second) = (spools.create(), spools.create());
    first.append(b"1234").unwrap();
    second.append(b"567").unwrap();
    assert!(is_file(&first) && is_file(&second));
    assert_eq!(spools.used().get(), 7);
    assert_eq!(std::fs::read_dir(directory.path().join("spool")).unwrap().count(), 0);
    drop(first);
    assert_eq!(spools.used().get(), 3);
    drop(second);
    assert_eq!(spools.used().get(), 0);
}

#[test]
fn what_is_short_needs_no_file_until_it_is_longer() {
    let (_directory, spools) = spools_of_short(5, 100, 20);
    let spool = spools.create();
    assert!(spool.stays_short(5) && !spool.stays_short(6));
    spool.append(b"123").unwrap();
    assert!(spool.stays_short(2) && !spool.stays_short(3));
    spool.append(b"45").unwrap();
    assert!(is_short(&spool));
    assert_eq!((read_all(&spool), spools.used().get()), (b"12345".to_vec(), 5));
    spool.append(b"6").unwrap();
    assert!(is_file(&spool) && !spool.stays_short(0));
    assert_eq!((read_all(&spool), spools.used().get()), (b"123456".to_vec(), 6));
    let mut two = [0; 2];
    assert_eq!((spool.read_at(4, &mut two).unwrap(), &two), (2, b"56"));
    drop(spool);
    assert_eq!(spools.used().get(), 0);
}

#[test]
fn short_ones_take_no_more_memory_than_all_may() {
    // Ten bytes in memory for all.
    let (_directory, spools) = spools_of_short(5, 100, 5);
    let [first, second, third] = [(); 3].map(|()| spools.create());
    first.append(b"12345").unwrap();
    second.append(b"1234").unwrap();
    third.append(b"12").unwrap();
    assert!(is_short(&first) && is_short(&second) && is_file(&third));
    // One that goes to a file makes room for another.
    first.append(b"6").unwrap();
    let fourth = spools.create();
    fourth.append(b"12345").unwrap();
    assert!(is_file(&first) && is_short(&fourth));
    assert_eq!((read_all(&first), read_all(&third)), (b"123456".to_vec(), b"12".to_vec()));
}

#[test]
fn what_was_short_goes_on_in_memory_where_there_is_no_disk() {
    let (directory, spools) = spools_of_short(3, 100, 5);
    std::fs::remove_dir_all(directory.path()).unwrap();
    let spool = spools.create();
    spool.append(b"123").unwrap();
    assert!(is_short(&spool));
    spool.append(b"45").unwrap();
    assert!(in_memory(&spool));
    assert_eq!(spool.append(b"6").unwrap_err().kind, Kind::OverLimit);
    assert_eq!((read_all(&spool), spools.used().get()), (b"12345".to_vec(), 5));
    drop(spool);
    // All that it had is there for the next one.
    let [next, other] = [(); 2].map(|()| spools.create());
    next.append(b"12345").unwrap();
    other.append(b"12345").unwrap();
    assert_eq!(spools.used().get(), 10);
}

#[test]
fn all_spools_together_have_a_limit() {
    let (_directory, spools) = spools(10, 10);
    let (first, second) = (spools.create(), spools.create());
    first.append(b"123456").unwrap();
    assert_eq!(second.append(b"12345").unwrap_err().kind, Kind::Busy);
    // What was refused takes no room and leaves nothing to read.
    assert_eq!((spools.used().get(), second.length()), (6, 0));
    second.append(b"1234").unwrap();
    assert_eq!(first.append(b"7").unwrap_err().kind, Kind::Busy);
    drop(second);
    first.append(b"7").unwrap();
    assert_eq!(read_all(&first), b"1234567");
}

#[test]
fn without_a_disk_a_spool_goes_on_in_memory_up_to_a_limit() {
    let spools = without_disk(100, 5);
    let spool = spools.create();
    spool.append(b"12345").unwrap();
    assert!(in_memory(&spool));
    assert_eq!(spool.append(b"6").unwrap_err().kind, Kind::OverLimit);
    assert_eq!((read_all(&spool), spools.used().get()), (b"12345".to_vec(), 5));
    drop(spool);
    assert_eq!(spools.used().get(), 0);
}

#[test]
fn without_a_disk_all_spools_together_have_a_limit() {
    // Five bytes for one, ten for all.
    let spools = without_disk(100, 5);
    let [first, second, third] = [(); 3].map(|()| spools.create());
    first.append(b"12345").unwrap();
    second.append(b"1234").unwrap();
    assert_eq!(third.append(b"12").unwrap_err().kind, Kind::Busy);
    third.append(b"1").unwrap();
    drop(first);
    third.append(b"2345").unwrap();
    assert_eq!((read_all(&second), read_all(&third)), (b"1234".to_vec(), b"12345".to_vec()));
}

#[test]
fn a_disk_that_refuses_in_the_middle_loses_nothing() {
    let (_directory, spools) = spools(100, 8);
    let spool = spools.create();
    spool.append(b"abcd").unwrap();
    refuse_writes(&spool);
    spool.append(b"ef").unwrap();
    assert!(in_memory(&spool));
    assert_eq!(read_all(&spool), b"abcdef");
    spool.append(b"gh").unwrap();
    assert_eq!(spool.append(b"i").unwrap_err().kind, Kind::OverLimit);
    assert_eq!((read_all(&spool), spools.used().get()), (b"abcdefgh".to_vec(), 8));
}

#[test]
fn a_disk_that_refuses_when_memory_does_not_suffice_is_a_problem() {
    let (_directory, spools) = spools(100, 3);
    let spool = spools.create();
    spool.append(b"abcd").unwrap();
    refuse_writes(&spool);
    assert_eq!(spool.append(b"e").unwrap_err().kind, Kind::OverLimit);
    // Its readers still have what there was.
    assert_eq!((read_all(&spool), spools.used().get()), (b"abcd".to_vec(), 4));
    let small = spools.create();
    small.append(b"ab").unwrap();
    refuse_writes(&small);
    assert_eq!(small.append(b"cd").unwrap_err().kind, Kind::OverLimit);
    assert_eq!(read_all(&small), b"ab");
}

#[test]
fn the_first_end_stands() {
    let (_directory, spools) = spools(10, 10);
    let spool = spools.create();
    assert!(spool.progress().end.is_none());
    spool.finish(End::Failed(Problem::new(Kind::OriginFailed, "cut off")));
    spool.finish(End::Complete);
    let end = spool.progress().end;
    assert!(matches!(end, Some(End::Failed(ref problem)) if problem.kind == Kind::OriginFailed), "{end:?}");
}

#[tokio::test]
async fn readers_are_woken_by_bytes_and_by_the_end() {
    let (_directory, spools) = spools(100, 100);
    let spool = spools.create();
    spool.append(b"abc").unwrap();
    // What is there already is not waited for.
    assert_eq!(in_time(spool.wait_past(2)).await.length, 3);
    let waiting = Arc::clone(&spool);
    let past = tokio::spawn(async move { waiting.wait_past(3).await });
    let waiting = Arc::clone(&spool);
    let ended = tokio::spawn(async move { waiting.wait_end().await });
    tokio::task::yield_now().await;
    assert!(!past.is_finished() && !ended.is_finished());
    spool.append(b"d").unwrap();
    let progress = in_time(past).await.unwrap();
    assert_eq!((progress.length, progress.end.is_none()), (4, true));
    assert!(!ended.is_finished());
    spool.finish(End::Complete);
    assert_eq!(in_time(ended).await.unwrap().length, 4);
    let progress = in_time(spool.wait_past(4)).await;
    assert!(matches!(progress.end, Some(End::Complete)), "{progress:?}");
}

#[tokio::test]
async fn async_readers_get_what_is_there_and_no_more() {
    let (_directory, spools) = spools(100, 100);
    let spool = spools.create();
    spool.append(b"abcdef").unwrap();
    assert_eq!(spool.read(1, 3).await.unwrap(), "bcd");
    assert_eq!(spool.read(4, usize::MAX).await.unwrap(), "ef");
    assert_eq!(spool.read(6, 10).await.unwrap(), "");
    assert_eq!(spool.read(u64::MAX, 10).await.unwrap(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_number_of_readers_get_the_same_bytes_while_they_arrive() {
    const PIECES: usize = 300;
    let (_directory, spools) = spools(1 << 20, 1 << 20);
    let spool = spools.create();
    let piece = |number: usize| vec![number as u8; 1 + number % 97];
    let expected: Vec<u8> = (0..PIECES).flat_map(piece).collect();
    let readers: Vec<_> = (1..=4_usize)
        .map(|reader| {
            let spool = Arc::clone(&spool);
            tokio::spawn(async move {
                let mut read = Vec::new();
                loop {
                    let offset = read.len() as u64;
                    let progress = spool.wait_past(offset).await;
                    if progress.length == offset {
                        return read;
                    }
                    read.extend_from_slice(&spool.read(offset, reader * 50).await.unwrap());
                }
            })
        })
        .collect();
    let writer = Arc::clone(&spool);
    let writing = tokio::task::spawn_blocking(move || {
        for number in 0..PIECES {
            if number == PIECES / 2 {
                // In the middle of it the disk goes away.
                refuse_writes(&writer);
            }
            writer.append(&piece(number)).unwrap();
        }
        writer.finish(End::Complete);
    });
    for reader in readers {
        assert!(in_time(reader).await.unwrap() == expected, "a reader got other bytes");
    }
    writing.await.unwrap();
    assert!(in_memory(&spool));
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// In whatever pieces, on disk or not, and wherever the disk begins to refuse.
    #[test]
    fn a_spool_is_its_pieces_in_order(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12),
        with_disk in any::<bool>(),
        short_max in 0_u64..100,
        refuses_at in 0_usize..24,
        offset in 0_u64..500,
        length in 0_usize..500,
    ) {
        let (_directory, spools) = if with_disk {
            let (directory, spools) = spools_of_short(short_max, 10_000, 10_000);
            (Some(directory), spools)
        } else {
            (None, without_disk(10_000, 10_000))
        };
        let spool = spools.create();
        for (number, piece) in pieces.iter().enumerate() {
            if with_disk && number == refuses_at {
                refuse_writes(&spool);
            }
            spool.append(piece).unwrap();
        }
        let expected = pieces.concat();
        prop_assert_eq!(spools.used().get(), expected.len() as u64);
        let start = usize::try_from(offset).unwrap().min(expected.len());
        let end = start.saturating_add(length).min(expected.len());
        let mut buffer = vec![0; length];
        let read = spool.read_at(offset, &mut buffer).unwrap();
        prop_assert_eq!(&buffer[..read], &expected[start..end]);
        prop_assert_eq!(read_all(&spool), expected);
    }
}
