//! Streams that no encoder makes: every kind of floor, residue and mapping with random packets, against another decoder.

use symphonia::core::{
    codecs::audio::{AudioCodecParameters, well_known::CODEC_ID_VORBIS},
    packet::PacketBuilder,
    units::{Duration, Timestamp},
};

use super::{
    Packets, Random,
    oracle::{mixed, symphonia_decoder},
    packer::{Header, identification},
    snr,
};
use crate::units::SampleRate;

/// Packets of all lengths, so that many end early.
fn stream(channels: usize, exponents: [u64; 2], random: &mut Random) -> Packets {
    let headers = vec![
        identification(channels as u64, 44_100, exponents),
        b"\x03vorbis".to_vec(),
        Header::random(channels, random).packet(),
    ];
    let audio = (0..60).map(|_| {
        let size = 1 + random.below(1_000);
        let mut packet = random.bytes(size);
        packet[0] &= 0xfe;
        packet
    });
    Packets::new(headers, audio.collect())
}

/// Leaves the packets that symphonia decodes; it gives up those with a floor 0 that names a book there is none of, which the
/// reference decoder takes for silence.
fn by_symphonia(packets: &mut Packets) -> Vec<f64> {
    let mut parameters = AudioCodecParameters::new();
    let extra = [packets.headers[0].as_slice(), &packets.headers[2]].concat();
    parameters.for_codec(CODEC_ID_VORBIS).with_extra_data(extra.into_boxed_slice());
    let mut decoder = symphonia_decoder(&parameters);
    let (mut samples, mut interleaved) = (Vec::new(), Vec::<f32>::new());
    let (mut is_first, channels) = (true, packets.head.channels);
    packets.audio.retain(|packet| {
        let data = packet.clone().into_boxed_slice();
        let builder = PacketBuilder::new().track_id(0).pts(Timestamp::ZERO).dur(Duration::ZERO);
        let Ok(decoded) = decoder.decode(&builder.data(data).build()) else { return false };
        decoded.copy_to_vec_interleaved(&mut interleaved);
        // The first block has nothing to overlap with.
        if !std::mem::take(&mut is_first) {
            samples.extend(mixed(&interleaved, channels));
        }
        true
    });
    samples
}

#[test]
fn random_streams_are_what_another_decoder_makes_of_them() {
    let mut random = Random(21);
    for round in 0..60 {
        let channels = [1, 2, 3][round % 3];
        let exponents = [6 + random.below(3) as u64, 8 + random.below(4) as u64];
        let mut packets = stream(channels, exponents, &mut random);
        let theirs = by_symphonia(&mut packets);
        let (ours, _) = packets.decode(SampleRate::HZ_48000, 0);

        assert!(packets.audio.len() > 8, "round {round}");
        assert!(theirs.iter().any(|sample| sample.abs() > 1e-6), "round {round}: silence");
        // Theirs computes curves of type 0 in single precision.
        let snr = snr(&theirs, &ours);
        assert!(snr > 80.0, "round {round}, {channels} channels, {exponents:?}: {snr} dB");
    }
}

#[test]
fn the_lowest_lines_are_the_same_without_the_others() {
    let mut random = Random(22);
    for round in 0..30 {
        let channels = [1, 2, 6][round % 3];
        let packets = stream(channels, [8, 11], &mut random);
        let spectra = |target: SampleRate| -> Vec<Vec<f32>> {
            let mut decoder = packets.decoder(target);
            let decode = |packet: &Vec<u8>| decoder.decode(packet).unwrap().1.to_vec();
            packets.audio.iter().map(decode).collect()
        };
        let full = spectra(SampleRate::HZ_48000);
        for target in [SampleRate::HZ_8000, SampleRate::HZ_16000] {
            for (reduced, full) in spectra(target).iter().zip(&full) {
                assert!(reduced.len() < full.len());
                assert!(reduced == &full[..reduced.len()], "round {round}");
            }
        }
    }
}
