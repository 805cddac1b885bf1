//! `ringback completions` and `ringback man`: what shells and `man` know of the command line, made of its own definitions.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::{Args, Command, CommandFactory as _, ValueEnum};

use super::{Exit, terminal::Terminal};

/// What the program is called.
const PROGRAM: &str = "ringback";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Shells that are served.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl From<Shell> for clap_complete::Shell {
    fn from(shell: Shell) -> clap_complete::Shell {
        match shell {
            Shell::Bash => clap_complete::Shell::Bash,
            Shell::Zsh => clap_complete::Shell::Zsh,
            Shell::Fish => clap_complete::Shell::Fish,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// Directory to write all pages to, ringback.1 and one for each verb; without it ringback.1 is printed
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    let shell = clap_complete::Shell::from(arguments.shell);
    clap_complete::generate(shell, &mut super::Arguments::command(), PROGRAM, &mut script);
    terminal.out().write_all(&script)?;
    terminal.out().flush()?;
    Ok(Exit::Done)
}

pub(super) fn man(arguments: &ManArguments, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let command = built();
    let Some(directory) = &arguments.directory else {
        terminal.out().write_all(&page(command)?)?;
        terminal.out().flush()?;
        return Ok(Exit::Done);
    };
    fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    let verbs: Vec<Command> = command.get_subcommands().filter(|verb| verb.get_name() != "help").cloned().collect();
    for command in std::iter::once(command).chain(verbs) {
        let path = directory.join(format!("{}.1", command.get_display_name().unwrap_or(PROGRAM)));
        fs::write(&path, page(command)?).with_context(|| format!("writing {}", path.display()))?;
        terminal.say(&path.display().to_string())?;
    }
    Ok(Exit::Done)
}

/// The whole command line with the names that its parts have on pages of their own: `ringback-warm`.
fn built() -> Command {
    let mut command = super::Arguments::command().disable_help_subcommand(true);
    command.build();
    command
}

fn page(command: Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).context("making the page")?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tests::ringback;

    /// Every verb but `help`, its aliases, and its flags as they are typed.
    fn verbs() -> Vec<(String, Vec<String>, Vec<String>)> {
        let verb = |verb: &Command| {
            let aliases = verb.get_visible_aliases().map(str::to_owned).collect();
            let flags = verb.get_arguments().filter(|argument| !argument.is_hide_set());
            let flags = flags.filter_map(|argument| argument.get_long().map(|long| format!("--{long}")));
            (verb.get_name().to_owned(), aliases, flags.collect())
        };
        built().get_subcommands().map(verb).collect()
    }

    #[test]
    fn every_shell_completes_every_verb_and_every_flag() {
        for shell in ["bash", "zsh", "fish"] {
            let (exit, script, err) = ringback(&["completions", shell]);
            assert_eq!(exit, Exit::Done, "{err}");
            for (verb, aliases, flags) in verbs() {
                for name in aliases.iter().chain([&verb]) {
                    assert!(script.contains(name.as_str()), "{shell} does not know {name}");
                }
                for flag in flags {
                    // fish has them without their dashes: `-l node`.
                    let flag = if shell == "fish" { format!("-l {}", &flag[2..]) } else { flag };
                    assert!(script.contains(&flag), "{shell} does not know {flag} of {verb}");
                }
            }
        }
        assert_eq!(crate::cli::tests::parse(&["completions", "tcsh"]).map(drop).map_err(drop), Err(()));
    }

    #[test]
    fn every_verb_has_a_page_and_every_flag_stands_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("man1");
        let (exit, written, err) = ringback(&["man", place.to_str().unwrap()]);
        assert_eq!(exit, Exit::Done, "{err}");
        assert_eq!(written.lines().count(), verbs().len() + 1);
        // roff spells a hyphen that is one `\-`.
        let page = |name: &str| fs::read_to_string(place.join(name)).unwrap().replace("\\-", "-");
        let main = page("ringback.1");
        for (verb, _, flags) in verbs() {
            assert!(main.contains(&format!("ringback-{verb}(1)")), "{verb} is not in {main}");
            let page = page(&format!("ringback-{verb}.1"));
            for flag in flags {
                assert!(page.contains(&flag), "{flag} is not on the page of {verb}");
            }
        }
        let (_, printed, _) = ringback(&["man"]);
        assert_eq!(printed.replace("\\-", "-"), main);
        assert_eq!(ringback(&["man", "/dev/null/here"]).0, Exit::Failed);
    }

    /// What is written for people names every verb: the tables cannot fall behind.
    #[test]
    fn the_manual_names_every_verb() {
        let read = |name: &str| fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let (manual, tables) = (read("README.md"), read("docs/command-line.md"));
        for (verb, aliases, _) in verbs() {
            assert!(manual.contains(&format!("| `{verb}`")), "README has no row for {verb}");
            assert!(tables.contains(&format!("ringback {verb}")), "docs/command-line.md has no {verb}");
            for alias in aliases {
                assert!(tables.contains(&format!("`{alias}`")), "docs/command-line.md has no {alias}");
            }
        }
        // The commands of the other programs that operators come from.
        for command in [
            "http_get",
            "http_tryget",
            "http_prefetch",
            "http_put",
            "http_remove_cache",
            "http_clear_cache",
            "media cache show all",
            "media cache show",
            "media cache delete",
            "media cache refresh",
            "media cache create",
        ] {
            assert!(tables.contains(&format!("`{command}")), "docs/command-line.md has no {command}");
        }
    }
}
