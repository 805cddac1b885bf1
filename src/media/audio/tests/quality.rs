//! Mix and resampling against computed signals.

use super::support::{Coding, convert, convert_samples, fit, format, samples, tone, wav};
use crate::{media::audio::encode::to_i16, media::format::Codec};

const OUTPUTS: [(&str, u32); 3] = [("sln", 8_000), ("sln16", 16_000), ("sln48", 48_000)];

#[test]
fn a_tone_keeps_level_place_and_purity_at_every_rate() {
    let rates = [
        4_000, 8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000, 44_099, 8_001,
        37_123,
    ];
    for rate in rates {
        let input = wav(rate, 1, rate as usize, Coding::Float32, tone(1_000.0, rate));
        for (extension, target) in OUTPUTS {
            let (summary, heard) = convert_samples(&input, extension);
            let what = format!("{rate} -> {target}");
            assert_eq!(summary.frames, u64::from(target), "{what}");
            assert_eq!(heard.len(), target as usize, "{what}");
            let fit = fit(&heard, 1_000.0, target, target as usize / 10);
            assert!(fit.level.abs() < 0.1, "{what}: {fit:?}");
            // Rates without a common divisor have odd blocks, whose middle is half an input frame off.
            let delay_max =
                if rate % 100 == 99 || rate % 10 == 3 { 0.6 * f64::from(target) / f64::from(rate) } else { 0.02 };
            assert!(fit.delay.abs() < delay_max, "{what}: {fit:?}");
            assert!(fit.snr > 80.0, "{what}: {fit:?}");
        }
    }
}

#[test]
fn sixteen_bit_mono_at_the_right_rate_passes_unchanged() {
    // Every value there is.
    let input = wav(8_000, 1, 65_536, Coding::Int16, |frame, _| (frame as f64 - 32_768.0) / 32_768.0);
    let (_, body) = convert(&input, "sln");
    assert!(body == input[44..]);
    let (_, pcm) = convert(&input, "wav");
    assert!(pcm == body);
}

#[test]
fn rounding_is_to_even_and_saturates() {
    let step = 1.0 / 32_768.0;
    let cases = [
        (0.5, 0),
        (1.5, 2),
        (-0.5, 0),
        (-1.5, -2),
        (2.51, 3),
        (40_000.0, 32_767),
        (-40_000.0, -32_768),
        (32_767.6, 32_767),
    ];
    for (input, expected) in cases {
        assert_eq!(to_i16(input * step), expected, "{input}");
    }
    assert_eq!(to_i16(f32::INFINITY), 32_767);
}

#[test]
fn every_coding_of_wav_means_the_same() {
    let codings = [
        (Coding::Unsigned8, 40.0),
        (Coding::Int16, 88.0),
        (Coding::Int24, 88.0),
        (Coding::Int32, 88.0),
        (Coding::Float32, 88.0),
        (Coding::Float64, 88.0),
    ];
    for (coding, snr) in codings {
        let (_, heard) = convert_samples(&wav(8_000, 1, 8_000, coding, tone(440.0, 8_000)), "sln");
        let fit = fit(&heard, 440.0, 8_000, 0);
        assert!(fit.snr > snr && fit.level.abs() < 0.05, "{coding:?}: {fit:?}");
    }
}

#[test]
fn full_scale_on_all_channels_reaches_full_scale_and_never_clips() {
    for channels in 1..=8 {
        let (_, heard) = convert_samples(&wav(8_000, channels, 800, Coding::Float32, |_, _| 0.999), "sln");
        assert!(heard.iter().all(|sample| (sample - 0.999).abs() < 1e-3), "{channels}: {}", heard[400]);
    }
}

#[test]
fn a_tone_at_full_scale_on_all_channels_stays_a_tone() {
    for channels in 1..=8 {
        let loud = |frame, channel| 2.0 * tone(1_000.0, 44_100)(frame, channel);
        for (extension, hz) in [("sln", 8_000), ("sln48", 48_000)] {
            let (_, heard) = convert_samples(&wav(44_100, channels, 44_100, Coding::Float32, loud), extension);
            let fit = fit(&heard, 1_000.0, hz, hz as usize / 10);
            // Clipping by a hundredth would leave 50 dB. A level of 6.02 dB is twice the half that fits are made against.
            assert!(fit.snr > 85.0 && (fit.level - 6.02).abs() < 0.01, "{channels} channels to {hz}: {fit:?}");
        }
    }
}

#[test]
fn channels_have_their_weights() {
    // 5.1 without a mask: left, right, centre, LFE, surrounds.
    let side = std::f64::consts::FRAC_1_SQRT_2;
    let weights = [1.0, 1.0, side, 0.0, side, side];
    let sum: f64 = weights.iter().sum();
    for (alone, weight) in weights.iter().enumerate() {
        let input =
            wav(8_000, 6, 100, Coding::Float32, |_, channel| if usize::from(channel) == alone { 0.9 } else { 0.0 });
        let (_, heard) = convert_samples(&input, "sln");
        assert!((heard[50] - 0.9 * weight / sum).abs() < 1e-3, "{alone}: {}", heard[50]);
    }
}

#[test]
fn wav_and_headerless_bodies_are_equal_and_headers_tell_the_truth() {
    let input = wav(44_100, 2, 44_101, Coding::Int16, tone(700.0, 44_100));
    for (wav_format, bare, tag, size) in [("ulaw", "ulaw", 7, 58), ("alaw", "alaw", 6, 58), ("pcm", "sln", 1, 44)] {
        let options = [("codec", wav_format)];
        let format = crate::media::format::Format::parse("wav", &options).unwrap();
        let original = super::support::Original::whole(&input);
        let (summary, body) = super::support::run(original, format, &Default::default()).unwrap();
        let (_, bare) = convert(&input, bare);
        assert!(body.bytes == bare);
        let header = &summary.header;
        assert_eq!(header.len(), size);
        let u32_at = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
        assert_eq!(u32_at(4) as usize, size - 8 + bare.len());
        assert_eq!(header[20], tag);
        assert_eq!(u32_at(24), 8_000);
        assert_eq!(u32_at(size - 4) as usize, bare.len());
        // And what was written can be read.
        let file = [header.as_slice(), &bare].concat();
        let (again, heard) = convert(&file, "sln");
        assert_eq!(again.frames, summary.frames);
        if format.codec() == Codec::Pcm16 {
            assert!(heard == bare);
        }
    }
    assert!(!samples(&convert(&input, "sln").1).is_empty() && format("sln").rate().hz() == 8_000);
}
