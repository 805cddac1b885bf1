//! Presets: options under one name, which the operator chose. They are expanded before anything else looks at the options, so that
//! they are in no address that lasts, and changing one changes no audio that is there.

#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use crate::{
    media::format::{Format, FormatError},
    problem::ConfigProblems,
};

/// The option that names a preset.
const OPTION: &str = "preset";
/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 64;

/// Options that are no preset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresetError {
    /// The request names one that is not configured.
    #[error("the option \"preset\" names \"{name}\", which is not configured here (media.presets)")]
    Unknown {
        /// As received.
        name: String,
    },
    /// The request names two.
    #[error("the option \"preset\" was given twice")]
    Repeated,
}

/// All presets of the node. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Presets(Arc<BTreeMap<String, Vec<(String, String)>>>);

impl Presets {
    /// Reads a configured table. What is no list of options is left out: the configuration is judged before.
    pub fn new(texts: &BTreeMap<String, String>) -> Presets {
        let read = |(name, text): (&String, &String)| Some((name.clone(), parse(text).ok()?));
        Presets(Arc::new(texts.iter().filter_map(read).collect()))
    }

    /// Whether options name a preset.
    pub fn are_named(options: &[(&str, &str)]) -> bool {
        options.iter().any(is_preset)
    }

    /// The options that stand beside a preset, or all.
    pub fn beside<'a>(options: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        options.iter().filter(|option| !is_preset(option)).copied().collect()
    }

    /// Puts a preset's options into the place of its name. Options that stand beside it win over its own.
    ///
    /// # Errors
    /// No such preset, or two.
    pub fn expand<'a>(
        &'a self,
        options: &'a [(&'a str, &'a str)],
    ) -> Result<Cow<'a, [(&'a str, &'a str)]>, PresetError> {
        let mut named = options.iter().filter(|option| is_preset(option));
        let Some((_, name)) = named.next() else { return Ok(Cow::Borrowed(options)) };
        if named.next().is_some() {
            return Err(PresetError::Repeated);
        }
        let unknown = || PresetError::Unknown { name: name.chars().take(NAME_CHARS_MAX).collect() };
        let preset = self.0.get(*name).ok_or_else(unknown)?;
        let explicit = Presets::beside(options);
        let says = |name: &str| explicit.iter().any(|(explicit, _)| *explicit == name);
        let mut expanded: Vec<_> = preset
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !says(name))
            .collect();
        expanded.extend(explicit);
        Ok(Cow::Owned(expanded))
    }
}

fn is_preset((option, _): &(&str, &str)) -> bool {
    *option == OPTION
}

/// Notes every mistake under its key; `prefix` is the dotted path of the table.
pub(super) fn validate(texts: &BTreeMap<String, String>, prefix: &str, problems: &mut ConfigProblems) {
    for (name, text) in texts {
        for mistake in mistakes(name, text) {
            problems.push(format!("{prefix}.{name}"), mistake);
        }
    }
}

fn mistakes(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || NAME_CHARS_MAX < name.len() || !name.bytes().all(plain) {
        found.push(format!("the name must be 1 to {NAME_CHARS_MAX} letters, digits and -_."));
    }
    let options = match parse(text) {
        Ok(options) => options,
        Err(mistake) => {
            found.push(mistake);
            return found;
        }
    };
    let options: Vec<_> = options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let alone = options.iter().filter_map(|option| judge(std::slice::from_ref(option)));
    let before = found.len();
    found.extend(alone);
    if found.len() == before {
        // Each by itself is right: then they must go together, too.
        found.extend(judge(&options));
    }
    found
}

/// What is wrong with options in whatever format they are asked for; none if there is one that they fit.
fn judge(options: &[(&str, &str)]) -> Option<String> {
    if Presets::are_named(options) {
        return Some("a preset cannot name another one".to_owned());
    }
    let mut mistake = None;
    for (extension, _) in Format::all() {
        match Format::parse(extension, options) {
            Ok(_) => return None,
            // A format that knows the option says best what is wrong with its value.
            Err(FormatError::UnknownOption { name, .. }) => {
                mistake = mistake.or_else(|| Some(format!("no format has the option \"{name}\"")));
            }
            Err(error) => mistake = Some(error.to_string()),
        }
    }
    mistake
}

fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    text.split(',')
        .map(|option| match option.trim().split_once(':') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(format!("{option:?} is not name:value, as in \"gain:-3,loudness:-23\"")),
        })
        .collect()
}
