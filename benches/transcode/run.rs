//! Runs programs and says what they cost, as the kernel counts it for a whole process.

use std::{
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use wait4::Wait4 as _;

/// What a process cost from its start to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Largest resident memory in KiB. At least that of this program, which the kernel counts in: it must stay small.
    pub(crate) peak: u64,
}

/// The files that a command line may name.
pub(crate) struct Names<'a> {
    pub(crate) ringback: &'a str,
    pub(crate) bench: &'a str,
    pub(crate) input: &'a Path,
    pub(crate) output: &'a Path,
}

impl Names<'_> {
    fn fill(&self, word: &str) -> String {
        match word {
            "{ringback}" => self.ringback.to_owned(),
            "{bench}" => self.bench.to_owned(),
            "{in}" | "{music}" | "{mono}" => self.input.display().to_string(),
            "{out}" => self.output.display().to_string(),
            other => other.to_owned(),
        }
    }

    pub(crate) fn command(&self, template: &str) -> Result<Command> {
        let mut words = template.split(' ').map(|word| self.fill(word));
        let mut command = Command::new(words.next().context("an empty command line")?);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
        Ok(command)
    }

    /// Runs a command line to its end.
    pub(crate) fn run(&self, template: &str) -> Result<Cost> {
        cost(self.command(template)?)
    }
}

pub(crate) fn cost(mut command: Command) -> Result<Cost> {
    let shown = format!("{command:?}");
    let mut child = command.stderr(Stdio::piped()).spawn().with_context(|| format!("starting {shown}"))?;
    let mut said = String::new();
    if let Some(mut errors) = child.stderr.take() {
        errors.read_to_string(&mut said)?;
    }
    let used = child.wait4()?;
    ensure!(used.status.success(), "{shown}: {}\n{said}", used.status);
    Ok(Cost { cpu: used.rusage.utime + used.rusage.stime, peak: used.rusage.maxrss / 1_024 })
}

/// The middle of values, and the mean of the two in the middle of an even number.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    if values.len() % 2 == 1 { at(middle) } else { f64::midpoint(at(middle.wrapping_sub(1)), at(middle)) }
}

pub(crate) fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

pub(crate) fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}
