//! `ringback account`: the operator's way to accounts, by the store itself. A running node that uses the same store hears of it within a second.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    accounts::{
        Account, AccountChange, AccountFilter, Accounts, AccountsError, Actor, Key, KeyKind, Listed, NewKey, Number,
        PAGE_MAX, Page, PhoneNumber, Scopes, Status,
    },
    app,
    ids::{AccountSid, KeySid},
    secret::Secret,
};

use super::{
    Exit,
    serve::Kept,
    terminal::{self, Terminal},
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    place: Place,
}

/// Whose accounts, and how what is known of them is told.
#[derive(Debug, Args)]
pub(super) struct Place {
    #[command(flatten)]
    kept: Kept,
    /// File to write secrets to, made for its owner alone; without it they are shown on a terminal only
    #[arg(long, global = true, value_name = "FILE")]
    secrets_to: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make an account, or a subaccount
    Create {
        /// Its name for people
        #[arg(default_value = "")]
        name: String,
        /// The account that it is to be a subaccount of
        #[arg(long, value_name = "ACCOUNT")]
        parent: Option<AccountSid>,
    },
    /// List accounts, the newest first
    List {
        /// This one and its subaccounts
        #[arg(long, value_name = "ACCOUNT")]
        of: Option<AccountSid>,
        /// Those of one status
        #[arg(long, value_name = "STATUS")]
        status: Option<Status>,
    },
    /// Show an account, its tokens too
    Show {
        /// Which
        account: AccountSid,
    },
    /// Refuse everything that an account and its subaccounts ask, until it is resumed
    Suspend {
        /// Which
        account: AccountSid,
    },
    /// Let a suspended account in again
    Resume {
        /// Which
        account: AccountSid,
    },
    /// Close an account and its subaccounts, for ever
    Close {
        /// Which
        account: AccountSid,
    },
    /// Replace an account's auth token: make a second one, then make it the only one
    Rotate {
        /// Which
        account: AccountSid,
        /// Make the second token the only one
        #[arg(long, conflicts_with = "drop")]
        promote: bool,
        /// Drop the second token instead
        #[arg(long)]
        drop: bool,
    },
    /// End all tokens that an account's clients have; those to come must say the epoch that is printed
    EndClientTokens {
        /// Whose
        account: AccountSid,
    },
    /// Make, list and revoke keys
    #[command(subcommand)]
    Keys(KeysVerb),
    /// Bring numbers in, and say who has them
    #[command(subcommand)]
    Numbers(NumbersVerb),
    /// Who did what, the newest first
    Audit {
        /// To this account only
        account: Option<AccountSid>,
        /// Entries at most
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Seal all secrets anew with the first key of the key file
    Reseal,
}

#[derive(Debug, Subcommand)]
enum KeysVerb {
    /// Make a key; its secret is told once
    Create {
        /// Whose
        account: AccountSid,
        /// Its name for people
        #[arg(default_value = "")]
        name: String,
        /// What it may do: standard, all, get-all, post-all, or words like media:read
        #[arg(long, default_value = "standard")]
        scopes: Scopes,
        /// How long it is good, as 90days; for ever without
        #[arg(long, value_name = "DURATION")]
        expires: Option<humantime::Duration>,
        /// Make one that signs the tokens of clients
        #[arg(long)]
        signing: bool,
    },
    /// List keys, the newest first
    List {
        /// Whose
        account: AccountSid,
        /// Those that sign the tokens of clients
        #[arg(long)]
        signing: bool,
    },
    /// Revoke a key
    Revoke {
        /// Whose
        account: AccountSid,
        /// Which
        key: KeySid,
        /// One that signs the tokens of clients
        #[arg(long)]
        signing: bool,
    },
}

#[derive(Debug, Subcommand)]
enum NumbersVerb {
    /// Bring a number in: for an account, or into the stock
    Add {
        /// As +15551234567
        number: PhoneNumber,
        /// Who has it at once
        #[arg(long, value_name = "ACCOUNT", conflicts_with = "offer_to")]
        account: Option<AccountSid>,
        /// Who may take it, beside its subaccounts; without, anybody may
        #[arg(long, value_name = "ACCOUNT")]
        offer_to: Option<AccountSid>,
    },
    /// Give a number to an account, whoever had it
    Assign {
        /// Which
        number: PhoneNumber,
        /// To whom
        account: AccountSid,
    },
    /// Put a number back into the stock, whoever had it
    Release {
        /// Which
        number: PhoneNumber,
    },
    /// Take a number out
    Remove {
        /// Which
        number: PhoneNumber,
    },
    /// List numbers, the newest first
    List {
        /// Those of this account
        account: Option<AccountSid>,
    },
}

pub(super) async fn run(arguments: Arguments, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let Arguments { verb, place } = arguments;
    at_desk(place, terminal, async |desk| desk.carry_out(verb).await).await
}

/// Does the operator's work on the accounts of a configuration.
pub(super) async fn at_desk(
    place: Place,
    terminal: &mut Terminal,
    work: impl AsyncFnOnce(&mut Desk<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    let Place { kept, secrets_to } = place;
    let json = kept.json;
    let config = match kept.settings().load() {
        Ok(loaded) => loaded.config,
        Err(mistakes) => {
            terminal.complain(&mistakes.to_string());
            return Ok(Exit::Usage);
        }
    };
    let accounts = match app::open_accounts(&config).await {
        Ok(accounts) => accounts,
        Err(error) => {
            terminal.complain(&format!("{error:#}"));
            return Ok(Exit::NothingDone);
        }
    };
    let mut desk = Desk { accounts, json, secrets_to, terminal };
    let done = work(&mut desk).await;
    desk.accounts.close().await;
    let exit = match &done {
        Ok(()) => Exit::Done,
        Err(error) => match error.downcast_ref::<AccountsError>() {
            Some(AccountsError::NotFound(_)) => Exit::NotThere,
            Some(error) if error.is_away() => Exit::NothingDone,
            _ => Exit::Failed,
        },
    };
    if let Err(error) = done {
        desk.terminal.complain(&format!("{error:#}"));
    }
    Ok(exit)
}

/// Where the operator sits.
pub(super) struct Desk<'a> {
    pub(super) accounts: Accounts,
    json: bool,
    secrets_to: Option<PathBuf>,
    pub(super) terminal: &'a mut Terminal,
}

impl Desk<'_> {
    async fn carry_out(&mut self, verb: Verb) -> anyhow::Result<()> {
        let by = Actor::operator("command line");
        match verb {
            Verb::Create { name, parent } => {
                let made = self.accounts.create_account(parent.as_ref(), &name, &by).await?;
                self.show_account(&made)
            }
            Verb::List { of, status } => {
                let filter = AccountFilter { status, ..AccountFilter::default() };
                let accounts = self.accounts.clone();
                let pages = async |page: Page| accounts.accounts(of.as_ref(), &filter, &page).await;
                self.list(pages, account_fields).await
            }
            Verb::Show { account } => {
                let account = self.accounts.account(&account).await?;
                self.show_account(&account)
            }
            Verb::Suspend { account } => self.set_status(&account, Status::Suspended, &by).await,
            Verb::Resume { account } => self.set_status(&account, Status::Active, &by).await,
            Verb::Close { account } => self.set_status(&account, Status::Closed, &by).await,
            Verb::Rotate { account, promote, drop } => {
                let account = if promote {
                    self.accounts.promote_secondary_token(&account, &by).await?
                } else if drop {
                    self.accounts.delete_secondary_token(&account, &by).await?
                } else {
                    self.accounts.create_secondary_token(&account, &by).await?
                };
                self.show_account(&account)
            }
            Verb::EndClientTokens { account } => {
                let epoch = self.accounts.end_client_tokens(&account, &by).await?;
                self.tell(&json!({ "sid": account, "epoch": epoch }))
            }
            Verb::Keys(verb) => self.keys(verb, &by).await,
            Verb::Numbers(verb) => self.numbers(verb, &by).await,
            Verb::Audit { account, limit } => {
                for entry in self.accounts.audit(account.as_ref(), None, limit).await? {
                    let at = humantime::format_rfc3339_seconds(entry.at).to_string();
                    self.tell(&json!({
                        "at": at, "actor": entry.actor, "credential": entry.credential, "action": entry.action,
                        "target": entry.target, "account": entry.account, "detail": entry.detail, "application": entry.application,
                    }))?;
                }
                Ok(())
            }
            Verb::Reseal => {
                let sealed = self.accounts.reseal(&by).await?;
                self.tell(&json!({ "sealed": sealed }))
            }
        }
    }

