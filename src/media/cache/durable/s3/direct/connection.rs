//! One connection to the server, and HTTP/1.1 as far as it is needed there: one request, its answer, and the next.
//!
//! The body of an answer is read straight into the memory in which it stays. A client that knows nothing of what it reads for has
//! buffers of its own, out of which everything must be copied.

#![deny(clippy::indexing_slicing, reason = "this reads what a server sends")]

use std::{
    fmt,
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::SystemTime,
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// Bytes that are read at once where the end of a head is looked for: what comes with it of a body is copied.
const HEAD_READ: usize = 4 << 10;
/// Bytes of a head at most.
const HEAD_MAX: usize = 64 << 10;
/// Fields of a head at most.
const FIELDS_MAX: usize = 100;
/// Bytes of an answer that is no object at most: errors are some hundred.
const SMALL_MAX: usize = 64 << 10;
/// Bytes of the beginning of an answer that comes while the request is still being sent.
const EARLY_MAX: usize = 1 << 10;

/// What bytes go through: TCP, or TLS on it.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A connection that is between two requests, or in the midst of one.
pub(super) struct Connection {
    wire: Box<dyn Wire>,
    /// What has come and is not taken yet.
    input: BytesMut,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("input", &self.input.len()).finish_non_exhaustive()
    }
}

/// The head of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) framing: Framing,
    pub(super) content_range: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) modified: Option<SystemTime>,
    /// Whether another request can follow when this answer is read.
    pub(super) stays_open: bool,
}

/// How it is known where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    /// With the connection.
    Close,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct NoAnswer {
    pub(super) error: io::Error,
    /// Whether not a byte of one has come: if others had come on this connection before, the server has most likely given it up.
    pub(super) is_unbegun: bool,
}

impl Connection {
    pub(super) fn new(wire: Box<dyn Wire>) -> Connection {
        Connection { wire, input: BytesMut::new() }
    }

    /// Whether nothing is left over of the last answer.
    pub(super) fn is_clean(&self) -> bool {
        self.input.is_empty()
    }

    /// Sends a request and reads the head of its answer.
    pub(super) async fn ask(&mut self, head: String, body: &Bytes) -> Result<Head, NoAnswer> {
        let sent = self.send(head, body).await;
        match (self.head().await, sent) {
            (Ok(mut answer), sent) => {
                // One that came before the server had heard everything: the rest of the request would be taken for the next one.
                answer.stays_open &= matches!(sent, Ok(true));
                Ok(answer)
            }
            (Err(error), Ok(_)) | (Err(_), Err(error)) => Err(NoAnswer { error, is_unbegun: self.input.is_empty() }),
        }
    }

