//! The path that names a remote source, or a text, and what to make of it:
//!
//! ```text
//! /say/{signature}/{options}/{base64url(text)}.{ext}, and the same with plain/ as for sources
//! /fetch/{signature}/{options}/{base64url(source)}.{ext}
//! /fetch/{signature}/{options}/plain/{percent-escaped source}.{ext}
//! ```
//!
//! `{signature}` is `_` (or `unsafe`) where none is needed; `{options}` is `-` or `name:value,name:value`. The base64url
//! text may be split by `/` and padded. The extension starts at the last dot, and chooses the format.
//!
//! Two options are about the address and not about the audio, so that they are in no name that lasts: `expires`, when it ends,
//! and `k`, whose key signed it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::error::AddressError;

/// The signature part of a path that is not signed.
pub const UNSIGNED: &str = "_";
/// The option that says when the address ends, in seconds of the Unix epoch.
pub const EXPIRES: &str = "expires";
/// The option that names the key of the signature.
pub const KEY: &str = "k";

/// What the path of a source or of a text begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// The source is at an address.
    Fetch,
    /// The source is a text that is spoken.
    Say,
}

impl Verb {
    /// As it stands in paths.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verb::Fetch => "fetch",
            Verb::Say => "say",
        }
    }

    const fn shape(self) -> &'static str {
        match self {
            Verb::Fetch => {
                "/fetch/{signature}/{options}/{base64url(url)}.{ext} or /fetch/{signature}/{options}/plain/{url}.{ext}"
            }
            Verb::Say => {
                "/say/{signature}/{options}/{base64url(text)}.{ext} or /say/{signature}/{options}/plain/{text}.{ext}"
            }
        }
    }
}

/// Longest path that is minted, in characters. Some clients keep whole addresses in 1 000 bytes; with up to 128 for the
/// public URL in front, 900 are not passed.
const MINTED_CHARS_MAX: usize = 900 - 128;
/// base64url of an HMAC-SHA512 has 86.
const SIGNATURE_CHARS_MAX: usize = 128;
/// What is escaped in a plain source: all but the unreserved characters of RFC 3986 §2.3.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const OPTIONS_MAX: usize = 16;
const OPTIONS_CHARS_MAX: usize = 512;
const EXTENSION_CHARS_MAX: usize = 16;

/// The parts of a `/fetch` path, decoded but not judged: whether signature, options, source and extension mean anything
/// is for others to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPath {
    /// As received; see [`is_unsigned`]. Whether it is right was judged before the path was read.
    pub signature: String,
    /// Names and values in the order given.
    pub options: Vec<(String, String)>,
    /// The source's URL as text, or the text itself.
    pub source: String,
    /// Extension without its dot.
    pub extension: String,
}

impl FetchPath {
    /// An unsigned path without options.
    pub fn unsigned(source: &str, extension: &str) -> FetchPath {
        FetchPath {
            signature: UNSIGNED.to_owned(),
            options: Vec::new(),
            source: source.to_owned(),
            extension: extension.to_owned(),
        }
    }

    /// Reads a request's path as received, percent-escapes and all; a query is ignored.
    ///
    /// # Errors
    /// Which part has not the form that the grammar asks for.
    pub fn parse(raw_path: &str) -> Result<FetchPath, AddressError> {
        FetchPath::parse_as(Verb::Fetch, raw_path)
    }

    /// The same for a path of this verb.
    ///
    /// # Errors
    /// Which part has not the form that the grammar asks for.
    pub fn parse_as(verb: Verb, raw_path: &str) -> Result<FetchPath, AddressError> {
        let shape = || AddressError::Shape { expected: verb.shape() };
        let path = without_query(raw_path).strip_prefix('/').and_then(|path| path.strip_prefix(verb.as_str()));
        let rest = path.and_then(|path| path.strip_prefix('/')).ok_or_else(shape)?;
        let (signature, rest) = rest.split_once('/').ok_or_else(shape)?;
        let (options, rest) = rest.split_once('/').ok_or_else(shape)?;
        if !is_signature(signature) {
            return Err(AddressError::Signature);
        }
        let (source, extension) = rest.rsplit_once('.').ok_or(AddressError::Extension)?;
        if !is_extension(extension) {
            return Err(AddressError::Extension);
        }
        let source = match source.strip_prefix("plain/") {
            Some(escaped) => decode_plain(escaped)?,
            None => decode_base64(source)?,
        };
        Ok(FetchPath {
            signature: signature.to_owned(),
            options: parse_options(options)?,
            source,
            extension: extension.to_owned(),
        })
    }

    /// Options as the format table takes them: those about the audio.
    pub fn option_pairs(&self) -> Vec<(&str, &str)> {
        let pairs = self.options.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        pairs.filter(|(name, _)| !matches!(*name, EXPIRES | KEY)).collect()
    }

    /// When the address ends, where it does.
    ///
    /// # Errors
    /// [`AddressError::Expires`].
    pub fn expires(&self) -> Result<Option<SystemTime>, AddressError> {
        let mut said = self.options.iter().filter(|(name, _)| name == EXPIRES).map(|(_, value)| value);
        let Some(text) = said.next() else { return Ok(None) };
        let seconds = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let ends = seconds.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        match (ends, said.next()) {
            (Some(ends), None) => Ok(Some(ends)),
            _ => Err(AddressError::Expires),
        }
    }

