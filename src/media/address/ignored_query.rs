//! Which query parameters sign an address rather than name its content.

use url::form_urlencoded;

/// The parameters that are left out of a source's key, as configured. Names compare without regard to ASCII case.
///
/// A parameter that is wrongly ignored makes two sources one, and somebody hears the wrong audio. So common names are
/// ignored only beside the one that marks a pre-signed address (`se with sig`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoredQuery {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    name: String,
    /// `name` is only the beginning.
    is_prefix: bool,
    /// Counts only where this parameter is there too.
    beside: Option<String>,
}

/// Text that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not NAME, PREFIX* or NAME with OTHER")]
pub struct IgnoredQueryError {
    /// As given.
    pub text: String,
}

impl IgnoredQuery {
    /// Reads the rules of the configuration.
    ///
    /// # Errors
    /// The first rule that cannot be read.
    pub fn new(texts: &[String]) -> Result<IgnoredQuery, IgnoredQueryError> {
        let rules = texts.iter().map(|text| Rule::parse(text).ok_or_else(|| IgnoredQueryError { text: text.clone() }));
        Ok(IgnoredQuery { rules: rules.collect::<Result<_, _>>()? })
    }

    /// The query without the ignored parameters, the others in their order and spelling; `None` if nothing is left.
    pub(super) fn strip(&self, query: &str) -> Option<String> {
        let names: Vec<_> = query.split('&').map(name_of).collect();
        let there = |wanted: &str| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
        let ignored =
            |name: &str| self.rules.iter().any(|rule| rule.names(name) && rule.beside.as_deref().is_none_or(there));
        let kept: Vec<&str> =
            query.split('&').zip(&names).filter(|(_, name)| !ignored(name)).map(|(pair, _)| pair).collect();
        (!kept.is_empty()).then(|| kept.join("&"))
    }
}

impl Rule {
    fn parse(text: &str) -> Option<Rule> {
        let (name, beside) = match text.split_once(" with ") {
            Some((name, beside)) => (name, Some(beside)),
            None => (text, None),
        };
        let (name, is_prefix) = name.strip_suffix('*').map_or((name, false), |prefix| (prefix, true));
        let plain = |name: &str| !name.is_empty() && !name.contains(['*', '&', '=', ' ', '%']);
        (plain(name) && beside.is_none_or(plain)).then(|| Rule {
            name: name.to_owned(),
            is_prefix,
            beside: beside.map(str::to_owned),
        })
    }

    fn names(&self, name: &str) -> bool {
        if self.is_prefix {
            name.get(..self.name.len()).is_some_and(|start| start.eq_ignore_ascii_case(&self.name))
        } else {
            name.eq_ignore_ascii_case(&self.name)
        }
    }
}

/// The decoded name of one `name=value`: `X%2DAmz-Date` is spelled differently but means the same.
fn name_of(pair: &str) -> String {
    form_urlencoded::parse(pair.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}
