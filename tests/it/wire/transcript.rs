//! What was said on the wire, kept in `fixtures/http`.
//!
//! What another run has otherwise is replaced: the node's and the origin's ports, names made of digests, dates, and seconds that passed.

use std::{fmt::Write as _, fs, path::PathBuf};

use super::Stand;
use crate::support::{setting, wire::Reply};

/// What a client and nodes said.
pub(super) struct Transcript {
    client: &'static str,
    text: String,
}

impl Transcript {
    pub(super) fn new(client: &'static str) -> Transcript {
        Transcript { client, text: String::new() }
    }

    /// What comes now.
    pub(super) fn title(&mut self, title: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        writeln!(self.text, "# {title}").unwrap();
    }

    /// A request, whole, and of its answer what the client reads.
    pub(super) fn exchange(&mut self, stand: &Stand, request: &str, reply: &Reply, reads: &[&str]) {
        for line in request.trim_end().split("\r\n") {
            writeln!(self.text, "> {}", lasting(stand, line)).unwrap();
        }
        writeln!(self.text, "< {}", reply.status).unwrap();
        for name in reads {
            for (_, value) in reply.fields.iter().filter(|(found, _)| found == name) {
                let value = if *name == "last-modified" { "<date>" } else { value };
                writeln!(self.text, "< {name}: {}", lasting(stand, value)).unwrap();
            }
        }
        writeln!(self.text, "< {} bytes", reply.body.len()).unwrap();
    }

    /// Holds it against what is kept, or keeps it.
    pub(super) fn check(&self) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/http/{}.txt", self.client));
        if setting("UPDATE_EXPECT").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &self.text).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        let differs = kept.lines().zip(self.text.lines()).position(|(kept, now)| kept != now);
        assert!(
            kept == self.text,
            "{} is another than what was said, first in line {:?}; UPDATE_EXPECT=1 writes it anew:\n{}",
            path.display(),
            differs.map(|line| line + 1),
            self.text
        );
    }
}

fn lasting(stand: &Stand, text: &str) -> String {
    let escaped = super::fetch_path(&stand.source(), "x");
    let escaped = escaped.rsplit('/').next().unwrap().trim_end_matches(".x");
    let text = text
        .replace(&stand.node.node.address.to_string(), "node")
        .replace(&stand.source_base64(), "<source in base64url>")
        .replace(escaped, "<source, escaped>");
    max_age(&digests(&text))
}

/// 64 digits in a row are a digest.
fn digests(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|character: char| character.is_ascii_hexdigit()) {
        let run = rest[at..].find(|character: char| !character.is_ascii_hexdigit()).unwrap_or(rest.len() - at);
        kept += &rest[..at];
        kept += if run == 64 { "<sha256>" } else { &rest[at..at + run] };
        rest = &rest[at + run..];
    }
    kept + rest
}

/// Of a minute some seconds may have passed.
fn max_age(text: &str) -> String {
    match super::max_age(text) {
        Some(seconds @ 50..60) => text.replace(&format!("max-age={seconds}"), "max-age=60"),
        _ => text.to_owned(),
    }
}
