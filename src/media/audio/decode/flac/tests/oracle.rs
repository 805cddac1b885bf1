//! Files of another encoder against another decoder, bit by bit.

use std::io::Cursor;

use symphonia::{
    core::{
        codecs::audio::AudioDecoderOptions,
        formats::{FormatOptions, FormatReader, TrackType},
        io::MediaSourceStream,
    },
    default::{formats::FlacReader, get_codecs},
};

use super::{Channel, Info, decode};
use crate::media::audio::Kind;

fn by_symphonia(file: &[u8]) -> Vec<f32> {
    let input = MediaSourceStream::new(Box::new(Cursor::new(file.to_vec())), Default::default());
    let mut reader = FlacReader::try_new(input, FormatOptions::default()).unwrap();
    let track = reader.first_track(TrackType::Audio).unwrap();
    let parameters = track.codec_params.as_ref().unwrap().audio().unwrap();
    let mut decoder = get_codecs().make_audio_decoder(parameters, &AudioDecoderOptions::default()).unwrap();
    let (mut all, mut interleaved) = (Vec::new(), Vec::<f32>::new());
    while let Ok(Some(packet)) = reader.next_packet() {
        decoder.decode(&packet).unwrap().copy_to_vec_interleaved(&mut interleaved);
        all.extend_from_slice(&interleaved);
    }
    all
}

#[test]
fn every_sample_is_what_another_decoder_makes() {
    for name in ["chirp-8k-mono.flac", "speech.flac"] {
        let file = crate::testing::fixture::audio(name).unwrap();
        let info = Info::parse(Kind::Flac, file[8..].first_chunk().unwrap()).unwrap();
        let begin = file.windows(2).position(|sync| sync == [0xff, 0xf8]).unwrap();
        let (mut rest, mut samples) = (&file[begin..], Vec::new());
        while !rest.is_empty() {
            let (size, block) = decode(rest, &info, Channel::Mix).unwrap();
            samples.extend_from_slice(&block.samples);
            rest = &rest[size..];
        }
        assert_eq!(Some(samples.len() as u64), info.frames, "{name}");
        assert!(samples == by_symphonia(&file), "{name}");
    }
}
