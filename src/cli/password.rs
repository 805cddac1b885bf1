//! Where a password comes from: typed at a prompt that does not show it, read from standard input, or drawn.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use anyhow::{Context as _, bail};
use clap::Args;
use rand::{RngExt as _, distr::Alphanumeric};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::{accounts::PASSWORD_BYTES_MAX, secret::Secret};

use super::terminal::Terminal;

/// Letters and digits of a drawn one: 119 bits.
const DRAWN_LENGTH: usize = 20;

/// Where a password comes from; without either flag it is asked for.
#[derive(Debug, Args)]
pub(super) struct PasswordFrom {
    /// Read the password from standard input, to its end; a newline there is no part of it
    #[arg(long)]
    password_stdin: bool,
    /// Draw a password, which is told once
    #[arg(long, conflicts_with = "password_stdin")]
    draw_password: bool,
}

/// A password, and whether anybody knows it yet.
pub(super) enum Given {
    /// Somebody has chosen it.
    Typed(Secret),
    /// It is to be told.
    Drawn(Secret),
}

impl PasswordFrom {
    /// The password.
    ///
    /// # Errors
    /// There is none to be had this way.
    pub(super) fn give(&self, terminal: &mut Terminal) -> anyhow::Result<Given> {
        if self.draw_password {
            let drawn = rand::rng().sample_iter(Alphanumeric).take(DRAWN_LENGTH).map(char::from).collect();
            return Ok(Given::Drawn(Secret::new(drawn)));
        }
        if self.password_stdin {
            return Ok(Given::Typed(read(io::stdin().lock())?));
        }
        if !io::stdin().is_terminal() {
            bail!("nobody is there to type a password: --password-stdin reads it, --draw-password draws one");
        }
        // Before anything is asked for: nothing of an answer is shown, however early it comes.
        let hidden = Hidden::begin().context("hiding what is typed")?;
        let [first, second] = [prompt(terminal, "Password: ")?, prompt(terminal, "Again: ")?];
        drop(hidden);
        if first != second {
            bail!("these were two different passwords");
        }
        Ok(Given::Typed(first))
    }
}

fn read(input: impl io::Read) -> anyhow::Result<Secret> {
    let mut text = String::new();
    // What is longer than any password is refused as one.
    let limit = u64::try_from(PASSWORD_BYTES_MAX + 2).unwrap_or(u64::MAX);
    input.take(limit).read_to_string(&mut text).context("reading the password")?;
    Ok(without_newline(text))
}

fn prompt(terminal: &mut Terminal, text: &str) -> anyhow::Result<Secret> {
    terminal.ask(text);
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    terminal.note("");
    read.context("reading the password")?;
    Ok(without_newline(line))
}

fn without_newline(mut text: String) -> Secret {
    if text.ends_with('\n') {
        text.pop();
    }
    if text.ends_with('\r') {
        text.pop();
    }
    Secret::new(text)
}

/// While this is there, the terminal does not show what is typed.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Hidden> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Hidden(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing anyway.
        tcsetattr(io::stdin(), OptionalActions::Now, &self.0).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_read_without_the_end_of_its_line() {
        for (input, password) in
            [("a b\n", "a b"), ("a b", "a b"), ("a b\r\n", "a b"), ("a\nb\n", "a\nb"), (" x \n", " x ")]
        {
            assert_eq!(read(input.as_bytes()).unwrap().reveal(), password);
        }
        let long = "x".repeat(2 * PASSWORD_BYTES_MAX);
        assert!(PASSWORD_BYTES_MAX < read(long.as_bytes()).unwrap().reveal().len());
    }
}
