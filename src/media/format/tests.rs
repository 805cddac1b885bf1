use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{Bitrate, Codec, Container, Format, FormatError, Headerless, Pipeline, TABLE, WAV_RATES, input_text};
use crate::ids::{ArtifactId, ContentHash};

fn parse(extension: &str, options: &[(&str, &str)]) -> Result<Format, FormatError> {
    Format::parse(extension, options)
}

/// Everything that can be asked for: an extension with options that apply to it.
fn asked() -> impl Strategy<Value = (&'static str, Vec<(&'static str, String)>)> {
    let plain = (0..TABLE.len()).prop_map(|index| (TABLE[index].0, Vec::new()));
    let rate = (0..WAV_RATES.len()).prop_map(|index| ("wav", vec![("rate", WAV_RATES[index].0.to_owned())]));
    let codec = (0_usize..3).prop_map(|index| ("wav", vec![("codec", ["pcm", "ulaw", "alaw"][index].to_owned())]));
    let bitrate = (any::<bool>(), 6_000_u32..=256_000)
        .prop_map(|(ogg, bitrate)| (if ogg { "ogg" } else { "opus" }, vec![("bitrate", bitrate.to_string())]));
    prop_oneof![plain, rate, codec, bitrate]
}

fn parse_asked(extension: &str, options: &[(&str, String)]) -> Format {
    let options: Vec<(&str, &str)> = options.iter().map(|(name, value)| (*name, value.as_str())).collect();
    parse(extension, &options).unwrap()
}

/// `spec/media.md` §2, line by line: extension, codec, container, rate, Content-Type.
#[test]
fn the_table_is_the_normative_one() {
    const ULAW: (Codec, Container, u32, Option<&str>) = (Codec::Ulaw, Container::None, 8_000, Some("audio/PCMU"));
    const ALAW: (Codec, Container, u32, Option<&str>) = (Codec::Alaw, Container::None, 8_000, Some("audio/PCMA"));
    const G722: (Codec, Container, u32, Option<&str>) = (Codec::G722, Container::None, 16_000, Some("audio/G722"));
    const OPUS: (Codec, Container, u32, Option<&str>) = (Codec::Opus, Container::Ogg, 48_000, Some("audio/ogg"));
    let l16 = |rate, content_type| (Codec::Pcm16, Container::None, rate, Some(content_type));
    let wav16 = "audio/x-wav;codec=pcm;bit=16;rate=16000";
    let expected = [
        ("ulaw", ULAW),
        ("ul", ULAW),
        ("PCMU", ULAW),
        ("alaw", ALAW),
        ("al", ALAW),
        ("PCMA", ALAW),
        ("wav", (Codec::Pcm16, Container::Wav, 8_000, Some("audio/wav"))),
        ("wav16", (Codec::Pcm16, Container::Wav, 16_000, Some(wav16))),
        ("sln", l16(8_000, "audio/L16;rate=8000")),
        ("r8", l16(8_000, "audio/L16;rate=8000")),
        ("sln16", l16(16_000, "audio/L16;rate=16000")),
        ("r16", l16(16_000, "audio/L16;rate=16000")),
        ("sln24", l16(24_000, "audio/L16;rate=24000")),
        ("r24", l16(24_000, "audio/L16;rate=24000")),
        ("sln32", l16(32_000, "audio/L16;rate=32000")),
        ("r32", l16(32_000, "audio/L16;rate=32000")),
        ("sln48", l16(48_000, "audio/L16;rate=48000")),
        ("r48", l16(48_000, "audio/L16;rate=48000")),
        ("g722", G722),
        ("G722", G722),
        ("opus", OPUS),
        ("ogg", OPUS),
    ];
    for (extension, (codec, container, rate, content_type)) in expected {
        let format = parse(extension, &[]).unwrap();
        let found = (format.codec(), format.container(), format.rate().hz());
        assert_eq!(found, (codec, container, rate), "{extension}");
        assert_eq!(format.content_type(extension).as_deref(), content_type, "{extension}");
        assert_eq!(format.bitrate().is_some(), codec == Codec::Opus, "{extension}");
        assert_eq!(format.is_held(), container == Container::Wav, "{extension}");
        assert!(!format.is_raw(), "{extension}");
    }
    let raw = parse("raw", &[]).unwrap();
    assert!(raw.is_raw() && raw.content_type("raw").is_none());
    let extensions: Vec<&str> = TABLE.iter().map(|(extension, _)| *extension).collect();
    assert_eq!(extensions, expected.map(|(extension, _)| extension).into_iter().chain(["raw"]).collect::<Vec<_>>());
}

