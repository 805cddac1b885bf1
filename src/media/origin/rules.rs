//! What is different with some sources: how long they are believed, what is sent to their origins, how many are fetched at once.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::Url;

use super::{
    allowed::{AllowedSources, SourcePattern},
    config::Config,
};
use crate::{ids::ContentHash, media::freshness, outbound, problem::ConfigProblems, units::optional_duration_text};

/// Headers that are the client's own, or make a response another thing than the source.
const NOT_SENT: [HeaderName; 9] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::RANGE,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
];

/// `[[media.origin.rules]]`: what is different with the sources that it names. The first rule that names a source counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Which sources, spelled as in `allowed_sources`.
    pub sources: Vec<SourcePattern>,
    /// As `fresh_default`.
    #[serde(with = "optional_duration_text", skip_serializing_if = "Option::is_none")]
    pub fresh_default: Option<Duration>,
    /// As `fresh_min`.
    #[serde(with = "optional_duration_text", skip_serializing_if = "Option::is_none")]
    pub fresh_min: Option<Duration>,
    /// As `fresh_max`.
    #[serde(with = "optional_duration_text", skip_serializing_if = "Option::is_none")]
    pub fresh_max: Option<Duration>,
    /// As `fresh_heuristic_max`.
    #[serde(with = "optional_duration_text", skip_serializing_if = "Option::is_none")]
    pub fresh_heuristic_max: Option<Duration>,
    /// As `stale_while_revalidate`.
    #[serde(with = "optional_duration_text", skip_serializing_if = "Option::is_none")]
    pub stale_while_revalidate: Option<Duration>,
    /// As `stale_if_error`.
    #[serde(with = "optional_duration_text", skip_serializing_if = "Option::is_none")]
    pub stale_if_error: Option<Duration>,
    /// As `per_origin_max`, counted for these sources by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_origin_max: Option<usize>,
    /// Header fields that are sent to their origins, credentials among them. They do not follow a redirect to another origin.
    pub headers: BTreeMap<String, Secret>,
    /// Whose the audio is that was fetched with `headers`: anybody's who has its address, or nobody's, so that it is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<Audio>,
}

/// Whose audio is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audio {
    /// Anybody's who has its address.
    Public,
    /// Its caller's alone.
    Private,
}

/// A header's value that is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(HeaderValue);

/// What holds for a source.
#[derive(Debug)]
pub(super) struct Policy {
    sources: AllowedSources,
    pub(super) freshness: freshness::Rules,
    /// What every request has, and the rule's own.
    pub(super) fields: HeaderMap,
    /// The rule's own fields.
    pub(super) headers: HeaderMap,
    pub(super) is_public: bool,
    /// How many are fetched at once, where these sources are counted by themselves.
    pub(super) per_origin_max: Option<usize>,
}

/// What holds for which sources: the rules in their order, and behind them what holds otherwise.
#[derive(Debug)]
pub(super) struct Policies {
    rules: Vec<Policy>,
    otherwise: Policy,
    stamp: u64,
}

impl Policies {
    pub(super) fn new(config: &Config) -> Policies {
        let policy = |rule: &Rule| {
            let otherwise = config.rules();
            let headers = rule.header_map();
            let mut fields = outbound::own_headers();
            fields.extend(headers.clone());
            Policy {
                sources: AllowedSources::new(&rule.sources),
                freshness: freshness::Rules {
                    heuristic_max: rule.fresh_heuristic_max.unwrap_or(otherwise.heuristic_max),
                    unsaid: rule.fresh_default.unwrap_or(otherwise.unsaid),
                    lifetime_min: rule.fresh_min.unwrap_or(otherwise.lifetime_min),
                    lifetime_max: rule.fresh_max.unwrap_or(otherwise.lifetime_max),
                    stale_while_revalidate: rule.stale_while_revalidate.unwrap_or(otherwise.stale_while_revalidate),
                    stale_if_error: rule.stale_if_error.unwrap_or(otherwise.stale_if_error),
                },
                is_public: rule.audio != Some(Audio::Private),
                per_origin_max: rule.per_origin_max,
                headers,
                fields,
            }
        };
        let (rules, otherwise) = (config.rules.iter().map(policy).collect(), policy(&Rule::default()));
        Policies { rules, otherwise, stamp: stamp(config) }
    }

    /// A number for all of them, secrets included.
    pub(super) fn stamp(&self) -> u64 {
        self.stamp
    }

    /// The policy for a source, and the place of its rule among the rules.
    pub(super) fn of(&self, url: &Url) -> (Option<usize>, &Policy) {
        let rule = self.rules.iter().enumerate().find(|(_, policy)| policy.sources.admits(url));
        rule.map_or((None, &self.otherwise), |(index, policy)| (Some(index), policy))
    }
}

impl Policy {
    /// Whether a source may be kept that came with these headers. Whose it is that was fetched with credentials, the rule says.
    pub(super) fn allows_keeping(&self, headers: &HeaderMap) -> bool {
        self.is_public && freshness::storable(&Method::GET, &HeaderMap::new(), StatusCode::OK, headers).is_ok()
    }
}

/// A digest of what policies are made of.
fn stamp(config: &Config) -> u64 {
    let mut text = format!("{:?}{:?}", config.rules(), config.rules);
    for Secret(value) in config.rules.iter().flat_map(|rule| rule.headers.values()) {
        text.extend(value.as_bytes().iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    let digest = ContentHash::of(text.as_bytes());
    digest.as_bytes().first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

impl Rule {
    /// The fields that can be sent.
    fn header_map(&self) -> HeaderMap {
        let field = |(name, Secret(value)): (&String, &Secret)| Some((name.parse::<HeaderName>().ok()?, value.clone()));
        self.headers.iter().filter_map(field).collect()
    }

    /// Notes every mistake under its key; `prefix` is the dotted path of this rule.
    pub(super) fn validate(&self, prefix: &str, otherwise: &Config, problems: &mut ConfigProblems) {
        // Of none, all sources would be meant.
        problems.check(!self.sources.is_empty(), &format!("{prefix}.sources"), "names no sources");
        let least = self.fresh_min.unwrap_or(otherwise.fresh_min);
        let most = self.fresh_max.unwrap_or(otherwise.fresh_max);
        problems.check(least <= most, &format!("{prefix}.fresh_min"), "must not be longer than fresh_max");
        let unsaid = self.fresh_default.unwrap_or(otherwise.fresh_default);
        problems.check(unsaid <= most, &format!("{prefix}.fresh_default"), "must not be longer than fresh_max");
        problems.check(self.per_origin_max != Some(0), &format!("{prefix}.per_origin_max"), "must be at least 1");
        for name in self.headers.keys() {
            let is_sent = name.parse::<HeaderName>().is_ok_and(|name| !NOT_SENT.contains(&name));
            problems.check(is_sent, &format!("{prefix}.headers.{name}"), "is no header field that can be set here");
        }
        problems.check(
            self.headers.is_empty() || self.audio.is_some(),
            &format!("{prefix}.audio"),
            "must say whose audio is that is fetched with headers: \"public\" or \"private\"",
        );
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// Says of what is no value only that it is none.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        let refuse = || de::Error::custom("is no value of a header field");
        let text = String::deserialize(deserializer).map_err(|_| refuse())?;
        let mut value = HeaderValue::try_from(text).map_err(|_| refuse())?;
        value.set_sensitive(true);
        Ok(Secret(value))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
