//! Where verbs write: results to one side, what people want to know meanwhile to the other.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write},
};

/// The two outputs of the program. Tests put buffers in their place.
pub(super) struct Terminal {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    interactive: bool,
    shows_secrets: bool,
}

impl Terminal {
    /// Standard output and standard error.
    pub(super) fn of_process() -> Terminal {
        Terminal {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            interactive: io::stderr().is_terminal(),
            shows_secrets: io::stdout().is_terminal(),
        }
    }

    /// Two writers of the caller's, neither of them a terminal.
    #[cfg(test)]
    pub(super) fn of(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Terminal {
        Terminal { out: Box::new(out), err: Box::new(err), interactive: false, shows_secrets: false }
    }

    /// Whether a person watches standard error, so that a line may be drawn over again.
    pub(super) fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Whether a person reads standard output, rather than a file or a log that keeps it.
    pub(super) fn shows_secrets(&self) -> bool {
        self.shows_secrets
    }

    /// Writes a line of the result.
    ///
    /// # Errors
    /// The output is closed or full: the result did not arrive, so the verb has failed.
    pub(super) fn say(&mut self, line: &str) -> io::Result<()> {
        self.out.write_all(line.as_bytes())?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }

    /// The result's own output, for what is not lines.
    pub(super) fn out(&mut self) -> &mut dyn Write {
        &mut self.out
    }

    /// Writes a line about what is going on.
    ///
    /// A closed standard error is no reason to stop working, so a failure to write is passed over.
    pub(super) fn note(&mut self, line: &str) {
        self.err.write_all(line.as_bytes()).and_then(|()| self.err.write_all(b"\n")).unwrap_or_default();
    }

    /// Writes what somebody is asked for, who answers on the same line.
    pub(super) fn ask(&mut self, text: &str) {
        self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush()).unwrap_or_default();
    }

    /// Writes a line about what went wrong, with the program's name before it.
    pub(super) fn complain(&mut self, line: &str) {
        self.note(&format!("ringback: {}", plain(line)));
    }
}

/// A text in which others may have a say, without what a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    let is_plain = |character: char| !character.is_control() || matches!(character, '\n' | '\t');
    let shown = |character| if is_plain(character) { character } else { char::REPLACEMENT_CHARACTER };
    text.chars().map(shown).collect()
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal").field("interactive", &self.interactive).finish_non_exhaustive()
    }
}
