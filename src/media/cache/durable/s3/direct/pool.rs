//! Connections to the server that are open and unused, and how new ones are made.

use std::{
    collections::VecDeque,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tower::ServiceExt as _;

use super::connection::Connection;
use crate::{clock::Clock, outbound::tls_to};

/// Connections that are kept at most: as many as there are requests at once by default, so that none is made anew for want of room. A server whose queue of
/// new connections is full lets one wait for a second.
const IDLE_MAX: usize = 256;
/// For how long they are kept, at least until the next one is given back. Servers give them up after 5 s to some minutes.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);

/// The way to one server.
pub(super) struct Pool {
    uri: Uri,
    connector: HttpConnector,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
    clock: Clock,
    /// The one that was used last is at the back. A std lock: held to put one in or take one out.
    idle: Mutex<VecDeque<(Connection, Instant)>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl Pool {
    /// The way to the server of `uri`, with TLS where it says `https`: certificates are those that the system trusts.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub(super) fn to(uri: Uri, timeout: Duration) -> io::Result<Pool> {
        let tls = uri.host().filter(|_| uri.scheme_str() == Some("https")).map(tls_to).transpose()?;
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        Ok(Pool { uri, connector, tls, timeout, clock: Clock::system(), idle: Mutex::default() })
    }

    /// One that was used before.
    pub(super) fn take(&self) -> Option<Connection> {
        self.idle().pop_back().map(|(connection, _)| connection)
    }

    /// Keeps one for the next request.
    pub(super) fn give_back(&self, connection: Connection) {
        if !connection.is_clean() {
            return;
        }
        let now = self.clock.now();
        let mut idle = self.idle();
        while idle.front().is_some_and(|(_, since)| IDLE_TIME_MAX < now.saturating_duration_since(*since)) {
            idle.pop_front();
        }
        if idle.len() < IDLE_MAX {
            idle.push_back((connection, now));
        }
    }

    /// A new one.
    ///
    /// # Errors
    /// The server cannot be reached, or speaks no TLS where it should.
    pub(super) async fn connect(&self) -> io::Result<Connection> {
        let connected = tokio::time::timeout(self.timeout, async {
            let stream = self.connector.clone().oneshot(self.uri.clone()).await.map_err(io::Error::other)?.into_inner();
            Ok(match &self.tls {
                None => Connection::new(Box::new(stream)),
                Some((tls, name)) => Connection::new(Box::new(tls.connect(name.clone(), stream).await?)),
            })
        });
        connected.await.unwrap_or_else(|_| Err(io::Error::other("no connection in time")))
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<(Connection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
