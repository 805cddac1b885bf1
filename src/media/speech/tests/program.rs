//! The real espeak-ng, and programs in its place that misbehave.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use super::support::{program, whole};
use crate::{
    media::speech::{Config, Percent, Speech, SpeechError, Spoken, TextIn, Utterance, Wish},
    outbound::Hops,
    problem::Kind,
    units::ByteCount,
};

/// Of the header before the samples.
const HEADER_BYTES: usize = 44;
/// A second of its samples: 22.05 kHz, 16 bits.
const SECOND_BYTES: usize = 44_100;

async fn speak(speech: &Speech, wish: &Wish, text: &str) -> Result<Vec<u8>, SpeechError> {
    let utterance = speech.utterance(wish, text, TextIn::Body)?;
    whole(speech.speak(&utterance, &Hops::default()).await?).await
}

fn voice(name: &str) -> Wish {
    Wish { voice: Some(name.to_owned()), ..Wish::default() }
}

#[tokio::test]
async fn the_real_program_speaks() {
    let speech = program(|_| {}).await;
    let said = Command::new("espeak-ng").arg("--version").output().expect("scripts/install-needs test installs it");
    let (name, version) = speech.engines().next().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(name == "espeak-ng" && said.contains(&format!(": {version} ")), "{version} in {said}");

    let wav = speak(&speech, &Wish::default(), "Please hold the line.").await.unwrap();
    assert!(wav.starts_with(b"RIFF") && wav.len() > HEADER_BYTES + SECOND_BYTES, "{} bytes", wav.len());
    // The same again, to the bit.
    assert!(speak(&speech, &Wish::default(), "Please hold the line.").await.unwrap() == wav);
    assert!(speak(&speech, &voice("de"), "Please hold the line.").await.unwrap() != wav);
    assert!(speak(&speech, &voice("en-us+f3"), "Please hold the line.").await.unwrap() != wav);
}

#[tokio::test]
async fn speed_pitch_and_markup_are_heard() {
    let speech = program(|_| {}).await;
    let text = "This is a sentence of some length, so that its speed can be told.";
    let usual = speak(&speech, &Wish::default(), text).await.unwrap();
    let with = |speed: u16, pitch: u16| Wish {
        speed: Some(Percent::new(speed)),
        pitch: Some(Percent::new(pitch)),
        ..Wish::default()
    };
    let slow = speak(&speech, &with(50, 100), text).await.unwrap();
    let fast = speak(&speech, &with(200, 100), text).await.unwrap();
    assert!(slow.len() as f64 > 1.5 * usual.len() as f64 && (fast.len() as f64) < 0.75 * usual.len() as f64);
    let high = speak(&speech, &with(100, 200), text).await.unwrap();
    assert!(high != usual && high != speak(&speech, &with(100, 0), text).await.unwrap());

    let (wish, _) = Wish::take(&[("ssml", "true")]).unwrap();
    let plain = speak(&speech, &wish, "<speak>One two</speak>").await.unwrap();
    let pause = speak(&speech, &wish, "<speak>One <break time=\"2s\"/> two</speak>").await.unwrap();
    assert!(pause.len() > plain.len() + SECOND_BYTES, "{} and {}", pause.len(), plain.len());
    // Without the option brackets are characters like others.
    assert!(speak(&speech, &Wish::default(), "<speak>One two</speak>").await.unwrap() != plain);
}

#[tokio::test]
async fn any_script_and_any_length_goes_in() {
    let speech = program(|_| {}).await;
    let long = "A long text has many words. ".repeat(714);
    let wav = speak(&speech, &Wish::default(), long.trim()).await.unwrap();
    assert!(wav.len() > 600 * SECOND_BYTES, "{} bytes", wav.len());
    for (language, text) in
        [("de-AT", "Grüß Gott, schöne Straße"), ("hi", "कृपया प्रतीक्षा करें।"), ("ru", "Пожалуйста"), ("en", "yes")]
    {
        let wish = Wish { language: Some(language.to_owned()), ..Wish::default() };
        let wav = speak(&speech, &wish, text).await.unwrap();
        assert!(wav.len() > HEADER_BYTES + SECOND_BYTES / 5, "{language}: {} bytes", wav.len());
    }
}

