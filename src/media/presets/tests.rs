use std::collections::BTreeMap;

use super::{PresetError, Presets, validate};
use crate::{media::format::Format, problem::ConfigProblems};

fn table(presets: &[(&str, &str)]) -> BTreeMap<String, String> {
    presets.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn presets() -> Presets {
    Presets::new(&table(&[("prompt", "loudness:-19,trim:both:-40"), ("wide", "rate:16000, gain:2")]))
}

fn expanded(extension: &str, options: &[(&str, &str)]) -> String {
    Format::parse(extension, &presets().expand(options).unwrap()).unwrap().normal_form()
}

#[test]
fn a_preset_is_its_options_and_leaves_no_trace() {
    assert_eq!(expanded("ulaw", &[("preset", "prompt")]), "ulaw;none;8000;loudness=-19;trim=both:-40");
    assert_eq!(expanded("wav", &[("preset", "wide")]), "pcm16;wav;16000;gain=2");
    assert_eq!(expanded("ulaw", &[("gain", "1")]), "ulaw;none;8000;gain=1");
}

#[test]
fn options_beside_a_preset_win_wherever_they_stand() {
    let preset = ("preset", "prompt");
    assert_eq!(
        expanded("ulaw", &[preset, ("loudness", "-23"), ("gain", "1")]),
        "ulaw;none;8000;gain=1;loudness=-23;trim=both:-40"
    );
    assert_eq!(expanded("ulaw", &[("trim", "none"), preset]), "ulaw;none;8000;loudness=-19");
    assert_eq!(Presets::beside(&[("gain", "1"), preset, ("rate", "8000")]), [("gain", "1"), ("rate", "8000")]);
}

#[test]
fn unknown_and_second_presets_are_mistakes_of_the_caller() {
    let presets = presets();
    let long = "x".repeat(1_000);
    for name in ["", "Prompt", "prompt ", "gain", &long] {
        let error = presets.expand(&[("preset", name)]).unwrap_err();
        assert!(matches!(error, PresetError::Unknown { .. }), "{error}");
        assert!(error.to_string().contains("\"preset\"") && error.to_string().len() < 200, "{error}");
    }
    let twice = [("preset", "prompt"), ("preset", "prompt")];
    assert_eq!(presets.expand(&twice).unwrap_err(), PresetError::Repeated);
    // What is repeated beside it is for the format to refuse.
    let beside = [("preset", "prompt"), ("gain", "1"), ("gain", "2")];
    assert!(Format::parse("ulaw", &presets.expand(&beside).unwrap()).is_err());
}

#[test]
fn every_mistake_is_told_with_its_key() {
    let told = |name: &str, text: &str| {
        let mut problems = ConfigProblems::default();
        validate(&table(&[(name, text)]), "media.presets", &mut problems);
        problems.iter().map(|(key, text)| format!("{key}: {text}")).collect::<Vec<_>>()
    };
    let check = |name: &str, text: &str, expected: &[&str]| {
        let told = told(name, text);
        assert_eq!(told.len(), expected.len(), "{name} = {text:?}: {told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(&format!("media.presets.{name}: ")) && told.contains(expected), "{told}");
        }
    };
    check("a.b-c_9", "gain:-3,channel:left", &[]);
    check("opus", "bitrate:24000,loudness:-16", &[]);
    check("two words", "gain:-3", &["the name must be"]);
    check("", "gain:-3", &["the name must be"]);
    check("wrong/name", "gain", &["the name must be", "is not name:value"]);
    check("x", "gain:-99,bitrate:1,volume:3", &["\"gain\" takes", "\"bitrate\" takes", "option \"volume\""]);
    check("x", "gain:1,gain:2", &["given twice"]);
    check("x", "preset:y", &["cannot name another"]);
    // Nothing has both.
    check("x", "bitrate:24000,rate:16000", &["no format has"]);
    check("x", "codec:ulaw,rate:16000", &["\"rate\" takes 8000 where codec"]);
}
