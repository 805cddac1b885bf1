use proptest::prelude::{any, prop_assert_eq, prop_oneof, proptest};

use super::{Headerless, HeaderlessCoding, input_text};
use crate::{
    media::format::{Format, FormatError},
    units::{Channels, SampleRate},
};

/// What is declared, in its normal form; empty for nothing.
fn declared(content_type: Option<&str>, path: &str) -> String {
    Headerless::declared(content_type, path).map(|headerless| headerless.to_string()).unwrap_or_default()
}

#[test]
fn content_types_declare_what_telephony_servers_mean_by_them() {
    for (content_type, expected) in [
        ("audio/PCMU", "ulaw;8000"),
        ("audio/basic", "ulaw;8000"),
        ("audio/ulaw", "ulaw;8000"),
        ("audio/mulaw", "ulaw;8000"),
        ("audio/x-ulaw", "ulaw;8000"),
        ("audio/x-mulaw", "ulaw;8000"),
        ("AUDIO/pcmu ; rate=8000", "ulaw;8000"),
        ("audio/PCMU;rate=16000", "ulaw;16000"),
        ("audio/PCMU;channels=1", "ulaw;8000"),
        ("audio/PCMA", "alaw;8000"),
        ("audio/alaw", "alaw;8000"),
        ("audio/x-alaw", "alaw;8000"),
        ("audio/x-alaw-basic", "alaw;8000"),
        ("audio/L16;rate=8000", "l16;8000;1"),
        ("audio/l16; Rate=\"16000\"; channels=2", "l16;16000;2"),
        ("audio/L16;rate=24000;codec=pcm", "l16;24000;1"),
        ("audio/L16;rate=44100;endianness=little-endian", "l16;44100;1"),
        ("audio/L16;endianness=big-endian;rate=44100", "l16be;44100;1"),
        ("audio/G722", "g722;16000"),
        // The RTP clock of G.722.
        ("audio/G722;rate=8000", "g722;16000"),
        ("audio/GSM", "gsm;8000"),
        ("audio/x-gsm;rate=8000", "gsm;8000"),
        // Contradictions and other types declare nothing.
        ("audio/PCMU;channels=2", ""),
        ("audio/PCMU;rate=0", ""),
        ("audio/PCMU;rate=", ""),
        ("audio/gsm;rate=16000", ""),
        ("audio/L16;rate=16000;channels=0", ""),
        ("audio/L16;rate=16000;channels=9", ""),
        ("audio/L24;rate=16000", ""),
        ("audio/wav", ""),
        ("audio/mpeg", ""),
        ("text/html", ""),
        ("text/plain; charset=utf-8", ""),
        ("application/json", ""),
        ("PCMU", ""),
        ("audio/", ""),
        (";rate=8000", ""),
    ] {
        assert_eq!(declared(Some(content_type), "/prompt"), expected, "{content_type}");
    }
}

#[test]
fn an_extension_speaks_where_the_type_is_silent() {
    for (path, expected) in [
        ("/a/x.ulaw", "ulaw;8000"),
        ("/x.ul", "ulaw;8000"),
        ("/x.PCMU", "ulaw;8000"),
        ("/x.pcmu", "ulaw;8000"),
        ("/x.alaw", "alaw;8000"),
        ("/x.AL", "alaw;8000"),
        ("/x.PCMA", "alaw;8000"),
        ("/x.sln", "l16;8000;1"),
        ("/x.sln16", "l16;16000;1"),
        ("/x.sln48", "l16;48000;1"),
        ("/x.r8", "l16;8000;1"),
        ("/x.r16", "l16;16000;1"),
        ("/x.g722", "g722;16000"),
        ("/x.G722", "g722;16000"),
        ("/x.gsm", "gsm;8000"),
        ("/x.wav.ulaw", "ulaw;8000"),
        ("/.ulaw", "ulaw;8000"),
        ("/x.wav", ""),
        ("/x.wav16", ""),
        ("/x.raw", ""),
        ("/x.opus", ""),
        ("/x.mp3", ""),
        ("/x.", ""),
        ("/ulaw", ""),
        ("/x.ulaw/y", ""),
        ("", ""),
    ] {
        for silent in [
            None,
            Some(""),
            Some("application/octet-stream"),
            Some("Application/Octet-Stream; charset=binary"),
            Some("binary/octet-stream"),
            Some("audio/L16"),
            Some("audio/L16;rate=fast"),
        ] {
            assert_eq!(declared(silent, path), expected, "{path} as {silent:?}");
        }
        // A type that says something else is believed, and one that says enough is not overruled.
        assert_eq!(declared(Some("text/html"), path), "", "{path}");
        assert_eq!(declared(Some("audio/PCMA"), path), "alaw;8000", "{path}");
    }
}

