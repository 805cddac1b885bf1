//! What an application asks for, and what it is given: words, of which `scopes.rs` has the table.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::accounts::scopes::Scopes;

/// Reading everything that an application may be given at all.
const GET_ALL: &str = "get-all";
/// Making, changing and deleting it.
const POST_ALL: &str = "post-all";

/// A set of permission words: `get-all`, `post-all`, or ones like `media:read`.
///
/// It is kept as words and not as what they give today: who has said `get-all` has said it of what comes later too. No word reaches credentials, the account
/// itself, what is allowed to applications, or the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", from = "Kept")]
pub struct Profile(BTreeSet<String>);

/// A word is no permission that an application may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no permission: expected get-all, post-all, or one like media:read")]
pub struct NotAProfile(String);

impl Profile {
    /// The words, in the order of the alphabet.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether nothing is asked or given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What it gives.
    pub fn scopes(&self) -> Scopes {
        Scopes::of_kept(&self.to_string())
    }

    /// Whether all of `other` is given by this, now and with whatever words come to mean.
    pub fn covers(&self, other: &Profile) -> bool {
        let whole = |word: &str| if word.ends_with(":read") { GET_ALL } else { POST_ALL };
        other.words().all(|word| self.0.contains(word) || (word.contains(':') && self.0.contains(whole(word))))
    }

    /// As it was kept: words of a later version give nothing here.
    pub(in crate::accounts) fn of_kept(text: &str) -> Profile {
        let words = text.split(' ').filter(|word| Scopes::of_profile_word(word).is_ok());
        Profile(words.map(str::to_owned).collect())
    }
}

impl FromStr for Profile {
    type Err = NotAProfile;

    /// Words with spaces or commas between them.
    fn from_str(text: &str) -> Result<Profile, NotAProfile> {
        let words = text.split([' ', ',']).filter(|word| !word.is_empty());
        let words = words.map(|word| match Scopes::of_profile_word(word) {
            Ok(_) => Ok(word.to_owned()),
            Err(_) => Err(NotAProfile(word.to_owned())),
        });
        words.collect::<Result<_, _>>().map(Profile)
    }
}

impl fmt::Display for Profile {
    /// As it is kept: spaces between the words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, word) in self.words().enumerate() {
            write!(f, "{}{word}", if place == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// Words as they stand in a record.
#[derive(Deserialize)]
struct Kept(String);

impl From<Kept> for Profile {
    fn from(kept: Kept) -> Profile {
        Profile::of_kept(&kept.0)
    }
}

impl From<Profile> for String {
    fn from(profile: Profile) -> String {
        profile.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::accounts::{Access, Resource};

    fn profile(text: &str) -> Profile {
        text.parse().unwrap()
    }

    #[test]
    fn no_word_reaches_what_makes_credentials() {
        let all = profile("post-all,get-all");
        assert_eq!(all.to_string(), "get-all post-all");
        assert_eq!(all.scopes(), Scopes::standard());
        let reached = [Resource::Media, Resource::Applications, Resource::Numbers];
        for resource in Resource::ALL.iter().copied().filter(|resource| !reached.contains(resource)) {
            for access in [Access::Read, Access::Write] {
                assert!(!all.scopes().may(resource, access));
            }
        }
        for wrong in [
            "all",
            "standard",
            "keys:read",
            "keys:write",
            "accounts:read",
            "audit:read",
            "connect-apps:read",
            "authorizations:write",
            "limits:read",
            "limits:write",
            "x",
        ] {
            assert_eq!(format!("media:read {wrong}").parse::<Profile>().unwrap_err(), NotAProfile(wrong.to_owned()));
        }
        // Whatever stands in the store.
        assert_eq!(Profile::of_kept("all keys:write media:read faxes:read").to_string(), "media:read");
    }

    #[test]
    fn the_whole_covers_its_parts_and_not_the_other_way() {
        let reading: Vec<_> = ["applications:read", "media:read", "numbers:read"].map(str::to_owned).into();
        let parts = profile(&reading.join(" "));
        assert_eq!(parts.scopes(), profile("get-all").scopes());
        assert!(profile("get-all").covers(&parts) && !parts.covers(&profile("get-all")));
        assert!(
            !profile("get-all").covers(&profile("media:write")) && profile("post-all").covers(&profile("media:write"))
        );
        assert!(parts.covers(&profile("media:read")) && parts.covers(&Profile::default()) && parts.covers(&parts));
        assert!(!Profile::default().covers(&parts));
    }

    fn any_profile() -> impl Strategy<Value = Profile> {
        let works =
            ["media", "applications", "numbers"].map(|slug| ["read", "write"].map(|access| format!("{slug}:{access}")));
        let words: Vec<String> = works.into_iter().flatten().chain([GET_ALL.to_owned(), POST_ALL.to_owned()]).collect();
        prop::collection::btree_set(prop::sample::select(words), 0..5).prop_map(Profile)
    }

    proptest! {
        #[test]
        fn what_is_covered_gives_no_more_and_is_kept_as_it_is(one in any_profile(), other in any_profile(), third in any_profile()) {
            if one.covers(&other) {
                prop_assert!(one.scopes().include(other.scopes()));
                prop_assert!(!other.covers(&third) || one.covers(&third));
            }
            prop_assert!(Scopes::standard().include(one.scopes()));
            prop_assert!(one.covers(&one) && one.covers(&Profile::default()));
            prop_assert_eq!(&one.to_string().parse::<Profile>().unwrap(), &one);
            prop_assert_eq!(&Profile::of_kept(&one.to_string()), &one);
            let json = serde_json::to_string(&one).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Profile>(&json).unwrap(), &one);
        }
    }
}
