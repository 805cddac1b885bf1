//! What every store does, as tests that are run on each of them, decorators included.

use std::{collections::BTreeSet, io, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};

use super::store::{ObjectBytes, ObjectKey, ObjectStore, Replace, StoreError, Upload, Written};

/// A store, and a folder in it that is a test's own.
#[derive(Clone, Debug)]
pub(super) struct Bench {
    store: Arc<dyn ObjectStore>,
    folder: String,
    promises: Promises,
}

/// What not all servers keep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promises {
    /// Of two creators exactly one is told that it was the first.
    pub(super) creates_only: bool,
    /// Lists are in the order of bytes. SeaweedFS's are in that of its folders, where `a/b` comes before `a-b`.
    pub(super) orders_bytes: bool,
}

impl Promises {
    /// As S3 keeps them.
    pub(super) const ALL: Promises = Promises { creates_only: true, orders_bytes: true };
}

/// Everything, one after the other.
pub(super) async fn all(store: Arc<dyn ObjectStore>, promises: Promises) {
    let bench = |folder: &str| Bench { store: Arc::clone(&store), folder: folder.to_owned(), promises };
    what_is_written_is_read(&bench("read")).await;
    bodies_come_in_pieces_of_any_size(&bench("pieces")).await;
    head_and_get_know_the_same(&bench("meta")).await;
    what_is_not_there_is_not_found(&bench("absent")).await;
    ranges_are_cut_at_their_edges(&bench("ranges")).await;
    pieces_are_as_long_as_is_asked(&bench("pieces")).await;
    ranges_outside_are_refused(&bench("outside")).await;
    empty_objects_are_objects(&bench("empty")).await;
    creating_and_replacing(Arc::clone(&store), promises).await;
    a_replaced_object_is_seen_whole(&bench("whole")).await;
    bodies_of_the_wrong_length_are_refused(&bench("length")).await;
    a_failed_replacement_leaves_what_was_there(&bench("failed")).await;
    a_cancelled_write_leaves_nothing_in_part(&bench("cancelled")).await;
    what_is_removed_is_gone_and_can_come_again(&bench("removed")).await;
    all_names_are_taken(&bench("names")).await;
    names_are_listed_in_order(&bench("order")).await;
    lists_are_read_in_pages(&bench("pages")).await;
    lists_begin_with_their_prefix(&bench("prefix")).await;
}

/// What depends on whether the server knows conditional writes.
pub(super) async fn creating_and_replacing(store: Arc<dyn ObjectStore>, promises: Promises) {
    let bench = |folder: &str| Bench { store: Arc::clone(&store), folder: folder.to_owned(), promises };
    long_objects_are_written_and_read(&bench("long")).await;
    creating_replaces_nothing(&bench("create")).await;
    replacing_replaces(&bench("replace")).await;
    of_two_creators_one_wins(&bench("race")).await;
}

impl Bench {
    fn key(&self, name: &str) -> ObjectKey {
        ObjectKey::new(format!("{}/{name}", self.folder)).unwrap()
    }

    async fn put(&self, name: &str, bytes: impl Into<Bytes>, replace: Replace) -> Written {
        self.store.put(&self.key(name), Upload::of(bytes.into(), "audio/PCMU", replace)).await.unwrap()
    }

    async fn get(&self, name: &str) -> Vec<u8> {
        self.get_range(name, None).await
    }

    async fn get_range(&self, name: &str, range: Option<std::ops::Range<u64>>) -> Vec<u8> {
        let got = self.store.get(&self.key(name), range).await.unwrap();
        got.body.try_collect::<Vec<Bytes>>().await.unwrap().concat()
    }

    async fn put_stream(
        &self,
        name: &str,
        body: ObjectBytes<io::Error>,
        length: u64,
        replace: Replace,
    ) -> Result<Written, StoreError> {
        let content_type = "audio/PCMU".to_owned();
        self.store
            .put(&self.key(name), Upload { body, length, content_type, immutable: true, replace, digest: None })
            .await
    }

