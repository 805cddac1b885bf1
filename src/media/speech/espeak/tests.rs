//! What the program prints, read. (What it does is tested with the room.)

use super::voices::{Voices, version};

const VOICES: &str = "\
Pty Language       Age/Gender VoiceName          File                 Other Languages
 5  af              --/M      Afrikaans          gmw/af
 5  cmn             --/M      Chinese_(Mandarin,_latin_as_English) sit/cmn              (zh-cmn 5)(zh 5)
 5  en-gb-scotland  --/M      English_(Scotland) gmw/en-GB-scotland   (en 4)
 2  en-gb           --/M      English_(Great_Britain) gmw/en               (en 2)
 2  en-us           --/M      English_(America)  gmw/en-US            (en 3)
 5  yue             --/M      Chinese_(Cantonese) sit/yue              (zh-yue 5)(zh 8)
 5  yue             --/M      Chinese_(Cantonese,_latin_as_Jyutping) sit/yue-Latn-jyutping (zh-yue 5)(zh 8)
a line that is none
";
const VARIANTS: &str = "\
Pty Language       Age/Gender VoiceName          File                 Other Languages
 5  variant         --/F      female3            !v/f3
 5  variant         --/M      Robosoft           !v/robosoft
";

#[test]
fn voices_are_found_by_name_and_by_language() {
    let voices = Voices::parse(VOICES, VARIANTS);
    assert_eq!(voices.len(), 6);
    let named = |name: &str| voices.named(name).map(|found| found.voice.to_string());
    assert_eq!(named("AF").as_deref(), Some("af"));
    assert_eq!(named("english_(scotland)").as_deref(), Some("en-gb-scotland"));
    assert_eq!(named("en").as_deref(), Some("en-gb"), "the best of those that can");
    assert_eq!(named("zh").as_deref(), Some("cmn"));
    assert_eq!(named("en-us+F3").as_deref(), Some("en-us+f3"));
    for nobody in ["", "+", "en-us+", "en-us+f4", "variant", "a", "Pty"] {
        assert_eq!(named(nobody), None, "{nobody}");
    }
    let of = |language: &str| {
        voices.of_language(language).map(|found| (found.voice.to_string(), found.language.to_string()))
    };
    let pair = |voice: &str, language: &str| Some((voice.to_owned(), language.to_owned()));
    assert_eq!(of("en-US"), pair("en-us", "en-us"));
    assert_eq!(of("en_AU"), pair("en-gb", "en_au"));
    assert_eq!(of("zh-Hant-TW"), pair("cmn", "zh-hant-tw"));
    assert_eq!(of("afrikaans"), None, "a name is no language");
    assert_eq!(of("xx-YY"), None);
    assert_eq!(Voices::parse("", "").len(), 0);
}

#[test]
fn the_version_is_what_it_says() {
    assert_eq!(version("eSpeak NG text-to-speech: 1.51  Data at: /usr/lib/espeak-ng-data\n"), Some("1.51"));
    assert_eq!(version("eSpeak NG text-to-speech: 1.52-dev  Data at: x"), Some("1.52-dev"));
    assert_eq!(version("eSpeak NG text-to-speech:"), None);
    assert_eq!(version("something else 1.0"), None);
    assert_eq!(version(""), None);
}
