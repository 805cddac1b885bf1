//! The audio pipeline by itself, as `ringback transcode` runs it.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use ringback::media::{
    self, AudioError, Limits, Summary,
    format::{Format, Headerless},
};

/// Header and body of an original in a format, and what there is to say of them.
pub(crate) fn transcode(original: &[u8], format: Format) -> Result<(Summary, Vec<u8>), AudioError> {
    transcode_declared(original, None, format)
}

/// The same of an original that is declared to be something.
pub(crate) fn transcode_declared(
    original: &[u8],
    declared: Option<Headerless>,
    format: Format,
) -> Result<(Summary, Vec<u8>), AudioError> {
    let mut body = Body(Vec::new());
    let input = Box::new(Original { bytes: Cursor::new(original.to_vec()), declared });
    let summary = media::transcode(input, format, &Limits::default(), &mut body)?;
    let bytes = [summary.header.as_slice(), &body.0].concat();
    Ok((summary, bytes))
}

/// An original that is all there.
struct Original {
    bytes: Cursor<Vec<u8>>,
    declared: Option<Headerless>,
}

impl Read for Original {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(room)
    }
}

impl Seek for Original {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

impl media::Input for Original {
    fn length(&self) -> Option<u64> {
        Some(self.bytes.get_ref().len() as u64)
    }

    fn declared(&self) -> Option<Headerless> {
        self.declared
    }

    fn wait_complete(&mut self) -> io::Result<u64> {
        Ok(self.bytes.get_ref().len() as u64)
    }
}

struct Body(Vec<u8>);

impl media::Output for Body {
    fn write(&mut self, body: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(body);
        Ok(())
    }
}
