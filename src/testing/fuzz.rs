//! Entries of the fuzz targets: one plain function each, so that every ordinary build compiles them and a test can replay
//! an input that was once found. None of them may panic, hang or allocate without limit, whatever the bytes are.

use std::{
    io::{self, Read, Seek, SeekFrom},
    panic,
    sync::Once,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::{
    cli,
    config::{self, Config, Sources},
    ids::{ArtifactId, RandomId},
    media::{
        Signing, SigningConfig, Standing,
        address::{CanonicalUrl, FetchPath, IgnoredQuery, MediaPath, Verb},
        audio::{self, Input, Kind, Parts as _},
        format::{Format, Headerless},
        freshness::{self, Decision, Freshness, RequestDirectives, Rules, Selection, Times},
        origin::{AllowedSources, SourcePattern},
        parts::{FramedParts, Framer},
        speech::{Manner, Markup, Percent, Speaker, Utterance, Wish, jambonz, split},
    },
    units::ByteCount,
};

/// A fuzz target: its name, and what it does with its input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by the name that `scripts/fuzz` knows it by.
pub const TARGETS: &[Target] = &[
    ("audio", audio),
    ("canonical_url", canonical_url),
    ("config_file", config_file),
    ("document", cli::fuzz_document),
    ("fetch_path", fetch_path),
    ("http_caching", http_caching),
    ("decode_adts", |data| audio::fuzz_kind(Kind::Adts, data)),
    ("decode_aiff", |data| audio::fuzz_kind(Kind::Aiff, data)),
    ("decode_au", |data| audio::fuzz_kind(Kind::Au, data)),
    ("decode_caf", |data| audio::fuzz_kind(Kind::Caf, data)),
    ("decode_headerless", audio::fuzz_headerless),
    ("declared_type", declared_type),
    ("decode_flac", |data| audio::fuzz_kind(Kind::Flac, data)),
    ("decode_mp3", |data| audio::fuzz_kind(Kind::Mp3, data)),
    ("decode_mp4", |data| audio::fuzz_kind(Kind::Mp4, data)),
    ("decode_ogg_flac", |data| audio::fuzz_kind(Kind::OggFlac, data)),
    ("decode_opus", |data| audio::fuzz_kind(Kind::OggOpus, data)),
    ("decode_vorbis", |data| audio::fuzz_kind(Kind::OggVorbis, data)),
    ("decode_wav", |data| audio::fuzz_kind(Kind::Wav, data)),
    ("decode_webm", |data| audio::fuzz_kind(Kind::WebM, data)),
    ("speech_text", speech_text),
];

/// Runs one target on one input. For the fuzzer: a panic in a dependency that ours contains is no finding, any other is one.
///
/// # Panics
/// The input is a finding, or there is no such target.
pub fn run(name: &str, data: &[u8]) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        // libFuzzer's own ends the process at every panic, also where it would be caught.
        let fatal = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !info.location().is_some_and(|place| place.file().contains("/registry/src/")) {
                fatal(info);
            }
        }));
    });
    let target = TARGETS.iter().find(|(target, _)| *target == name);
    assert!(target.is_some(), "no fuzz target {name:?}");
    if let Some((_, run)) = target {
        run(data);
    }
}

/// Any bytes as an audio file.
pub fn audio(data: &[u8]) {
    audio::fuzz(data);
    // The normal form is what the catalogue reads back.
    let text = String::from_utf8_lossy(data);
    if let Some(format) = Format::from_normal_form(&text) {
        assert_eq!(format.normal_form(), text, "a normal form has one spelling");
    }
}

