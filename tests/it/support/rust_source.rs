//! Just enough reading of Rust to know which modules a file names: comments and literals are blanked, what is left is cut
//! into tokens, and paths that begin with `crate` or `super` are followed through their braces.

use std::{
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

/// A path that a file names, with `crate` or `super` as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedPath {
    /// Line in the file, from 1.
    pub(crate) line: usize,
    /// Segments, for example `["crate", "media", "Media"]`.
    pub(crate) segments: Vec<String>,
    /// Whether it stands under `#[cfg(test)]`.
    pub(crate) is_test: bool,
}

/// Every `.rs` file under `directory`, sorted.
pub(crate) fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The paths in `source` whose first segment is one of `roots`.
pub(crate) fn named_paths(source: &str, roots: &[&str]) -> Vec<NamedPath> {
    let code = without_comments_and_literals(source);
    let tokens = tokens(&code);
    let test_code = test_regions(&tokens);
    let mut found = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let continues_a_path = i > 0 && tokens[i - 1].text == "::";
        let begins_a_path = tokens.get(i + 1).is_some_and(|next| next.text == "::");
        if roots.contains(&token.text) && begins_a_path && !continues_a_path {
            let is_test = test_code.iter().any(|region| region.contains(&i));
            let leaf = |line, segments| found.push(NamedPath { line, segments, is_test });
            Tree { tokens: &tokens, position: i, leaf }.walk(&[]);
        }
    }
    found
}

/// The same text with comments, strings and characters turned to spaces; lines stay where they are.
pub(crate) fn without_comments_and_literals(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = bytes.to_vec();
    let mut i = 0;
    while i < bytes.len() {
        let end = literal_end(bytes, i);
        for byte in &mut out[i..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        i = end.max(i + 1);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Where the comment or literal that starts at `i` ends; `i` itself if none does.
fn literal_end(bytes: &[u8], i: usize) -> usize {
    let rest = &bytes[i..];
    let in_word = i > 0 && is_word(bytes[i - 1]);
    let up_to = |end: &[u8], from: usize| {
        rest[from..].windows(end.len()).position(|window| window == end).map_or(bytes.len(), |at| i + from + at)
    };
    if rest.starts_with(b"//") {
        return up_to(b"\n", 0);
    }
    if rest.starts_with(b"/*") {
        return block_comment_end(bytes, i);
    }
    if rest[0] == b'"' {
        return string_end(bytes, i);
    }
    if (rest[0] == b'r' || rest.starts_with(b"br")) && !in_word {
        let start = if rest[0] == b'b' { 2 } else { 1 };
        let hashes = rest[start..].iter().take_while(|byte| **byte == b'#').count();
        if rest.get(start + hashes) == Some(&b'"') {
            let end = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
            return (up_to(&end, start + hashes + 1) + end.len()).min(bytes.len());
        }
    }
    if rest[0] == b'\'' {
        // A lifetime has no closing quote after one character.
        if rest.get(1) == Some(&b'\\') {
            return (up_to(b"'", 3) + 1).min(bytes.len());
        }
        let character = String::from_utf8_lossy(&rest[1..rest.len().min(5)]).chars().next();
        let length = character.map_or(1, char::len_utf8);
        if rest.get(1 + length) == Some(&b'\'') {
            return i + length + 2;
        }
    }
    i
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut i = start + 1;
    while i < bytes.len() && bytes[i] != b'"' {
        i += if bytes[i] == b'\\' { 2 } else { 1 };
    }
    (i + 1).min(bytes.len())
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut i = start;
    while i < bytes.len() {
        match &bytes[i..] {
            [b'/', b'*', ..] => (depth, i) = (depth + 1, i + 2),
            [b'*', b'/', ..] => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

struct Token<'a> {
    text: &'a str,
    line: usize,
}

fn tokens(code: &str) -> Vec<Token<'_>> {
    let bytes = code.as_bytes();
    let mut tokens = Vec::new();
    let (mut i, mut line) = (0, 1);
    while i < bytes.len() {
        let start = i;
        if is_word(bytes[i]) {
            while i < bytes.len() && is_word(bytes[i]) {
                i += 1;
            }
        } else if bytes[i..].starts_with(b"::") {
            i += 2;
        } else {
            i += 1;
        }
        match bytes[start] {
            b'\n' => line += 1,
            byte if byte.is_ascii_whitespace() => {}
            _ => tokens.push(Token { text: &code[start..i], line }),
        }
    }
    tokens
}

/// Token ranges of items under `#[cfg(test)]`.
fn test_regions(tokens: &[Token<'_>]) -> Vec<Range<usize>> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let starts = tokens.windows(ATTRIBUTE.len()).enumerate();
    let starts = starts.filter(|(_, window)| window.iter().map(|token| token.text).eq(ATTRIBUTE)).map(|(i, _)| i);
    starts.map(|start| start..item_end(tokens, start + ATTRIBUTE.len())).collect()
}

/// An item ends with a semicolon, or with the brace that closes its first one. `use a::{b};` ends with either, to no harm.
fn item_end(tokens: &[Token<'_>], start: usize) -> usize {
    let mut depth = 0_usize;
    for (i, token) in tokens.iter().enumerate().skip(start) {
        match token.text {
            "{" => depth += 1,
            "}" if depth <= 1 => return i,
            "}" => depth -= 1,
            ";" if depth == 0 => return i,
            _ => {}
        }
    }
    tokens.len()
}

/// Follows one path, braces and all.
struct Tree<'a, F> {
    tokens: &'a [Token<'a>],
    position: usize,
    leaf: F,
}

impl<F: FnMut(usize, Vec<String>)> Tree<'_, F> {
    fn peek(&self) -> &str {
        self.tokens.get(self.position).map_or("", |token| token.text)
    }

    /// Reads the tree at the current position and leaves the position behind it.
    fn walk(&mut self, prefix: &[String]) {
        let line = self.tokens.get(self.position).map_or(0, |token| token.line);
        if self.peek() == "{" {
            self.position += 1;
            while !matches!(self.peek(), "}" | "") {
                let before = self.position;
                self.walk(prefix);
                while !matches!(self.peek(), "," | "}" | "") {
                    self.position += 1;
                }
                if self.peek() == "," || self.position == before {
                    self.position += 1;
                }
            }
            self.position += 1;
            return;
        }
        let mut path = prefix.to_vec();
        if self.peek().bytes().next().is_some_and(is_word) {
            path.push(self.peek().to_owned());
            self.position += 1;
            if self.peek() == "::" {
                self.position += 1;
                return self.walk(&path);
            }
        }
        (self.leaf)(line, path);
    }
}
