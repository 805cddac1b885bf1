//! Where a transcode's samples wait: a spool, so that they count towards the same limits and go on in memory where the disk refuses.

use std::{io, sync::Arc};

use crate::media::{audio, spool::Spool};

/// Samples of one transcode.
pub(super) struct Waiting<P> {
    spool: Arc<Spool>,
    /// Called with each piece: lets others compute, and says when to give up.
    pause: P,
}

impl<P: FnMut() -> io::Result<()> + Send> Waiting<P> {
    pub(super) fn new(spool: Arc<Spool>, pause: P) -> Waiting<P> {
        Waiting { spool, pause }
    }
}

impl<P: FnMut() -> io::Result<()> + Send> audio::Scratch for Waiting<P> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        (self.pause)()?;
        self.spool.append(bytes).map_err(io::Error::other)
    }

    fn read_at(&mut self, offset: u64, room: &mut [u8]) -> io::Result<()> {
        let read = self.spool.read_at(offset, room)?;
        if read == room.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}
