//! The audio pipeline by itself, as `ringback transcode` runs it.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use ringback::media::{self, AudioError, Limits, Summary, format::Format};

/// Header and body of an original in a format, and what there is to say of them.
pub(crate) fn transcode(original: &[u8], format: Format) -> Result<(Summary, Vec<u8>), AudioError> {
    let mut body = Body(Vec::new());
    let input = Box::new(Original(Cursor::new(original.to_vec())));
    let summary = media::transcode(input, format, &Limits::default(), &mut body)?;
    let bytes = [summary.header.as_slice(), &body.0].concat();
    Ok((summary, bytes))
}

/// An original that is all there.
struct Original(Cursor<Vec<u8>>);

impl Read for Original {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.read(room)
    }
}

impl Seek for Original {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl media::Input for Original {
    fn length(&self) -> Option<u64> {
        Some(self.0.get_ref().len() as u64)
    }

    fn wait_complete(&mut self) -> io::Result<u64> {
        Ok(self.0.get_ref().len() as u64)
    }
}

struct Body(Vec<u8>);

impl media::Output for Body {
    fn write(&mut self, body: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(body);
        Ok(())
    }
}
