//! Which query parameters sign an address rather than name its content.

use url::form_urlencoded;

/// The parameters that are left out of a source's key, as configured. Names compare without regard to ASCII case.
///
/// A parameter that is wrongly ignored makes two sources one, and somebody hears the wrong audio. So common names are
/// ignored only beside the one that marks a pre-signed address (`se with sig`), or at one origin (`v at cdn.example.com`).
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
    /// Counts only at this host, or, with a dot in front, at those below it.
    host: Option<String>,
}

/// Text that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not NAME or PREFIX*, and behind it, if need be, \"with OTHER\" and \"at HOST\" or \"at *.HOST\"")]
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
    pub(super) fn strip(&self, host: &str, query: &str) -> Option<String> {
        let names: Vec<_> = query.split('&').map(name_of).collect();
        let there = |wanted: &str| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
        let ignored = |name: &str| {
            self.rules
                .iter()
                .any(|rule| rule.names(name) && rule.holds_at(host) && rule.beside.as_deref().is_none_or(there))
        };
        let kept: Vec<&str> =
            query.split('&').zip(&names).filter(|(_, name)| !ignored(name)).map(|(pair, _)| pair).collect();
        (!kept.is_empty()).then(|| kept.join("&"))
    }
}

impl Rule {
    fn parse(text: &str) -> Option<Rule> {
        let (text, host) = text.split_once(" at ").map_or((text, None), |(text, host)| (text, Some(host)));
        let (name, beside) = text.split_once(" with ").map_or((text, None), |(name, beside)| (name, Some(beside)));
        let (name, is_prefix) = name.strip_suffix('*').map_or((name, false), |prefix| (prefix, true));
        let plain = |name: &str| !name.is_empty() && !name.contains(['*', '&', '=', ' ', '%']);
        let is_host = |host: &str| !host.is_empty() && !host.contains(['*', ' ', '/', ':']);
        let host = match host
            .map(|host| host.strip_prefix("*.").map_or_else(|| host.to_owned(), |below| format!(".{below}")))
        {
            Some(host) if !is_host(host.trim_start_matches('.')) => return None,
            host => host.map(|host| host.to_ascii_lowercase()),
        };
        (plain(name) && beside.is_none_or(plain)).then(|| Rule {
            name: name.to_owned(),
            is_prefix,
            beside: beside.map(str::to_owned),
            host,
        })
    }

    /// Whether the rule is about sources at `host`, which is in lower case.
    fn holds_at(&self, host: &str) -> bool {
        self.host.as_deref().is_none_or(|wanted| host == wanted || (wanted.starts_with('.') && host.ends_with(wanted)))
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
