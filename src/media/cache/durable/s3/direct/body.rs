//! The body of an object as it arrives.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::stream;

use super::{Direct, connection::Connection};
use crate::media::cache::durable::{
    s3::error::Failure,
    store::{ObjectBytes, StoreError},
};

/// Bytes of a piece at most where nobody says how long pieces are to be: as much as a socket mostly has at once.
const PIECE_MAX: usize = 128 << 10;

/// Bytes that are to come.
pub(in super::super) struct Incoming {
    direct: Direct,
    /// None after the end, and while nothing but an error can come.
    connection: Option<Connection>,
    left: u64,
    stays_open: bool,
    /// Where pieces end, for those who say it.
    lengths: Option<std::vec::IntoIter<usize>>,
    /// Memory for the next piece. What readers have let go is used again.
    memory: BytesMut,
}

impl Incoming {
    pub(super) fn new(direct: Direct, connection: Connection, length: u64, stays_open: bool) -> Incoming {
        Incoming {
            direct,
            connection: Some(connection),
            left: length,
            stays_open,
            lengths: None,
            memory: BytesMut::new(),
        }
    }

    /// As a store gives it. None of the pieces lets wait longer than `silence_max`. With `lengths`, these are the pieces, each in memory of
    /// its own; together they are all that comes.
    pub(in super::super) fn into_bytes(
        mut self,
        lengths: Option<Vec<usize>>,
        silence_max: Duration,
        subject: String,
    ) -> ObjectBytes<StoreError> {
        self.lengths = lengths.map(Vec::into_iter);
        Box::pin(stream::try_unfold((self, subject), move |(mut incoming, subject)| async move {
            match incoming.next(silence_max).await {
                Ok(piece) => Ok(piece.map(|piece| (piece, (incoming, subject)))),
                Err(reason) => Err(Failure::lies(reason).about_all(subject)),
            }
        }))
    }

    /// The next piece; none at the end.
    async fn next(&mut self, silence_max: Duration) -> Result<Option<Bytes>, String> {
        let Some(connection) = self.connection.as_mut().filter(|_| self.left > 0) else {
            self.end();
            return Ok(None);
        };
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let is_cut = self.lengths.is_some();
        let wanted = match &mut self.lengths {
            Some(lengths) => lengths.next().filter(|length| *length <= left).ok_or("more bytes than were asked for")?,
            None => left.min(PIECE_MAX),
        };
        let memory = &mut self.memory;
        if is_cut {
            *memory = BytesMut::with_capacity(wanted);
        } else {
            memory.reserve(wanted);
        }
        while memory.len() < wanted {
            let read = tokio::time::timeout(silence_max, connection.read_into(memory, wanted)).await;
            read.map_err(|_| "the body has stalled")?.map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => "fewer bytes than the answer said".to_owned(),
                _ => super::innermost(&error),
            })?;
            if !is_cut {
                break;
            }
        }
        let piece = if is_cut { std::mem::take(memory) } else { memory.split() }.freeze();
        self.left -= piece.len() as u64;
        // Not all readers look whether something comes after the last byte.
        if self.left == 0 {
            self.end();
        }
        Ok(Some(piece))
    }

    /// The connection is free for the next request.
    fn end(&mut self) {
        if let Some(connection) = self.connection.take().filter(|_| self.stays_open && self.left == 0) {
            self.direct.shared.pool.give_back(connection);
        }
    }
}