#[test]
fn what_this_node_serves_it_reads_back() {
    for (extension, format) in Format::all() {
        let path = format!("/media/0123.{extension}");
        let Some(by_path) = Headerless::of_path(&path) else { continue };
        let content_type = format.content_type(extension);
        let served = Headerless::declared(content_type.as_deref(), "/media/0123");
        assert_eq!(served, Some(by_path), "{extension}");
        assert_eq!((by_path.rate(), by_path.channels()), (format.rate(), Channels::MONO), "{extension}");
    }
}

#[test]
fn the_option_takes_extensions_and_codings() {
    let option = |value: &str| Headerless::from_option(value).map(|headerless| headerless.to_string());
    for (value, expected) in [
        ("ulaw", "ulaw;8000"),
        ("PCMA", "alaw;8000"),
        ("sln", "l16;8000;1"),
        ("r16", "l16;16000;1"),
        ("g722", "g722;16000"),
        ("gsm", "gsm;8000"),
        ("ulaw:16000", "ulaw;16000"),
        ("l16:22050", "l16;22050;1"),
        ("l16:44100:2", "l16;44100;2"),
        ("l16be:8000", "l16be;8000;1"),
    ] {
        assert_eq!(option(value).as_deref(), Ok(expected), "{value}");
    }
    let no_values = [
        "",
        "l16",
        "l16:",
        "l16:8000:0",
        "l16:8000:1:1",
        "l16;8000;1",
        "ulaw:8000:2",
        "g722:8000",
        "pcmu",
        "sniffed",
        "wav",
        "raw",
        "mp3",
        "l16:3999",
        "ULAW",
    ];
    for value in no_values {
        let error = option(value).unwrap_err();
        assert!(matches!(error, FormatError::BadValue { name: "input", .. }), "{value}: {error}");
    }
}

#[test]
fn the_option_is_taken_from_among_the_others() {
    let take = |options: &[(&'static str, &'static str)]| {
        let (rest, input) = Headerless::take_option(options.to_vec().into())?;
        Ok((rest.into_owned(), input_text(input).into_owned()))
    };
    let gain = ("gain", "1");
    assert_eq!(take(&[]), Ok((vec![], "sniffed".to_owned())));
    assert_eq!(take(&[gain]), Ok((vec![gain], "sniffed".to_owned())));
    assert_eq!(take(&[("input", "ulaw"), gain]), Ok((vec![gain], "ulaw;8000".to_owned())));
    assert!(matches!(take(&[("input", "ulaw"), ("input", "ulaw")]), Err(FormatError::RepeatedOption { .. })));
    assert!(matches!(take(&[("input", "mp3")]), Err(FormatError::BadValue { name: "input", .. })));
    // It is none of the format's own.
    assert!(matches!(Format::parse("wav", &[("input", "ulaw")]), Err(FormatError::UnknownOption { .. })));
}

#[test]
fn normal_forms_have_one_spelling() {
    for text in ["ulaw;8000", "alaw;16000", "l16;8000;1", "l16be;192000;8", "g722;16000", "gsm;8000"] {
        let headerless = Headerless::from_normal_form(text).unwrap();
        assert_eq!(serde_json::to_string(&headerless).unwrap(), format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Headerless>(&format!("\"{text}\"")).unwrap(), headerless);
    }
    for text in [
        "",
        "sniffed",
        "ulaw",
        "ulaw;08000",
        "ulaw;+8000",
        "ulaw;8000;1",
        "l16;8000",
        "g722;8000",
        "gsm;8000;1",
        "ULAW;8000",
        "sln;8000",
        "ulaw;8000 ",
    ] {
        assert_eq!(Headerless::from_normal_form(text), None, "{text:?}");
        assert!(serde_json::from_str::<Headerless>(&format!("\"{text}\"")).is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn what_there_is_can_be_written_and_read_in_every_spelling(
        coding in 0..HeaderlessCoding::ALL.len(),
        hz in prop_oneof![4_000_u32..=192_000, proptest::prelude::Just(8_000), proptest::prelude::Just(16_000)],
        channels in 1_usize..=8,
    ) {
        let (rate, channels) = (SampleRate::new(hz).unwrap(), Channels::new(channels).unwrap());
        if let Some(headerless) = Headerless::new(HeaderlessCoding::ALL[coding], rate, channels) {
            let text = headerless.to_string();
            prop_assert_eq!(Headerless::from_normal_form(&text), Some(headerless));
            prop_assert_eq!(Headerless::from_option(&text.replace(';', ":")), Ok(headerless));
            prop_assert_eq!(Headerless::declared(Some(&headerless.content_type()), "/a.alaw"), Some(headerless));
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>(), path in any::<String>()) {
        crate::testing::fuzz::declared_type(format!("{text}\n{path}").as_bytes());
        crate::testing::fuzz::declared_type(format!("audio/L16;{text}\n{path}").as_bytes());
    }
}
