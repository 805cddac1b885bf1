//! An origin that answers byte for byte as it is told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What the server does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Writes this and waits for the next request on the connection.
    Write(String),
    /// Writes this and closes.
    WriteAndClose(String),
    /// Writes this, then says nothing more.
    WriteAndHang(String),
    /// Writes the first, then the second again and again until the other side has enough.
    WriteWithoutEnd(String, &'static str),
}

/// A listener on a free port of loopback. Dropping it ends every connection.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts a server; `answer` gets each request's head and says what to do.
    pub(crate) async fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
        let (log, count) = (requests.clone(), connections.clone());
        let answer = Arc::new(answer);
        let task = tokio::spawn(async move {
            let mut running = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *count.lock().unwrap() += 1;
                let (answer, log) = (answer.clone(), log.clone());
                running.spawn(async move { serve(stream, &*answer, &log).await });
            }
        });
        Server { address, requests, connections, task }
    }

    /// A server that must not be reached.
    pub(crate) async fn canary() -> Server {
        Server::start(|_| Reply::WriteAndClose(ok("the canary"))).await
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self, path: &str) -> url::Url {
        format!("http://{}{path}", self.address).parse().unwrap()
    }

    /// Heads of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A complete 200.
pub(crate) fn ok(body: &str) -> String {
    with_headers("200 OK", &[], body)
}

/// A complete response with a declared length.
pub(crate) fn with_headers(status: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// The path of a request's head.
pub(crate) fn path(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}

async fn serve(mut stream: TcpStream, answer: &(impl Fn(&str) -> Reply + ?Sized), log: &Mutex<Vec<String>>) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        log.lock().unwrap().push(head.clone());
        match answer(&head) {
            Reply::Write(text) => stream.write_all(text.as_bytes()).await.unwrap(),
            Reply::WriteAndClose(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
                return;
            }
            Reply::WriteAndHang(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                // Until the other side closes.
                while stream.read_u8().await.is_ok() {}
                return;
            }
            Reply::WriteWithoutEnd(text, more) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                while stream.write_all(more.as_bytes()).await.is_ok() {}
                return;
            }
        }
    }
}
