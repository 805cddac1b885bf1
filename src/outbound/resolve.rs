//! The resolver that the HTTP client connects by: looks a name up, has every address judged, and hands on only those
//! that passed. The client connects to exactly these, so a name that changes its mind gains nothing.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::guard::{Guard, Refusal};

tokio::task_local! {
    /// What the request that is being sent in this task asked for. The resolver is told a name only, but allow rules and
    /// own listeners are a matter of the port too. It is called within the task of the request whose connection it serves;
    /// where it is not, there is nothing to judge by and it refuses.
    pub(super) static ASKED: Asked;
}

/// Host and port of a request.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) host: Arc<str>,
    pub(super) port: u16,
}

/// Turns a name into addresses. Blocks; may be slow.
pub(super) type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

#[derive(Clone)]
pub(super) struct GuardedResolver {
    pub(super) guard: Arc<Guard>,
    pub(super) lookup: Arc<Lookup>,
    /// One permit for each look-up thread. A look-up cannot be cancelled: its permit stays with the thread, not with the
    /// request that lost patience.
    pub(super) lookups: Arc<Semaphore>,
}

/// Why no address came out.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolveError {
    #[error("every address of the name is refused")]
    Refused(Refusal),
    #[error("the look-up failed")]
    Lookup(#[source] io::Error),
    #[error("the look-up belongs to no request")]
    Unasked,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let asked = ASKED.try_with(Asked::clone);
        let resolver = self.clone();
        Box::pin(async move {
            let asked = asked.map_err(|_| ResolveError::Unasked)?;
            if !asked.host.eq_ignore_ascii_case(name.as_str()) {
                return Err(ResolveError::Unasked.into());
            }
            let passed = resolver.addresses(&asked).await?;
            Ok(Box::new(passed.into_iter()) as Addrs)
        })
    }
}

impl GuardedResolver {
    /// The addresses of a host that may be connected to; never none.
    pub(super) async fn addresses(&self, asked: &Asked) -> Result<Vec<SocketAddr>, ResolveError> {
        let broken = |_| ResolveError::Lookup(io::Error::other("the look-up died"));
        let permit = self.lookups.clone().acquire_owned().await.map_err(|_| ResolveError::Unasked)?;
        let (lookup, host) = (self.lookup.clone(), asked.host.clone());
        let found = tokio::task::spawn_blocking(move || {
            let found = lookup(&host);
            drop(permit);
            found
        });
        let found = found.await.map_err(broken)?.map_err(ResolveError::Lookup)?;
        judge_all(&self.guard, asked, &found)
    }
}

/// The addresses that pass; the first refusal if none does.
fn judge_all(guard: &Guard, asked: &Asked, found: &[IpAddr]) -> Result<Vec<SocketAddr>, ResolveError> {
    let mut refusal = None;
    let mut passed = Vec::with_capacity(found.len());
    for address in found.iter().map(|ip| SocketAddr::new(*ip, asked.port)) {
        match guard.judge(&asked.host, address, is_local) {
            Ok(()) => passed.push(address),
            Err(why) => refusal = refusal.or(Some(why)),
        }
    }
    match refusal {
        _ if !passed.is_empty() => Ok(passed),
        Some(refusal) => Err(ResolveError::Refused(refusal)),
        None => Err(ResolveError::Lookup(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))),
    }
}

/// The system's resolver: hosts file, then DNS.
pub(super) fn system_lookup(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

/// Whether an address is one of this machine's: only such an address can be bound. Cost: one socket, nothing is sent.
pub(super) fn is_local(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}
