//! The committed audio (`fixtures/README.md`) and what is made of it.

use std::{fs, io, path::PathBuf};

use bytes::Bytes;

/// Where the committed audio lies.
pub fn audio_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/audio")
}

/// The bytes of a committed file, for example `music.mp3`.
///
/// # Errors
/// It cannot be read.
pub fn audio(name: &str) -> io::Result<Bytes> {
    let path = audio_dir().join(name);
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    fs::read(&path).map(Bytes::from).map_err(named)
}

/// The MPEG-1 layer III frames of `music.mp3` without its Info frame: `Body::repeat` of them is a song as long as one likes.
///
/// The file is encoded without a bit reservoir, so that the first frame follows the last one cleanly.
///
/// # Errors
/// The file cannot be read or is not such a file.
pub fn music_frames() -> io::Result<Bytes> {
    let file = audio("music.mp3")?;
    let odd = || io::Error::new(io::ErrorKind::InvalidData, "music.mp3 does not begin with a 128 kbit/s frame");
    let first_bytes = frame_bytes(&file).ok_or_else(odd)?;
    let first = file.get(..first_bytes).ok_or_else(odd)?;
    let has_info = first.windows(4).any(|tag| tag == b"Info" || tag == b"Xing");
    Ok(if has_info { file.slice(first_bytes..) } else { file })
}

/// How many bytes of [`music_frames`] play for `seconds`, at 128 kbit/s.
pub const fn music_bytes(seconds: u64) -> u64 {
    seconds * 128_000 / 8
}

/// Length of the frame that starts here (ISO/IEC 11172-3 §2.4.3.1), for the one kind of frame that the fixture has.
fn frame_bytes(file: &[u8]) -> Option<usize> {
    const SYNC_MPEG1_LAYER3: [u8; 2] = [0xFF, 0xFB];
    const BITRATE_128K_RATE_44K1: u8 = 0x90;
    let [a, b, c, _] = *file.first_chunk::<4>()?;
    let is_expected = [a, b] == SYNC_MPEG1_LAYER3 && c & 0xFC == BITRATE_128K_RATE_44K1;
    let padding = usize::from(c >> 1 & 1);
    is_expected.then_some(144 * 128_000 / 44_100 + padding)
}

#[cfg(test)]
mod tests;