    #[track_caller]
    fn assert_absent<T: std::fmt::Debug>(&self, name: &str, found: Result<T, StoreError>) {
        match found {
            Err(StoreError::NotFound { key }) => assert_eq!(key, self.key(name)),
            other => panic!("{name} should not be there: {other:?}"),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
        let after = after.map(|after| self.key(after));
        let listed = self.store.list(&format!("{}/{prefix}", self.folder), after.as_ref(), limit).await.unwrap();
        assert!(listed.len() <= limit, "{} for {limit}", listed.len());
        let folder = format!("{}/", self.folder);
        listed.into_iter().map(|listed| listed.key.as_str().strip_prefix(&folder).unwrap().to_owned()).collect()
    }

    /// The whole list in pages of `limit`.
    async fn list_all(&self, prefix: &str, limit: usize) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        loop {
            let page = self.list(prefix, found.last().map(String::as_str), limit).await;
            if page.is_empty() {
                return found;
            }
            found.extend(page);
        }
    }
}

/// Bytes that are like no others.
fn noise(seed: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    Bytes::from(bytes)
}

/// `bytes` in pieces of up to `most` bytes, some of them empty.
fn in_pieces(bytes: &Bytes, seed: u64, most: usize) -> ObjectBytes<io::Error> {
    let (mut left, mut chance) = (bytes.clone(), StdRng::seed_from_u64(seed));
    let mut pieces = Vec::new();
    while !left.is_empty() {
        let length = chance.random_range(0..=most).min(left.len());
        pieces.push(Ok(left.split_to(length)));
    }
    Box::pin(stream::iter(pieces))
}

async fn what_is_written_is_read(bench: &Bench) {
    for length in [1, 2, 1_000, 262_143, 262_144, 262_145, 700_000] {
        let bytes = noise(length as u64, length);
        assert_eq!(bench.put("one", bytes.clone(), Replace::Always).await, Written::Yes);
        assert_eq!(bench.get("one").await, bytes, "{length} bytes");
    }
}

async fn bodies_come_in_pieces_of_any_size(bench: &Bench) {
    for most in [7, 70_000, 2 << 20] {
        let bytes = noise(most as u64, if most == 7 { 3_000 } else { 6 << 20 });
        let name = format!("most-{most}");
        let written = bench.put_stream(&name, in_pieces(&bytes, 1, most), bytes.len() as u64, Replace::Never).await;
        assert_eq!(written.unwrap(), Written::Yes);
        assert_eq!(bench.get(&name).await, bytes, "pieces of up to {most}");
    }
}

async fn head_and_get_know_the_same(bench: &Bench) {
    bench.put("one", noise(1, 5_000), Replace::Never).await;
    let key = bench.key("one");
    let head = bench.store.head(&key).await.unwrap();
    assert_eq!(head.length, 5_000);
    assert!(head.content_type.as_ref().is_none_or(|kind| kind == "audio/PCMU"), "{head:?}");
    let age = crate::clock::Clock::system().now_wall().duration_since(head.modified).unwrap_or_default();
    assert!(age.as_secs() < 3_600, "written {age:?} ago");
    for range in [None, Some(100..200)] {
        let got = bench.store.get(&key, range).await.unwrap();
        assert_eq!(got.meta.length, head.length);
        assert_eq!(got.meta.content_type, head.content_type);
        // HTTP's dates have whole seconds.
        let apart = got.meta.modified.duration_since(head.modified).unwrap_or_else(|error| error.duration());
        assert!(apart.as_secs() < 2, "{apart:?}");
    }
}

async fn what_is_not_there_is_not_found(bench: &Bench) {
    bench.put("there", noise(1, 10), Replace::Never).await;
    for name in ["one", "there/more", "there.more", "the"] {
        bench.assert_absent(name, bench.store.get(&bench.key(name), None).await);
        bench.assert_absent(name, bench.store.get(&bench.key(name), Some(0..1)).await);
        bench.assert_absent(name, bench.store.head(&bench.key(name)).await);
        bench.store.delete(&bench.key(name)).await.unwrap();
    }
    assert_eq!(bench.get("there").await, noise(1, 10));
}

async fn ranges_are_cut_at_their_edges(bench: &Bench) {
    let bytes = noise(1, 600_000);
    bench.put("one", bytes.clone(), Replace::Never).await;
    let end = bytes.len();
    for range in [0..1, 0..end, 1..end, end - 1..end, 262_143..262_145, 262_144..524_288, 17..18, 0..262_144] {
        let read = bench.get_range("one", Some(range.start as u64..range.end as u64)).await;
        assert!(read == bytes[range.clone()], "{range:?}: {} bytes", read.len());
    }
}

