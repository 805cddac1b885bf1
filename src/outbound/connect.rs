//! Connections to one origin, for clients of hyper's. Each is judged by the guard when it is made.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    guard::Refusal,
    resolve::{Asked, GuardedResolver, ResolveError, is_local},
};

/// Connects to the one origin, whatever a request names.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) shared: Arc<To>,
}

/// Where to, and how.
pub(super) struct To {
    pub(super) asked: Asked,
    /// The host, if it is an address and needs no look-up.
    pub(super) literal: Option<IpAddr>,
    pub(super) resolver: GuardedResolver,
    /// Look-up, TCP and TLS together.
    pub(super) timeout: Duration,
    pub(super) tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// No connection came about.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("the address is refused")]
    Refused(Refusal),
    #[error("the name could not be resolved")]
    Dns(#[source] ResolveError),
    #[error("no connection in time")]
    Timeout,
    #[error("no connection")]
    Io(#[from] io::Error),
}

impl To {
    async fn connect(&self) -> Result<Wire, ConnectError> {
        match tokio::time::timeout(self.timeout, self.attempt()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ConnectError::Timeout),
        }
    }

    async fn attempt(&self) -> Result<Wire, ConnectError> {
        let stream = self.tcp().await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Wire::Plain(stream)),
            Some((connector, name)) => Ok(Wire::Tls(Box::new(connector.connect(name.clone(), stream).await?))),
        }
    }

    /// The first of its addresses that answers.
    async fn tcp(&self) -> Result<TcpStream, ConnectError> {
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in self.addresses().await? {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = error,
            }
        }
        Err(failed.into())
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, ConnectError> {
        let Some(ip) = self.literal else {
            return self.resolver.addresses(&self.asked).await.map_err(|error| match error {
                ResolveError::Refused(refusal) => ConnectError::Refused(refusal),
                other => ConnectError::Dns(other),
            });
        };
        let address = SocketAddr::new(ip, self.asked.port);
        let judged = self.resolver.guard.judge(&self.asked.host, address, is_local);
        judged.map(|()| vec![address]).map_err(ConnectError::Refused)
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Wire>, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let to = self.shared.clone();
        Box::pin(async move { to.connect().await.map(TokioIo::new) })
    }
}

/// A connection.
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Whether a connection has brought an answer before: its peer may have closed it just when the next request was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Used(Arc<AtomicBool>);

impl Used {
    /// Notes an answer.
    pub(super) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether there was one.
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wire::Plain(_) => "Wire::Plain",
            Wire::Tls(_) => "Wire::Tls",
        })
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new().extra(Used::default())
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Wire::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Wire::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Wire::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Wire::Plain(stream) => stream.is_write_vectored(),
            Wire::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
