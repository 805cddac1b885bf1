//! A text in sentences, so that each is kept and shared by itself and the first is heard at once. Pure.
//!
//! It knows no language and errs on the side of not splitting: two sentences in one piece sound right, half a sentence does not. Nothing but
//! white space between pieces is lost, and nothing changes its place. Another way of splitting makes other audio of the same record: whoever
//! changes it raises the number of the record's form.

use std::ops::Range;

/// Characters beyond which a sentence is cut where it can be: a minute of speech is too much to wait for, or to keep as one.
pub(super) const SENTENCE_CHARS_MAX: usize = 400;
/// Characters beyond which the first sentence is cut at a clause: nothing is heard before a service has spoken all of a piece.
pub(super) const FIRST_CHARS_MAX: usize = 160;
/// Characters that are worth a piece of their own at the beginning.
const FIRST_CHARS_MIN: usize = 40;
/// Most pieces of a text that are not put together again: each costs a request or a process.
pub(super) const PIECES_MAX: usize = 1_000;

/// Words before a full stop that ends no sentence, in lower case: titles and such, in the languages of most prompts.
const ABBREVIATIONS: &[&str] = &[
    "adj", "approx", "apt", "ave", "blvd", "bzw", "ca", "capt", "cf", "col", "dept", "dipl", "dott", "dr", "dra",
    "est", "evtl", "fr", "gen", "ggf", "gov", "hon", "hr", "incl", "ing", "inkl", "lt", "mag", "maj", "max", "mio",
    "mlle", "mme", "mr", "mrs", "mrd", "ms", "mt", "pres", "prof", "rep", "rev", "sen", "sgt", "sr", "sra", "srta",
    "sta", "ste", "str", "st", "vgl", "vs",
];
/// Words that are abbreviations only where a number follows: "No. 5", "Jan. 3".
const BEFORE_NUMBERS: &[&str] = &[
    "abs", "apr", "art", "aug", "bd", "dec", "dez", "ext", "feb", "fig", "jan", "jul", "jun", "kap", "mar", "no",
    "nos", "nov", "nr", "núm", "oct", "okt", "op", "pp", "sec", "sep", "sept", "tel", "vol",
];

/// The sentences of a text, in order, without white space around them; one at least where there is any text.
///
/// **Shape** What is left of the pieces without white space is the text without white space. A piece has at most 400 characters, besides
/// what has neither letters nor digits. Over a thousand pieces are put together again, as far as they fit.
pub fn split(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    for sentence in sentences(text) {
        let most = if pieces.is_empty() { Some(FIRST_CHARS_MAX) } else { None };
        cut(text, sentence, most, &mut pieces);
    }
    let mut pieces = with_words(text, pieces);
    if PIECES_MAX < pieces.len() {
        pieces = together(text, pieces);
    }
    pieces.into_iter().filter_map(|range| text.get(range)).collect()
}

/// Where sentences begin and end, without white space around them.
fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let is_break = match character {
            '\n' => true,
            _ if is_stop(character) => {
                let mut end = at + character.len_utf8();
                let mut is_wide = is_wide_stop(character);
                // "?!", "...", and what closes behind it.
                while let Some((next, more)) = characters.next_if(|(_, next)| is_stop(*next) || is_closer(*next)) {
                    end = next + more.len_utf8();
                    is_wide |= is_wide_stop(more);
                }
                let (before, stop, after) = (text.get(start..at), text.get(at..end), text.get(end..));
                is_wide
                    || ends_sentence(before.unwrap_or_default(), stop.unwrap_or_default(), after.unwrap_or_default())
            }
            _ => false,
        };
        if is_break {
            let end = characters.peek().map_or(text.len(), |(next, _)| *next);
            push(text, start..end, &mut found);
            start = end;
        }
    }
    push(text, start..text.len(), &mut found);
    found
}

/// Whether a stop of the kind that Latin, Greek and Cyrillic texts have is the end of a sentence.
fn ends_sentence(before: &str, stop: &str, after: &str) -> bool {
    // Decimals, times, names of hosts.
    if !after.is_empty() && !after.starts_with(char::is_whitespace) {
        return false;
    }
    let next = after.chars().find(|character| !character.is_whitespace() && !is_opener(*character));
    // "What?" he asked.
    if next.is_some_and(char::is_lowercase) {
        return false;
    }
    if !stop.starts_with('.') || stop.starts_with("..") || stop.contains(['!', '?']) {
        return true;
    }
    let is_joined = |character: char| matches!(character, '.' | ',' | ':' | '/' | '\'' | '’');
    let word = before.rsplit(|character: char| !character.is_alphanumeric() && !is_joined(character)).next();
    let word = word.unwrap_or_default().trim_start_matches(['\'', '’']);
    match word.rsplit_once([',', ':', '/']) {
        // A time, a fraction.
        Some((_, last)) if last.starts_with(char::is_numeric) => true,
        Some((_, last)) => !is_abbreviation(last, next),
        None => !is_abbreviation(word, next),
    }
}

