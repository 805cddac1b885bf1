//! Files that have tripped other decoders, made by the real programs that make such files, judged by ffmpeg.
//!
//! What is tripped over elsewhere in the tests: a tag behind or before MP3, chained Ogg and M4A priming to the sample in
//! `media::audio::tests::families`; M4A with its index behind the audio in `quality` and `streaming`; damaged headers in
//! `media::audio::tests::hostile`.

use std::{
    f64::consts::FRAC_1_SQRT_2,
    fs::OpenOptions,
    io::{Seek as _, SeekFrom, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use ringback::{
    media::{Summary, format::Format},
    problem,
    testing::signal::{Depth, Signal, snr_db},
    units::SampleRate,
};
use wait4::Wait4 as _;

use crate::support::{
    audio,
    tools::{Work, text},
};

fn rate(hz: u32) -> SampleRate {
    SampleRate::new(hz).unwrap()
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Ours, as 16-bit samples within ±1.
fn ours(original: &[u8], extension: &str) -> (Summary, Vec<f64>) {
    let (summary, body) = audio::transcode(original, Format::parse(extension, &[]).unwrap()).unwrap();
    (summary, linear(&body))
}

fn linear(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|sample| f64::from(i16::from_le_bytes(*sample)) / 32_768.0).collect()
}

/// ffmpeg's, mono at a rate through soxr.
fn theirs(work: &Work, file: &str, hz: u32) -> Vec<f64> {
    let soxr = format!("aresample=resampler=soxr:precision=28:cutoff=0.97:osr={hz}");
    // Of 16 bits: in floating point ffmpeg mixes two channels to one without halving them.
    linear(&work.ffmpeg(&format!("-i {file} -af {soxr} -ac 1 -f s16le -")))
}

fn assert_same(theirs: &[f64], ours: &[f64], least: f64, what: &str) {
    // Lengths are rounded in different ways, and some of ffmpeg's demuxers leave the last frame's padding on.
    assert!(ours.len() <= theirs.len() + 1, "{what}: {} of ours, {} of theirs", ours.len(), theirs.len());
    let common = theirs.len().min(ours.len());
    let snr = snr_db(&theirs[..common], &ours[..common]);
    assert!(snr > least, "{what}: {snr} dB");
}

/// Voice-like: within the telephone band, never the same, quiet and loud by turns.
fn changing(hz: u32, length: f64) -> Signal {
    Signal::from_fn(rate(hz), seconds(length), |t| {
        let loudness = 0.05 + 0.45 * (0.7 * t).sin().powi(4);
        let tone = |hz: f64| (std::f64::consts::TAU * (hz * t + 40.0 * (1.3 * t).sin())).sin();
        loudness * (0.5 * tone(310.0) + 0.3 * tone(1_170.0) + 0.2 * tone(2_690.0))
    })
}

#[test]
fn vbr_mp3_without_a_header_of_its_own_plays_to_its_end() {
    const SECONDS: f64 = 20.0;
    let work = Work::new();
    // Quiet for long, then not: whoever guesses the length by the first frames' bit rate cuts.
    let signal = Signal::from_fn(rate(44_100), seconds(SECONDS), |t| {
        if t < 5.0 { 0.001 * (1_000.0 * t).sin() } else { 0.3 * (5_000.0 * t * (1.0 + 0.1 * t.sin())).sin() }
    });
    work.write("in.wav", &signal.wav(Depth::S16));
    work.run("lame --quiet -V 4 -t in.wav vbr.mp3");
    let entries = "ffprobe -v error -count_packets -show_entries stream=nb_read_packets -of csv=p=0 vbr.mp3";
    let frames: u64 = text(work.run(entries)).parse().unwrap();
    let (summary, heard) = ours(&work.read("vbr.mp3"), "sln");
    assert!(!summary.truncated);
    assert_eq!(summary.frames, (frames * 1_152 * 8_000 + 22_050) / 44_100);
    assert_same(&theirs(&work, "vbr.mp3", 8_000), &heard, 55.0, "VBR");
}

#[test]
fn mp3_files_of_different_rates_and_channels_joined_play_one_after_the_other() {
    let work = Work::new();
    let stereo = [changing(44_100, 0.9), Signal::tone(rate(44_100), 440.0, 0.2, seconds(0.9))];
    work.write("a.wav", &Signal::interleave(&stereo).unwrap().wav(Depth::S16));
    work.write("b.wav", &changing(22_050, 0.7).wav(Depth::S16));
    work.write("c.wav", &changing(48_000, 0.5).wav(Depth::S16));
    let mut joined = Vec::new();
    let mut expected = Vec::new();
    let mut length = 0.0;
    for (name, options, clip) in [("a", "-V 3", 0.9), ("b", "-b 64 -m m", 0.7), ("c", "-b 96", 0.5)] {
        work.run(&format!("lame --quiet {options} {name}.wav {name}.mp3"));
        joined.extend(work.read(&format!("{name}.mp3")));
        let part = theirs(&work, &format!("{name}.mp3"), 8_000);
        expected.extend_from_slice(&part[..(clip * 8_000.0) as usize]);
        length += clip;
    }
    let (summary, heard) = ours(&joined, "sln");
    assert!((summary.duration.as_secs_f64() - length).abs() < 0.001, "{:?}", summary.duration);
    assert!(!summary.truncated);
    // Each file alone is what ffmpeg makes of it; where they meet both have cut a filter's ringing short.
    let mut at = 0;
    for (clip, least) in [(0.9, 55.0), (0.7, 55.0), (0.5, 55.0)] {
        let end = at + (clip * 8_000.0) as usize;
        let inner = at + 400..end - 400;
        let snr = snr_db(&expected[inner.clone()], &heard[inner]);
        assert!(snr > least, "{clip} s at {at}: {snr} dB");
        at = end;
    }
}

#[test]
fn joint_stereo_with_unequal_blocks_keeps_its_time() {
    let work = Work::new();
    // A click each 50 ms on the left, a tone on the right: without joint stereo the encoder switches blocks of one side alone.
    let clicks = Signal::from_fn(rate(44_100), seconds(2.0), |t| {
        let since = t % 0.05;
        0.8 * (-since * 400.0).exp() * (9_000.0 * since).sin()
    });
    let tone = Signal::tone(rate(44_100), 700.0, 0.3, seconds(2.0));
    work.write("in.wav", &Signal::interleave(&[clicks, tone]).unwrap().wav(Depth::S16));
    work.run("lame --quiet -m s -b 128 in.wav separate.mp3");
    // Joint stereo that joins nothing is the same audio under another name (ISO 11172-3 §2.4.2.3: mode and mode extension).
    let mut joint = work.read("separate.mp3");
    let mut at = 0;
    while let Some([0xff, 0xfb, third, fourth]) = joint.get_mut(at..at + 4) {
        *fourth = *fourth & 0x0f | 0x40;
        let is_padded = *third & 2 != 0;
        at += 144 * 128_000 / 44_100 + usize::from(is_padded);
    }
    assert_eq!(at, joint.len());
    work.write("joint.mp3", &joint);
    let (summary, heard) = ours(&joint, "sln48");
    assert_eq!((summary.frames, summary.truncated), (96_000, false));
    assert!(heard == ours(&work.read("separate.mp3"), "sln48").1);
    assert_same(&theirs(&work, "joint.mp3", 48_000), &heard, 55.0, "unequal blocks");
}

#[test]
fn a_picture_of_two_hundred_megabytes_costs_no_memory() {
    const PICTURE_BYTES: u64 = 200 << 20;
    const PEAK_MAX_BYTES: u64 = 64 << 20;
    let work = Work::new();
    work.write("in.wav", &changing(44_100, 1.0).wav(Depth::S16));
    work.run("lame --quiet -b 64 in.wav plain.mp3");
    // An ID3v2.4 tag whose length is four times seven bits; the picture itself is a hole in the file.
    let size = [21, 14, 7, 0].map(|shift| (PICTURE_BYTES >> shift & 0x7f) as u8);
    let path = work.write("picture.mp3", &[b"ID3\x04\0\0".as_slice(), &size].concat());
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(10 + PICTURE_BYTES)).unwrap();
    file.write_all(&work.read("plain.mp3")).unwrap();
    drop(file);
    let peak = peak_of_transcode(work.path(), "picture.mp3", "picture.ulaw");
    assert!(peak < PEAK_MAX_BYTES, "{peak} bytes");
    let plain = audio::transcode(&work.read("plain.mp3"), Format::parse("ulaw", &[]).unwrap()).unwrap().1;
    assert!(work.read("picture.ulaw") == plain);
}

/// Largest resident memory of `ringback transcode`, in bytes.
fn peak_of_transcode(directory: &Path, input: &str, output: &str) -> u64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringback"));
    command
        .args(["transcode", input, output])
        .current_dir(directory)
        .stdout(Stdio::null())
        .env_remove("RINGBACK_CONFIG");
    let used = command.spawn().unwrap().wait4().unwrap();
    assert!(used.status.success(), "{}", used.status);
    used.rusage.maxrss
}

