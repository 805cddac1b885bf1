//! `ringback user`: the operator's way to people. There is no other way to become a user, and none to a new password.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    accounts::{Actor, Email, Page, Role, User},
    ids::AccountSid,
    secret::Secret,
};

use super::{
    Exit,
    account::{Desk, Place, at_desk, date},
    password::{Given, PasswordFrom},
    terminal::Terminal,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a user of an account
    Create {
        /// Whose
        account: AccountSid,
        /// The address of mail that the user signs in with
        email: Email,
        /// What the user may do: owner and admin allow and revoke applications, viewer looks on
        #[arg(long, default_value = "admin")]
        role: Role,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// List users, the newest first
    List {
        /// Those of this account
        account: Option<AccountSid>,
    },
    /// Give a user another password, and end all sessions
    Password {
        /// Which
        email: Email,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Have a user's authenticator asked for codes, by a secret that is told once, and end all sessions
    Totp {
        /// Which
        email: Email,
        /// Ask for no codes any more
        #[arg(long)]
        off: bool,
    },
    /// Give a user another role, and end all sessions
    Role {
        /// Which
        email: Email,
        /// owner, admin or viewer
        role: Role,
    },
    /// Close a user for ever, and end all sessions
    Close {
        /// Which
        email: Email,
    },
}

pub(super) async fn run(arguments: Arguments, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let Arguments { verb, place } = arguments;
    at_desk(place, terminal, async |desk| carry_out(desk, verb).await).await
}

async fn carry_out(desk: &mut Desk<'_>, verb: Verb) -> anyhow::Result<()> {
    let by = Actor::operator("command line");
    match verb {
        Verb::Create { account, email, role, password } => {
            // Before anybody types one for nothing.
            desk.accounts.account(&account).await?;
            with_password(desk, &password, async |desk, password| {
                desk.accounts.create_user(&account, &email, role, password, &by).await
            })
            .await
        }
        Verb::List { account } => {
            let accounts = desk.accounts.clone();
            let pages = async |page: Page| accounts.users(account.as_ref(), &page).await;
            desk.list(pages, user_fields).await
        }
        Verb::Password { email, password } => {
            let user = desk.accounts.user(&email).await?;
            with_password(desk, &password, async |desk, password| {
                desk.accounts.set_password(&user, password, &by).await?;
                desk.accounts.user(&email).await
            })
            .await
        }
        Verb::Totp { email, off } => {
            let user = desk.accounts.user(&email).await?;
            if off {
                desk.accounts.end_totp(&user, &by).await?;
                let fields = user_fields(&desk.accounts.user(&email).await?);
                return desk.tell(&fields);
            }
            let file = desk.file_for_once("the authenticator's secret")?;
            let set = desk.accounts.set_totp(&user, &by).await;
            let [secret, address] = desk.or_no_file(set)?;
            let fields = user_fields(&desk.accounts.user(&email).await?);
            desk.tell_with(fields, &[("totp_secret", &secret), ("totp_address", &address)], file)
        }
        Verb::Role { email, role } => {
            let user = desk.accounts.user(&email).await?;
            desk.accounts.set_role(&user, role, &by).await?;
            let fields = user_fields(&desk.accounts.user(&email).await?);
            desk.tell(&fields)
        }
        Verb::Close { email } => {
            let user = desk.accounts.user(&email).await?;
            Ok(desk.accounts.close_user(&user, &by).await?)
        }
    }
}

/// Does something with a password that is typed, read or drawn, and tells of the user, and of the password where it was drawn.
async fn with_password<'a>(
    desk: &mut Desk<'a>,
    from: &PasswordFrom,
    work: impl AsyncFnOnce(&mut Desk<'a>, &Secret) -> Result<User, crate::accounts::AccountsError>,
) -> anyhow::Result<()> {
    match from.give(desk.terminal)? {
        Given::Typed(password) => {
            let user = work(desk, &password).await?;
            desk.tell(&user_fields(&user))
        }
        Given::Drawn(password) => {
            let file = desk.file_for_once("the password")?;
            let made = work(desk, &password).await;
            let user = desk.or_no_file(made)?;
            desk.tell_with(user_fields(&user), &[("password", &password)], file)
        }
    }
}

fn user_fields(user: &User) -> Value {
    json!({
        "sid": user.sid, "email": user.email.as_str(), "account": user.account, "role": user.role.as_str(),
        "status": user.status.as_str(), "totp": user.has_totp, "signed_in": user.signed_in.map(date),
        "created": date(user.stamps.created),
    })
}
