#![deny(clippy::indexing_slicing, reason = "these parse what strangers send")]

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};

use super::directives::split_outside_quotes;
use crate::ids::BodyDigest;

/// Fields that carry credentials: they are known by their digest, too.
const SECRETS: [HeaderName; 3] = [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE];
/// Longer values are known by their digest.
const VALUE_BYTES_MAX: usize = 256;

/// The fields of a request that chose among an address's responses, as `Vary` named them, each with its value in normal form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Selection(Vec<(String, Option<String>)>);

impl Selection {
    /// What `request` asked for, of what `response` says it was chosen by. None where `Vary` names `*` or what is no field: then
    /// there is no telling which requests it answers.
    pub fn of(response: &HeaderMap, request: &HeaderMap) -> Option<Selection> {
        let mut names = Vec::new();
        for value in response.get_all(header::VARY) {
            let text = value.to_str().ok()?;
            for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                // `*` is a token, so that it would pass for a name.
                let name = Some(name).filter(|name| *name != "*")?;
                names.push(name.parse::<HeaderName>().ok()?);
            }
        }
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        Some(Selection(names.iter().map(|name| (name.as_str().to_owned(), normal_form(name, request))).collect()))
    }

    /// Whether a response that was chosen so answers `request` (RFC 9111 §4.1). `response` are its headers.
    pub fn answers(&self, request: &HeaderMap, response: &HeaderMap) -> bool {
        self.0.iter().all(|(name, selected)| {
            let Ok(name) = name.parse::<HeaderName>() else { return false };
            normal_form(&name, request) == *selected
                || (name == header::ACCEPT_LANGUAGE && is_in_preferred_language(request, response))
        })
    }

    /// Bytes that it takes, about.
    pub fn weight(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.0.iter().map(|pair| size_of_val(pair) + pair.0.len() + text(&pair.1)).sum()
    }
}

/// A field's lines in one, without the spaces that lists may have around their commas. Where the order of a list says nothing, as
/// with preferences, it is sorted.
fn normal_form(name: &HeaderName, request: &HeaderMap) -> Option<String> {
    if !request.contains_key(name) {
        return None;
    }
    let lines: Vec<String> = request.get_all(name).iter().map(|value| latin1(value.as_bytes())).collect();
    // What is written down must be of no use to whoever reads it.
    if SECRETS.contains(name) || request.get_all(name).iter().any(HeaderValue::is_sensitive) {
        return Some(BodyDigest::of(lines.join("\n").as_bytes()).to_string());
    }
    let items = lines.iter().flat_map(|line| split_outside_quotes(line, ',')).map(str::trim);
    let items = items.filter(|item| !item.is_empty());
    if !matches!(*name, header::ACCEPT_LANGUAGE | header::ACCEPT_ENCODING | header::ACCEPT_CHARSET) {
        return Some(bounded(items.collect::<Vec<_>>().join(",")));
    }
    let mut preferences: Vec<Preference> = items.map(Preference::of).collect();
    preferences.sort_by(|a, b| b.thousandths.cmp(&a.thousandths).then_with(|| a.what.cmp(&b.what)));
    let written = preferences.iter().map(|preference| format!("{};q={}", preference.what, preference.thousandths));
    Some(bounded(written.collect::<Vec<_>>().join(",")))
}

/// A value of any length in few bytes: callers send what they like, and it is kept with the response.
fn bounded(value: String) -> String {
    if value.len() <= VALUE_BYTES_MAX { value } else { format!("sha256:{}", BodyDigest::of(value.as_bytes())) }
}

/// One of a list of preferences (RFC 9110 §12.4.2).
struct Preference {
    what: String,
    thousandths: u16,
}

impl Preference {
    /// A weight that cannot be read counts as none at all, and stays part of what is asked for.
    fn of(item: &str) -> Preference {
        let weighted = item.split_once(';').and_then(|(what, parameter)| {
            let (name, value) = parameter.split_once('=')?;
            let thousandths = thousandths(value.trim()).filter(|_| name.trim().eq_ignore_ascii_case("q"))?;
            Some(Preference { what: what.trim().to_ascii_lowercase(), thousandths })
        });
        weighted.unwrap_or_else(|| Preference { what: item.to_ascii_lowercase(), thousandths: 1000 })
    }
}

/// A qvalue: nought to one with up to three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let fits = decimals.len() <= 3 && decimals.bytes().all(|b| b.is_ascii_digit());
    let decimals: u16 = format!("{decimals:0<3}").parse().ok().filter(|_| fits)?;
    match whole {
        "0" => Some(decimals),
        "1" if decimals == 0 => Some(1000),
        _ => None,
    }
}

/// Whether the one language that a request wants most is the one that the response is in: then its origin, which has it, would choose
/// it again.
fn is_in_preferred_language(request: &HeaderMap, response: &HeaderMap) -> bool {
    let mut languages = response.get_all(header::CONTENT_LANGUAGE).iter();
    let (Some(language), None) = (languages.next().and_then(|value| value.to_str().ok()), languages.next()) else {
        return false;
    };
    let lines = request.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
    let wanted: Vec<Preference> =
        lines.flat_map(|line| line.split(',')).map(|item| Preference::of(item.trim())).collect();
    let Some(most) = wanted.iter().map(|preference| preference.thousandths).max() else { return false };
    let mut most_wanted = wanted.iter().filter(|preference| preference.thousandths == most);
    match (most_wanted.next(), most_wanted.next()) {
        (Some(preference), None) => most > 0 && preference.what.eq_ignore_ascii_case(language.trim()),
        _ => false,
    }
}

/// Bytes as text, one character each, so that nothing is lost and nothing can fail.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
