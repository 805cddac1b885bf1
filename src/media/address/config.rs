use serde::{Deserialize, Serialize};

use super::ignored_query::IgnoredQuery;
use crate::problem::ConfigProblems;

/// How sources are told apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Query parameters that sign an address rather than name its content: left out of the key, sent all the same.
    /// `NAME`, `PREFIX*`, or `NAME with OTHER` for names so common that they count only beside another one; with ` at HOST` or
    /// ` at *.HOST` behind it at that origin alone. By default
    /// those of pre-signed addresses at AWS, CloudFront, Google Cloud and Azure, and `token`.
    pub ignored_query: Vec<String>,
}

impl Default for Config {
    fn default() -> Config {
        let names = [
            "X-Amz-*",
            "X-Goog-*",
            "AWSAccessKeyId with Signature",
            "GoogleAccessId with Signature",
            "Key-Pair-Id with Signature",
            "Policy with Signature",
            "Expires with Signature",
            "Signature",
            // Azure's names are two letters long and mean other things elsewhere.
            "sig",
            "sv with sig",
            "se with sig",
            "st with sig",
            "sp with sig",
            "sr with sig",
            "spr with sig",
            "sip with sig",
            "skoid with sig",
            "sktid with sig",
            "skt with sig",
            "ske with sig",
            "sks with sig",
            "skv with sig",
            "token",
        ];
        Config { ignored_query: names.map(str::to_owned).to_vec() }
    }
}

impl Config {
    /// Notes every mistake under its key; `prefix` is the dotted path of this section.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        for text in &self.ignored_query {
            if let Err(error) = IgnoredQuery::new(std::slice::from_ref(text)) {
                problems.push(format!("{prefix}.ignored_query"), error.to_string());
            }
        }
    }
}