#[test]
fn he_aac_by_its_description_plays_its_core() {
    let work = Work::new();
    work.write("in.wav", &changing(22_050, 1.0).wav(Depth::S16));
    work.run("ffmpeg -v error -i in.wav -c:a aac -b:a 48k -aac_pns 0 plain.m4a");
    let plain = work.read("plain.m4a");
    let (expected, heard) = ours(&plain, "sln");
    // ffmpeg's AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1): AAC-LC, 22.05 kHz, mono, then a sync extension that says: no SBR.
    let config = [0x13, 0x88, 0x56, 0xe5, 0x00];
    let at = plain.windows(config.len()).position(|window| window == config).expect("no such description");
    let described = [
        // The extension says: SBR to 44.1 kHz.
        ("behind", [0x13, 0x88, 0x56, 0xe5, 0xa0]),
        // SBR is the outer object type, 44.1 kHz its rate, LC the inner one.
        ("around", [0x2b, 0x8a, 0x08, 0x00, 0x00]),
    ];
    for (what, config) in described {
        let mut file = plain.clone();
        file[at..at + config.len()].copy_from_slice(&config);
        let (summary, core) = ours(&file, "sln");
        assert_eq!(summary.frames, expected.frames, "{what}");
        assert!(core == heard, "{what}");
    }
}

