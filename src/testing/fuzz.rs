//! Entries of the fuzz targets: one plain function each, so that every ordinary build compiles them and a test can replay
//! an input that was once found. None of them may panic, hang or allocate without limit, whatever the bytes are.

use crate::{
    config::{self, Config, Sources},
    ids::{ArtifactId, RandomId},
    media::{
        address::{CanonicalUrl, FetchPath, IgnoredQuery, MediaPath},
        audio,
        format::Format,
    },
    units::ByteCount,
};

/// Any bytes as an audio file.
pub fn audio(data: &[u8]) {
    audio::fuzz(data);
    // The normal form is what the catalogue reads back.
    let text = String::from_utf8_lossy(data);
    if let Some(format) = Format::from_normal_form(&text) {
        assert_eq!(format.normal_form(), text, "a normal form has one spelling");
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
    if let Ok(path) = FetchPath::parse(&text)
        && let Ok(printed) = path.print()
    {
        assert_eq!(FetchPath::parse(&printed).as_ref(), Ok(&path), "read back what was written");
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
