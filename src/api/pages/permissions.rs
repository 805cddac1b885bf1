//! What permissions and limits are called on pages, and how forms say them.

use maud::{Markup, html};

use crate::accounts::{Limits, Profile};

/// Characters of a limit that is typed, at most.
const LIMIT_MAX: usize = 20;

/// A permission in plain words: what it lets an application do on the subaccount that it gets.
fn text(word: &str) -> &'static str {
    match word {
        "get-all" => {
            "See everything in its subaccount: audio, phone numbers, call settings, and whatever is added later"
        }
        "post-all" => "Add, change and delete everything in its subaccount, which may cost your account money",
        "media:read" => "Listen to audio and see what there is of it",
        "media:write" => "Add and delete audio, and have text spoken",
        "applications:read" => "See call settings: which addresses are asked what a call is to do",
        "applications:write" => "Add, change and delete call settings",
        "numbers:read" => "See phone numbers and what calls to them do",
        "numbers:write" => "Take and give back phone numbers, and change what calls to them do",
        _ => "A permission that this page has no words for yet",
    }
}

/// What is allowed, as a list.
pub(super) fn list(profile: &Profile) -> Markup {
    html! {
        ul.permissions {
            @for word in profile.words() { li { (text(word)) " " code { (word) } } }
        }
    }
}

/// Boxes to be ticked. `id` tells several such forms of a page apart.
pub(super) fn boxes(id: &str, of: &Profile, is_ticked: impl Fn(&str) -> bool) -> Markup {
    html! {
        @for word in of.words() {
            div.choice {
                input id={ (id) "-" (word) } type="checkbox" name="permission" value=(word) checked[is_ticked(word)];
                label for={ (id) "-" (word) } { (text(word)) " " code { (word) } }
            }
        }
    }
}

/// Fields for limits.
pub(super) fn limit_fields(id: &str, spend: &str, concurrency: &str) -> Markup {
    html! {
        div.field {
            label for={ (id) "-spend" } { "Spending in a month" }
            p.hint id={ (id) "-spend-hint" } { "In your account’s currency, such as 25 or 12.50. Empty: no limit." }
            input id={ (id) "-spend" } name="spend" type="text" inputmode="decimal" value=(spend) maxlength=(LIMIT_MAX) autocomplete="off"
                aria-describedby={ (id) "-spend-hint" };
        }
        div.field {
            label for={ (id) "-concurrency" } { "Work at once" }
            p.hint id={ (id) "-concurrency-hint" } { "How many requests, downloads or calls at once, of each kind. A whole number. Empty: no limit." }
            input id={ (id) "-concurrency" } name="concurrency" type="text" inputmode="numeric" value=(concurrency) maxlength=(LIMIT_MAX)
                autocomplete="off" aria-describedby={ (id) "-concurrency-hint" };
        }
    }
}

/// Limits in words.
pub(super) fn limits_text(limits: &Limits) -> String {
    let spend = limits.spend.map_or("no limit of spending".to_owned(), |spend| format!("at most {spend} a month"));
    let work = limits
        .concurrency
        .map_or("no limit of work at once".to_owned(), |count| format!("at most {count} of each kind of work at once"));
    format!("{spend}; {work}")
}

/// What somebody chose.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) permission: Vec<String>,
    pub(super) spend: String,
    pub(super) concurrency: String,
}

impl Choice {
    pub(super) fn has(&self, word: &str) -> bool {
        self.permission.iter().any(|chosen| chosen == word)
    }

    /// What it comes to, of what was offered.
    ///
    /// # Errors
    /// What is wrong, for whoever chose.
    pub(super) fn read(&self, offered: &Profile) -> Result<(Profile, Limits), &'static str> {
        let words: Vec<&str> = offered.words().filter(|word| self.has(word)).collect();
        let profile: Profile = words.join(" ").parse().map_err(|_| "These permissions cannot be given.")?;
        if profile.is_empty() {
            return Err("Nothing is ticked. Tick what you want to allow, or allow nothing at all.");
        }
        let spend = said(&self.spend).map(str::parse).transpose();
        let spend =
            spend.map_err(|_| "The spending limit is no amount. Write it like 25 or 12.50, or leave it empty.")?;
        let concurrency = said(&self.concurrency).map(str::parse).transpose();
        let concurrency =
            concurrency.map_err(|_| "The limit of work at once is no whole number. Leave it empty for none.")?;
        Ok((profile, Limits { spend, concurrency }))
    }
}

fn said(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{Access, Resource};

    #[test]
    fn every_permission_has_words() {
        let unknown = text("x");
        for resource in Resource::ALL {
            for access in [Access::Read, Access::Write] {
                let verb = if access == Access::Read { "read" } else { "write" };
                let word = format!("{}:{verb}", resource.slug());
                if word.parse::<Profile>().is_ok() {
                    assert_ne!(text(&word), unknown, "{word}");
                }
            }
        }
        for word in ["get-all", "post-all"] {
            assert_ne!(text(word), unknown);
        }
    }

    #[test]
    fn a_choice_is_never_more_than_what_was_offered() {
        let offered: Profile = "media:read numbers:read".parse().unwrap();
        let read = |permission: &[&str], spend: &str, concurrency: &str| {
            let permission = permission.iter().map(|word| (*word).to_owned()).collect();
            Choice { permission, spend: spend.to_owned(), concurrency: concurrency.to_owned() }.read(&offered)
        };
        let (profile, limits) = read(&["media:read", "post-all", "keys:write"], " 12.5 ", "").unwrap();
        assert_eq!((profile.to_string().as_str(), limits.concurrency), ("media:read", None));
        assert_eq!(limits_text(&limits), "at most 12.50 a month; no limit of work at once");
        assert_eq!(
            limits_text(&read(&["media:read"], "", "1").unwrap().1),
            "no limit of spending; at most 1 of each kind of work at once"
        );
        for wrong in [
            read(&[], "", ""),
            read(&["post-all"], "", ""),
            read(&["media:read"], "1,5", ""),
            read(&["media:read"], "", "-1"),
        ] {
            wrong.unwrap_err();
        }
    }
}
