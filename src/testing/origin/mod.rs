//! An HTTP origin on a real socket that does what the test tells it, well or badly, and remembers who asked for what.
//!
//! Everything that waits in it waits for a [`Gate`] or for a paced body, never for a guess of time.

mod body;
mod gate;
mod reply;

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Component, Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request};
use http_body_util::{BodyExt as _, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::clock::Clock;

pub use self::{
    body::Body,
    gate::Gate,
    reply::{Length, Reply},
};

/// Bytes of a request's body that are kept at most.
const KEPT_BODY_MAX: usize = 1 << 20;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET`, `HEAD`, …
    pub method: Method,
    /// Path and query as sent.
    pub path: String,
    /// All header fields.
    pub headers: HeaderMap,
    /// Its body, where bodies are kept ([`Origin::keep_bodies`]).
    pub body: Bytes,
    /// When its head was complete.
    pub at: Instant,
}

/// The origin. Dropping it closes its socket and all of its connections.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    /// Whose wall time its `Date` is.
    wall: Mutex<Clock>,
    /// Replies by path and query. The last of a path's replies stays; those before it are used once.
    scripts: Mutex<HashMap<String, VecDeque<Reply>>>,
    directory: Option<PathBuf>,
    keeps_bodies: AtomicBool,
    // A std mutex: held for one push or clone, never across an await.
    seen: Mutex<Vec<Seen>>,
    seen_count: watch::Sender<usize>,
    connections: AtomicUsize,
    body_bytes: Arc<AtomicU64>,
    abandoned: Arc<watch::Sender<usize>>,
}

impl Origin {
    /// An origin on a free port of 127.0.0.1 that answers 404 until told otherwise.
    ///
    /// # Errors
    /// The socket cannot be had.
    pub async fn start() -> io::Result<Origin> {
        Origin::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None).await
    }

    /// The same on another address, for example `[::1]:0`.
    ///
    /// # Errors
    /// The socket cannot be had.
    pub async fn start_on(address: SocketAddr) -> io::Result<Origin> {
        Origin::bind(address, None).await
    }

    /// An origin that serves the files of a directory, with ETag and Last-Modified. Scripts go before files.
    ///
    /// # Errors
    /// The socket cannot be had.
    pub async fn serve_dir(directory: impl Into<PathBuf>) -> io::Result<Origin> {
        Origin::serve_dir_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), directory).await
    }

    /// The same on another address: a source's URL carries its port, so a demonstration wants one that stays.
    ///
    /// # Errors
    /// The socket cannot be had.
    pub async fn serve_dir_on(address: SocketAddr, directory: impl Into<PathBuf>) -> io::Result<Origin> {
        Origin::bind(address, Some(directory.into())).await
    }

    async fn bind(address: SocketAddr, directory: Option<PathBuf>) -> io::Result<Origin> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            clock: Clock::system(),
            wall: Mutex::default(),
            scripts: Mutex::default(),
            directory,
            keeps_bodies: AtomicBool::new(false),
            seen: Mutex::default(),
            seen_count: watch::Sender::new(0),
            connections: AtomicUsize::new(0),
            body_bytes: Arc::default(),
            abandoned: Arc::new(watch::Sender::new(0)),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Origin { address, shared, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path, which begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Dates its replies by this clock from now on: that of a node whose time is moved.
    pub fn keep_time(&self, clock: &Clock) {
        *lock(&self.shared.wall) = clock.clone();
    }

    /// From now on the bodies of requests are read before they are answered, and remembered up to 1 MiB.
    pub fn keep_bodies(&self) {
        self.shared.keeps_bodies.store(true, Ordering::Relaxed);
    }

    /// From now on `path` (with its query, if any) is answered so.
    pub fn set(&self, path: &str, reply: Reply) {
        self.set_sequence(path, [reply]);
    }

    /// From now on `path` is answered by these in turn; the last one stays.
    pub fn set_sequence(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.shared.scripts).insert(path.to_owned(), replies.into_iter().collect());
    }

    /// Every request so far, in order of arrival.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// How many requests with this method came for this path.
    pub fn count(&self, method: &Method, path: &str) -> usize {
        lock(&self.shared.seen).iter().filter(|seen| seen.method == *method && seen.path == path).count()
    }

    /// Returns when at least `count` requests have arrived, whatever they ask for.
    pub async fn wait_for_requests(&self, count: usize) {
        self.shared.seen_count.subscribe().wait_for(|seen| *seen >= count).await.ok();
    }

    /// Returns when at least `count` bodies were dropped before their end, because the client hung up.
    pub async fn wait_for_aborts(&self, count: usize) {
        self.shared.abandoned.subscribe().wait_for(|abandoned| *abandoned >= count).await.ok();
    }

    /// How many connections were accepted: zero means that nobody even knocked.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// How many bytes of bodies were handed to the sockets.
    pub fn body_bytes(&self) -> u64 {
        self.shared.body_bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Connections end with this task: the set aborts them when it is dropped.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                shared.connections.fetch_add(1, Ordering::Relaxed);
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    stream.set_nodelay(true).ok();
    let service = service_fn(|request| respond(&shared, request));
    // Errors are what the scripts are for: cut bodies, dropped connections, clients that leave.
    http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await.ok();
}

type ReplyBody = UnsyncBoxBody<Bytes, io::Error>;

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the script drops the connection")]
struct Dropped;

async fn respond(shared: &Shared, request: Request<Incoming>) -> Result<Response<ReplyBody>, Dropped> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let at = shared.clock.now();
    let (request, body) = request.into_parts();
    let body = if shared.keeps_bodies.load(Ordering::Relaxed) { read(body).await } else { Bytes::new() };
    shared.remember(&request, &path, body, at);
    let reply = match shared.next_reply(&path) {
        Some(reply) => reply,
        None => shared.file(request.uri.path()).await.unwrap_or_else(no_such_thing),
    };
    if let Some(gate) = &reply.gate_before_headers {
        gate.pass().await;
    }
    if reply.drops_connection {
        return Err(Dropped);
    }
    Ok(shared.response(reply, &request.method, &request.headers))
}

/// The body of a request; nothing of one that is too long or breaks off.
async fn read(body: Incoming) -> Bytes {
    Limited::new(body, KEPT_BODY_MAX).collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default()
}

fn no_such_thing() -> Reply {
    Reply::status(404, "text/plain", Body::of("there is no such thing here\n"))
}

impl Shared {
    fn remember(&self, request: &request::Parts, path: &str, body: Bytes, at: Instant) {
        let (method, headers) = (request.method.clone(), request.headers.clone());
        let seen = Seen { method, path: path.to_owned(), headers, body, at };
        lock(&self.seen).push(seen);
        self.seen_count.send_modify(|count| *count += 1);
    }

    fn next_reply(&self, path: &str) -> Option<Reply> {
        let mut scripts = lock(&self.scripts);
        let replies = scripts.get_mut(path)?;
        if replies.len() > 1 { replies.pop_front() } else { replies.front().cloned() }
    }

    /// A file of the directory. Reads it whole: made for fixtures, not for strangers.
    async fn file(&self, path: &str) -> Option<Reply> {
        let relative = percent_decode_str(path).decode_utf8().ok()?;
        let relative = Path::new(relative.trim_start_matches('/'));
        let stays_inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
        let file = self.directory.as_ref().filter(|_| stays_inside)?.join(relative);
        let modified = tokio::fs::metadata(&file).await.ok()?.modified().ok()?;
        let bytes = tokio::fs::read(&file).await.ok()?;
        let age = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let etag = format!("\"{:x}-{:x}\"", bytes.len(), age.as_nanos());
        let reply = Reply::ok(content_type(&file), Body::of(bytes));
        Some(reply.etag(&etag).last_modified(modified).header("cache-control", "max-age=60"))
    }

    fn response(&self, reply: Reply, method: &Method, request: &HeaderMap) -> Response<ReplyBody> {
        let mut response = Response::new(no_body());
        *response.headers_mut() = reply.headers.clone();
        let date = httpdate::fmt_http_date(lock(&self.wall).now_wall());
        if let (false, Ok(date)) = (reply.headers.contains_key(header::DATE), HeaderValue::try_from(date)) {
            response.headers_mut().insert(header::DATE, date);
        }
        if reply.is_not_modified(method, request) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response.headers_mut().remove(header::CONTENT_TYPE);
            return response;
        }
        *response.status_mut() = reply.status;
        let declared = match reply.length {
            Length::Honest => reply.body.length(),
            Length::Chunked => None,
            Length::Claimed(bytes) => Some(bytes),
        };
        if let Some(bytes) = declared {
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
        }
        if method != Method::HEAD {
            let frames =
                body::stream(reply.body, reply.delivery, Arc::clone(&self.body_bytes), Arc::clone(&self.abandoned));
            *response.body_mut() = StreamBody::new(frames).boxed_unsync();
        }
        response
    }
}

fn no_body() -> ReplyBody {
    Full::new(Bytes::new()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("mp3") => "audio/mpeg",
        Some("wav") => "audio/wav",
        Some("flac") => "audio/flac",
        Some("ogg" | "opus") => "audio/ogg",
        Some("m4a") => "audio/mp4",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// What a panicking test leaves behind is still whole: every critical section is one push, insert or clone.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
