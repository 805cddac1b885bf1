use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_tone_has_its_level_and_its_frequency() {
    let tone = Signal::tone(SampleRate::HZ_8000, 1_000.0, 0.5, SECOND);
    assert_eq!(tone.frames(), 8_000);
    assert!((level_db(tone.samples()) - (-9.03)).abs() < 0.01);
    let crossings = tone.samples().windows(2).filter(|pair| pair[0] <= 0.0 && pair[1] > 0.0).count();
    assert!((999..=1_000).contains(&crossings), "{crossings}");
}

#[test]
fn noise_is_the_same_for_the_same_seed_only() {
    let noise = |seed| Signal::noise(SampleRate::HZ_8000, seed, 1.0, SECOND);
    assert_eq!(noise(1), noise(1));
    assert_ne!(noise(1), noise(2));
    assert!((level_db(noise(1).samples()) - (-4.77)).abs() < 0.1);
}

#[test]
fn the_ratio_shows_a_shift_by_one_sample_and_a_tenth_of_a_decibel() {
    let tone = Signal::tone(SampleRate::HZ_8000, 1_000.0, 0.5, SECOND);
    assert_eq!(snr_db(tone.samples(), tone.samples()), f64::INFINITY);
    assert!((snr_db(tone.samples(), &tone.samples()[1..]) - 2.32).abs() < 0.1);
    let louder: Vec<f64> = tone.samples().iter().map(|sample| sample * 1.0116).collect();
    assert!((snr_db(tone.samples(), &louder) - 38.7).abs() < 0.1);
}

#[test]
fn a_wav_file_says_what_it_holds() {
    for depth in Depth::ALL {
        for count in 1..=8 {
            let part = Signal::tone(SampleRate::HZ_8000, 440.0, 0.5, Duration::from_millis(10));
            let signal = Signal::interleave(&vec![part; count]).unwrap();
            let file = signal.wav(depth);
            let data_bytes = 80 * count * usize::from(depth.bytes());
            assert_eq!(&file[..4], b"RIFF", "{depth:?} {count}");
            assert_eq!(u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize, file.len() - 8);
            let header_bytes = wav_header(signal.rate(), signal.channels(), depth, 0).len();
            assert_eq!(file.len(), header_bytes + data_bytes + data_bytes % 2, "{depth:?} {count}");
            assert_eq!(u32::from_le_bytes(file[header_bytes - 4..header_bytes].try_into().unwrap()), data_bytes as u32);
        }
    }
}

#[test]
fn full_scale_does_not_wrap() {
    let square =
        Signal::from_fn(SampleRate::HZ_8000, Duration::from_millis(1), |t| if t < 0.0005 { 1.0 } else { -1.0 });
    let file = square.wav(Depth::S16);
    assert_eq!(file[44..46], i16::MAX.to_le_bytes());
    assert_eq!(file[file.len() - 2..], i16::MIN.to_le_bytes());
    assert_eq!(square.wav(Depth::U8)[44], 255);
}