/// Any bytes as what an origin or a caller declares a body to be.
pub fn declared_type(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (content_type, path) = text.split_once('\n').unwrap_or((&text, ""));
    let declared = [
        Headerless::declared(Some(content_type), path),
        Headerless::declared(None, path),
        Headerless::from_option(&text).ok(),
        Headerless::from_normal_form(&text),
    ];
    for headerless in declared.into_iter().flatten() {
        let (normal_form, content_type) = (headerless.to_string(), headerless.content_type());
        assert_eq!(Headerless::from_normal_form(&normal_form), Some(headerless), "read back what was written");
        assert_eq!(Headerless::from_option(&normal_form.replace(';', ":")), Ok(headerless), "an option's spelling");
        assert_eq!(Headerless::declared(Some(&content_type), ""), Some(headerless), "what we send we read back");
    }
}

/// Any bytes as the path of a request.
pub fn fetch_path(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (stem, extension) = text.rsplit_once('.').unwrap_or(("", &text));
    let options: Vec<(&str, &str)> = stem.split(',').filter_map(|option| option.split_once(':')).collect();
    if let Ok(format) = Format::parse(extension, &options) {
        assert!(format.answers_to(extension), "{format:?} does not answer to {extension:?}");
        assert_eq!(Format::from_normal_form(&format.normal_form()), Some(format), "read back what was written");
    }
    if let Ok(id) = text.parse::<ArtifactId>() {
        assert_eq!(id.to_string(), text, "an id has one spelling");
    }
    if let Ok(path) = MediaPath::parse(&text) {
        assert!(text.starts_with(&path.to_string()), "only a query may follow");
    }
    if let Ok(path) = FetchPath::parse(&text) {
        // Whatever it says of its end, it is a time or a mistake.
        path.expires().ok();
        for printed in [path.print(), path.print_plain_as(Verb::Fetch)].into_iter().flatten() {
            assert_eq!(FetchPath::parse(&printed).as_ref(), Ok(&path), "read back what was written");
        }
    }
    signed_path(&text);
}

/// A path that nobody signed is refused, one that was signed is not.
fn signed_path(text: &str) {
    let Ok(pair) = format!("{}:00", "0f".repeat(32)).parse() else { return };
    let Ok(signing) = Signing::new(&SigningConfig { keys: vec![pair], ..SigningConfig::default() }) else { return };
    assert_eq!(signing.standing(text), Standing::Refused, "signed by nobody");
    if text.len() < 16_384
        && let Some(signed) = signing.sign(text)
    {
        assert_eq!(signing.standing(&signed), Standing::Signed, "what was signed is signed");
    }
}

/// Any bytes as the fields of a request and, each behind a zero, of a response and of the 304 that confirms it.
pub fn http_caching(data: &[u8]) {
    let mut heads = data.split(|byte| *byte == 0).map(fields);
    let mut next = || heads.next().unwrap_or_default();
    let (request, response, not_modified) = (next(), next(), next());
    let (now, rules) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000), Rules::default());
    let kept = freshness::to_be_stored(&response);
    assert!(!kept.contains_key(header::CONNECTION), "what is for one connection is not kept");
    let may_be_kept = freshness::storable(&Method::GET, &request, StatusCode::OK, &response).is_ok();
    assert!(!may_be_kept || !RequestDirectives::of(&request).no_store, "the request forbids it");
    if let Some(selection) = Selection::of(&response, &request) {
        assert!(selection.answers(&request, &kept), "it answers the request that it came for");
        let text = serde_json::to_string(&selection).unwrap_or_default();
        assert_eq!(serde_json::from_str(&text).ok(), Some(selection), "read back what was written");
    }
    let known = Freshness::of(StatusCode::OK, &response, Times::at(now), &rules);
    let decision = known.decide(&RequestDirectives::of(&request), now);
    assert!(decision != Decision::Fresh || !known.fresh_for(now).is_zero(), "what is stale is not fresh");
    assert!(known.fresh_for(now).is_zero() || known.stale_for(now).is_zero(), "one or the other");
    let mut updated = kept;
    freshness::update(&mut updated, &not_modified);
    let once = updated.clone();
    freshness::update(&mut updated, &not_modified);
    assert_eq!(updated, once, "said twice is said once");
}

