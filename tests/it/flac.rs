//! FLAC of every setting of encoders, against what went in: equal to the last bit.

use ringback::{media::format::Format, testing::fixture};

use crate::support::{audio, tools::Work};

/// Channels and bits of originals, made of less than a second of music.
const ORIGINALS: [&str; 7] = [
    "-ac 1 -c:a pcm_u8",
    "-ac 1 -ar 48000",
    "-ac 2",
    "-ac 2 -ar 96000 -c:a pcm_s24le",
    // Sixteen bits in 24, and nothing at all for a while: wasted bits and constant samples.
    "-af aformat=s16,volume=0:enable=between(t\\,0.2\\,0.5),aformat=s32 -c:a pcm_s24le",
    "-af pan=5.1|FL=c0|FR=c1|FC=0.5*c0+0.5*c1|LFE=0.1*c0|BL=0.3*c1|BR=0.2*c0 -c:a pcm_s24le",
    // Noise that no prediction helps against.
    "-f lavfi -i anoisesrc=r=44100:d=0.5:a=0.9:s=5 -map 1:a -ac 2",
];

/// Everything that is heard, and one side alone.
const HEARD: [&[(&str, &str)]; 2] = [&[], &[("channel", "right")]];

/// Our outputs of an original.
fn outputs(work: &Work, name: &str) -> Vec<Vec<u8>> {
    let output = |options: &&[(&str, &str)]| {
        let (summary, body) = audio::transcode(&work.read(name), Format::parse("sln48", options).unwrap()).unwrap();
        assert!(!summary.truncated, "{name}");
        body
    };
    HEARD.iter().map(output).collect()
}

fn original(work: &Work, arguments: &str) {
    work.write("music.mp3", &fixture::audio("music.mp3").unwrap());
    // Chunks that are none of the sound make flac warn.
    work.ffmpeg(&format!("-ss 1 -t 0.7 -i music.mp3 {arguments} -bitexact in.wav"));
}

#[test]
fn every_level_of_flac_is_what_went_in() {
    let work = Work::new();
    for arguments in ORIGINALS {
        original(&work, arguments);
        let expected = outputs(&work, "in.wav");
        let settings = (0..=8).map(|level| format!("-{level}"));
        let others =
            ["-8 --lax -b 65535", "--lax -b 17 -l 0", "--lax -l 32 -b 2000", "-e -p -r 8", "-0 -b 576 --no-padding"];
        for setting in settings.chain(others.map(str::to_owned)) {
            work.run(&format!("flac --silent -f {setting} -o out.flac in.wav"));
            assert!(outputs(&work, "out.flac") == expected, "{arguments} by {setting}");
        }
        work.run("flac --silent -f --ogg -o out.oga in.wav");
        assert!(outputs(&work, "out.oga") == expected, "{arguments} in Ogg");
        // Nothing is lost on the way; if something were, their decoder would have to say the same.
        work.run("flac --silent -f -d -o out.wav out.flac");
        assert!(outputs(&work, "out.wav") == expected, "{arguments}");
    }
}

#[test]
fn what_ffmpeg_makes_is_what_went_in() {
    let work = Work::new();
    for arguments in ORIGINALS {
        original(&work, arguments);
        let expected = outputs(&work, "in.wav");
        for setting in ["-compression_level 0", "-compression_level 12 -ch_mode left_side", "-frame_size 9000"] {
            work.ffmpeg(&format!("-i in.wav -strict experimental {setting} out.flac"));
            assert!(outputs(&work, "out.flac") == expected, "{arguments} by {setting}");
            for file in ["out.mp4", "out.oga"] {
                work.ffmpeg(&format!("-i out.flac -c:a copy -strict experimental {file}"));
                assert!(outputs(&work, file) == expected, "{arguments} by {setting} in {file}");
            }
        }
    }
}

#[test]
fn differences_of_33_bits_are_decoded() {
    let work = Work::new();
    // Two channels at full scale and against each other.
    work.ffmpeg(
        "-f lavfi -i sine=f=700:r=48000:d=1 -af volume=7.9,pan=stereo|c0=c0|c1=-0.9*c0 -c:a pcm_s32le -bitexact in.wav",
    );
    let expected = outputs(&work, "in.wav");
    for setting in ["-0 -m", "-2", "-5", "-8", "--lax -l 32"] {
        work.run(&format!("flac --silent -f {setting} -o out.flac in.wav"));
        assert!(outputs(&work, "out.flac") == expected, "{setting}");
    }
}
