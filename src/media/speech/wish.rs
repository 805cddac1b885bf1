//! What a caller says of how a text is to be spoken, before anything of it is decided.

use super::{Markup, Percent, SpeechError};

/// Options of a request: names and values.
pub type Options<'a> = Vec<(&'a str, &'a str)>;

/// What a caller wishes for; what is left out is the configuration's to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Which engine.
    pub engine: Option<String>,
    /// Which of its voices.
    pub voice: Option<String>,
    /// In which language, where no voice is named, or for one that has several.
    pub language: Option<String>,
    /// How fast.
    pub speed: Option<Percent>,
    /// How high.
    pub pitch: Option<Percent>,
    /// Whether the text has elements of SSML in it.
    pub markup: Markup,
    /// Whether what comes of it is its tenant's alone.
    pub is_private: bool,
}

impl Wish {
    /// The options that are wishes: `engine:NAME`, `language:TAG`, `pitch:PERCENT`, `private:true`, `speed:PERCENT`,
    /// `ssml:true`, `voice:NAME`.
    pub const OPTIONS: [&str; 7] = ["engine", "language", "pitch", "private", "speed", "ssml", "voice"];

    /// Takes the wishes out of a request's options; the others are left, in their order.
    ///
    /// # Errors
    /// [`SpeechError::BadOption`]: a value is none, or an option stands there twice.
    pub fn take<'a>(options: &[(&'a str, &'a str)]) -> Result<(Wish, Options<'a>), SpeechError> {
        let mut wish = Wish::default();
        let mut others = Vec::new();
        let mut taken: Vec<&str> = Vec::new();
        for (name, value) in options {
            let Some(known) = Wish::OPTIONS.into_iter().find(|known| known == name) else {
                others.push((*name, *value));
                continue;
            };
            if taken.contains(&known) {
                return Err(SpeechError::BadOption { name: known, expected: "one value" });
            }
            taken.push(known);
            wish.set(known, value)?;
        }
        Ok((wish, others))
    }

    fn set(&mut self, name: &'static str, value: &str) -> Result<(), SpeechError> {
        let percent = || {
            let value = value.parse().map(Percent::new);
            value.map_err(|_| SpeechError::BadOption { name, expected: "a whole number of percent" })
        };
        let word = || match value {
            "" => Err(SpeechError::BadOption { name, expected: "a name" }),
            _ => Ok(Some(value.to_owned())),
        };
        let yes_or_no = || match value {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(SpeechError::BadOption { name, expected: "true or false" }),
        };
        match name {
            "engine" => self.engine = word()?,
            "voice" => self.voice = word()?,
            "language" => self.language = word()?,
            "speed" => self.speed = Some(percent()?),
            "pitch" => self.pitch = Some(percent()?),
            "private" => self.is_private = yes_or_no()?,
            _ => self.markup = if yes_or_no()? { Markup::Ssml } else { Markup::Plain },
        }
        Ok(())
    }
}