#[test]
fn m4a_priming_that_only_itunes_tag_tells_of_is_not_heard() {
    const FRAMES: usize = 44_100;
    /// What ffmpeg's encoder puts before the audio.
    const PRIMING: usize = 1_024;
    let work = Work::new();
    work.write("in.wav", &changing(44_100, 1.0).wav(Depth::S16));
    work.ffmpeg("-i in.wav -c:a aac -b:a 96k -aac_pns 0 listed.m4a");
    work.ffmpeg("-i in.wav -c:a aac -b:a 96k -aac_pns 0 -use_editlist 0 plain.m4a");
    let plain = work.read("plain.m4a");
    let coded = (PRIMING + FRAMES).next_multiple_of(1_024);
    let padding = coded - PRIMING - FRAMES;
    let tagged = with_itunes_tag(&plain, &format!(" 00000000 {PRIMING:08X} {padding:08X} {FRAMES:016X} 00000000"));
    work.write("tagged.m4a", &tagged);

    let (summary, heard) = ours(&tagged, "sln");
    assert_eq!((summary.frames, summary.truncated), (8_000, false));
    assert_same(&theirs(&work, "tagged.m4a", 8_000), &heard, 50.0, "iTunSMPB");
    // The audio is that of the same stream whose edit list says the same, to the bit.
    assert!(heard == ours(&work.read("listed.m4a"), "sln").1);
    // Without either all of it is heard: there was something to cut.
    assert_eq!(ours(&plain, "sln").0.frames as usize, (coded * 8_000 + 22_050) / 44_100);
    // A tag that says nothing is none.
    for text in [" 00000000", " 00000000 no 00000000 000000000000AC44", " 00000000 00000400 00000000 0000000000000000"]
    {
        let (summary, _) = ours(&with_itunes_tag(&plain, text), "sln");
        assert_eq!(summary.frames as usize, (coded * 8_000 + 22_050) / 44_100, "{text}");
    }
}

/// The file with iTunes' tag as the last item of `moov/udta/meta/ilst`, each of which ends where the file does, as ffmpeg writes them.
fn with_itunes_tag(file: &[u8], text: &str) -> Vec<u8> {
    let atom = |name: &[u8], body: &[u8]| [&(8 + body.len() as u32).to_be_bytes(), name, body].concat();
    let full = |name: &[u8], flags: u32, body: &[u8]| atom(name, &[&flags.to_be_bytes(), body].concat());
    let parts = [
        full(b"mean", 0, b"com.apple.iTunes"),
        full(b"name", 0, b"iTunSMPB"),
        // Of type 1, which is UTF-8, in no language.
        full(b"data", 1, &[&[0; 4], text.as_bytes()].concat()),
    ];
    let item = atom(b"----", &parts.concat());
    let mut tagged = [file, &item].concat();
    for outer in [b"moov", b"udta", b"meta", b"ilst"] {
        let at = file.windows(4).rposition(|name| name == outer).unwrap() - 4;
        let size = u32::from_be_bytes(*file[at..].first_chunk().unwrap());
        assert_eq!(at + size as usize, file.len(), "{}", outer.escape_ascii());
        tagged[at..at + 4].copy_from_slice(&(size + item.len() as u32).to_be_bytes());
    }
    tagged
}

