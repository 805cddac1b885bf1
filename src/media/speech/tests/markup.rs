//! Which SSML passes.

use super::support::speaker;
use crate::media::speech::{Manner, Markup, SpeechError, Utterance};

fn check(text: &str) -> Result<Utterance, SpeechError> {
    Utterance::new(speaker(), Manner { markup: Markup::Ssml, ..Manner::default() }, text, 100_000)
}

#[test]
fn what_changes_how_words_are_spoken_passes() {
    for text in [
        "<speak>Hello</speak>",
        "<?xml version=\"1.0\"?>\n<speak version=\"1.1\" xml:lang=\"en-US\">Hello</speak>",
        "<speak>a<break time=\"1s\"/>b <emphasis level='strong'>c</emphasis> <p><s>d</s></p></speak>",
        "<speak><lang xml:lang='de'>Guten Tag</lang> <sub alias='w'>x</sub> <w role='y'>z</w></speak>",
        "<speak><prosody rate=\"slow\">a</prosody> <say-as interpret-as=\"digits\">12</say-as> <phoneme ph='a'>b</phoneme></speak>",
        "Tom &amp; Jerry &lt;3 <break/>",
        "no element at all",
    ] {
        assert!(check(text).is_ok(), "{text}: {:?}", check(text));
    }
}

/// espeak-ng opens the file that `audio` names; services fetch it.
#[test]
fn nothing_that_fetches_or_hides_passes() {
    for text in [
        "<speak><audio src=\"/etc/passwd\"/>x</speak>",
        "<speak><AUDIO src=\"/etc/passwd\"/>x</speak>",
        "<speak><audio\nsrc='x'/>x</speak>",
        "<speak><!-- <audio src='x'/> -->x</speak>",
        "<speak><!--x--></speak>",
        "<speak><![CDATA[<audio src='x'/>]]>x</speak>",
        "<!DOCTYPE speak [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><speak>&x;</speak>",
        "<?xml-stylesheet href='x'?><speak>x</speak>",
        "<?xmlaudio src='x'?><speak>x</speak>",
        "<?xml <audio src='x'/>?><speak>x</speak>",
        "<speak <audio src='x'/>>x</speak>",
        "<speak><p title='<audio src=\"x\"/>'>x</p></speak>",
        "<speak><voice name='x'>x</voice></speak>",
        "<speak><mark name='x'/>x</speak>",
        "< speak>x</speak>",
        "<speak>a > b</speak>",
        "<speak>a < b</speak>",
        "<speak>x",
        "<speak>x</speak",
        "<>x",
        "<",
    ] {
        let is_end = text == "<speak>x";
        assert_eq!(check(text).is_ok(), is_end, "{text}");
        if !is_end {
            assert!(matches!(check(text), Err(SpeechError::BadMarkup { .. })), "{text}: {:?}", check(text));
        }
    }
}

#[test]
fn markup_without_words_is_no_text() {
    for text in ["<speak></speak>", "<break time='1s'/>", "<speak> <p> </p> </speak>"] {
        assert!(matches!(check(text), Err(SpeechError::Empty)), "{text}");
    }
    assert!(matches!(check(&"<p>x".repeat(20_000)), Err(SpeechError::BadMarkup { .. })));
}