    /// Sends until all is sent, or until an answer begins; whether all is.
    async fn send(&mut self, head: String, body: &Bytes) -> io::Result<bool> {
        let mut left = Bytes::from(head).chain(body.clone());
        poll_fn(|context| {
            while left.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 2];
                let filled = left.chunks_vectored(&mut slices);
                let slices = slices.get(..filled).unwrap_or_default();
                match Pin::new(&mut self.wire).poll_write_vectored(context, slices) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(written)) => left.advance(written),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {
                        ready!(self.poll_early(context))?;
                        return Poll::Ready(Ok(false));
                    }
                }
            }
            Pin::new(&mut self.wire).poll_flush(context).map_ok(|()| true)
        })
        .await
    }

    /// The beginning of an answer that comes before the request's end.
    fn poll_early(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut space = [0; EARLY_MAX];
        let mut space = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.wire).poll_read(context, &mut space))?;
        if space.filled().is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.input.extend_from_slice(space.filled());
        Poll::Ready(Ok(()))
    }

    /// The head of the next answer; those that only say that one will come are passed over.
    async fn head(&mut self) -> io::Result<Head> {
        loop {
            if let Some((head, length)) = parse(&self.input)? {
                self.input.advance(length);
                if !(100..200).contains(&head.status) {
                    return Ok(head);
                }
                continue;
            }
            if HEAD_MAX < self.input.len() {
                return Err(unreadable());
            }
            self.more(HEAD_READ).await?;
        }
    }

    /// Reads up to `most` bytes more.
    async fn more(&mut self, most: usize) -> io::Result<()> {
        self.input.reserve(most);
        let mut space = (&mut self.input).limit(most);
        match self.wire.read_buf(&mut space).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Reads into `piece` until it has `length` bytes. **Cancel-safe**: what was read is in `piece`.
    pub(super) async fn fill(&mut self, piece: &mut BytesMut, length: usize) -> io::Result<()> {
        take_into(&mut self.input, piece, length);
        while piece.len() < length {
            self.read_into(piece, length).await?;
        }
        Ok(())
    }

    /// Reads into `piece` once, unless it has `length` bytes.
    pub(super) async fn read_into(&mut self, piece: &mut BytesMut, length: usize) -> io::Result<()> {
        if take_into(&mut self.input, piece, length) {
            return Ok(());
        }
        let lacking = length.saturating_sub(piece.len());
        let mut space = piece.limit(lacking);
        match self.wire.read_buf(&mut space).await? {
            0 if lacking > 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// All of a body that is no object.
    pub(super) async fn small_body(&mut self, framing: Framing) -> io::Result<BytesMut> {
        let mut body = BytesMut::new();
        match framing {
            Framing::Length(length) => {
                let length =
                    usize::try_from(length).ok().filter(|length| *length <= SMALL_MAX).ok_or_else(unreadable)?;
                body.reserve(length);
                self.fill(&mut body, length).await?;
            }
            Framing::Chunked => loop {
                let size = chunk_size(&self.line().await?).ok_or_else(unreadable)?;
                if size == 0 {
                    // Trailers, and the empty line behind them.
                    while !self.line().await?.is_empty() {}
                    break;
                }
                let length =
                    body.len().checked_add(size).filter(|length| *length <= SMALL_MAX).ok_or_else(unreadable)?;
                body.reserve(size);
                self.fill(&mut body, length).await?;
                if !self.line().await?.is_empty() {
                    return Err(unreadable());
                }
            },
            Framing::Close => {
                body.put(self.input.split());
                while body.len() <= SMALL_MAX && self.wire.read_buf(&mut body).await? > 0 {}
            }
        }
        Ok(body)
    }

    /// The next line, without its end.
    async fn line(&mut self) -> io::Result<BytesMut> {
        loop {
            if let Some(length) = self.input.windows(2).position(|two| two == b"\r\n") {
                let line = self.input.split_to(length);
                self.input.advance(2);
                return Ok(line);
            }
            if HEAD_MAX < self.input.len() {
                return Err(unreadable());
            }
            self.more(HEAD_READ).await?;
        }
    }
}

/// Takes of what has come already as much as `piece` lacks of `length` bytes. Whether there was any.
fn take_into(input: &mut BytesMut, piece: &mut BytesMut, length: usize) -> bool {
    let taken = input.len().min(length.saturating_sub(piece.len()));
    piece.extend_from_slice(&input.split_to(taken));
    taken > 0
}

fn unreadable() -> io::Error {
    io::Error::other("an answer that cannot be read")
}

/// The head that `bytes` begin with, and how long it is; none where they end within it.
fn parse(bytes: &[u8]) -> io::Result<Option<(Head, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Response::new(&mut fields);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(unreadable()),
    };
    let status = parsed.code.ok_or_else(unreadable)?;
    let mut head = Head {
        status,
        framing: Framing::Close,
        content_range: None,
        content_type: None,
        modified: None,
        stays_open: parsed.version == Some(1),
    };
    for field in parsed.headers {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        // What is no text says nothing that is asked for here.
        let Ok(value) = std::str::from_utf8(field.value) else { continue };
        let value = value.trim();
        if is("content-length") {
            let length = value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse().ok()).flatten();
            let framing = Framing::Length(length.ok_or_else(unreadable)?);
            match head.framing {
                Framing::Close => head.framing = framing,
                Framing::Chunked => head.stays_open = false,
                Framing::Length(_) if head.framing == framing => {}
                Framing::Length(_) => return Err(unreadable()),
            }
        } else if is("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(unreadable());
            }
            // RFC 9112 §6.3: it wins over a length. Who sends both is not trusted with another request.
            head.stays_open &= head.framing == Framing::Close;
            head.framing = Framing::Chunked;
        } else if is("connection") {
            head.stays_open &= !value.split(',').any(|option| option.trim().eq_ignore_ascii_case("close"));
        } else if is("content-range") {
            head.content_range = Some(value.to_owned());
        } else if is("content-type") {
            head.content_type = Some(value.to_owned());
        } else if is("last-modified") {
            head.modified = httpdate::parse_http_date(value).ok();
        }
    }
    if (100..200).contains(&status) || matches!(status, 204 | 304) {
        head.framing = Framing::Length(0);
    }
    Ok(Some((head, length)))
}

/// The length at the beginning of a chunk (RFC 9112 §7.1).
fn chunk_size(line: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(line).ok()?;
    let digits = text.split(';').next()?.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_number.then(|| usize::from_str_radix(digits, 16).ok()).flatten()
}
