//! What there is of accounts: the records, as rooms and the API see them.

use std::{fmt, str::FromStr, time::SystemTime};

use serde::{Deserialize, Serialize};

use super::scopes::Scopes;
use crate::{
    ids::{AccountSid, ApplicationSid, ConnectAppSid, KeySid, NumberSid},
    secret::Secret,
};

/// When a record was made and changed last, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamps {
    /// When it was made.
    pub created: SystemTime,
    /// When it was changed last.
    pub updated: SystemTime,
    /// Counts its changes.
    pub(super) version: i64,
}

/// An enum of words that are kept and shown as they are.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$word_doc:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$word_doc])* $word,)*
        }

        impl $name {
            /// As it is kept and shown.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$word => $text,)* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::accounts::records::Unknown;

            fn from_str(text: &str) -> Result<$name, $crate::accounts::records::Unknown> {
                match text {
                    $($text => Ok($name::$word),)*
                    _ => Err($crate::accounts::records::Unknown { what: $what, text: text.to_owned() }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(super) use words;

/// A word is none of those that there are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}")]
pub struct Unknown {
    pub(super) what: &'static str,
    pub(super) text: String,
}

words!(
    /// Whether an account may be used.
    Status, "status" {
        /// It may.
        Active = "active",
        /// It may not for now.
        Suspended = "suspended",
        /// It may not any more, for ever.
        Closed = "closed",
    }
);

impl Status {
    /// What holds for an account: its parent's status rules it.
    pub fn under(self, parent: Option<Status>) -> Status {
        match parent {
            Some(Status::Closed) => Status::Closed,
            Some(Status::Suspended) if self == Status::Active => Status::Suspended,
            _ => self,
        }
    }
}

/// An account.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Its name.
    pub sid: AccountSid,
    /// Whose subaccount it is.
    pub parent: Option<AccountSid>,
    /// Its name for people.
    pub friendly_name: String,
    /// Its own status; its parent's rules it ([`Status::under`]).
    pub status: Status,
    /// What it authenticates with, and what requests to its application are signed with.
    pub primary_token: Secret,
    /// A second one, while the first is being replaced.
    pub secondary_token: Option<Secret>,
    /// The application that it is the subaccount for: no token of its own lets anybody in then, and it can have no keys.
    pub connect_app: Option<ConnectAppSid>,
    /// Who is told that a limit of it is reached.
    pub limit_callback_url: Option<String>,
    /// How.
    pub limit_callback_method: Method,
    /// When.
    pub stamps: Stamps,
}

words!(
    /// What a key is for.
    KeyKind, "kind of key" {
        /// Authenticates requests: name and secret, as HTTP Basic.
        Api = "api",
        /// Signs the tokens of clients.
        Signing = "signing",
    }
);

/// A key, without its secret: that is shown once, when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub sid: KeySid,
    /// Whose it is.
    pub account: AccountSid,
    /// What it is for.
    pub kind: KeyKind,
    /// Its name for people.
    pub friendly_name: String,
    /// What it may do; what tokens signed with it may do at most.
    pub scopes: Scopes,
    /// Until when it is good.
    pub expires: Option<SystemTime>,
    /// When it was used last, give or take a minute.
    pub used: Option<SystemTime>,
    /// When.
    pub stamps: Stamps,
}

/// What to make a key of.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What it is for.
    pub kind: KeyKind,
    /// Its name for people.
    pub friendly_name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// Until when it is good.
    pub expires: Option<SystemTime>,
}

/// The method of a request to an application server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET
    Get,
    /// POST
    #[default]
    Post,
}

impl Method {
    /// As HTTP spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }
}

impl FromStr for Method {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Method, Unknown> {
        match text {
            _ if text.eq_ignore_ascii_case("get") => Ok(Method::Get),
            _ if text.eq_ignore_ascii_case("post") => Ok(Method::Post),
            _ => Err(Unknown { what: "method", text: text.to_owned() }),
        }
    }
}

/// Where calls are asked about, as numbers and applications have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VoiceFields {
    /// What a call is to do.
    pub voice_url: Option<String>,
    /// How that is asked.
    pub voice_method: Method,
    /// Who is asked where that fails.
    pub voice_fallback_url: Option<String>,
    /// How.
    pub voice_fallback_method: Method,
    /// Who is told of a call's progress.
    pub status_callback: Option<String>,
    /// How.
    pub status_callback_method: Method,
    /// Whether a caller's name is looked up.
    pub voice_caller_id_lookup: bool,
    /// Kept for clients that set it; messages are not sent here.
    pub sms_url: Option<String>,
    /// Likewise.
    pub sms_method: Method,
    /// Likewise.
    pub sms_fallback_url: Option<String>,
    /// Likewise.
    pub sms_fallback_method: Method,
}

/// What calls do: numbers and outgoing calls may name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its name.
    pub sid: ApplicationSid,
    /// Whose it is.
    pub account: AccountSid,
    /// Its name for people.
    pub friendly_name: String,
    /// Where calls are asked about.
    pub fields: ApplicationFields,
    /// When.
    pub stamps: Stamps,
}

/// What can be set of an application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApplicationFields {
    /// Where calls are asked about.
    #[serde(flatten)]
    pub voice: VoiceFields,
    /// Kept for clients that set it.
    pub sms_status_callback: Option<String>,
    /// Likewise.
    pub message_status_callback: Option<String>,
    /// Likewise.
    pub public_application_connect_enabled: bool,
}

/// A phone number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// Its name.
    pub sid: NumberSid,
    /// The number.
    pub phone_number: PhoneNumber,
    /// Who has it; nobody: it is in the operator's stock.
    pub account: Option<AccountSid>,
    /// Who may take it from there, beside its subaccounts; nobody: anybody.
    pub offered_to: Option<AccountSid>,
    /// Its name for people.
    pub friendly_name: String,
    /// Where calls to it are asked about.
    pub fields: NumberFields,
    /// When.
    pub stamps: Stamps,
}

/// What can be set of a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NumberFields {
    /// Where calls are asked about.
    #[serde(flatten)]
    pub voice: VoiceFields,
    /// The application that says so instead.
    pub voice_application: Option<ApplicationSid>,
    /// Kept for clients that set it.
    pub sms_application: Option<ApplicationSid>,
}

/// A number in the form of E.164: `+`, then up to 15 digits of which the first is not 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PhoneNumber(String);

/// The text is no number in the form of E.164.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected + and up to 15 digits (E.164)")]
pub struct NotAPhoneNumber;

impl FromStr for PhoneNumber {
    type Err = NotAPhoneNumber;

    fn from_str(text: &str) -> Result<PhoneNumber, NotAPhoneNumber> {
        let digits = text.strip_prefix('+').ok_or(NotAPhoneNumber)?;
        let is_number = (2..=15).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_digit())
            && !digits.starts_with('0');
        if is_number { Ok(PhoneNumber(text.to_owned())) } else { Err(NotAPhoneNumber) }
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One thing that somebody did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place among all.
    pub number: i64,
    /// When.
    pub at: SystemTime,
    /// On whose account.
    pub account: AccountSid,
    /// The account that did it, or `operator`.
    pub actor: String,
    /// What it authenticated with: a key's name, `auth token`, or how the operator came.
    pub credential: String,
    /// As which application, where the account has allowed one to act for it.
    pub application: Option<ConnectAppSid>,
    /// What was done.
    pub action: String,
    /// To which of its things.
    pub target: String,
    /// Further words.
    pub detail: String,
}