async fn pieces_are_as_long_as_is_asked(bench: &Bench) {
    let bytes = noise(1, 600_000);
    bench.put("one", bytes.clone(), Replace::Never).await;
    let key = bench.key("one");
    let cut = |start: usize, lengths: &[usize]| {
        let end = start + lengths.iter().sum::<usize>();
        let range = (end - start < bytes.len()).then_some(start as u64..end as u64);
        bench.store.get_cut(&key, range, lengths.to_vec())
    };
    for (start, lengths) in
        [(0, vec![600_000]), (0, vec![262_144, 262_144, 75_712]), (262_144, vec![262_144, 1]), (599_999, vec![1])]
    {
        let got = cut(start, &lengths).await.unwrap();
        assert_eq!(got.meta.length, bytes.len() as u64);
        let pieces: Vec<Bytes> = got.body.try_collect().await.unwrap();
        assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), lengths);
        assert!(pieces.concat() == bytes[start..start + pieces.concat().len()], "{start} {lengths:?}");
        // Who leaves in the midst of it spoils nothing for the next.
        let mut left = cut(start, &lengths).await.unwrap().body;
        left.next().await.unwrap().unwrap();
    }
    let outside = bench.store.get_cut(&key, Some(600_000..600_001), vec![1]).await;
    assert!(matches!(outside, Err(StoreError::OutOfRange { .. })), "{outside:?}");
    bench.assert_absent("two", bench.store.get_cut(&bench.key("two"), None, vec![1]).await);
}

async fn ranges_outside_are_refused(bench: &Bench) {
    bench.put("one", noise(1, 100), Replace::Never).await;
    bench.put("empty", Bytes::new(), Replace::Never).await;
    #[expect(clippy::reversed_empty_ranges, reason = "they are what is to be refused")]
    let wrong = [
        ("one", 100..101),
        ("one", 0..101),
        ("one", 99..200),
        ("one", 5..5),
        ("one", 6..5),
        ("one", 1 << 40..1 << 41),
        ("empty", 0..1),
    ];
    for (name, range) in wrong {
        match bench.store.get(&bench.key(name), Some(range.clone())).await {
            Err(StoreError::OutOfRange { key, start, end }) => {
                assert_eq!((key, start..end), (bench.key(name), range));
            }
            other => panic!("{name} {range:?}: {other:?}"),
        }
    }
}

async fn empty_objects_are_objects(bench: &Bench) {
    assert_eq!(bench.put("one", Bytes::new(), Replace::Never).await, Written::Yes);
    assert_eq!(bench.put("one", Bytes::new(), Replace::Never).await, Written::WasThere);
    assert_eq!(bench.get("one").await, b"");
    assert_eq!(bench.store.head(&bench.key("one")).await.unwrap().length, 0);
    assert_eq!(bench.list("", None, 10).await, ["one"]);
}

async fn long_objects_are_written_and_read(bench: &Bench) {
    // Longer than what is sent at once: some parts, just two, and a byte more.
    for length in [20 << 20, 10 << 20, (10 << 20) + 1] {
        let (name, bytes) = (format!("of-{length}"), noise(length as u64, length));
        let write = async |replace| {
            bench.put_stream(&name, in_pieces(&bytes, 2, 300_000), length as u64, replace).await.unwrap()
        };
        assert_eq!(write(Replace::Never).await, Written::Yes);
        assert_eq!(write(Replace::Never).await, Written::WasThere);
        if length < 20 << 20 {
            assert_eq!(write(Replace::Always).await, Written::Yes);
        }
        assert_eq!(bench.store.head(&bench.key(&name)).await.unwrap().length, length as u64);
        assert!(bench.get(&name).await == bytes, "{length} bytes");
        let middle = 5_242_870_u64..5_242_890;
        assert_eq!(
            bench.get_range(&name, Some(middle.clone())).await,
            bytes[middle.start as usize..middle.end as usize]
        );
    }
}

async fn creating_replaces_nothing(bench: &Bench) {
    assert_eq!(bench.put("one", "first", Replace::Never).await, Written::Yes);
    assert_eq!(bench.put("one", "second", Replace::Never).await, Written::WasThere);
    assert_eq!(bench.get("one").await, b"first");
}

async fn replacing_replaces(bench: &Bench) {
    for text in ["first", "the second", ""] {
        assert_eq!(bench.put("one", text, Replace::Always).await, Written::Yes);
        assert_eq!(bench.get("one").await, text.as_bytes());
    }
}