/// Lines as fields; what cannot be one is left out.
fn fields(lines: &[u8]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii())) {
            fields.append(name, value);
        }
    }
    fields
}

/// Any bytes as a text to speak, as a request of jambonz, as the record of speech, and as parts in a stream.
pub fn speech_text(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let bare = |text: &str| text.chars().filter(|character| !character.is_whitespace()).collect::<String>();
    let pieces = split(&text);
    assert_eq!(bare(&pieces.concat()), bare(&text), "nothing is lost and nothing moves");
    assert_eq!(pieces.is_empty(), text.trim().is_empty(), "what is there is spoken");
    if let Ok(asked) = jambonz::parse(data) {
        utterance(asked.wish.markup, &asked.text);
    }
    let options: Vec<(&str, &str)> = text.split(',').filter_map(|option| option.split_once(':')).collect();
    if let Ok((_, others)) = Wish::take(&options) {
        assert!(others.iter().all(|(name, _)| !Wish::OPTIONS.contains(name)), "each wish is taken");
    }
    utterance(Markup::Plain, &text);
    utterance(Markup::Ssml, &text);
    if let Ok(read) = Utterance::parse_record(&text) {
        assert_eq!(read.record(), text, "a record has one spelling");
    }
    if let Ok(read) = Utterance::parse(&text) {
        assert_eq!(read.to_text(), text, "a source has one spelling");
    }
    framed(data);
}

/// An utterance of a text is written and read back, and so are its pieces.
fn utterance(markup: Markup, text: &str) {
    let (engine, version, voice, language) = ("espeak-ng".into(), "1".into(), "en".into(), "en".into());
    let speed = Percent::new(u16::try_from(text.len() % 300).unwrap_or_default());
    let manner = Manner { speed, markup, ..Manner::default() };
    let Ok(made) = Utterance::new(Speaker { engine, version, voice, language }, manner, text, 20_000) else { return };
    assert_eq!(Utterance::parse(&made.to_text()).ok().as_ref(), Some(&made), "read back what was written");
    for piece in made.pieces() {
        let again = Utterance::new(piece.speaker().clone(), manner, piece.text(), 20_000);
        assert_eq!(again.ok(), Some(piece), "a piece is in canonical form");
    }
}

/// Any bytes as parts are parts or an error; what was framed comes out again.
fn framed(data: &[u8]) {
    let read = |stream: Vec<u8>| {
        let mut parts = FramedParts::new(Box::new(Whole(io::Cursor::new(stream))));
        let mut all = Vec::new();
        while let Some(mut part) = parts.next()? {
            let mut bytes = Vec::new();
            part.read_to_end(&mut bytes)?;
            all.push(bytes);
        }
        io::Result::Ok(all)
    };
    read(data.to_vec()).ok();
    let mut framer = Framer::default();
    let parts: Vec<Vec<u8>> = data.split(|byte| *byte == b'|').map(<[u8]>::to_vec).collect();
    let mut stream = Vec::new();
    for part in &parts {
        stream.extend(framer.begin(None));
        part.chunks(7).for_each(|block| stream.extend(framer.block(block)));
    }
    stream.extend(framer.end());
    assert_eq!(read(stream).ok(), Some(parts), "read back what was written");
}

/// An original that is all there.
struct Whole(io::Cursor<Vec<u8>>);

impl Read for Whole {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.read(room)
    }
}

impl Seek for Whole {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl Input for Whole {
    fn length(&self) -> Option<u64> {
        self.complete_length()
    }

    fn complete_length(&self) -> Option<u64> {
        Some(self.0.get_ref().len() as u64)
    }

