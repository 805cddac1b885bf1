//! Lists in pages, as the ecosystem's libraries walk them.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::accounts::{Cursor, Listed, PAGE_MAX, Page};

use super::answer::Failed;

/// Records of a page, unless another number is asked for.
const PAGE_DEFAULT: usize = 50;

/// Which page is asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase", default)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// Records of a page, 1 to 1000; 50 where it is not said.
    #[param(minimum = 1, maximum = 1000)]
    page_size: Option<usize>,
    /// The number of the page, for people: where it begins, the token says.
    page: Option<usize>,
    /// Where the page begins, as the address of another page says.
    page_token: Option<String>,
}

/// What every list says of itself beside its records.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Meta {
    /// Number of this page, from 0.
    page: usize,
    /// Records of a page.
    page_size: usize,
    /// Number of the first record.
    start: usize,
    /// Number of the last record.
    end: usize,
    /// Address of this page.
    uri: String,
    /// Address of the first page.
    first_page_uri: String,
    /// Address of the page of newer records.
    previous_page_uri: Option<String>,
    /// Address of the page of older records.
    next_page_uri: Option<String>,
}

impl Paging {
    /// The page that is asked for.
    pub(super) fn page(&self) -> Result<Page, Failed> {
        let size = self.page_size.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&size) {
            return Err(Failed::invalid(format!("PageSize must be 1 to {PAGE_MAX}")));
        }
        let beside = self.page_token.as_deref().filter(|token| !token.is_empty()).map(str::parse::<Cursor>);
        let beside = beside.transpose().map_err(|error| Failed::invalid(format!("PageToken {error}")))?;
        Ok(Page { size, beside })
    }

    /// What a list of these records says of itself. `path` is the list's own, `filter` what its query says beside the page.
    pub(super) fn meta<T>(&self, path: &str, filter: &[(&str, Option<&str>)], listed: &Listed<T>) -> Meta {
        let size = self.page_size.unwrap_or(PAGE_DEFAULT);
        let number = self.page.unwrap_or(0);
        let uri = |number: usize, token: Option<String>| {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in filter {
                if let Some(value) = value {
                    query.append_pair(name, value);
                }
            }
            query.append_pair("PageSize", &size.to_string()).append_pair("Page", &number.to_string());
            if let Some(token) = token {
                query.append_pair("PageToken", &token);
            }
            format!("{path}?{}", query.finish())
        };
        let start = number.saturating_mul(size);
        Meta {
            page: number,
            page_size: size,
            start,
            end: start.saturating_add(listed.records.len().saturating_sub(1)),
            uri: uri(number, self.page_token.clone()),
            first_page_uri: uri(0, None),
            previous_page_uri: listed
                .newer
                .as_ref()
                .map(|cursor| uri(number.saturating_sub(1), Some(cursor.to_string()))),
            next_page_uri: listed.older.as_ref().map(|cursor| uri(number.saturating_add(1), Some(cursor.to_string()))),
        }
    }
}
