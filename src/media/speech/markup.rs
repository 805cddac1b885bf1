//! Which SSML is spoken. Pure.
//!
//! Engines read more than they should: espeak-ng opens the file that `<audio src="…">` names, and hands it to a shell where it is not of its
//! own rate; services fetch it. So only elements that change how words are spoken pass (`spec/wire.md` §4), wherever in the text they
//! stand: in a comment too, because engines do not agree on where a comment ends.

use super::SpeechError;

/// The elements that pass.
const ELEMENTS: [&str; 11] =
    ["speak", "break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w"];
/// Longest name of an element, in bytes: nothing longer is one of those.
const NAME_BYTES_MAX: usize = 16;
/// Most elements in one text.
const ELEMENTS_MAX: usize = 10_000;

/// Judges a text with markup.
///
/// # Errors
/// [`SpeechError::BadMarkup`].
pub(super) fn check(text: &str) -> Result<(), SpeechError> {
    let bad = |what| SpeechError::BadMarkup { what };
    let mut words = false;
    let mut rest = text;
    for _ in 0..ELEMENTS_MAX {
        let Some((before, after)) = rest.split_once('<') else {
            words |= !rest.trim().is_empty();
            return if words { Ok(()) } else { Err(SpeechError::Empty) };
        };
        words |= !before.trim().is_empty();
        if before.contains('>') {
            return Err(bad("a > stands by itself; spell it &gt;"));
        }
        if !passes(after) {
            return Err(bad(
                "only these elements are spoken: speak break emphasis lang p phoneme prosody s say-as sub w",
            ));
        }
        let (_, behind) = after.split_once('>').ok_or_else(|| bad("an element has no end"))?;
        rest = behind;
    }
    Err(bad("it has too many elements"))
}

/// Whether what stands behind a `<` is one of the elements, or the declaration at the beginning of XML.
fn passes(after: &str) -> bool {
    if let Some((declaration, _)) = after.strip_prefix("?xml").and_then(|rest| rest.split_once('>')) {
        return declaration.starts_with([' ', '?']) && !declaration.contains('<');
    }
    let name = after.strip_prefix('/').unwrap_or(after);
    let end =
        name.bytes().take(NAME_BYTES_MAX).position(|byte| byte == b'/' || byte == b'>' || byte.is_ascii_whitespace());
    let Some((name, tag)) = end.and_then(|end| name.split_at_checked(end)) else { return false };
    // A bracket inside a tag would be another one to whoever reads less strictly.
    let inside = tag.split('>').next().unwrap_or_default();
    ELEMENTS.contains(&name) && !inside.contains('<')
}