#[tokio::test]
async fn voices_are_those_that_it_has() {
    let speech = program(|_| {}).await;
    let resolved = |wish: &Wish| {
        let utterance = speech.utterance(wish, "x", TextIn::Path)?;
        let speaker = utterance.speaker();
        Ok::<_, SpeechError>((speaker.voice.to_string(), speaker.language.to_string()))
    };
    let pair = |voice: &str, language: &str| (voice.to_owned(), language.to_owned());
    assert_eq!(resolved(&Wish::default()).unwrap(), pair("en-us", "en-us"));
    assert_eq!(resolved(&voice("EN-us")).unwrap(), pair("en-us", "en-us"));
    assert_eq!(resolved(&voice("english_(america)")).unwrap(), pair("en-us", "en-us"));
    assert_eq!(resolved(&voice("de+F3")).unwrap(), pair("de+f3", "de"));
    let language = |language: &str| Wish { language: Some(language.to_owned()), ..Wish::default() };
    assert_eq!(resolved(&language("de_AT")).unwrap(), pair("de", "de_at"));
    assert_eq!(resolved(&language("en")).unwrap(), pair("en-gb", "en"));
    assert_eq!(resolved(&language("pt-BR")).unwrap(), pair("pt-br", "pt-br"));

    for name in ["nobody", "--help", "../../etc/passwd", "en-us+../../x", "en-us+nobody", "+f3", "en us", "de\u{301}"] {
        let error = resolved(&voice(name)).unwrap_err();
        assert!(matches!(error, SpeechError::UnknownVoice { .. }), "{name}: {error:?}");
        assert_eq!(error.problem().kind, Kind::UnknownVoice);
    }
    assert!(matches!(resolved(&language("tlh")), Err(SpeechError::UnknownLanguage { .. })));
}

#[tokio::test]
async fn one_that_is_not_there_is_no_error_until_it_is_asked() {
    for speech in [
        program(|config| config.espeak.program = Some("/nowhere/espeak-ng".into())).await,
        program(|config| config.espeak.program = Some("/bin/true".into())).await,
        program(|config| config.espeak.enabled = false).await,
    ] {
        assert_eq!(speech.engines().count(), 0);
        let error = speech.utterance(&Wish::default(), "x", TextIn::Path).unwrap_err();
        assert!(matches!(error, SpeechError::NoEngine { name: None }), "{error:?}");
        assert_eq!(error.problem().kind, Kind::NoEngine);
    }
}

#[tokio::test]
async fn what_was_recorded_of_another_version_is_not_spoken() {
    let old = program(|config| config.espeak.version = Some("1.49".to_owned())).await;
    let utterance = old.utterance(&Wish::default(), "x", TextIn::Path).unwrap();
    assert_eq!(&*utterance.speaker().version, "1.49");
    assert!(old.speak(&utterance, &Hops::default()).await.is_ok());
    let error = program(|_| {}).await.speak(&utterance, &Hops::default()).await.unwrap_err();
    assert!(matches!(error, SpeechError::OtherVersion { .. }), "{error:?}");
}

/// A program that does in the place of espeak-ng what the text says.
struct Stunt {
    directory: TempDir,
    speech: Speech,
}

const STUNTS: &str = r#"#!/bin/sh
case "$1" in
--version) echo 'eSpeak NG text-to-speech: 9.9  Data at: /nowhere'; exit ;;
--voices) printf 'Pty Language Age/Gender VoiceName File Other\n 5 en-us --/M English gmw/en-US\n'; exit ;;
--voices=variant) printf 'Pty Language Age/Gender VoiceName File Other\n'; exit ;;
esac
cd "$(dirname "$0")" || exit 1
echo "$@" >arguments
cat >text
echo $$ >pid.new && mv pid.new pid
case "$(cat text)" in
*late*) printf 'RIFF and so on'; echo 'something broke' >&2; exit 3 ;;
*hang*) exec sleep 1000 ;;
*begin*) printf 'RIFF'; exec sleep 1000 ;;
*child*) sleep 1000 & echo $! >child.new && mv child.new child; wait ;;
*orphan*) sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >child.new && mv child.new child; printf 'RIFF' ;;
*environment*) env | cut -d= -f1 >environment; printf 'RIFF' ;;
*flood*) exec cat /dev/zero ;;
*grumble*) head -c 300000 /dev/zero | tr '\0' x >&2; printf 'RIFF' ;;
*nothing*) ;;
*page*) echo '<html>no</html>' ;;
*die*) printf 'RIFF'; kill -9 $$ ;;
*) printf 'RIFF' ;;
esac
"#;