#[test]
fn fragmented_mp4_plays_and_its_damaged_kin_only_fail() {
    const MUTANTS: u64 = 400;
    let work = Work::new();
    work.write("in.wav", &changing(44_100, 0.5).wav(Depth::S16));
    work.ffmpeg("-i in.wav -c:a aac -b:a 64k -aac_pns 0 -movflags frag_keyframe+empty_moov+default_base_moof frag.m4a");
    let whole = work.read("frag.m4a");
    let (summary, heard) = ours(&whole, "sln");
    assert!(!summary.truncated && !heard.is_empty());
    // Boxes and their tables stand before the audio and behind it.
    let table_bytes = 1_600.min(whole.len() as u64 / 4);
    for seed in 0..MUTANTS {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
        let mut mutant = whole.clone();
        for _ in 0..4 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = (random >> 33) % table_bytes;
            let at = if random & 1 << 20 == 0 { place } else { whole.len() as u64 - 1 - place };
            mutant[at as usize] = (random >> 24) as u8;
        }
        if let Err(error) = audio::transcode(&mutant, Format::parse("ulaw", &[]).unwrap()) {
            let kind = error.problem().kind;
            assert!(
                matches!(kind, problem::Kind::Undecodable | problem::Kind::OverLimit | problem::Kind::NotAudio),
                "mutant {seed}: {error:?}"
            );
        }
    }
}

#[test]
fn chained_ogg_of_different_encodings_plays_every_link() {
    let work = Work::new();
    work.write("a.wav", &changing(44_100, 0.8).wav(Depth::S16));
    let stereo = Signal::interleave(&[changing(48_000, 0.6), Signal::tone(rate(48_000), 440.0, 0.2, seconds(0.6))]);
    work.write("b.wav", &stereo.unwrap().wav(Depth::S16));
    for (encode, extension, decode) in
        [("oggenc --quiet -q 6 -o", "ogg", "-c:a libvorbis"), ("opusenc --quiet --bitrate 96", "opus", "-c:a libopus")]
    {
        let mut chain = Vec::new();
        for (name, frames) in [("a", 6_400), ("b", 4_800)] {
            let file = format!("{name}.{extension}");
            let command = match extension {
                "ogg" => format!("{encode} {file} {name}.wav"),
                _ => format!("{encode} {name}.wav {file}"),
            };
            work.run(&command);
            chain.push((work.read(&file), theirs(&work, &file, 8_000), frames));
        }
        let joined: Vec<u8> = chain.iter().flat_map(|(file, ..)| file.clone()).collect();
        let (summary, heard) = ours(&joined, "sln");
        assert_eq!((summary.frames, summary.truncated), (11_200, false), "{extension}, {decode}");
        let mut at = 0;
        for (_, theirs, frames) in chain {
            // ffmpeg does not cut Vorbis to the sample at its end, and decodes Opus itself at another rate than libopus here.
            let inner = 400..frames - 400;
            let snr = snr_db(&theirs[inner.clone()], &heard[at + inner.start..at + inner.end]);
            assert!(snr > 25.0, "{extension} at {at}: {snr} dB");
            at += frames;
        }
    }
}

#[test]
fn adpcm_ends_where_its_writer_ended() {
    const FRAMES: u64 = 12_345;
    let work = Work::new();
    work.write("in.wav", &changing(8_000, FRAMES as f64 / 8_000.0).wav(Depth::S16));
    for coding in ["ima-adpcm", "ms-adpcm"] {
        work.run(&format!("sox -D in.wav -e {coding} sox.wav"));
        let (summary, heard) = ours(&work.read("sox.wav"), "sln");
        assert_eq!((summary.frames, summary.truncated), (FRAMES, false), "sox, {coding}");
        assert_same(&theirs(&work, "sox.wav", 8_000), &heard, 80.0, coding);
        let codec = if coding == "ima-adpcm" { "adpcm_ima_wav" } else { "adpcm_ms" };
        work.ffmpeg(&format!("-i in.wav -c:a {codec} ffmpeg.wav"));
        let heard = ours(&work.read("ffmpeg.wav"), "sln").1;
        // Its fact chunk counts the padding of the last block in.
        let theirs = theirs(&work, "ffmpeg.wav", 8_000);
        assert!(FRAMES as usize <= heard.len() && heard.len() <= theirs.len(), "ffmpeg, {coding}: {}", heard.len());
        assert_same(&theirs, &heard, 80.0, coding);
    }
}