    async fn keys(&mut self, verb: KeysVerb, by: &Actor) -> anyhow::Result<()> {
        let kind = |signing| if signing { KeyKind::Signing } else { KeyKind::Api };
        match verb {
            KeysVerb::Create { account, name, scopes, expires, signing } => {
                let file = self.file_for_once("the key's secret")?;
                let expires = expires.map(|life| self.accounts.now() + *life);
                let new = NewKey { kind: kind(signing), friendly_name: name, scopes, expires };
                let made = self.accounts.create_key(&account, &new, by).await;
                let (key, secret) = self.or_no_file(made)?;
                self.tell_with(key_fields(&key), &[("secret", &secret)], file)
            }
            KeysVerb::List { account, signing } => {
                let accounts = self.accounts.clone();
                let pages = async |page: Page| accounts.keys(&account, kind(signing), &page).await;
                self.list(pages, key_fields).await
            }
            KeysVerb::Revoke { account, key, signing } => {
                Ok(self.accounts.delete_key(&account, kind(signing), &key, by).await?)
            }
        }
    }

    async fn numbers(&mut self, verb: NumbersVerb, by: &Actor) -> anyhow::Result<()> {
        let number = match verb {
            NumbersVerb::Add { number, account, offer_to } => {
                self.accounts.add_number(&number, account.as_ref(), offer_to.as_ref(), by).await?
            }
            NumbersVerb::Assign { number, account } => self.accounts.assign_number(&number, Some(&account), by).await?,
            NumbersVerb::Release { number } => self.accounts.assign_number(&number, None, by).await?,
            NumbersVerb::Remove { number } => return Ok(self.accounts.remove_number(&number, by).await?),
            NumbersVerb::List { account } => {
                let accounts = self.accounts.clone();
                let pages = async |page: Page| accounts.all_numbers(account.as_ref(), &page).await;
                return self.list(pages, number_fields).await;
            }
        };
        self.tell(&number_fields(&number))
    }

