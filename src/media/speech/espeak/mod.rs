//! The local program `espeak-ng` as an engine.
//!
//! The text goes to its standard input, never onto a command line, where every user of the machine could read it; WAV comes out of its
//! standard output as it is made, with lengths in its header that mean "to the end". What it says when it ends counts: bytes that came before
//! an exit code other than 0 are not speech.

mod process;

mod voices;

use std::{
    ffi::OsString,
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, future::BoxFuture, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Config, ESPEAK, Engine, Manner, Markup, Percent, Request, Resolved, SpeechError, Utterance, Voiced};

use process::Process;
use voices::Voices;

/// What it is called where no path is configured.
const PROGRAM: &str = "espeak-ng";
/// How long it may take to say its version or its voices.
const ASKING_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of such an answer: the list of voices has some 12 KiB.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// Bytes of audio that are handed on at a time: three quarters of a second.
const PIECE_BYTES: usize = 32 << 10;
/// Words a minute at the voice's usual speed.
const USUAL_SPEED: u32 = 175;
/// The usual pitch, of 0 to 99.
const USUAL_PITCH: u32 = 50;
const PITCH_MAX: u32 = 99;

/// The program.
pub(super) struct Espeak {
    program: PathBuf,
    version: Box<str>,
    voices: Voices,
    usual_voice: String,
    speaking_max: usize,
}

impl fmt::Debug for Espeak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Espeak").field("program", &self.program).field("version", &self.version).finish_non_exhaustive()
    }
}

impl Espeak {
    /// Looks for the program and asks it for its version and its voices. That it is not there is said, and no error.
    pub(super) async fn find(config: &Config) -> Option<Espeak> {
        let config = &config.espeak;
        if !config.enabled {
            return None;
        }
        let program = config.program.clone().unwrap_or_else(|| PROGRAM.into());
        match Espeak::ask(program.clone()).await {
            Ok((version, voices)) => {
                let version = config.version.clone().unwrap_or(version).into();
                tracing::info!(program = %program.display(), %version, voices = voices.len(), "speech engine found");
                let (usual_voice, speaking_max) = (config.voice.clone(), config.speaking_max);
                Some(Espeak { program, version, voices, usual_voice, speaking_max })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && config.program.is_none() => {
                tracing::info!("espeak-ng is not installed: it speaks nothing here");
                None
            }
            Err(error) => {
                tracing::error!(%error, program = %program.display(), "speech engine cannot be used");
                None
            }
        }
    }

    async fn ask(program: PathBuf) -> io::Result<(String, Voices)> {
        let (said, voices, variants) = tokio::try_join!(
            answer(&program, "--version"),
            answer(&program, "--voices"),
            answer(&program, "--voices=variant"),
        )?;
        let version = voices::version(&said).ok_or_else(|| io::Error::other("it says no version"))?;
        Ok((version.to_owned(), Voices::parse(&voices, &variants)))
    }

    /// What comes before the text.
    fn arguments(utterance: &Utterance) -> Vec<OsString> {
        let Manner { speed, pitch, markup, .. } = utterance.manner();
        let mut arguments: Vec<OsString> = ["--stdin", "--stdout", "-b", "1", "-v"].map(OsString::from).into();
        arguments.push(OsString::from(&*utterance.speaker().voice));
        if speed != Percent::USUAL {
            let words = USUAL_SPEED * u32::from(speed.get()) / 100;
            arguments.extend(["-s".into(), words.to_string().into()]);
        }
        if pitch != Percent::USUAL {
            let pitch = PITCH_MAX.min(USUAL_PITCH * u32::from(pitch.get()) / 100);
            arguments.extend(["-p".into(), pitch.to_string().into()]);
        }
        if markup == Markup::Ssml {
            arguments.push("-m".into());
        }
        arguments
    }

    async fn begin(&self, request: Request<'_>) -> Result<Voiced, SpeechError> {
        let failed = |error: io::Error| {
            tracing::error!(%error, program = %self.program.display(), "speech engine cannot be started");
            SpeechError::Failed { engine: ESPEAK, why: "the program cannot be started".into() }
        };
        let mut process = Process::start(&self.program, Espeak::arguments(request.utterance)).await.map_err(failed)?;
        let text = without_phonemes(request.utterance.text());
        // It reads all of it before it speaks. One that ends before says why by its exit code.
        if let Err(error) = process.input.write_all(text.as_bytes()).await
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            return Err(failed(error));
        }
        let Process { input, output, running } = process;
        drop(input);
        // Ends with an error, or when the program has said that all is well.
        let bytes = stream::try_unfold(Some((output, running)), |state| async move {
            let Some((mut output, running)) = state else { return Ok(None) };
            let mut piece = BytesMut::with_capacity(PIECE_BYTES);
            let broken = |_| SpeechError::Failed { engine: ESPEAK, why: "its output cannot be read".into() };
            if output.read_buf(&mut piece).await.map_err(broken)? > 0 {
                return Ok(Some((piece.freeze(), Some((output, running)))));
            }
            drop(output);
            let ended = running.end().await.map_err(broken)?;
            if ended.status.success() {
                return Ok(Some((Bytes::new(), None)));
            }
            // What it says may have the text in it, which is nobody's but its caller's.
            tracing::warn!(status = %ended.status, said_bytes = ended.said.len(), "speech engine failed");
            let why = match ended.status.code() {
                Some(code) => format!("it ended with exit code {code}"),
                None => "it was killed".to_owned(),
            };
            Err(SpeechError::Failed { engine: ESPEAK, why: why.into() })
        });
        Ok(Voiced { content_type: Some("audio/wav".into()), bytes: bytes.boxed() })
    }
}

impl Engine for Espeak {
    fn name(&self) -> &'static str {
        ESPEAK
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn speaking_max(&self) -> usize {
        self.speaking_max
    }

    fn resolve(&self, voice: Option<&str>, language: Option<&str>, _: Manner) -> Result<Resolved, SpeechError> {
        let found = match (voice, language) {
            (Some(voice), _) => self.voices.named(voice).ok_or(voice),
            (None, Some(language)) => {
                let found = self.voices.of_language(language);
                let language = super::error::echo(language);
                return found.ok_or(SpeechError::UnknownLanguage { engine: ESPEAK, language });
            }
            (None, None) => self.voices.named(&self.usual_voice).ok_or(self.usual_voice.as_str()),
        };
        let found =
            found.map_err(|voice| SpeechError::UnknownVoice { engine: ESPEAK, voice: super::error::echo(voice) })?;
        // Its voices are languages: another one beside them says nothing.
        Ok(found)
    }

    fn speak<'a>(&'a self, request: Request<'a>) -> BoxFuture<'a, Result<Voiced, SpeechError>> {
        Box::pin(self.begin(request))
    }
}

/// The program reads `[[…]]` as phonemes, in any text. Ours has none.
fn without_phonemes(text: &str) -> String {
    let mut apart = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '[' && apart.ends_with('[') {
            apart.push(' ');
        }
        apart.push(character);
    }
    apart
}

/// What the program says of itself.
async fn answer(program: &Path, argument: &str) -> io::Result<String> {
    let asked = async {
        let Process { input, output, running } = Process::start(program, vec![argument.into()]).await?;
        drop(input);
        let mut answer = Vec::new();
        output.take(ANSWER_BYTES_MAX as u64).read_to_end(&mut answer).await?;
        let ended = running.end().await?;
        if !ended.status.success() {
            return Err(io::Error::other(format!("{argument} ended with {}", ended.status)));
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::time::timeout(ASKING_TIMEOUT, asked).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

#[cfg(test)]
mod tests;
