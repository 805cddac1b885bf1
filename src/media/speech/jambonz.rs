//! The request of jambonz's custom speech vendors, so that this node can be one without a line of code on their side. Pure.
//!
//! ```text
//! POST {custom_tts_url}   Authorization: Bearer TOKEN   Content-Type: application/json
//! {"language": "en-US", "voice": "en-us", "type": "text" | "ssml", "text": "…"}
//! ```
//!
//! As their speech-utils (1.0) and mod_custom_tts send it. The two differ: speech-utils says `ssml` only of texts that begin with
//! `<speak>`, mod_custom_tts of those that begin with `<speak`, and leaves language and voice out where there are none. So what begins
//! with `<speak` is SSML here, whatever `type` says.
//!
//! speech-utils compares the answer's Content-Type as one string: `audio/wav` and `audio/x-wav` are WAV of 8 kHz, and so is everything it
//! does not know; `audio/l16;rate=N`, in lower case, is raw, as `.r8` … `.r48`; `audio/mpeg` is MP3. mod_custom_tts, which plays while it
//! receives, reads MP3 and nothing else: it sends `Accept: audio/mpeg`. MP3 is not made here, so it has to be turned off
//! (`JAMBONES_DISABLE_TTS_STREAMING=true`, or `disableTtsStreaming` of a `say`).

use serde::Deserialize;
use utoipa::ToSchema;

use super::{Markup, SpeechError, Wish};

/// The extension of what they are answered with, and so its Content-Type: `audio/wav`, exactly, of 8 kHz.
pub const EXTENSION: &str = "wav";

/// Voices that say nothing: their portal sends them where nobody chose one.
const NO_VOICE: [&str; 4] = ["", "default", "undefined", "null"];

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// How.
    pub wish: Wish,
    /// What: not for logs.
    pub text: String,
}

/// The body of a request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SpeechRequest)]
pub struct Body {
    /// As `en-US`.
    #[serde(default)]
    language: Option<String>,
    // Some vendors' voices are objects there; of a custom vendor it is a name, and anything else says nothing.
    /// The name of a voice. What is no name says nothing.
    #[serde(default)]
    voice: Option<serde_json::Value>,
    /// `text` or `ssml`; what begins with `<speak` is SSML, whatever this says.
    #[serde(rename = "type", default)]
    #[schema(pattern = "^(text|ssml)$")]
    kind: Option<String>,
    /// What is to be spoken.
    text: String,
}

/// Reads the body of a request. Fields that are not known are passed over: newer versions send more.
///
/// # Errors
/// [`SpeechError::BadOption`]: no JSON, no text, or a `type` that there is not.
pub fn parse(body: &[u8]) -> Result<Asked, SpeechError> {
    const EXPECTED: &str = "JSON with text and, if wanted, language, voice and type (text or ssml)";
    let body: Body =
        serde_json::from_slice(body).map_err(|_| SpeechError::BadOption { name: "body", expected: EXPECTED })?;
    let is_ssml = match body.kind.as_deref() {
        None | Some("text") => body.text.trim_start().starts_with("<speak"),
        Some("ssml") => true,
        Some(_) => return Err(SpeechError::BadOption { name: "type", expected: "text or ssml" }),
    };
    let said = |word: &String| !NO_VOICE.contains(&word.trim());
    let voice = body.voice.as_ref().and_then(|voice| voice.as_str()).map(str::to_owned);
    let wish = Wish {
        voice: voice.filter(said),
        language: body.language.filter(said),
        markup: if is_ssml { Markup::Ssml } else { Markup::Plain },
        ..Wish::default()
    };
    Ok(Asked { wish, text: body.text })
}