    async fn set_status(&mut self, account: &AccountSid, status: Status, by: &Actor) -> anyhow::Result<()> {
        let change = AccountChange { status: Some(status), ..AccountChange::default() };
        let account = self.accounts.update_account(account, &change, by).await?;
        self.tell(&account_fields(&account))
    }

    /// All pages of a list.
    pub(super) async fn list<T>(
        &mut self,
        pages: impl AsyncFn(Page) -> Result<Listed<T>, AccountsError>,
        fields: impl Fn(&T) -> Value,
    ) -> anyhow::Result<()> {
        let mut beside = None;
        loop {
            let listed = pages(Page { size: PAGE_MAX, beside }).await?;
            for record in &listed.records {
                self.tell(&fields(record))?;
            }
            beside = listed.older;
            if beside.is_none() {
                return Ok(());
            }
        }
    }

    fn show_account(&mut self, account: &Account) -> anyhow::Result<()> {
        let mut secrets = vec![("auth_token", &account.primary_token)];
        secrets.extend(account.secondary_token.as_ref().map(|token| ("secondary_auth_token", token)));
        let file = self.secrets_file()?;
        self.tell_with(account_fields(account), &secrets, file)
    }

    /// The file for what is told once: nothing is made where nobody would read it.
    pub(super) fn file_for_once(&self, what: &str) -> anyhow::Result<Option<File>> {
        if self.secrets_to.is_none() && !self.terminal.shows_secrets() {
            bail!("{what} would be lost: --secrets-to FILE writes it to a file");
        }
        self.secrets_file()
    }

    /// What was made, or no file for its secrets.
    pub(super) fn or_no_file<T>(&self, made: Result<T, AccountsError>) -> anyhow::Result<T> {
        if let (Err(_), Some(path)) = (&made, &self.secrets_to) {
            std::fs::remove_file(path).with_context(|| format!("removing {}", path.display()))?;
        }
        Ok(made?)
    }

    /// The file for secrets, before there are any. Never over another one, whose mode could be anything.
    fn secrets_file(&self) -> anyhow::Result<Option<File>> {
        let Some(path) = &self.secrets_to else { return Ok(None) };
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        Ok(Some(opened.with_context(|| format!("making {}", path.display()))?))
    }

    /// Tells of a record and its secrets: those on a terminal, or in a file.
    pub(super) fn tell_with(
        &mut self,
        mut fields: Value,
        secrets: &[(&str, &Secret)],
        file: Option<File>,
    ) -> anyhow::Result<()> {
        let mut in_file = json!({ "sid": fields.get("sid").cloned() });
        for (name, secret) in secrets {
            let is_shown = self.secrets_to.is_none() && self.terminal.shows_secrets();
            let shown = if is_shown { secret.reveal() } else { "***" };
            set(&mut fields, name, Value::from(shown));
            set(&mut in_file, name, Value::from(secret.reveal()));
        }
        if let Some(file) = file {
            write_secrets(file, &in_file).context("writing the secrets to their file")?;
        } else if !self.terminal.shows_secrets() {
            self.terminal.note("secrets are shown on a terminal only; --secrets-to FILE writes them to a file");
        }
        self.tell(&fields)
    }

    pub(super) fn tell(&mut self, fields: &Value) -> anyhow::Result<()> {
        if self.json {
            return Ok(self.terminal.say(&fields.to_string())?);
        }
        let words = fields.as_object().into_iter().flatten().filter_map(|(name, value)| match value {
            Value::Null => None,
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(format!("{name}={}", terminal::plain(text))),
            other => Some(format!("{name}={other}")),
        });
        Ok(self.terminal.say(&words.collect::<Vec<_>>().join("  "))?)
    }
}

fn set(fields: &mut Value, name: &str, value: Value) {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

fn write_secrets(mut file: File, secrets: &Value) -> std::io::Result<()> {
    writeln!(file, "{secrets}")?;
    file.sync_all()
}

pub(super) fn date(time: std::time::SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

fn account_fields(account: &Account) -> Value {
    json!({
        "sid": account.sid, "name": account.friendly_name, "status": account.status.as_str(),
        "parent": account.parent, "created": date(account.stamps.created),
    })
}

fn key_fields(key: &Key) -> Value {
    json!({
        "sid": key.sid, "account": key.account, "kind": key.kind.as_str(), "name": key.friendly_name,
        "scopes": key.scopes.to_string(), "created": date(key.stamps.created),
        "expires": key.expires.map(date), "used": key.used.map(date),
    })
}

fn number_fields(number: &Number) -> Value {
    json!({
        "number": number.phone_number.to_string(), "sid": number.sid, "account": number.account,
        "offered_to": number.offered_to, "name": number.friendly_name,
    })
}
