//! An origin that keeps what arrives as it arrived, to the byte, and answers with bytes that the test wrote.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The origin. Dropping it closes its socket.
pub(crate) struct RawOrigin {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl RawOrigin {
    /// Answers every request with these bytes, which should say so, and closes the connection.
    pub(crate) async fn start(answer: &'static [u8]) -> RawOrigin {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = seen.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, answer, shared.clone()));
            }
        });
        RawOrigin { address, seen, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, head and body, bytes as characters.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// The lines of the head of the last request.
    pub(crate) fn last_head(&self) -> Vec<String> {
        let seen = self.seen();
        let head = seen.last().unwrap().split("\r\n\r\n").next().unwrap();
        head.split("\r\n").map(str::to_owned).collect()
    }

    /// The body of the last request.
    pub(crate) fn last_body(&self) -> String {
        self.seen().last().unwrap().split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

impl Drop for RawOrigin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut stream: TcpStream, answer: &'static [u8], seen: Arc<Mutex<Vec<String>>>) {
    let mut received = String::new();
    let mut buffer = [0; 4096];
    while !is_whole(&received) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => received.extend(buffer[..count].iter().map(|byte| char::from(*byte))),
        }
    }
    seen.lock().unwrap().push(received);
    stream.write_all(answer).await.ok();
    stream.shutdown().await.ok();
}

/// Whether head and body have come.
fn is_whole(received: &str) -> bool {
    let Some((head, body)) = received.split_once("\r\n\r\n") else { return false };
    let head = head.to_ascii_lowercase();
    if head.contains("transfer-encoding: chunked") {
        return body.ends_with("0\r\n\r\n");
    }
    let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.parse().unwrap())
}