    fn wait_complete(&mut self) -> io::Result<u64> {
        Ok(self.0.get_ref().len() as u64)
    }
}

/// Any bytes as the URL of a source.
pub fn canonical_url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(id) = text.parse::<RandomId>() {
        assert_eq!(id.to_string(), text, "an id has one spelling");
    }
    let ignored = IgnoredQuery::default();
    if let Ok(url) = CanonicalUrl::parse(&text, &ignored) {
        let again = CanonicalUrl::parse(url.as_str(), &ignored);
        assert_eq!(again.map(|again| again.key()).ok(), Some(url.key()), "the canonical form of itself");
        allowed_source(&url, &text);
    }
}

/// Any text as a pattern is one or a mistake; what a pattern lets pass is below it.
fn allowed_source(url: &CanonicalUrl, text: &str) {
    let admits = |pattern: &str| {
        let pattern = pattern.parse::<SourcePattern>();
        pattern.is_ok_and(|pattern| AllowedSources::new(&[pattern]).admits(url.fetch_url()))
    };
    admits(text);
    if admits("https://*.example.com/") {
        let host = url.fetch_url().host_str().unwrap_or_default();
        assert!(host.ends_with(".example.com") && url.origin() == format!("https://{host}"), "{url:?}");
    }
}

/// Any bytes as a configuration file.
pub fn config_file(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(count) = serde_json::from_value::<ByteCount>(serde_json::Value::from(&*text)) {
        let again = serde_json::from_value::<ByteCount>(serde_json::Value::from(count.to_string()));
        assert_eq!(again.ok(), Some(count), "read back what was written");
    }
    let environment = std::iter::once(("RINGBACK_MEDIA__FILL__GRACE".to_owned(), text.into_owned())).collect();
    let sources = Sources { file: None, environment, flags: Vec::new() };
    // Whatever it is, it is loaded or explained.
    if let Err(mistakes) = config::load::<Config>(&sources) {
        assert!(!mistakes.to_string().is_empty(), "a mistake without a word");
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::PathBuf};

    use proptest::prelude::{Just, any, prop, prop_oneof, proptest};

    use super::*;

    fn folder(name: &str) -> PathBuf {
        [env!("CARGO_MANIFEST_DIR"), "fuzz", name].iter().collect()
    }

    #[test]
    fn one_program_runs_every_target() {
        let names: BTreeSet<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), TARGETS.len(), "a name stands for two");
        let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
        assert!(manifest.contains("path = \"fuzz_targets/any.rs\""));
        let program = fs::read_to_string(folder("fuzz_targets").join("any.rs")).unwrap();
        assert!(program.contains("fuzz::run(TARGET"), "it runs what it is told to");
    }

    proptest! {
        /// What a fuzzer takes long to come upon: texts, requests and records that are nearly right.
        #[test]
        fn speech_that_is_nearly_right(
            text in "([A-Za-zü]{1,8}|[.!?,:…。]{1,2}|[ \n\r\t\u{a0}]|[\"'()<>/&]|<p>|</p>|<break/>|u\u{308}|\\PC){0,80}",
            record in "ringback-speech1\nengine=e\nversion=1\nvoice=[a-z ]{0,3}\nlanguage=\n(pitch=[0-9]{1,3}\n)?(speed=[0-9]{1,3}\n)?\n[a-z \n]{1,9}",
            kind in "text|ssml|other",
            bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(b'|'), any::<u8>()], 0..60),
        ) {
            speech_text(text.as_bytes());
            speech_text(record.as_bytes());
            speech_text(serde_json::json!({ "text": text, "type": kind, "voice": "en" }).to_string().as_bytes());
            speech_text(&bytes);
        }
    }

    /// `fuzz/regressions/TARGET/…`: inputs that fuzzing found.
    #[test]
    fn what_was_found_once_is_found_no_more() {
        for (name, target) in TARGETS {
            let Ok(found) = fs::read_dir(folder("regressions").join(name)) else { continue };
            for input in found {
                target(&fs::read(input.unwrap().path()).unwrap());
            }
        }
    }
}
