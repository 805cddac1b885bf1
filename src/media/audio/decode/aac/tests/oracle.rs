//! The full rate against another decoder, sample by sample.

use std::io::Cursor;

use symphonia::{
    core::{
        codecs::audio::AudioDecoderOptions,
        formats::{FormatOptions, FormatReader, TrackType},
        io::MediaSourceStream,
    },
    default::{formats::AdtsReader, get_codecs},
};

use super::{super::Heard, decode, fixture, packets, snr, stream_of};

/// The mean of all channels.
fn by_symphonia(adts: Vec<u8>) -> Vec<f64> {
    let input = MediaSourceStream::new(Box::new(Cursor::new(adts)), Default::default());
    let mut reader = AdtsReader::try_new(input, FormatOptions::default()).unwrap();
    let track = reader.first_track(TrackType::Audio).unwrap();
    let parameters = track.codec_params.as_ref().unwrap().audio().unwrap();
    let mut decoder = get_codecs().make_audio_decoder(parameters, &AudioDecoderOptions::default()).unwrap();
    let (mut mixed, mut interleaved) = (Vec::new(), Vec::<f32>::new());
    while let Ok(Some(packet)) = reader.next_packet() {
        decoder.decode(&packet).unwrap().copy_to_vec_interleaved(&mut interleaved);
        let channels = interleaved.len() / 1024;
        let frames = interleaved.chunks_exact(channels);
        mixed.extend(frames.map(|frame| f64::from(frame.iter().sum::<f32>()) / channels as f64));
    }
    mixed
}

#[test]
fn the_full_rate_is_what_another_decoder_makes() {
    // Without noise substitution: no two decoders have the same noise.
    let file = fixture("music.aac");
    let (ours, _) = decode(stream_of(&file, 1, Heard::ALL), &packets(&file));
    let snr = snr(&by_symphonia(file), &ours);
    assert!(snr > 110.0, "{snr} dB");
}
