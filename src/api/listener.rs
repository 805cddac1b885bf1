//! The listener: connections in, one task each on one of the lanes, drained on shutdown.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    answer::Answer,
    config::Config,
    head_timer::HeadTimer,
    lanes::Lanes,
    socket::{Peer, Socket},
    stalled::StallGuard,
};

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// After a failed accept (out of file descriptors), how long until the next.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// The listener could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No thread to serve connections on.
    #[error("cannot start the threads that serve connections")]
    Threads(#[source] io::Error),
}

/// A bound listener that is not yet serving.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Tls>,
    config: Config,
    lanes: Lanes,
}

#[derive(Clone)]
struct Tls(TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Listener {
    /// Binds `address`; with `tls`, connections are TLS.
    ///
    /// # Errors
    /// The address cannot be bound, or a thread cannot be started.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<rustls::ServerConfig>,
        config: &Config,
    ) -> Result<Listener, ListenError> {
        let tls = tls.map(|config| Tls(TlsAcceptor::from(Arc::new(config))));
        let tcp = TcpListener::bind(address).await.map_err(|source| ListenError::Bind { address, source })?;
        let threads = match config.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let lanes = Lanes::start(threads).map_err(ListenError::Threads)?;
        Ok(Listener { tcp, tls, config: config.clone(), lanes })
    }

    /// The address it is bound to: the port is known even where 0 was asked for.
    ///
    /// # Errors
    /// The operating system's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Has `edge` answer until `shutdown`, then lets running requests go on for `drain` before they are cut.
    pub async fn serve<A: Answer>(self, edge: A, shutdown: CancellationToken, drain: Duration) {
        let places = Arc::new(Semaphore::new(self.config.connections_max));
        let cut = CancellationToken::new();
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = self.accept(&places) => accepted,
            };
            let Some((stream, peer, place)) = accepted else { continue };
            let connection = Connection {
                edge: edge.clone(),
                peer,
                tls: self.tls.clone(),
                shutdown: shutdown.clone(),
                cut: cut.clone(),
                head_timeout: self.config.head_timeout,
                stall_timeout: self.config.stall_timeout,
                buffer_max: self.config.buffer_max.as_usize(),
            };
            self.lanes.spawn(async move {
                connection.run(stream).await;
                drop(place);
            });
        }
        drop(self.tcp);
        if tokio::time::timeout(drain, self.lanes.wait()).await.is_err() {
            tracing::warn!(connections = self.lanes.len(), "drain time is over, cutting connections");
            cut.cancel();
            self.lanes.wait().await;
        }
    }

    async fn accept(&self, places: &Arc<Semaphore>) -> Option<(TcpStream, IpAddr, tokio::sync::OwnedSemaphorePermit)> {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        match self.tcp.accept().await {
            Ok((stream, peer)) => {
                metrics::counter!("ringback_http_connections_total").increment(1);
                // Small answers must not wait for the acknowledgement of earlier ones.
                stream.set_nodelay(true).ok()?;
                // Out of this runtime's hands: a lane takes it into its own.
                Some((stream.into_std().ok()?, peer.ip(), place))
            }
            Err(error) => {
                tracing::warn!(%error, "connection cannot be accepted");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
                None
            }
        }
    }
}

struct Connection<A> {
    edge: A,
    peer: IpAddr,
    tls: Option<Tls>,
    shutdown: CancellationToken,
    cut: CancellationToken,
    head_timeout: Duration,
    stall_timeout: Duration,
    buffer_max: usize,
}

impl<A: Answer> Connection<A> {
    async fn run(self, stream: TcpStream) {
        let stream = match tokio::net::TcpStream::from_std(stream) {
            Ok(stream) => Socket::new(stream),
            Err(error) => return tracing::warn!(%error, "connection cannot be watched"),
        };
        let peer = stream.peer(self.peer);
        let stream = StallGuard::new(stream, self.stall_timeout);
        match &self.tls {
            None => self.serve(stream, peer).await,
            Some(Tls(acceptor)) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => self.serve(stream, peer).await,
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake took too long"),
            },
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S, peer: Peer) {
        let edge = self.edge.clone();
        let service = service_fn(move |request| edge.answer(request, &peer));
        // hyper takes 100 header lines; any other limit costs an allocation for each request.
        let connection = http1::Builder::new()
            .timer(HeadTimer::default())
            .header_read_timeout(self.head_timeout)
            .max_buf_size(self.buffer_max)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        // Only a shutdown is ever followed by a cut: one thing less to look at for each request.
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    served = connection => served,
                    () = self.cut.cancelled() => return,
                }
            }
        };
        if let Err(error) = served {
            // Callers hang up in the middle of audio all day long.
            tracing::debug!(%error, "connection ended");
        }
    }
}
