use super::{Cut, Grid, Part};
use crate::media::audio::decode::mpeg::Header;

/// MPEG-1, stereo: 1152 samples.
fn header() -> Header {
    Header::parse(&[0xff, 0xfb, 0x90, 0x00]).unwrap()
}

/// What a part of so many frames gives, and what of the source that stands for. Samples are their own numbers.
fn given(cut: Cut, grid: Grid, frames: u64) -> (Vec<u64>, usize) {
    let mut part = Part::new(header(), cut, grid, 1);
    let (mut out, mut stood_for) = (Vec::new(), 0);
    for frame in 0..frames {
        let on_grid = |sample: &u64| (*sample as usize) % grid.step as usize == grid.phase();
        let samples: Vec<f32> =
            (frame * 1152..(frame + 1) * 1152).filter(on_grid).map(|sample| sample as f32).collect();
        assert_eq!(samples.len() as u64, 1152 / grid.step);
        stood_for += part.take(&samples, &mut out);
    }
    stood_for += part.end(&mut out);
    (out.into_iter().map(|sample| sample as u64).collect(), stood_for)
}

#[test]
fn what_is_between_delay_and_padding_is_given_where_it_stands() {
    const FRAMES: u64 = 5;
    const ALL: u64 = FRAMES * 1152;
    for step in [1, 2, 4] {
        for (delay, padding) in [(0, 0), (1_105, 0), (1_105, 700), (1_106, 701), (1_107, 1_152), (1_152, 2_303), (3, 1)]
        {
            for position in 0..5 {
                let grid = Grid::new(step, delay, position);
                let cut = Cut { frames_declared: Some(FRAMES), delay, padding };
                let (samples, stood_for) = given(cut, grid, FRAMES);
                // Sample m of the whole stands at frame m × step of the whole, the first of which is `position` here.
                let stands = |sample: &u64| (sample - delay + position).is_multiple_of(step as u64);
                let expected: Vec<u64> = (delay..ALL - padding).filter(stands).collect();
                assert_eq!(samples, expected, "step {step}, {delay} and {padding}, at {position}");
                assert_eq!(stood_for as u64, ALL - delay - padding);
            }
        }
    }
}

#[test]
fn padding_is_kept_where_the_part_does_not_end_as_its_tag_says() {
    let cut = Cut { frames_declared: Some(6), delay: 1_105, padding: 700 };
    let (samples, stood_for) = given(cut, Grid::new(4, 1_105, 0), 5);
    assert_eq!((samples.len(), stood_for), (1_164, 4_655));
    assert_eq!(samples.last(), Some(&5_757));
}

#[test]
fn a_part_shorter_than_its_delay_gives_nothing() {
    let cut = Cut { frames_declared: None, delay: 4_000, padding: 100 };
    assert_eq!(given(cut, Grid::new(2, 4_000, 1), 3), (Vec::new(), 0));
    assert_eq!(given(Cut::default(), Grid::new(2, 0, 0), 0), (Vec::new(), 0));
}
