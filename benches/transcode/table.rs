//! The table: each input to each output by each program, cost and quality.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::{
    JUDGED_SECONDS, Pair,
    cases::{self, Input, Output, Program},
    prepare::Originals,
    run::{Cost, Names, cost, least, median, most},
};

/// What all measurements have in common.
pub(crate) struct Bench<'a> {
    pub(crate) ringback: &'a str,
    pub(crate) bench: &'a str,
    pub(crate) directory: &'a Path,
    pub(crate) seconds: u64,
    pub(crate) rounds: usize,
}

const SECONDS_PER_HOUR: f64 = 3_600.0;

pub(crate) fn measure(bench: &Bench<'_>, pairs: &[Pair]) -> Result<()> {
    let mut inputs: Vec<&'static Input> = Vec::new();
    for (input, _) in pairs {
        if !inputs.iter().any(|known| known.file == input.file) {
            inputs.push(input);
        }
    }
    let long = Originals::prepare(bench.directory, bench.seconds, &inputs)?;
    let judged = Originals::prepare(bench.directory, JUDGED_SECONDS, &inputs)?;
    let mut version = Command::new(bench.ringback);
    version.arg("--version").stdout(std::process::Stdio::null());
    let idle = mib(cost(version)?.peak);
    println!(
        "{} min of 44.1 kHz stereo music; CPU = user + system seconds of the whole process for an hour of audio, median of {} \
         interleaved rounds;",
        bench.seconds / 60,
        bench.rounds
    );
    println!(
        "share = ringback's CPU as a part of the program's, median of the rounds' (least … most): below 1.00 ringback is cheaper;"
    );
    println!("peak = largest resident memory of the process in MiB ({idle:.1} for `ringback --version`);");
    println!(
        "SNR = in 0.1 … 3.4 kHz against ffmpeg's decoder in floating point and soxr, level and delay taken out, dB; G.711 is judged by \
         16-bit linear output of the same program."
    );
    println!();
    println!(
        "{:<17} {:<6} {:<13} {:>7} {:>16} {:>6} {:>6} {:>7} {:>16} {:>6}",
        "input", "output", "program", "CPU s/h", "(least … most)", "peak", "SNR", "share", "(least … most)", "aim"
    );
    for (input, output) in pairs {
        row(bench, input, output, &long.path(input), &judged.path(input))?;
    }
    println!();
    Ok(())
}

/// What one program took in all rounds.
struct Taken {
    program: Program,
    hours: Vec<f64>,
    peak: u64,
}

fn row(bench: &Bench<'_>, input: &Input, output: &Output, long: &Path, judged: &Path) -> Result<()> {
    let result = bench.directory.join("result");
    let names = |input| Names { ringback: bench.ringback, bench: bench.bench, input, output: &result };
    let commands: Vec<_> =
        input.programs().into_iter().filter_map(|program| Some((program, program.command(output)?))).collect();
    let mut taken: Vec<Taken> =
        commands.iter().map(|(program, _)| Taken { program: *program, hours: Vec::new(), peak: 0 }).collect();
    for round in 0..bench.rounds {
        // Who goes first changes from round to round, so that a drift of the machine falls on all.
        for turn in 0..commands.len() {
            let turn = (turn + round) % commands.len();
            let (Some((_, command)), Some(taken)) = (commands.get(turn), taken.get_mut(turn)) else { continue };
            let Cost { cpu, peak } = names(long).run(command)?;
            taken.hours.push(cpu.as_secs_f64() * SECONDS_PER_HOUR / bench.seconds as f64);
            taken.peak = taken.peak.max(peak);
        }
    }
    let ours = taken.first().map(|taken| taken.hours.clone()).unwrap_or_default();
    for Taken { program, hours, peak } in taken {
        let snr = quality(bench, program, input, output, &names(judged))?;
        let snr = snr.map_or_else(|| "–".to_owned(), |snr| format!("{snr:.1}"));
        let (share, span) = if program == Program::Ringback {
            Default::default()
        } else {
            let shares: Vec<f64> = ours.iter().zip(&hours).map(|(ours, theirs)| ours / theirs).collect();
            (format!("{:.2}", median(shares.clone())), format!("({:.2} … {:.2})", least(&shares), most(&shares)))
        };
        let aim = input.aim(program, output).map(|aim| format!("≤{aim:.2}")).unwrap_or_default();
        let hour = median(hours.clone());
        let hours = format!("({:.2} … {:.2})", least(&hours), most(&hours));
        println!(
            "{:<17} {:<6} {:<13} {hour:>7.2} {hours:>16} {:>6.1} {snr:>6} {share:>7} {span:>16} {aim:>6}",
            input.name,
            output.extension,
            program.name(),
            mib(peak)
        );
    }
    fs::remove_file(&result).ok();
    Ok(())
}

/// SNR of what a program makes of the short original; `None` where it makes nothing that can be read alone.
fn quality(
    bench: &Bench<'_>,
    program: Program,
    input: &Input,
    output: &Output,
    names: &Names<'_>,
) -> Result<Option<f64>> {
    let output = cases::output_of(output.judged).context("no such output")?;
    let Some(command) = program.command(output).filter(|_| program != Program::BareOpus) else { return Ok(None) };
    names.run(&command)?;
    let judge = Command::new(bench.bench)
        .arg("judge")
        .args([names.input.as_os_str(), input.read().as_ref(), names.output.as_os_str(), output.read.as_ref()])
        .output()?;
    ensure!(judge.status.success(), "judge: {}", String::from_utf8_lossy(&judge.stderr));
    Ok(Some(String::from_utf8(judge.stdout)?.trim().parse()?))
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1_024.0
}
