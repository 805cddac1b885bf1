//! What a credential may do: the one table of permissions, by resource and by reading or changing.

use std::{fmt, str::FromStr};

macro_rules! resources {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $class:ident;)*) => {
        /// What is protected as one thing.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Resource {
            $($(#[$doc])* $name,)*
        }

        impl Resource {
            /// Each of them, in the order of their bits.
            pub const ALL: &'static [Resource] = &[$(Resource::$name),*];

            /// The name in a scope.
            pub const fn slug(self) -> &'static str {
                match self { $(Resource::$name => $slug,)* }
            }

            const fn class(self) -> Class {
                match self { $(Resource::$name => Class::$class,)* }
            }
        }
    };
}

/// Who may be given a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Any credential.
    Work,
    /// An account's own tokens, and keys to which it is given by name: whoever has it can make credentials.
    Control,
}

// New rows go to the end: bits are not kept anywhere, but tests print them.
resources! {
    /// Audio: files, speech, uploads, prompts.
    Media = "media", Work;
    /// What calls do.
    Applications = "applications", Work;
    /// Phone numbers.
    Numbers = "numbers", Work;
    /// The account itself and its subaccounts, but for what follows.
    Accounts = "accounts", Control;
    /// API keys, signing keys and auth tokens.
    Keys = "keys", Control;
    /// Who did what.
    Audit = "audit", Control;
    /// Applications that the account offers to others.
    ConnectApps = "connect-apps", Control;
    /// What the account allows applications of others.
    Authorizations = "authorizations", Control;
    /// Limits that the account gives itself, its subaccounts and their keys.
    Limits = "limits", Control;
}

/// Reading or changing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Looking at it.
    Read,
    /// Making, changing, deleting it.
    Write,
}

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Scopes(u64);

/// A word is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no scope: expected all, standard, get-all, post-all, or one like media:read")]
pub struct NotAScope(String);

impl Scopes {
    /// Nothing.
    pub const NONE: Scopes = Scopes(0);

    /// Everything: what an account's own token may do.
    pub fn all() -> Scopes {
        Scopes::of(|_, _| true)
    }

    /// Everything but making credentials: what an API key may do unless it is said otherwise.
    pub fn standard() -> Scopes {
        Scopes::of(|resource, _| resource.class() == Class::Work)
    }

    fn of(has: impl Fn(Resource, Access) -> bool) -> Scopes {
        let both = |resource| [(resource, Access::Read), (resource, Access::Write)];
        let all = Resource::ALL.iter().copied().flat_map(both);
        Scopes(all.filter(|(resource, access)| has(*resource, *access)).map(|(r, a)| bit(r, a)).sum())
    }

    /// As they are kept. What a later version gives by a word that is not known here cannot be done here; words must therefore only ever give.
    pub(super) fn of_kept(text: &str) -> Scopes {
        text.split(' ')
            .filter_map(|word| Scopes::parse_word(word).ok())
            .fold(Scopes::NONE, |sum, word| Scopes(sum.0 | word.0))
    }

    /// Whether this may be done.
    pub fn may(self, resource: Resource, access: Access) -> bool {
        self.0 & bit(resource, access) != 0
    }

    /// Whether all of `other` is among these.
    pub fn include(self, other: Scopes) -> bool {
        other.0 & !self.0 == 0
    }

    /// What both have.
    #[must_use]
    pub fn and(self, other: Scopes) -> Scopes {
        Scopes(self.0 & other.0)
    }

    /// What a word gives that an application may be allowed: no word of theirs reaches what makes credentials.
    ///
    /// # Errors
    /// It is none of those words.
    pub(super) fn of_profile_word(word: &str) -> Result<Scopes, NotAScope> {
        let scopes = Scopes::parse_word(word)?;
        let is_one = !matches!(word, "all" | "standard") && Scopes::standard().include(scopes);
        if is_one { Ok(scopes) } else { Err(NotAScope(word.to_owned())) }
    }

    fn parse_word(word: &str) -> Result<Scopes, NotAScope> {
        let work = |access| move |resource: Resource, of| resource.class() == Class::Work && of == access;
        match word {
            "all" => return Ok(Scopes::all()),
            "standard" => return Ok(Scopes::standard()),
            // The names of the ecosystem: neither reaches what makes credentials.
            "get-all" => return Ok(Scopes::of(work(Access::Read))),
            "post-all" => return Ok(Scopes::of(work(Access::Write))),
            _ => {}
        }
        let one = word.split_once(':').and_then(|(slug, access)| {
            let resource = Resource::ALL.iter().copied().find(|resource| resource.slug() == slug)?;
            match access {
                "read" => Some(bit(resource, Access::Read)),
                "write" => Some(bit(resource, Access::Write)),
                _ => None,
            }
        });
        one.map(Scopes).ok_or_else(|| NotAScope(word.to_owned()))
    }
}

const fn bit(resource: Resource, access: Access) -> u64 {
    1 << (2 * resource as u8 + access as u8)
}

impl FromStr for Scopes {
    type Err = NotAScope;

    /// Words with spaces or commas between them.
    fn from_str(text: &str) -> Result<Scopes, NotAScope> {
        let words = text.split([' ', ',']).filter(|word| !word.is_empty());
        words.map(Scopes::parse_word).try_fold(Scopes::NONE, |sum, word| Ok(Scopes(sum.0 | word?.0)))
    }
}

impl fmt::Display for Scopes {
    /// As it is kept and shown: resource by resource.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut is_first = true;
        for resource in Resource::ALL {
            for (access, name) in [(Access::Read, "read"), (Access::Write, "write")] {
                if self.may(*resource, access) {
                    write!(f, "{}{}:{name}", if is_first { "" } else { " " }, resource.slug())?;
                    is_first = false;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_makes_credentials_is_left_out_of_the_usual() {
        let (all, standard) = (Scopes::all(), Scopes::standard());
        for resource in Resource::ALL {
            for access in [Access::Read, Access::Write] {
                assert!(all.may(*resource, access));
                let makes_credentials =
                    !matches!(resource, Resource::Media | Resource::Applications | Resource::Numbers);
                assert_eq!(standard.may(*resource, access), !makes_credentials, "{resource:?}");
                assert!(!Scopes::NONE.may(*resource, access));
            }
        }
        let parts: Scopes = "get-all post-all".parse().unwrap();
        assert_eq!(parts, standard);
        assert!(all.include(standard) && !standard.include(all) && standard.include(Scopes::NONE));
    }

    #[test]
    fn they_are_read_back_as_they_are_written() {
        for text in ["", "media:read", "media:read media:write keys:read", "audit:read"] {
            assert_eq!(text.parse::<Scopes>().unwrap().to_string(), text);
        }
        for scopes in [Scopes::all(), Scopes::standard()] {
            assert_eq!(scopes.to_string().parse::<Scopes>().unwrap(), scopes);
        }
        assert_eq!(Scopes::of_kept("media:read calls:write keys:read faxes").to_string(), "media:read keys:read");
        assert_eq!(Scopes::of_kept(""), Scopes::NONE);
        assert_eq!("keys:read,media:read".parse::<Scopes>().unwrap().to_string(), "media:read keys:read");
        for wrong in ["media", "media:", "media:all", ":read", "Media:read", "everything"] {
            assert_eq!(wrong.parse::<Scopes>().unwrap_err(), NotAScope(wrong.to_owned()));
        }
    }
}