impl Stunt {
    async fn new(change: impl FnOnce(&mut Config)) -> Stunt {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("espeak-ng");
        std::fs::write(&path, STUNTS).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        let speech = program(|config| {
            config.espeak.program = Some(path);
            change(config);
        })
        .await;
        Stunt { directory, speech }
    }

    fn utterance(&self, text: &str) -> Utterance {
        self.speech.utterance(&Wish::default(), text, TextIn::Path).unwrap()
    }

    async fn begin(&self, text: &str) -> Result<Spoken, SpeechError> {
        self.speech.speak(&self.utterance(text), &Hops::default()).await
    }

    async fn whole(&self, text: &str) -> Result<Vec<u8>, SpeechError> {
        whole(self.begin(text).await?).await
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns when the number of the process stands in its file.
    async fn pid(&self, file: &str) -> String {
        let path = self.path(file);
        until(|| path.exists()).await;
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }
}

/// Looks again and again, letting everybody else work in between.
async fn until(holds: impl Fn() -> bool) {
    let looking = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.expect("it comes to hold");
}

/// Returns when a process is gone and reaped.
async fn gone(pid: &str) {
    let path = Path::new("/proc").join(pid);
    until(|| !path.exists()).await;
}

#[tokio::test]
async fn the_text_goes_in_by_standard_input_only() {
    let stunt = Stunt::new(|_| {}).await;
    assert_eq!(stunt.whole("swordfish [[h@l'oU]] -v x").await.unwrap(), b"RIFF");
    let arguments = std::fs::read_to_string(stunt.path("arguments")).unwrap();
    assert_eq!(arguments.trim(), "--stdin --stdout -b 1 -v en-us");
    // What it would read as phonemes it reads as brackets.
    assert_eq!(std::fs::read_to_string(stunt.path("text")).unwrap(), "swordfish [ [h@l'oU]] -v x");
}

#[tokio::test]
async fn an_error_never_looks_like_audio() {
    let stunt = Stunt::new(|_| {}).await;
    let mut spoken = stunt.begin("late").await.unwrap();
    assert_eq!(spoken.chunk().await.unwrap().unwrap(), "RIFF and so on");
    let error = spoken.chunk().await.unwrap_err();
    assert!(matches!(&error, SpeechError::Failed { why, .. } if why.contains("exit code 3")), "{error:?}");
    assert_eq!(error.problem().kind, Kind::SpeechFailed);
    assert!(spoken.chunk().await.unwrap().is_none(), "spent");

    assert!(matches!(stunt.whole("die").await, Err(SpeechError::Failed { .. })));
    assert!(matches!(stunt.whole("nothing").await, Err(SpeechError::NotAudio { what: "nothing", .. })));
    assert!(matches!(stunt.whole("page").await, Err(SpeechError::NotAudio { what: "a page", .. })));
    // What it says on the side does not hold it up.
    assert_eq!(stunt.whole("grumble").await.unwrap(), b"RIFF");
}

#[tokio::test]
async fn what_is_abandoned_is_killed_and_reaped() {
    let stunt = Stunt::new(|_| {}).await;
    let (utterance, hops) = (stunt.utterance("hang"), Hops::default());
    let pid = tokio::select! {
        spoken = stunt.speech.speak(&utterance, &hops) => panic!("{spoken:?}"),
        pid = stunt.pid("pid") => pid,
    };
    gone(&pid).await;

    std::fs::remove_file(stunt.path("pid")).unwrap();
    let spoken = stunt.begin("begin").await.unwrap();
    let pid = stunt.pid("pid").await;
    assert!(Path::new("/proc").join(&pid).exists());
    drop(spoken);
    gone(&pid).await;

    // What it started itself ends with it.
    let utterance = stunt.utterance("child");
    let child = tokio::select! {
        spoken = stunt.speech.speak(&utterance, &hops) => panic!("{spoken:?}"),
        child = stunt.pid("child") => child,
    };
    runs_no_more(&child).await;

    // Also where it has ended well itself.
    std::fs::remove_file(stunt.path("child")).unwrap();
    assert_eq!(stunt.whole("orphan").await.unwrap(), b"RIFF");
    runs_no_more(&stunt.pid("child").await).await;
}

/// Whoever reaps it is not ours: a zombie has no command line any more.
async fn runs_no_more(pid: &str) {
    let path = Path::new("/proc").join(pid).join("cmdline");
    until(|| std::fs::read(&path).map_or(true, |line| line.is_empty())).await;
}

#[tokio::test]
async fn it_has_nothing_of_our_environment_that_it_does_not_need() {
    let stunt = Stunt::new(|_| {}).await;
    assert_eq!(stunt.whole("environment").await.unwrap(), b"RIFF");
    let names = std::fs::read_to_string(stunt.path("environment")).unwrap();
    // What a shell adds, and what a program is found and writes by.
    let known = ["PWD", "OLDPWD", "SHLVL", "_", "PATH", "HOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE"];
    let others: Vec<&str> = names.lines().filter(|name| !known.contains(name)).collect();
    assert_eq!(others, [""; 0]);
    assert!(std::env::vars_os().count() > known.len(), "there is something to be left out");
}

#[tokio::test]
async fn it_is_bounded_in_time() {
    // Long enough for a program to start on a machine that is busy with other tests.
    let stunt = Stunt::new(|config| config.time_max = Duration::from_secs(3)).await;
    let error = stunt.whole("hang").await.unwrap_err();
    assert!(matches!(error, SpeechError::Timeout { .. }), "{error:?}");
    assert_eq!(error.problem().kind, Kind::SpeechTimeout);
    gone(&stunt.pid("pid").await).await;

    let mut spoken = stunt.begin("begin").await.unwrap();
    spoken.chunk().await.unwrap();
    assert!(matches!(spoken.chunk().await, Err(SpeechError::Timeout { .. })));
}

#[tokio::test]
async fn it_is_bounded_in_bytes() {
    let stunt = Stunt::new(|config| config.bytes_max = ByteCount::kib(256)).await;
    let mut spoken = stunt.begin("flood").await.unwrap();
    let error = loop {
        match spoken.chunk().await {
            Ok(piece) => assert!(piece.is_some()),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SpeechError::OverLimit { .. }), "{error:?}");
    // At once, though the reader still holds on to it.
    gone(&stunt.pid("pid").await).await;
}

#[tokio::test]
async fn only_so_many_speak_and_wait() {
    let stunt = Stunt::new(|config| {
        config.espeak.speaking_max = 1;
        config.waiting_max = 1;
        config.wait = Duration::from_secs(20);
    })
    .await;
    let first = stunt.begin("begin").await.unwrap();
    let mut second = Box::pin(stunt.begin("second"));
    assert!(futures_util::poll!(&mut second).is_pending());
    let error = stunt.begin("third").await.unwrap_err();
    assert!(matches!(error, SpeechError::Busy { .. }), "{error:?}");
    assert!(error.problem().kind == Kind::Busy && error.problem().retry_after.is_some());
    drop(first);
    assert_eq!(whole(second.await.unwrap()).await.unwrap(), b"RIFF");
    assert_eq!(stunt.whole("fourth").await.unwrap(), b"RIFF");

    let stunt = Stunt::new(|config| {
        config.espeak.speaking_max = 1;
        config.wait = Duration::from_millis(50);
    })
    .await;
    let _first = stunt.begin("begin").await.unwrap();
    assert!(matches!(stunt.begin("second").await, Err(SpeechError::Busy { .. })));
}
