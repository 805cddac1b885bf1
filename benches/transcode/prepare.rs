//! The originals: music of any length, encoded by the usual encoders.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use ringback::testing::fixture;

use crate::{cases::Input, run::Names};

/// Where Debian's `singularity-music` puts real music, broad of band: eighteen pieces, an hour and more of it.
const MUSIC_DIR: &str = "/usr/share/games/singularity/music";

/// Originals of one length.
pub(crate) struct Originals {
    directory: PathBuf,
}

impl Originals {
    pub(crate) fn path(&self, input: &Input) -> PathBuf {
        self.directory.join(input.file)
    }

    /// What was made before is used again.
    pub(crate) fn prepare(directory: &Path, seconds: u64, inputs: &[&'static Input]) -> Result<Originals> {
        let directory = directory.join(format!("{seconds}s"));
        fs::create_dir_all(&directory)?;
        let music = directory.join("all-music.wav");
        let mono = directory.join("all-mono.wav");
        make(&music, |part| sox(&pieces(seconds)?, part, seconds, &["-r", "44100", "-c", "2"]))?;
        make(&mono, |part| sox(std::slice::from_ref(&music), part, seconds, &["-r", "48000", "-c", "1"]))?;
        let originals = Originals { directory };
        let left = Mutex::new(inputs.iter());
        let work = || -> Result<()> {
            loop {
                let next = left.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(input) = next else { return Ok(()) };
                let from = if input.make.contains("{mono}") { &mono } else { &music };
                make(&originals.path(input), |part| {
                    Names { ringback: "", bench: "", input: from, output: part }.run(input.make).map(drop)
                })?;
            }
        };
        // Encoders take one processor each.
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().unwrap_or_else(|_| anyhow::bail!("a worker panicked")))
        })?;
        Ok(originals)
    }
}

/// Makes a file beside its place first: what is there is whole.
fn make(file: &Path, work: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if file.exists() {
        return Ok(());
    }
    let name = file.file_name().and_then(|name| name.to_str()).context("no name")?;
    // The extension stays: encoders look at it.
    let part = file.with_file_name(format!("part-{name}"));
    work(&part)?;
    Ok(fs::rename(&part, file)?)
}

/// Music for so long, the same again where there is not enough of it.
fn pieces(seconds: u64) -> Result<Vec<PathBuf>> {
    /// Every piece is at least as long.
    const PIECE_SECONDS: u64 = 60;
    let mut pieces: Vec<PathBuf> =
        fs::read_dir(MUSIC_DIR).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    pieces.retain(|piece| piece.extension().is_some_and(|extension| extension == "ogg"));
    pieces.sort();
    let (pieces, each) = if pieces.is_empty() {
        eprintln!("{MUSIC_DIR} is not there (Debian: singularity-music): chords of the fixtures instead of real music");
        (vec![fixture::audio_dir().join("music.mp3")], 8)
    } else {
        (pieces, PIECE_SECONDS)
    };
    let count = usize::try_from(seconds.div_ceil(each))?;
    Ok(pieces.into_iter().cycle().take(count).collect())
}

fn sox(from: &[PathBuf], to: &Path, seconds: u64, options: &[&str]) -> Result<()> {
    let status = Command::new("sox")
        .args(["-V1", "-G"])
        .args(from)
        .args(options)
        .args(["-b", "16"])
        .arg(to)
        .args(["trim", "0", &seconds.to_string()])
        .status()
        .context("starting sox")?;
    ensure!(status.success(), "sox: {status}");
    Ok(())
}