    /// The path, in its base64url form: no dot but the extension's, and nothing that a proxy might rewrite.
    ///
    /// # Errors
    /// [`AddressError::TooLongToMint`] where clients would cut it; the part that could not be read back.
    pub fn print(&self) -> Result<String, AddressError> {
        self.print_as(Verb::Fetch)
    }

    /// The same for a path of this verb.
    ///
    /// # Errors
    /// As [`print`](FetchPath::print).
    pub fn print_as(&self, verb: Verb) -> Result<String, AddressError> {
        self.print_with(verb, &URL_SAFE_NO_PAD.encode(&self.source))
    }

    /// The same in its other form, which people can read.
    ///
    /// # Errors
    /// As [`print`](FetchPath::print).
    pub fn print_plain_as(&self, verb: Verb) -> Result<String, AddressError> {
        self.print_with(verb, &format!("plain/{}", utf8_percent_encode(&self.source, ESCAPED)))
    }

    fn print_with(&self, verb: Verb, source: &str) -> Result<String, AddressError> {
        if !is_signature(&self.signature) {
            return Err(AddressError::Signature);
        }
        if !is_extension(&self.extension) {
            return Err(AddressError::Extension);
        }
        if self.source.is_empty() {
            return Err(AddressError::SourceCoding { expected: "text" });
        }
        let options = print_options(&self.options)?;
        let path = format!("/{}/{}/{options}/{source}.{}", verb.as_str(), self.signature, self.extension);
        if path.len() > MINTED_CHARS_MAX {
            return Err(AddressError::TooLongToMint { length: path.len(), max: MINTED_CHARS_MAX });
        }
        Ok(path)
    }
}

/// Whether a signature part says that there is none.
pub fn is_unsigned(signature: &str) -> bool {
    matches!(signature, UNSIGNED | "unsafe")
}

/// The path without what routers and players append.
pub fn without_query(raw_path: &str) -> &str {
    raw_path.split_once('?').map_or(raw_path, |(path, _)| path)
}

/// Whether this could be an extension: whether it is one, the format table says.
pub fn is_extension(text: &str) -> bool {
    (1..=EXTENSION_CHARS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn is_signature(text: &str) -> bool {
    (1..=SIGNATURE_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn decode_plain(escaped: &str) -> Result<String, AddressError> {
    let expected = "percent-escaped UTF-8 text";
    let text = percent_decode_str(escaped).decode_utf8().map_err(|_| AddressError::SourceCoding { expected })?;
    if text.is_empty() { Err(AddressError::SourceCoding { expected }) } else { Ok(text.into_owned()) }
}

fn decode_base64(text: &str) -> Result<String, AddressError> {
    let refuse = || AddressError::SourceCoding { expected: "base64url of UTF-8 text" };
    // Padding may arrive escaped; nothing else in base64url is ever escaped.
    let joined = text.replace("%3D", "=").replace("%3d", "=").replace('/', "");
    let bytes = URL_SAFE_NO_PAD.decode(joined.trim_end_matches('=')).map_err(|_| refuse())?;
    String::from_utf8(bytes).ok().filter(|text| !text.is_empty()).ok_or_else(refuse)
}

fn parse_options(text: &str) -> Result<Vec<(String, String)>, AddressError> {
    if text == "-" {
        return Ok(Vec::new());
    }
    if text.len() > OPTIONS_CHARS_MAX {
        return Err(AddressError::Options { what: "too long" });
    }
    let mut options = Vec::new();
    for option in text.split(',') {
        let (name, value) = option.split_once(':').ok_or(AddressError::Options { what: "no colon" })?;
        check_option(name, value)?;
        if options.len() == OPTIONS_MAX {
            return Err(AddressError::Options { what: "too many" });
        }
        options.push((name.to_owned(), value.to_owned()));
    }
    Ok(options)
}

fn print_options(options: &[(String, String)]) -> Result<String, AddressError> {
    if options.is_empty() {
        return Ok("-".to_owned());
    }
    if options.len() > OPTIONS_MAX {
        return Err(AddressError::Options { what: "too many" });
    }
    let mut texts = Vec::with_capacity(options.len());
    for (name, value) in options {
        check_option(name, value)?;
        texts.push(format!("{name}:{value}"));
    }
    let text = texts.join(",");
    if text.len() > OPTIONS_CHARS_MAX { Err(AddressError::Options { what: "too long" }) } else { Ok(text) }
}

/// Values are kept to characters that mean the same raw and escaped, so that an address has one spelling.
fn check_option(name: &str, value: &str) -> Result<(), AddressError> {
    let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !named {
        return Err(AddressError::Options { what: "a name is not lower-case letters and digits" });
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b'+' | b':');
    if value.is_empty() || !value.bytes().all(plain) {
        return Err(AddressError::Options {
            what: "a value is empty or has other characters than letters, digits and -_.~+:",
        });
    }
    Ok(())
}