async fn of_two_creators_one_wins(bench: &Bench) {
    for round in 0..10 {
        let name = format!("round-{round}");
        let bytes = [noise(1, 100_000), noise(2, 100_000)];
        let [one, other] = bytes.clone();
        let told = future::join(bench.put(&name, one, Replace::Never), bench.put(&name, other, Replace::Never)).await;
        let kept = bench.get(&name).await;
        let told = [told.0, told.1];
        let winner = bytes.iter().position(|bytes| *bytes == kept).expect("one of the two, and whole");
        assert_eq!(told[winner], Written::Yes);
        if bench.promises.creates_only {
            assert_eq!(told[1 - winner], Written::WasThere, "round {round}");
        }
    }
}

async fn a_replaced_object_is_seen_whole(bench: &Bench) {
    let version = |number: u8| Bytes::from(vec![number; 300_000 + 1_000 * usize::from(number)]);
    bench.put("one", version(0), Replace::Always).await;
    let writes = async {
        for number in 1..20 {
            bench.put("one", version(number), Replace::Always).await;
        }
    };
    let reads = async {
        for _ in 0..20 {
            let read = bench.get("one").await;
            assert!(read == version(read[0]), "{} bytes that begin with {}", read.len(), read[0]);
        }
    };
    future::join(writes, reads).await;
    assert!(bench.get("one").await == version(19));
}

async fn bodies_of_the_wrong_length_are_refused(bench: &Bench) {
    // The last is longer than what is sent at once.
    for length in [1_usize, 100_000, 6 << 20] {
        for wrong in [length - 1, length + 1, 0, length + 300_000] {
            let name = format!("{length}-{wrong}");
            let body = in_pieces(&noise(1, wrong), 3, 1 << 20);
            let written = bench.put_stream(&name, body, length as u64, Replace::Never).await;
            assert!(matches!(written, Err(StoreError::Body { .. })), "{wrong} for {length}: {written:?}");
            bench.assert_absent(&name, bench.store.head(&bench.key(&name)).await);
        }
        let name = format!("{length}-error");
        let half = Ok(noise(1, length / 2));
        let body = Box::pin(stream::iter([half, Err(io::Error::other("the spool is gone"))]));
        let written = bench.put_stream(&name, body, length as u64, Replace::Never).await;
        assert!(matches!(written, Err(StoreError::Body { .. })), "{length}: {written:?}");
        bench.assert_absent(&name, bench.store.head(&bench.key(&name)).await);
    }
    assert!(bench.list("", None, 10).await.is_empty());
}

async fn a_failed_replacement_leaves_what_was_there(bench: &Bench) {
    for length in [100_000_usize, 6 << 20] {
        bench.put("one", "old", Replace::Always).await;
        let body = in_pieces(&noise(1, length - 1), 4, 1 << 20);
        let written = bench.put_stream("one", body, length as u64, Replace::Always).await;
        assert!(matches!(written, Err(StoreError::Body { .. })), "{written:?}");
        assert_eq!(bench.get("one").await, b"old");
    }
}

async fn a_cancelled_write_leaves_nothing_in_part(bench: &Bench) {
    for length in [400_000_usize, 6 << 20] {
        let name = format!("of-{length}");
        let bytes = noise(1, length);
        // All but the last byte, which never comes.
        let (reached, end) = tokio::sync::oneshot::channel();
        let body = stream::iter([Ok(bytes.slice(..length - 1))]).chain(stream::once(async move {
            reached.send(()).unwrap();
            future::pending().await
        }));
        let writing = tokio::spawn({
            let (bench, name) = (bench.clone(), name.clone());
            async move { bench.put_stream(&name, Box::pin(body), length as u64, Replace::Never).await }
        });
        end.await.unwrap();
        writing.abort();
        assert!(writing.await.unwrap_err().is_cancelled());
        bench.assert_absent(&name, bench.store.head(&bench.key(&name)).await);
        assert_eq!(bench.put(&name, bytes.clone(), Replace::Never).await, Written::Yes);
        assert!(bench.get(&name).await == bytes);
    }
}