#[test]
fn each_format_is_listed_once_under_its_first_extension() {
    let listed: Vec<&str> = Format::all().map(|(extension, _)| extension).collect();
    let first = ["ulaw", "alaw", "wav", "wav16", "sln", "sln16", "sln24", "sln32", "sln48", "g722", "opus", "raw"];
    assert_eq!(listed, first);
}

#[test]
fn options_are_read_in_any_order() {
    let check = |extension, options: &[(&str, &str)], normal_form: &str| {
        assert_eq!(parse(extension, options).unwrap().normal_form(), normal_form, "{extension} {options:?}");
    };
    check("wav", &[], "pcm16;wav;8000");
    check("wav", &[("rate", "48000")], "pcm16;wav;48000");
    check("wav", &[("codec", "pcm"), ("rate", "24000")], "pcm16;wav;24000");
    check("wav", &[("rate", "24000"), ("codec", "pcm")], "pcm16;wav;24000");
    check("wav", &[("codec", "ulaw")], "ulaw;wav;8000");
    check("wav", &[("rate", "8000"), ("codec", "alaw")], "alaw;wav;8000");
    check("ogg", &[("bitrate", "6000")], "opus;ogg;48000;bitrate=6000");
    check("opus", &[("bitrate", "256000")], "opus;ogg;48000;bitrate=256000");
    // The default spelled out is the default.
    check("opus", &[("bitrate", "32000")], "opus;ogg;48000");
    check("raw", &[], "raw");
}

#[test]
fn what_is_not_offered_is_refused() {
    let extension = |extension: &str| {
        let error = parse(extension, &[]).unwrap_err();
        assert!(matches!(error, FormatError::UnknownExtension { .. }), "{extension}: {error}");
    };
    for text in ["", "mp3", "WAV", "Ulaw", ".wav", "wav ", "pcmu", "sln8", "r44"] {
        extension(text);
    }
    let unknown = |extension, name| {
        let error = parse(extension, &[(name, "8000")]).unwrap_err();
        assert!(matches!(error, FormatError::UnknownOption { .. }), "{extension} {name}: {error}");
    };
    for (extension, name) in [
        ("ulaw", "rate"),
        ("wav16", "rate"),
        ("wav16", "codec"),
        ("sln", "rate"),
        ("opus", "rate"),
        ("wav", "bitrate"),
        ("wav", "Rate"),
        ("wav", ""),
        ("raw", "rate"),
        ("raw", "bitrate"),
        ("ulaw", "bitrate"),
    ] {
        unknown(extension, name);
    }
    let bad = |extension, options: &[(&str, &str)], wrong: &str| {
        let error = parse(extension, options).unwrap_err();
        assert!(matches!(error, FormatError::BadValue { name, .. } if name == wrong), "{options:?}: {error}");
    };
    for value in ["", "44100", "08000", "8000 ", "8k", "-8000", "8000.0"] {
        bad("wav", &[("rate", value)], "rate");
    }
    for value in ["", "opus", "PCM", "pcm16", "mulaw"] {
        bad("wav", &[("codec", value)], "codec");
    }
    for value in ["", "5999", "256001", "-1", "32k", "4294967296", "32000.0"] {
        bad("opus", &[("bitrate", value)], "bitrate");
    }
    // G.711 inside WAV is 8 kHz, in whichever order it is said.
    bad("wav", &[("codec", "ulaw"), ("rate", "16000")], "rate");
    bad("wav", &[("rate", "48000"), ("codec", "alaw")], "rate");
    let twice = parse("wav", &[("rate", "8000"), ("rate", "8000")]).unwrap_err();
    assert!(matches!(twice, FormatError::RepeatedOption { ref name } if name == "rate"), "{twice}");
}

