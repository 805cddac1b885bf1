use std::time::Duration;

use proptest::prelude::{any, prop_assert_eq, proptest};
use serde::{Deserialize, Serialize};

use super::{ByteCount, Channels, SampleRate, duration_text};

#[test]
fn rates_have_bounds() {
    for (hz, inside) in [(0, false), (3_999, false), (4_000, true), (192_000, true), (192_001, false)] {
        assert_eq!(SampleRate::new(hz).map(SampleRate::hz), inside.then_some(hz));
    }
    assert_eq!(SampleRate::new(u32::MAX), None);
    assert_eq!(
        (SampleRate::HZ_8000.to_string(), format!("{:?}", SampleRate::HZ_8000)),
        ("8000".into(), "8000 Hz".into())
    );
    for (rate, hz) in [
        (SampleRate::HZ_16000, 16_000),
        (SampleRate::HZ_24000, 24_000),
        (SampleRate::HZ_32000, 32_000),
        (SampleRate::HZ_48000, 48_000),
    ] {
        assert_eq!(SampleRate::new(hz), Some(rate));
    }
}

#[test]
fn channels_have_bounds() {
    for (count, inside) in [(0, false), (1, true), (8, true), (9, false), (257, false), (usize::MAX, false)] {
        assert_eq!(Channels::new(count).map(Channels::count), inside.then_some(count));
    }
    let named = [Channels::MONO, Channels::STEREO, Channels::MAX];
    assert_eq!(named.map(Channels::count), [1, 2, 8]);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Setting {
    #[serde(with = "duration_text")]
    wait: Duration,
}

fn setting(text: &str) -> Result<Duration, toml::de::Error> {
    toml::from_str::<Setting>(&format!("wait = {text}")).map(|setting| setting.wait)
}

#[test]
fn durations_have_a_unit() {
    for (text, expected) in [
        ("\"250ms\"", Duration::from_millis(250)),
        ("\"30s\"", Duration::from_secs(30)),
        ("\"4h\"", Duration::from_secs(14_400)),
        ("\"1h 30m\"", Duration::from_secs(5_400)),
        ("\"1.5s\"", Duration::from_millis(1_500)),
        ("\"0s\"", Duration::ZERO),
    ] {
        assert_eq!(setting(text).unwrap(), expected, "{text}");
    }
    for text in ["30", "\"30\"", "\"\"", "\"-1s\"", "\"30 parsecs\"", "true", "\"99999999999999999999s\""] {
        assert!(setting(text).is_err(), "{text}");
    }
    let told = setting("\"30\"").unwrap_err().to_string();
    assert!(told.contains("\"30\" is not a duration such as \"30s\""), "{told}");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Size {
    max: ByteCount,
}

fn size(text: &str) -> Result<u64, toml::de::Error> {
    toml::from_str::<Size>(&format!("max = {text}")).map(|size| size.max.get())
}

#[test]
fn sizes_have_a_unit_of_ten_or_two() {
    for (text, expected) in [
        ("\"512MiB\"", 512 << 20),
        ("\"4GiB\"", 4 << 30),
        ("\"900B\"", 900),
        ("\"64KiB\"", 64 << 10),
        ("\"1TiB\"", 1 << 40),
        ("\"1KB\"", 1_000),
        ("\"1MB\"", 1_000_000),
        ("\"0B\"", 0),
    ] {
        assert_eq!(size(text).unwrap(), expected, "{text}");
    }
    for text in ["\"\"", "\"MiB\"", "\"-1B\"", "\"1 furlong\"", "512", "true"] {
        assert!(size(text).is_err(), "{text}");
    }
    let told = size("\"much\"").unwrap_err().to_string();
    assert!(told.contains("\"much\" is not a size such as \"512MiB\""), "{told}");
}

#[test]
fn sizes_are_shown_in_the_largest_unit_that_is_exact() {
    for (bytes, text) in [
        (0, "0B"),
        (1, "1B"),
        (1_023, "1023B"),
        (1_024, "1KiB"),
        (1_025, "1025B"),
        (1_536, "1536B"),
        (5 << 20, "5MiB"),
        (3 << 29, "1536MiB"),
        (2 << 40, "2TiB"),
        (1 << 60, "1048576TiB"),
    ] {
        assert_eq!(ByteCount::bytes(bytes).to_string(), text);
        assert_eq!(format!("{:?}", ByteCount::bytes(bytes)), text);
    }
    assert_eq!(ByteCount::kib(3), ByteCount::bytes(3 << 10));
    assert_eq!(ByteCount::mib(3), ByteCount::kib(3 << 10));
    assert_eq!(ByteCount::gib(3), ByteCount::mib(3 << 10));
    assert_eq!(ByteCount::gib(3).as_usize(), 3 << 30);
}

proptest! {
    #[test]
    fn durations_are_read_back(milliseconds in 0..=u64::MAX / 2_000) {
        let written = Setting { wait: Duration::from_millis(milliseconds) };
        let text = toml::to_string(&written).unwrap();
        prop_assert_eq!(toml::from_str::<Setting>(&text).unwrap(), written, "{}", text);
    }

    /// Text and value are one to one where a double is exact, which is what the reader computes in.
    #[test]
    fn sizes_are_read_back(bytes in 0_u64..=1 << 53, shift in 0_u32..11) {
        let written = Size { max: ByteCount::bytes(bytes << shift) };
        let text = toml::to_string(&written).unwrap();
        prop_assert_eq!(toml::from_str::<Size>(&text).unwrap(), written, "{}", text);
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        serde_json::from_value::<ByteCount>(text.clone().into()).ok();
        serde_json::from_value::<Setting>(serde_json::json!({ "wait": text })).ok();
    }
}
