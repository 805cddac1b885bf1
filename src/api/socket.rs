//! A connection's socket, which whoever works on its requests can watch.
//!
//! hyper learns that a client has gone by reading, and reads nothing while the body of a request waits for its handler: a request that stands in a line with its
//! body unread would stand there for nobody. The operating system tells the end of what comes (`EPOLLRDHUP`) whatever is unread before it.

use std::{
    fmt,
    io::{self, IoSlice},
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustix::net::Shutdown;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

/// The socket, to be read and written by one.
#[derive(Debug)]
pub(super) struct Socket(Arc<TcpStream>);

/// Who is at the other end of a connection.
#[derive(Clone)]
pub struct Peer {
    /// Where.
    pub address: IpAddr,
    stream: Arc<TcpStream>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Socket {
        Socket(Arc::new(stream))
    }

    /// The other end of it, at this address.
    pub(super) fn peer(&self, address: IpAddr) -> Peer {
        Peer { address, stream: self.0.clone() }
    }

    /// Waits until something can be done, and does it. One that did less than it might, of `whole`, has emptied what there was: the next waits, without asking the
    /// system. (As tokio's own stream does it. What has become ready since is not overlooked: it is by the readiness from before that tokio forgets.)
    fn wait(
        &self,
        interest: Interest,
        mut is_ready: impl FnMut(&TcpStream) -> Poll<io::Result<()>>,
        (whole, mut operation): (usize, impl FnMut(&TcpStream) -> io::Result<usize>),
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(is_ready(&self.0))?;
            let mut done = None;
            let tried = self.0.try_io(interest, || {
                let count = operation(&self.0)?;
                done = Some(count);
                if 0 < count && count < whole { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match (done, tried) {
                (Some(count), _) => return Poll::Ready(Ok(count)),
                (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                (None, _) => {}
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = (buffer.remaining(), |stream: &TcpStream| stream.try_read_buf(buffer));
        self.wait(Interest::READABLE, |stream| stream.poll_read_ready(cx), read).map_ok(drop)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let write = (bytes.len(), |stream: &TcpStream| stream.try_write(bytes));
        self.wait(Interest::WRITABLE, |stream| stream.poll_write_ready(cx), write)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let whole = pieces.iter().map(|piece| piece.len()).sum();
        let write = (whole, |stream: &TcpStream| stream.try_write_vectored(pieces));
        self.wait(Interest::WRITABLE, |stream| stream.poll_write_ready(cx), write)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match rustix::net::shutdown(&*self.0, Shutdown::Write) {
            // The other side was quicker.
            Ok(()) | Err(rustix::io::Errno::NOTCONN) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }
}

impl Peer {
    /// Waits until it has ended its side of the connection. That it goes on reading after that cannot be told from having gone, and hyper as it is set up here takes
    /// it for the same.
    pub(super) async fn gone(self) {
        loop {
            // Nobody asks for urgent data, so that what is left of this interest is the end of what comes, though all before it is unread.
            match self.stream.ready(Interest::PRIORITY).await {
                Ok(ready) if !ready.is_read_closed() => tokio::task::yield_now().await,
                Ok(_) | Err(_) => return,
            }
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Peer").field(&self.address).finish()
    }
}
