//! The objects under a prefix, page by page, each with the digest that it is named by.

use std::{collections::VecDeque, sync::Arc};

use super::super::durable::{Listed, ObjectKey, ObjectStore, StoreError};
use crate::ids::BodyDigest;

/// Objects in one list.
const PAGE: usize = 1000;
/// Hexadecimal digits of a digest.
const DIGITS: usize = 64;

/// How names go on behind the digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Not at all.
    Nothing,
    /// `.ext`
    Extension,
    /// `/tenant`
    Tenant,
}

/// Objects in the order of their digests. What has another kind of name was not put there by us and is passed over.
///
/// **Cost**: one page is in memory.
#[derive(Debug)]
pub(super) struct Pages {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    tail: Tail,
    page: VecDeque<(BodyDigest, Listed)>,
    after: Option<ObjectKey>,
    has_ended: bool,
}

impl Pages {
    pub(super) fn new(store: &Arc<dyn ObjectStore>, prefix: String, tail: Tail) -> Pages {
        Pages { store: Arc::clone(store), prefix, tail, page: VecDeque::new(), after: None, has_ended: false }
    }

    /// The digest of the next object.
    pub(super) async fn peek(&mut self) -> Result<Option<BodyDigest>, StoreError> {
        while self.page.is_empty() && !self.has_ended {
            let listed = self.store.list(&self.prefix, self.after.as_ref(), PAGE).await?;
            match listed.last() {
                Some(last) => self.after = Some(last.key.clone()),
                None => self.has_ended = true,
            }
            let (prefix, tail) = (&self.prefix, self.tail);
            let ours = |listed: Listed| Some((digest(prefix, tail, listed.key.as_str())?, listed));
            self.page.extend(listed.into_iter().filter_map(ours));
        }
        Ok(self.page.front().map(|(digest, _)| *digest))
    }

    /// The next object.
    pub(super) async fn next(&mut self) -> Result<Option<(BodyDigest, Listed)>, StoreError> {
        self.peek().await?;
        Ok(self.page.pop_front())
    }

    /// The next object, if it is named by this digest.
    pub(super) async fn next_of(&mut self, digest: &BodyDigest) -> Result<Option<Listed>, StoreError> {
        if self.peek().await? != Some(*digest) {
            return Ok(None);
        }
        Ok(self.page.pop_front().map(|(_, listed)| listed))
    }
}

fn digest(prefix: &str, tail: Tail, key: &str) -> Option<BodyDigest> {
    let (digest, rest) = key.strip_prefix(prefix)?.split_at_checked(DIGITS)?;
    let is_ours = match tail {
        Tail::Nothing => rest.is_empty(),
        Tail::Extension => rest.strip_prefix('.').is_some_and(|rest| !rest.is_empty() && !rest.contains('/')),
        Tail::Tenant => rest.strip_prefix('/').is_some_and(|rest| !rest.is_empty() && !rest.contains('/')),
    };
    if is_ours { digest.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::{Tail, digest};
    use crate::ids::BodyDigest;

    #[test]
    fn only_names_of_ours_are_taken() {
        let name = BodyDigest::of(b"a");
        #[track_caller]
        fn check(tail: Tail, key: String, is_ours: bool) {
            assert_eq!(digest("artifacts/ca/", tail, &key).is_some(), is_ours, "{key}");
        }
        check(Tail::Nothing, format!("artifacts/ca/{name}"), true);
        check(Tail::Nothing, format!("artifacts/ca/{name}.ulaw"), false);
        check(Tail::Nothing, format!("artifacts/ca/{}", name.to_string().to_uppercase()), false);
        check(Tail::Extension, format!("artifacts/ca/{name}.ulaw"), true);
        check(Tail::Extension, format!("artifacts/ca/{name}"), false);
        check(Tail::Extension, format!("artifacts/ca/{name}.a/b"), false);
        check(Tail::Extension, "artifacts/ca/README.txt".to_owned(), false);
        check(Tail::Tenant, format!("artifacts/ca/{name}/default"), true);
        check(Tail::Tenant, format!("artifacts/ca/{name}/default/more"), false);
        check(Tail::Tenant, format!("manifests/ca/{name}/default"), false);
    }
}
