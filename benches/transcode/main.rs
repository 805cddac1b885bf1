//! What conversions cost, beside other programs that do the same with the same files in the same run, and what they lose.
//!
//! `make bench-transcode` builds the program as it is released and calls this with its path. CPU is user and system time of whole
//! processes, as CPU seconds for an hour of audio; programs take turns for several rounds. Time on the wall would measure the
//! neighbours of the machine as well.

#![expect(clippy::print_stdout, reason = "the table on standard output is the product")]

mod bare;
mod cases;
#[path = "../media_hit/cpu.rs"]
mod cpu;
mod fill;
mod judge;
#[path = "../node.rs"]
mod node;
mod prepare;
mod prompt;
mod run;
mod table;

use std::{env, path::Path};

use anyhow::{Context as _, Result, bail, ensure};

use cases::{INPUTS, Input, OUTPUTS, Output};

const USAGE: &str = "transcode RINGBACK AUDIO_DIRECTORY [MINUTES [ROUNDS [PAIRS]]]
PAIRS: cross (every input to the first output and the first input to every output), all, a part of INPUT>OUTPUT, prompt or fill.
Run it by `make bench-transcode`.";

/// Length of the clips whose quality is judged.
const JUDGED_SECONDS: u64 = 60;

fn main() -> Result<()> {
    // `cargo bench` adds --bench; `cargo test --benches` calls without arguments.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["bare-opus", input, output] => bare::encode(Path::new(input), Path::new(output)),
        ["judge", original, read_original, result, read_result] => {
            println!("{}", judge::snr(Path::new(original), read_original, Path::new(result), read_result)?);
            Ok(())
        }
        [ringback, directory, rest @ ..] => measure(ringback, Path::new(directory), rest),
        _ => {
            println!("{USAGE}");
            Ok(())
        }
    }
}

fn measure(ringback: &str, directory: &Path, rest: &[&str]) -> Result<()> {
    let minutes: u64 = rest.first().map_or(Ok(60), |text| text.parse()).context("MINUTES")?;
    let rounds: usize = rest.get(1).map_or(Ok(3), |text| text.parse()).context("ROUNDS")?;
    ensure!(0 < minutes && 0 < rounds, "minutes and rounds are more than nothing");
    let which = rest.get(2).copied().unwrap_or("cross");
    let bench = env::current_exe()?.to_str().context("a path that is no text")?.to_owned();
    println!("{}", cpu::machine());
    let pairs = pairs(which);
    if !pairs.is_empty() {
        let bench = table::Bench { ringback, bench: &bench, directory, seconds: 60 * minutes, rounds };
        table::measure(&bench, &pairs)?;
    }
    if matches!(which, "cross" | "all" | "prompt") {
        prompt::measure(ringback, &bench, directory, rounds)?;
    }
    if matches!(which, "cross" | "all" | "fill") {
        fill::measure(ringback)?;
    }
    if pairs.is_empty() && !matches!(which, "prompt" | "fill") {
        bail!("no pair has {which:?} in it");
    }
    Ok(())
}

/// An input and an output.
type Pair = (&'static Input, &'static Output);

fn pairs(which: &str) -> Vec<Pair> {
    let all = OUTPUTS.iter().flat_map(|output| INPUTS.iter().map(move |input| (input, output)));
    all.filter(|(input, output)| {
        let is_first = input.file == INPUTS[0].file || output.extension == OUTPUTS[0].extension;
        match which {
            "all" => true,
            // The encoder beside the encoder alone is part of it.
            "cross" => is_first || input.programs().contains(&cases::Program::BareOpus) && output.extension == "opus",
            part => format!("{}>{}", input.name, output.extension).contains(part),
        }
    })
    .collect()
}