#[test]
fn wav_that_a_pipe_left_unfinished_plays_to_its_end() {
    let work = Work::new();
    let signal = changing(8_000, 1.5);
    work.write("in.wav", &signal.wav(Depth::S16));
    let (_, expected) = ours(&work.read("in.wav"), "sln");
    // sox learns from a pipe only at the end how much there was, and cannot go back.
    let raw = work.run("sox -D in.wav -t raw -");
    let sox = piped(work.path(), "sox -V1 -D -t raw -r 8000 -e signed -b 16 -c 1 - -t wav -", &raw);
    let ffmpeg = work.ffmpeg("-i in.wav -f wav -");
    for (writer, file) in [("sox", sox), ("ffmpeg", ffmpeg)] {
        let (summary, heard) = ours(&file, "sln");
        assert!(heard == expected && !summary.truncated, "{writer}");
        // Cut in the middle it is what is left.
        let (_, heard) = ours(&file[..file.len() / 2], "sln");
        assert!(expected.starts_with(&heard) && heard.len() + 100 > expected.len() / 2, "{writer}");
    }
    let whole = work.read("in.wav");
    let (summary, heard) = ours(&whole[..whole.len() / 2], "sln");
    assert!(summary.truncated && expected.starts_with(&heard));
}

/// What a program prints that gets bytes through a pipe.
fn piped(directory: &Path, command: &str, bytes: &[u8]) -> Vec<u8> {
    let mut words = command.split_whitespace();
    let mut child = Command::new(words.next().unwrap())
        .args(words)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(bytes).unwrap());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{command}: {}", output.status);
        output.stdout
    })
}

#[test]
fn mp3_in_wav_is_mp3() {
    let work = Work::new();
    work.write("in.wav", &changing(44_100, 1.0).wav(Depth::S16));
    work.run("lame --quiet -b 96 in.wav plain.mp3");
    work.ffmpeg("-i plain.mp3 -c:a copy inside.wav");
    let (summary, heard) = ours(&work.read("inside.wav"), "sln");
    assert!(!summary.truncated);
    assert_same(&theirs(&work, "inside.wav", 8_000), &heard, 55.0, "MP3 in WAV");
}

/// Weights of front left, front right, centre, LFE and both surrounds (`spec/media.md` §3).
const SURROUND: [(&str, f64); 6] =
    [("FL", 1.0), ("FR", 1.0), ("FC", FRAC_1_SQRT_2), ("LFE", 0.0), ("BL", FRAC_1_SQRT_2), ("BR", FRAC_1_SQRT_2)];

#[test]
fn each_of_six_channels_has_its_weight_whatever_the_order_of_its_container() {
    let work = Work::new();
    work.write("in.wav", &Signal::tone(rate(48_000), 440.0, 0.8, seconds(0.5)).wav(Depth::S16));
    let sum: f64 = SURROUND.iter().map(|(_, weight)| weight).sum();
    for (alone, weight) in SURROUND {
        let others: String =
            SURROUND.iter().filter(|(name, _)| *name != alone).map(|(name, _)| format!("|{name}=0*c0")).collect();
        for (file, codec) in [("w.wav", "pcm_s24le"), ("f.flac", "flac"), ("v.ogg", "libvorbis"), ("o.opus", "libopus")]
        {
            work.ffmpeg(&format!("-i in.wav -af pan=5.1|{alone}=c0{others} -c:a {codec} {file}"));
            let heard = ours(&work.read(file), "sln").1;
            let inner = &heard[800..heard.len() - 800];
            let amplitude = (2.0 * inner.iter().map(|sample| sample * sample).sum::<f64>() / inner.len() as f64).sqrt();
            let expected = 0.8 * weight / sum;
            assert!((amplitude - expected).abs() < 0.02, "{alone} in {file}: {amplitude} instead of {expected}");
        }
    }
}

#[test]
fn what_is_not_read_is_told_as_no_audio_of_ours() {
    let work = Work::new();
    work.write("in.wav", &changing(8_000, 0.5).wav(Depth::S16));
    work.run("sox -D in.wav -C 7 out.amr-nb");
    let outcome = audio::transcode(&work.read("out.amr-nb"), Format::parse("ulaw", &[]).unwrap());
    assert_eq!(outcome.unwrap_err().problem().kind, problem::Kind::NotAudio);
}
