//! A way to an S3 server that slows down, refuses, lies, or is gone, as a test or a benchmark says.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{net::TcpListener, task::JoinSet};

/// How requests are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// As they should be.
    Well,
    /// Each takes so long.
    Slow(Duration),
    /// 503 and a body of S3's kind.
    Busy,
    /// A byte of each body that comes back is another.
    Lying,
    /// Connections end without an answer.
    Gone,
}

/// A proxy in front of a server. Ends when it is dropped.
pub struct Shaky {
    address: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

struct State {
    mood: Mutex<Mood>,
    /// Method, path and Range of each request.
    seen: Mutex<Vec<String>>,
    upstream: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Shaky {
    /// A proxy in front of `upstream`, an URL without a path.
    ///
    /// # Errors
    /// The socket cannot be had.
    pub async fn before(upstream: String) -> io::Result<Shaky> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let state = Arc::new(State { mood: Mutex::new(Mood::Well), seen: Mutex::default(), upstream, client });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Ok(Shaky { address, state, _tasks: tasks })
    }

    /// Where it listens, an URL without a path.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How requests are treated from now on.
    pub fn be(&self, mood: Mood) {
        *lock(&self.state.mood) = mood;
    }

    /// Requests since the last time: method, path without the query, and Range.
    pub fn take_seen(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.state.seen))
    }
}

impl fmt::Debug for Shaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mood = *lock(&self.state.mood);
        f.debug_struct("Shaky").field("address", &self.address).field("mood", &mood).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&state), request));
            // Whoever hangs up is no trouble of ours.
            let _ended =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Abort> {
    let (parts, body) = request.into_parts();
    let range = parts.headers.get(header::RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    lock(&state.seen).push(format!("{} {} {range}", parts.method, parts.uri.path()).trim_end().to_owned());
    let mood = *lock(&state.mood);
    match mood {
        Mood::Gone => return Err(Abort),
        Mood::Busy => {
            let text = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
            let mut response = Response::new(Full::new(Bytes::from(text)));
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            return Ok(response);
        }
        Mood::Slow(span) => tokio::time::sleep(span).await,
        Mood::Well | Mood::Lying => {}
    }
    let body = body.collect().await.map_err(|_| Abort)?.to_bytes();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut onward = Request::new(Full::new(body));
    *onward.method_mut() = parts.method;
    *onward.uri_mut() = format!("{}{path}", state.upstream).parse().map_err(|_| Abort)?;
    // With the Host that was signed.
    *onward.headers_mut() = parts.headers;
    let (mut parts, body) = state.client.request(onward).await.map_err(|_| Abort)?.into_parts();
    let mut body = body.collect().await.map_err(|_| Abort)?.to_bytes().to_vec();
    if mood == Mood::Lying && parts.status.is_success() {
        let middle = body.len() / 2;
        if let Some(byte) = body.get_mut(middle) {
            *byte ^= 0x40;
        }
    }
    parts.headers.remove(header::TRANSFER_ENCODING);
    Ok(Response::from_parts(parts, Full::new(body.into())))
}

/// Ends the connection without an answer.
#[derive(Debug)]
struct Abort;

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection ends")
    }
}

impl std::error::Error for Abort {}
