//! What operators can set about speech.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    problem::ConfigProblems,
    secret::Secret,
    units::{ByteCount, duration_text},
};

/// Longest text that can be allowed, in characters: an hour and a half of speech.
pub(super) const TEXT_CEILING: usize = 100_000;
/// Longest utterance in time: what is made of text cannot be longer than what is decoded.
const TIME_CEILING: Duration = Duration::from_secs(60 * 60);
/// Voices that can be listed.
const VOICES_MAX: usize = 1_000;

/// `[media.speech]`: text to be spoken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The engine that speaks where a request names none: `espeak-ng` or `http`. Empty: `http` where it has a URL, else `espeak-ng`.
    pub engine: String,
    /// How long the first sound may take before something else stands in, where something can.
    #[serde(with = "duration_text")]
    pub deadline: Duration,
    /// The engine that stands in. Empty: none.
    pub fallback_engine: String,
    /// A file, or an http or https address, with the clip that stands in where no engine speaks. Empty: none.
    pub fallback_clip: String,
    /// Characters of a text in the path of a request.
    pub text_max: usize,
    /// Characters of a text in the body of a request.
    pub long_text_max: usize,
    /// Bytes that an engine may give for one sentence.
    pub bytes_max: ByteCount,
    /// How long an engine may take for one sentence.
    #[serde(with = "duration_text")]
    pub time_max: Duration,
    /// Sentences that may wait for one engine.
    pub waiting_max: usize,
    /// How long a sentence waits for its turn.
    #[serde(with = "duration_text")]
    pub wait: Duration,
    /// The local program.
    pub espeak: EspeakConfig,
    /// The service.
    pub http: HttpConfig,
}

/// `[media.speech.espeak]`: the program `espeak-ng`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EspeakConfig {
    /// Whether it is looked for.
    pub enabled: bool,
    /// Path of the program. Without it `espeak-ng` is looked for in `PATH`.
    pub program: Option<PathBuf>,
    /// The version that stands in records, instead of the program's own.
    pub version: Option<String>,
    /// Voice where a request names neither voice nor language.
    pub voice: String,
    /// Utterances at once: each is a process.
    pub speaking_max: usize,
}

/// `[media.speech.http]`: a service that takes `POST {model, input, voice, response_format}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Where the requests go. Without it there is no such engine.
    pub url: Option<String>,
    /// The model that is named.
    pub model: String,
    /// Sent as `Authorization: Bearer`. Shown nowhere.
    pub api_key: Option<Secret>,
    /// The version that stands in records. Without it the model's name.
    pub version: Option<String>,
    /// Voice where a request names none.
    pub voice: String,
    /// Language that stands in records where a request names none; the service hears of none.
    pub language: String,
    /// Voices that may be asked for. Empty: all, and the service judges.
    pub voices: Vec<String>,
    /// What it is to answer with.
    pub response_format: String,
    /// What such a body is where the service does not say it, spelled like the option `input`: `l16:24000` for `pcm`. Empty: nothing.
    pub input: String,
    /// Whether it takes SSML as `input`.
    pub ssml: bool,
    /// Utterances at once.
    pub speaking_max: usize,
    /// Longest `Retry-After` that is waited for, once.
    #[serde(with = "duration_text")]
    pub retry_after_max: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            engine: String::new(),
            deadline: Duration::from_secs(5),
            fallback_engine: String::new(),
            fallback_clip: String::new(),
            text_max: 4_096,
            long_text_max: 20_000,
            bytes_max: ByteCount::mib(64),
            time_max: Duration::from_secs(60),
            waiting_max: 256,
            wait: Duration::from_secs(10),
            espeak: EspeakConfig::default(),
            http: HttpConfig::default(),
        }
    }
}

impl Default for EspeakConfig {
    fn default() -> EspeakConfig {
        EspeakConfig { enabled: true, program: None, version: None, voice: "en-us".to_owned(), speaking_max: 4 }
    }
}