#[test]
fn messages_quote_only_the_beginning_of_what_came() {
    let long = "é".repeat(10_000);
    let errors = [
        parse(&long, &[]).unwrap_err(),
        parse("wav", &[(&long, "1")]).unwrap_err(),
        parse("wav", &[("rate", &long)]).unwrap_err(),
        parse("opus", &[("bitrate", &long)]).unwrap_err(),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(text.contains(&"é".repeat(64)) && !text.contains(&"é".repeat(65)), "{text}");
    }
}

#[test]
fn bitrates_have_bounds() {
    for (bits, inside) in [(0, false), (5_999, false), (6_000, true), (256_000, true), (256_001, false)] {
        assert_eq!(Bitrate::new(bits).map(Bitrate::bits_per_second), inside.then_some(bits));
    }
}

#[test]
fn an_address_answers_to_the_names_of_its_format_only() {
    let check = |extension, options: &[(&str, &str)], names: &[&str]| {
        let format = parse(extension, options).unwrap();
        let answering: Vec<&str> = TABLE.iter().map(|(name, _)| *name).filter(|name| format.answers_to(name)).collect();
        assert_eq!(answering, names, "{extension} {options:?}");
        assert!(!format.answers_to("mp3") && !format.answers_to(""));
    };
    check("ulaw", &[], &["ulaw", "ul", "PCMU"]);
    check("PCMA", &[], &["alaw", "al", "PCMA"]);
    check("wav", &[], &["wav"]);
    check("wav", &[("rate", "48000")], &["wav"]);
    check("wav", &[("codec", "ulaw")], &["wav"]);
    check("wav16", &[], &["wav", "wav16"]);
    check("wav", &[("rate", "16000")], &["wav", "wav16"]);
    check("r24", &[], &["sln24", "r24"]);
    check("g722", &[], &["g722", "G722"]);
    check("ogg", &[("bitrate", "24000")], &["opus", "ogg"]);
    check("raw", &[], &["raw"]);
}

/// Each is spelled as `normal_form` would spell it; none is what anybody can ask for.
#[test]
fn a_normal_form_of_no_format_is_not_read_back() {
    for text in [
        "",
        "raw;none;8000",
        "RAW",
        "raw\n",
        "ulaw",
        "ulaw;none",
        "ulaw;none;16000",
        "ulaw;ogg;8000",
        "ulaw;wav;16000",
        "alaw;wav;48000",
        "alaw;none;8000;",
        "pcm16;none;11025",
        "pcm16;ogg;8000",
        "pcm16;wav;44100",
        "g722;none;8000",
        "g722;wav;16000",
        "opus;ogg;16000",
        "opus;none;48000",
        "opus;wav;48000",
        "opus;ogg;48000;bitrate=32000",
        "opus;ogg;48000;bitrate=5999",
        "opus;ogg;48000;bitrate=06000",
        "opus;ogg;48000;bitrate=+9000",
        "opus;ogg;48000;bitrate=24000;bitrate=24000",
        "ulaw;none;8000;bitrate=24000",
        "pcm16;wav;16000;bitrate=24000",
        "pcm16;wav;016000",
        "pcm16;wav;+8000",
        "opus;ogg;48000;rate=8000",
        "mp3;none;8000",
        " ulaw;none;8000",
    ] {
        assert_eq!(Format::from_normal_form(text), None, "{text:?}");
    }
}

#[test]
fn formats_are_written_down_as_their_normal_form() {
    let format = parse("ogg", &[("bitrate", "24000")]).unwrap();
    let text = serde_json::to_string(&format).unwrap();
    assert_eq!(text, "\"opus;ogg;48000;bitrate=24000\"");
    assert_eq!(serde_json::from_str::<Format>(&text).unwrap(), format);
    assert!(serde_json::from_str::<Format>("\"ulaw;ogg;8000\"").is_err());
    assert!(serde_json::from_str::<Format>("8000").is_err());
}

