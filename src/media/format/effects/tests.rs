use proptest::prelude::*;

use crate::{
    ids::ContentHash,
    media::format::{Format, FormatError, Pipeline},
};

fn normal_form(extension: &str, options: &[(&str, &str)]) -> String {
    Format::parse(extension, options).unwrap().normal_form()
}

#[test]
fn effects_are_named_in_one_spelling_and_only_where_they_do_something() {
    let check = |options: &[(&str, &str)], expected: &str| {
        assert_eq!(normal_form("ulaw", options), format!("ulaw;none;8000{expected}"), "{options:?}");
    };
    check(&[("gain", "-3")], ";gain=-3");
    check(&[("gain", "-3.0")], ";gain=-3");
    check(&[("gain", "+3.5")], ";gain=3.5");
    check(&[("gain", "-0.5")], ";gain=-0.5");
    check(&[("gain", "-60")], ";gain=-60");
    check(&[("gain", "030.0")], ";gain=30");
    check(&[("loudness", "-23")], ";loudness=-23");
    check(&[("loudness", "0")], ";loudness=0");
    check(&[("trim", "both")], ";trim=both");
    check(&[("trim", "leading:-50")], ";trim=leading");
    check(&[("trim", "trailing:-40.5")], ";trim=trailing:-40.5");
    check(&[("channel", "left")], ";channel=left");
    // What changes nothing names nothing: such an option takes a preset's back.
    for none in [("gain", "0"), ("gain", "-0.0"), ("loudness", "none"), ("trim", "none"), ("channel", "mix")] {
        check(&[none], "");
    }
    let all = [("trim", "both"), ("loudness", "-19.5"), ("gain", "2"), ("channel", "right")];
    check(&all, ";channel=right;gain=2;loudness=-19.5;trim=both");
    let with_bitrate = [&all[..], &[("bitrate", "24000")]].concat();
    assert_eq!(
        normal_form("opus", &with_bitrate),
        "opus;ogg;48000;bitrate=24000;channel=right;gain=2;loudness=-19.5;trim=both"
    );
}

#[test]
fn mistakes_name_the_option() {
    let bad = [
        ("gain", ""),
        ("gain", "loud"),
        ("gain", "-60.1"),
        ("gain", "30.1"),
        ("gain", "1.25"),
        ("gain", "1."),
        ("gain", ".5"),
        ("gain", "--1"),
        ("gain", "1e1"),
        ("gain", "99999"),
        ("gain", "NaN"),
        ("gain", "\u{0663}"),
        ("loudness", "-70.1"),
        ("loudness", "0.1"),
        ("loudness", "quiet"),
        ("trim", "yes"),
        ("trim", "both:"),
        ("trim", "both:-19.9"),
        ("trim", "both:-90.1"),
        ("trim", "both:-40:-40"),
        ("trim", "none:-40"),
        ("channel", "centre"),
        ("channel", "Left"),
    ];
    for (name, value) in bad {
        let error = Format::parse("opus", &[(name, value)]).unwrap_err();
        assert!(matches!(&error, FormatError::BadValue { name: said, .. } if *said == name), "{name}:{value}: {error}");
        assert!(error.to_string().contains(&format!("\"{name}\"")), "{error}");
    }
    let twice = Format::parse("ulaw", &[("gain", "1"), ("gain", "2")]).unwrap_err();
    assert!(matches!(twice, FormatError::RepeatedOption { .. }), "{twice}");
    for option in ["gain", "loudness", "trim", "channel"] {
        let error = Format::parse("raw", &[(option, "0")]).unwrap_err();
        assert!(matches!(error, FormatError::UnknownOption { .. }), "the original is not converted: {error}");
    }
}

#[test]
fn a_normal_form_has_one_spelling() {
    for text in [
        "ulaw;none;8000;gain=3.0",
        "ulaw;none;8000;gain=0",
        "ulaw;none;8000;trim=both;gain=3",
        "ulaw;none;8000;gain=3;gain=3",
        "ulaw;none;8000;trim=both:-50",
        "ulaw;none;8000;trim=none",
        "ulaw;none;8000;bitrate=24000",
        "ulaw;none;8000;gain",
        "ulaw;none;8000;",
        "ulaw;none;8000;rate=8000",
        "raw;gain=3",
    ] {
        assert_eq!(Format::from_normal_form(text), None, "{text}");
    }
}

#[test]
fn formats_with_effects_are_held_where_the_first_bytes_depend_on_the_last() {
    let held = |option| Format::parse("ulaw", &[option]).unwrap().is_held();
    assert!(held(("loudness", "-23")) && held(("trim", "trailing")) && held(("trim", "both")));
    assert!(!held(("gain", "3")) && !held(("trim", "leading")) && !held(("channel", "left")));
    assert!(!held(("trim", "none")) && !held(("loudness", "none")));
}

#[test]
fn an_address_with_effects_keeps_its_extension_and_is_another() {
    let content = ContentHash::from_bytes([7; 32]);
    let pipeline = Pipeline { decoder: 1, resampler: 1, effects: 1, encoder: 1 };
    let mut ids = std::collections::HashSet::new();
    for options in [vec![], vec![("gain", "1")], vec![("gain", "-1")], vec![("trim", "both")], vec![("loudness", "-1")]]
    {
        for (extension, aliases) in
            [("ulaw", vec!["ul", "PCMU"]), ("wav", vec![]), ("sln16", vec!["r16"]), ("opus", vec!["ogg"])]
        {
            let format = Format::parse(extension, &options).unwrap();
            assert_eq!(format.extension(), extension);
            assert!(format.answers_to(extension) && aliases.iter().all(|alias| format.answers_to(alias)), "{format:?}");
            assert!(!format.answers_to("alaw") && !format.answers_to("raw"), "{format:?}");
            assert!(ids.insert(format.artifact_id(&content, None, pipeline)), "{format:?}");
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        extension in prop::sample::select(Format::all().map(|(extension, _)| extension).filter(|name| *name != "raw").collect::<Vec<_>>()),
        gain in prop::option::of(-600i32..=300),
        loudness in prop::option::of(-700i32..=0),
        trim in prop::option::of((prop::sample::select(vec!["leading", "trailing", "both"]), prop::option::of(-900i32..=-200))),
        channel in prop::option::of(prop::sample::select(vec!["mix", "left", "right"])),
    ) {
        let tenths = |tenths: i32| format!("{}{}.{}", if tenths < 0 { "-" } else { "" }, tenths.abs() / 10, tenths.abs() % 10);
        let trim = trim.map(|(edges, threshold)| match threshold {
            Some(threshold) => format!("{edges}:{}", tenths(threshold)),
            None => edges.to_owned(),
        });
        let options = [
            ("gain", gain.map(tenths)),
            ("loudness", loudness.map(tenths)),
            ("trim", trim),
            ("channel", channel.map(str::to_owned)),
        ];
        let options: Vec<(&str, &str)> =
            options.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
        let format = Format::parse(extension, &options).unwrap();
        prop_assert_eq!(i32::from(format.effects().gain.tenths()), gain.unwrap_or(0));
        prop_assert_eq!(format.effects().loudness.map(|target| i32::from(target.tenths())), loudness);
        prop_assert_eq!(Format::from_normal_form(&format.normal_form()), Some(format));
        let reversed: Vec<_> = options.iter().rev().copied().collect();
        prop_assert_eq!(Format::parse(extension, &reversed).unwrap(), format);
    }
}
