//! A short prompt by a process of its own: what starting costs counts here.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::{
    cases::{self, INPUTS, Program},
    prepare::Originals,
    run::{Names, least, median, most},
};

const SECONDS: u64 = 10;
/// Runs of each program, for each round of the table.
const RUNS: usize = 10;
/// Most that is aimed at, in ms.
const AIM: f64 = 8.0;

/// All inputs to the first output, `rounds` times [`RUNS`] times in turn.
pub(crate) fn measure(ringback: &str, bench: &str, directory: &Path, rounds: usize) -> Result<()> {
    let inputs: Vec<_> = INPUTS.iter().collect();
    let originals = Originals::prepare(directory, SECONDS, &inputs)?;
    let output = cases::OUTPUTS.first().context("no outputs")?;
    let result = directory.join("result");
    println!(
        "CPU of a whole process for a prompt of {SECONDS} s to {}, ms, median of {} (least … most); aim for MP3: ≤{AIM:.0}",
        output.extension,
        rounds * RUNS
    );
    println!("{:<17} {:<13} {:>7} {:>16} {:>9}", "input", "program", "CPU ms", "(least … most)", "peak MiB");
    for input in INPUTS {
        for program in [Program::Ringback, Program::Ffmpeg] {
            let path = originals.path(input);
            let names = Names { ringback, bench, input: &path, output: &result };
            let command = program.command(output).context("no command")?;
            let (mut millis, mut peak) = (Vec::new(), 0);
            for _ in 0..rounds * RUNS {
                let cost = names.run(&command)?;
                millis.push(cost.cpu.as_secs_f64() * 1_000.0);
                peak = peak.max(cost.peak);
            }
            let span = format!("({:.1} … {:.1})", least(&millis), most(&millis));
            let peak = peak as f64 / 1_024.0;
            println!("{:<17} {:<13} {:>7.1} {span:>16} {peak:>9.1}", input.name, program.name(), median(millis));
        }
    }
    println!();
    Ok(())
}