impl Default for HttpConfig {
    fn default() -> HttpConfig {
        HttpConfig {
            url: None,
            model: "tts-1".to_owned(),
            api_key: None,
            version: None,
            voice: "alloy".to_owned(),
            language: String::new(),
            voices: Vec::new(),
            response_format: "wav".to_owned(),
            input: String::new(),
            ssml: false,
            speaking_max: 8,
            retry_after_max: Duration::from_secs(2),
        }
    }
}

impl Config {
    /// Notes each mistake under `prefix`, the dotted key of this table.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        let key = |name: &str| format!("{prefix}.{name}");
        let clip = &self.fallback_clip;
        let has_clip =
            clip.is_empty() || if is_url(clip) { parse_url(clip).is_some() } else { Path::new(clip).is_file() };
        problems.check(has_clip, &key("fallback_clip"), "is neither a file that is there nor an http or https address");
        let is_engine = |name: &str| name.is_empty() || super::ENGINES.contains(&name);
        problems.check(is_engine(&self.engine), &key("engine"), "is neither \"espeak-ng\" nor \"http\"");
        let fallback = &self.fallback_engine;
        problems.check(is_engine(fallback), &key("fallback_engine"), "is neither \"espeak-ng\" nor \"http\"");
        problems.check(
            fallback.is_empty() || *fallback != self.engine,
            &key("fallback_engine"),
            "is the engine that it is to stand in for",
        );
        for (name, chosen) in [("engine", &self.engine), ("fallback_engine", fallback)] {
            let has_url = self.http.url.is_some();
            problems.check(chosen != super::HTTP || has_url, &key(name), "is \"http\", and http.url is missing");
            let has_program = self.espeak.enabled;
            problems.check(
                chosen != super::ESPEAK || has_program,
                &key(name),
                "is \"espeak-ng\", which is not enabled",
            );
        }
        for (name, span, most) in [
            ("deadline", self.deadline, self.time_max),
            ("time_max", self.time_max, TIME_CEILING),
            ("wait", self.wait, TIME_CEILING),
        ] {
            let fits = !span.is_zero() && span <= most;
            let text = format!("must be more than nothing and at most {}", humantime::format_duration(most));
            problems.check(fits, &key(name), &text);
        }
        problems.check(self.text_max > 0, &key("text_max"), "must be at least 1");
        problems.check(self.text_max <= self.long_text_max, &key("long_text_max"), "must not be less than text_max");
        problems.check(
            self.long_text_max <= TEXT_CEILING,
            &key("long_text_max"),
            &format!("must be at most {TEXT_CEILING} characters"),
        );
        problems.check(self.bytes_max >= ByteCount::kib(64), &key("bytes_max"), "must be at least 64KiB");
        for (name, count) in
            [("espeak.speaking_max", self.espeak.speaking_max), ("http.speaking_max", self.http.speaking_max)]
        {
            problems.check((1..=256).contains(&count), &key(name), "must be 1 to 256");
        }
        self.http.validate(&key("http"), problems);
    }
}

impl HttpConfig {
    fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        let key = |name: &str| format!("{prefix}.{name}");
        if let Some(url) = &self.url {
            // The text is not repeated: a password may stand in it.
            problems.check(
                parse_url(url).is_some(),
                &key("url"),
                "is no URL such as \"https://api.example.com/v1/audio/speech\", without user and fragment",
            );
        }
        problems.check(self.voices.len() <= VOICES_MAX, &key("voices"), &format!("are more than {VOICES_MAX}"));
        problems.check(
            self.voices.is_empty() || self.voices.contains(&self.voice),
            &key("voice"),
            "is not one of the voices that may be asked for (voices)",
        );
        problems.check(
            self.input.is_empty() || super::headerless(&self.input).is_some(),
            &key("input"),
            "is not spelled like the option input: ulaw, alaw, g722, gsm, l16:RATE",
        );
        problems.check(!self.response_format.is_empty(), &key("response_format"), "is empty");
    }

    /// Where the service is.
    pub(super) fn url(&self) -> Option<Url> {
        self.url.as_deref().and_then(parse_url)
    }
}

/// Whether a clip is an address rather than a file.
pub(super) fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

fn parse_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    })
}