async fn what_is_removed_is_gone_and_can_come_again(bench: &Bench) {
    for text in ["first", "second"] {
        assert_eq!(bench.put("in/deep/folders", text, Replace::Never).await, Written::Yes);
        bench.store.delete(&bench.key("in/deep/folders")).await.unwrap();
        bench.store.delete(&bench.key("in/deep/folders")).await.unwrap();
        bench.assert_absent("in/deep/folders", bench.store.get(&bench.key("in/deep/folders"), None).await);
        assert!(bench.list("", None, 10).await.is_empty());
    }
}

async fn all_names_are_taken(bench: &Bench) {
    let long = format!("{}/{}", "l".repeat(200), "m".repeat(200));
    let names = [
        "abcdefghijklmnopqrstuvwxyz",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "0123456789",
        "-",
        "_",
        "a.",
        "a..b",
        "-._",
        "A/b/C/d/E/f",
        &long,
    ];
    for name in names {
        assert_eq!(bench.put(name, name.to_owned(), Replace::Never).await, Written::Yes, "{name}");
    }
    for name in names {
        assert_eq!(bench.get(name).await, name.as_bytes());
    }
    let listed: BTreeSet<String> = bench.list("", None, 100).await.into_iter().collect();
    assert_eq!(listed, names.iter().map(|name| (*name).to_owned()).collect());
}

async fn names_are_listed_in_order(bench: &Bench) {
    // Where folders and files meet, the order of names is not that of folders: `-` and `.` come before `/`, and `0` after it.
    let names = ["a-b", "a.b", "a/-", "a/b", "a/b.c", "a0", "aB", "a_", "ab", "b/a/a", "b/a0", "c"];
    for name in names.iter().rev() {
        bench.put(name, *name, Replace::Never).await;
    }
    for limit in [1, 2, 3, 5, 100] {
        let mut listed = bench.list_all("", limit).await;
        if !bench.promises.orders_bytes {
            listed.sort();
        }
        assert_eq!(listed, names, "pages of {limit}");
    }
    let listed = bench.store.list(&format!("{}/a/b.c", bench.folder), None, 1).await.unwrap();
    assert_eq!(listed[0].length, 5);
    let age = crate::clock::Clock::system().now_wall().duration_since(listed[0].modified).unwrap_or_default();
    assert!(age.as_secs() < 3_600, "written {age:?} ago");
    // What they come after need not be there.
    assert_eq!(bench.list("", Some("a/a"), 2).await, ["a/b", "a/b.c"]);
    if bench.promises.orders_bytes {
        assert_eq!(bench.list("", Some("a/b/c"), 1).await, ["a0"]);
    }
    assert!(bench.list("", Some("d"), 2).await.is_empty());
    assert!(bench.list("", None, 0).await.is_empty());
}

async fn lists_are_read_in_pages(bench: &Bench) {
    const COUNT: usize = 1_100;
    let names: Vec<String> = (0..COUNT).map(|number| format!("{:02x}/{number:06}", number % 3)).collect();
    let writes = names.iter().map(|name| bench.put(name, "x", Replace::Always));
    stream::iter(writes).buffer_unordered(16).for_each(|_| future::ready(())).await;
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(bench.list("", None, 2_000).await.len(), COUNT, "more than one page of S3");
    for limit in [333, 1_000, 5_000] {
        assert!(bench.list_all("", limit).await == sorted, "pages of {limit}");
    }
    assert_eq!(bench.list_all("01/", 100).await.len(), COUNT.div_ceil(3));
}

async fn lists_begin_with_their_prefix(bench: &Bench) {
    for name in ["aa/1", "ab/1", "ab/2", "abc/1", "b/1"] {
        bench.put(name, "x", Replace::Never).await;
    }
    for (prefix, expected) in [
        ("a", &["aa/1", "ab/1", "ab/2", "abc/1"][..]),
        ("ab", &["ab/1", "ab/2", "abc/1"]),
        ("ab/", &["ab/1", "ab/2"]),
        ("ab/2", &["ab/2"]),
        ("ab/3", &[]),
        ("x", &[]),
    ] {
        assert_eq!(bench.list(prefix, None, 10).await, expected, "{prefix}");
    }
    assert_eq!(bench.list("ab", Some("ab/1"), 10).await, ["ab/2", "abc/1"]);
    assert_eq!(bench.list("ab", Some("aa/1"), 10).await, ["ab/1", "ab/2", "abc/1"]);
    assert!(bench.list("ab", Some("b/1"), 10).await.is_empty());
}
