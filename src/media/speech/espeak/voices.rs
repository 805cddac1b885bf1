//! The voices of the program, as it lists them. Pure.
//!
//! ```text
//! Pty Language       Age/Gender VoiceName          File                 Other Languages
//!  2  en-us           --/M      English_(America)  gmw/en-US            (en 3)
//!  5  variant         --/F      Alicia             !v/Alicia
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::media::speech::Resolved;

/// Voices that are read: twenty times as many as there are.
const VOICES_MAX: usize = 4_000;

/// Which voices there are. Names are looked up without regard to case.
#[derive(Debug, Default)]
pub(super) struct Voices {
    /// By language and by name, in lower case: what the program calls it.
    named: BTreeMap<String, Box<str>>,
    /// By a language that is not its own: the best of those, and how good it is, the less the better.
    others: BTreeMap<String, (u32, Box<str>)>,
    /// How a voice can be changed: lower case, and as the program spells it.
    variants: BTreeMap<String, Box<str>>,
    languages: BTreeSet<Box<str>>,
}

impl Voices {
    pub(super) fn parse(voices: &str, variants: &str) -> Voices {
        let mut found = Voices::default();
        for line in voices.lines().skip(1).take(VOICES_MAX) {
            let mut columns = line.split_whitespace();
            let (Some(priority), Some(language), Some(_), Some(name), Some(_)) =
                (columns.next(), columns.next(), columns.next(), columns.next(), columns.next())
            else {
                continue;
            };
            if priority.parse::<u32>().is_err() {
                continue;
            }
            // Of several with one language the program takes the first.
            if !found.languages.insert(language.into()) {
                continue;
            }
            found.named.insert(language.to_lowercase(), language.into());
            found.named.entry(name.to_lowercase()).or_insert_with(|| language.into());
            let others = columns.collect::<Vec<_>>().join(" ");
            for other in others.split(['(', ')']).filter(|other| !other.trim().is_empty()) {
                let (other, rank) = other.rsplit_once(' ').unwrap_or((other, ""));
                let rank = rank.parse().unwrap_or(u32::MAX);
                let best = found.others.entry(other.to_lowercase()).or_insert_with(|| (rank, language.into()));
                if rank < best.0 {
                    *best = (rank, language.into());
                }
            }
        }
        let files = variants.lines().skip(1).take(VOICES_MAX).filter_map(|line| line.split_whitespace().nth(4));
        found.variants = files
            .filter_map(|file| file.strip_prefix("!v/"))
            .map(|variant| (variant.to_lowercase(), variant.into()))
            .collect();
        found
    }

    pub(super) fn len(&self) -> usize {
        self.languages.len()
    }

    /// A voice by its language or its name, and behind a `+` how it is changed: `de`, `English_(America)`, `en-us+f3`.
    pub(super) fn named(&self, voice: &str) -> Option<Resolved> {
        let (name, variant) = voice.split_once('+').map_or((voice, None), |(name, variant)| (name, Some(variant)));
        let language = self.named.get(&name.to_lowercase()).map(|voice| &**voice).or_else(|| self.other(name))?;
        let voice = match variant {
            None => language.into(),
            Some(variant) => format!("{language}+{}", self.variants.get(&variant.to_lowercase())?).into(),
        };
        Some(Resolved { voice, language: language.to_lowercase().into() })
    }

    /// The voice for a language, else for what it is a kind of: `en-AU` speaks like `en`.
    pub(super) fn of_language(&self, language: &str) -> Option<Resolved> {
        let mut wanted = language.replace('_', "-").to_lowercase();
        loop {
            let found = self.named.get(&wanted).map(|voice| &**voice);
            let found = found.filter(|voice| voice.eq_ignore_ascii_case(&wanted));
            if let Some(voice) = found.or_else(|| self.other(&wanted)) {
                return Some(Resolved { voice: voice.into(), language: language.to_lowercase().into() });
            }
            let (shorter, _) = wanted.rsplit_once('-')?;
            wanted = shorter.to_owned();
        }
    }

    fn other(&self, language: &str) -> Option<&str> {
        self.others.get(&language.to_lowercase()).map(|(_, voice)| &**voice)
    }
}

/// The number in `eSpeak NG text-to-speech: 1.51  Data at: …`.
pub(super) fn version(said: &str) -> Option<&str> {
    let (_, behind) = said.lines().next()?.split_once("text-to-speech:")?;
    behind.split_whitespace().next()
}