/// Whether what stands before a full stop is short for something, or a number in a row.
fn is_abbreviation(word: &str, next: Option<char>) -> bool {
    let mut characters = word.chars();
    if word.is_empty() {
        return false;
    }
    if let (Some(only), None) = (characters.next(), characters.next()) {
        // Initials, "z. B.", and "3. Mai" beside "press 3.": in doubt no sentence ends.
        return only.is_lowercase() || only.is_uppercase() || only.is_numeric();
    }
    if word.chars().all(char::is_numeric) {
        return word.chars().count() <= 2;
    }
    if word.contains('.') {
        // "e.g", "p.m", "U.S": none of its parts is a word.
        return word.split('.').all(|part| part.chars().count() <= 2 && part.chars().all(char::is_alphabetic));
    }
    let word = word.to_lowercase();
    ABBREVIATIONS.contains(&word.as_str())
        || (BEFORE_NUMBERS.contains(&word.as_str()) && next.is_some_and(char::is_numeric))
}

/// Cuts what is too long: at a clause, else between words, else anywhere. `most` is for the first piece, which is cut at a clause only.
fn cut(text: &str, sentence: Range<usize>, most: Option<usize>, pieces: &mut Vec<Range<usize>>) {
    let mut rest = sentence;
    if let Some(most) = most
        && let Some(at) = last_clause(text, rest.clone(), FIRST_CHARS_MIN, most)
    {
        push(text, rest.start..at, pieces);
        rest.start = at;
    }
    while let Some(most) = nth_char(text, rest.clone(), SENTENCE_CHARS_MAX) {
        let at = last_clause(text, rest.clone(), 1, SENTENCE_CHARS_MAX)
            .or_else(|| last_space(text, rest.start..most))
            .unwrap_or(most);
        push(text, rest.start..at, pieces);
        rest.start = at;
    }
    push(text, rest, pieces);
}

/// Behind the last mark of a clause that leaves `least` to `most` characters before it, if there are more than `most`.
fn last_clause(text: &str, range: Range<usize>, least: usize, most: usize) -> Option<usize> {
    let end = nth_char(text, range.clone(), most)?;
    let least = nth_char(text, range.clone(), least)?;
    let looked_at = text.get(range.start..end)?;
    looked_at.char_indices().rev().find_map(|(at, mark)| {
        let at = range.start + at + mark.len_utf8();
        let is_end = match mark {
            '、' | '，' | '；' | '：' | '،' | '؛' => true,
            ',' | ';' | ':' | '—' | '–' => text.get(at..)?.starts_with(char::is_whitespace),
            _ => false,
        };
        (is_end && least <= at).then_some(at)
    })
}

/// Where the last white space begins that has something before it.
fn last_space(text: &str, range: Range<usize>) -> Option<usize> {
    let at = text.get(range.clone())?.rfind(char::is_whitespace)?;
    (0 < at).then_some(range.start + at)
}

/// Where the character of this number begins, counted from 0, if there is one.
fn nth_char(text: &str, range: Range<usize>, count: usize) -> Option<usize> {
    let start = range.start;
    text.get(range)?.char_indices().nth(count).map(|(at, _)| start + at)
}

/// Lets pieces without a letter or digit stand with the one before them, or behind the first with the one that follows.
fn with_words(text: &str, pieces: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let has_words =
        |range: &Range<usize>| text.get(range.clone()).is_some_and(|piece| piece.contains(char::is_alphanumeric));
    let mut kept: Vec<Range<usize>> = Vec::new();
    for piece in pieces {
        match kept.last_mut() {
            Some(last) if !has_words(&piece) || !has_words(last) => last.end = piece.end,
            _ => kept.push(piece),
        }
    }
    kept
}

/// Puts neighbours together as long as they fit the length of one sentence.
fn together(text: &str, pieces: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut kept: Vec<Range<usize>> = Vec::new();
    for piece in pieces {
        match kept.last_mut() {
            Some(last) if nth_char(text, last.start..piece.end, SENTENCE_CHARS_MAX).is_none() => last.end = piece.end,
            _ => kept.push(piece),
        }
    }
    kept
}

/// Notes what is left of a stretch without white space around it.
fn push(text: &str, range: Range<usize>, pieces: &mut Vec<Range<usize>>) {
    let Some(piece) = text.get(range.clone()) else { return };
    let start = range.start + (piece.len() - piece.trim_start().len());
    let length = piece.trim().len();
    if 0 < length {
        pieces.push(start..start + length);
    }
}

fn is_stop(character: char) -> bool {
    matches!(character, '.' | '!' | '?' | '…' | '‼' | '⁇' | '⁈' | '⁉') || is_wide_stop(character)
}

/// Stops that end a sentence whatever follows: of scripts that put no space behind them, or have no other use for them.
fn is_wide_stop(character: char) -> bool {
    matches!(character, '。' | '！' | '？' | '｡' | '．' | '।' | '॥' | '؟' | '۔' | '։' | '።' | '។' | '။')
}

fn is_closer(character: char) -> bool {
    matches!(
        character,
        '"' | '\''
            | '”'
            | '’'
            | '»'
            | '›'
            | '«'
            | '‹'
            | '“'
            | ')'
            | ']'
            | '}'
            | '」'
            | '』'
            | '）'
            | '】'
            | '〉'
            | '》'
    )
}

fn is_opener(character: char) -> bool {
    matches!(
        character,
        '"' | '\''
            | '“'
            | '‘'
            | '„'
            | '‚'
            | '«'
            | '‹'
            | '('
            | '['
            | '{'
            | '¿'
            | '¡'
            | '-'
            | '–'
            | '—'
            | '「'
            | '『'
            | '（'
    )
}