/// A line of `fixtures/vectors/artifact-ids.json`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    extension: String,
    options: std::collections::BTreeMap<String, String>,
    content_hash: ContentHash,
    input: String,
    format: String,
    pipeline: [u16; 4],
    artifact: ArtifactId,
}

/// Computed by other means than this code: `fixtures/README.md` says how.
#[test]
fn artifact_ids_are_those_of_the_vectors() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/vectors/artifact-ids.json");
    let vectors: Vec<Vector> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    for vector in &vectors {
        let options: Vec<(&str, &str)> =
            vector.options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let format = parse(&vector.extension, &options).unwrap();
        assert_eq!(format.normal_form(), vector.format, "{} {options:?}", vector.extension);
        let [decoder, resampler, effects, encoder] = vector.pipeline;
        let pipeline = Pipeline { decoder, resampler, effects, encoder };
        let declared = Headerless::from_normal_form(&vector.input);
        assert_eq!(input_text(declared), vector.input);
        let id = format.artifact_id(&vector.content_hash, declared, pipeline);
        assert_eq!(id, vector.artifact, "{} {options:?}", vector.extension);
    }
    let covered = |name: &str| vectors.iter().any(|vector| vector.extension == name);
    assert!(vectors.iter().any(|vector| vector.input != "sniffed"));
    for (extension, _) in TABLE {
        assert!(covered(extension), "no vector for .{extension}");
    }
}

proptest! {
    #[test]
    fn normal_forms_are_read_back((extension, options) in asked()) {
        let format = parse_asked(extension, &options);
        prop_assert_eq!(Format::from_normal_form(&format.normal_form()), Some(format));
        prop_assert!(format.answers_to(extension));
        prop_assert!(format.answers_to(format.extension()));
    }

    /// Two formats are one exactly if their normal forms are: what is hashed into an address.
    #[test]
    fn equal_formats_and_equal_normal_forms_are_the_same(
        (a, a_options) in asked(),
        (b, b_options) in asked(),
    ) {
        let (a, b) = (parse_asked(a, &a_options), parse_asked(b, &b_options));
        prop_assert_eq!(a == b, a.normal_form() == b.normal_form());
    }

    /// Whatever reads as a normal form is one that `parse` gives, in its only spelling.
    #[test]
    fn what_is_read_back_can_be_asked_for(
        codec in "(ulaw|alaw|pcm16|g722|opus|raw)",
        container in "(none|wav|ogg)",
        rate in "(8000|16000|24000|32000|48000|11025|44100|192000)",
        option in "(|;bitrate=(6000|24000|32000|256000))",
    ) {
        let text = format!("{codec};{container};{rate}{option}");
        if let Some(format) = Format::from_normal_form(&text) {
            prop_assert_eq!(format.normal_form(), text);
            let rate = format.rate().to_string();
            let codec = if codec == "pcm16" { "pcm" } else { codec.as_str() };
            let bitrate = format.bitrate().map(|bitrate| bitrate.bits_per_second().to_string());
            let options: Vec<(&str, &str)> = match (format.container(), &bitrate) {
                (Container::Wav, _) => vec![("codec", codec), ("rate", &rate)],
                (_, Some(bitrate)) => vec![("bitrate", bitrate)],
                _ => Vec::new(),
            };
            prop_assert_eq!(parse(format.extension(), &options), Ok(format));
        }
    }

    #[test]
    fn no_text_panics(extension in ".{0,80}", name in ".{0,80}", value in ".{0,80}") {
        parse(&extension, &[(&name, &value)]).ok();
        for extension in ["wav", "opus", "raw"] {
            for name in ["rate", "codec", "bitrate", &name] {
                parse(extension, &[(name, &value)]).ok();
            }
        }
        Format::from_normal_form(&value);
        Format::from_normal_form(&format!("opus;ogg;{value}"));
    }
}
