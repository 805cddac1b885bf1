//! HTTP/1.1 as bytes: what is written is sent as it is, and what comes back is told as it came.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

/// One connection.
pub(crate) struct Wire {
    stream: BufReader<Box<dyn Stream>>,
}

/// What a connection may be made of.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// One answer: its fields in the order in which they came, names in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A field's value; empty where it is missing.
    pub(crate) fn field(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The fields that are the answer's own: without the date and the request's id, and without how long it took.
    pub(crate) fn lasting(&self) -> Vec<(String, String)> {
        let passing = ["date", "x-request-id", "server-timing"];
        self.fields.iter().filter(|(name, _)| !passing.contains(&name.as_str())).cloned().collect()
    }

    /// The slug of a problem.
    pub(crate) fn slug(&self) -> String {
        assert_eq!(self.field("content-type"), "application/problem+json", "{}", self.shown());
        assert_eq!(self.field("cache-control"), "no-store", "{}", self.shown());
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem["status"], self.status);
        problem["type"].as_str().unwrap().strip_prefix("urn:ringback:problem:").unwrap().to_owned()
    }

    /// For people: without the audio.
    pub(crate) fn shown(&self) -> String {
        format!("{} {:?}, {} bytes", self.status, self.fields, self.body.len())
    }
}

impl Wire {
    /// A connection over TCP.
    pub(crate) async fn connect(address: SocketAddr) -> Wire {
        Wire::over(TcpStream::connect(address).await.unwrap())
    }

    /// A connection over anything.
    pub(crate) fn over(stream: impl Stream + 'static) -> Wire {
        Wire { stream: BufReader::new(Box::new(stream)) }
    }

    /// Sends bytes as they are. A node that has refused already may not take them all.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.ok();
        self.stream.get_mut().flush().await.ok();
    }

    /// Sends a request without a body and reads its answer. `fields` are whole lines.
    pub(crate) async fn ask(&mut self, method: &str, path: &str, fields: &[&str]) -> Reply {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: node\r\n");
        for field in fields {
            request += field;
            request += "\r\n";
        }
        self.write(format!("{request}\r\n").as_bytes()).await;
        self.reply(method).await.unwrap_or_else(|| panic!("no answer to {method} {path} {fields:?}"))
    }

    /// The next answer, to a request of this method; none when the connection was closed instead.
    pub(crate) async fn reply(&mut self, method: &str) -> Option<Reply> {
        let reading = self.read_reply(method == "HEAD");
        tokio::time::timeout(Duration::from_secs(30), reading).await.expect("an answer that never ends")
    }

    /// The next answer, which must come.
    pub(crate) async fn answer(&mut self, method: &str) -> Reply {
        self.reply(method).await.expect("an answer")
    }

    async fn read_reply(&mut self, is_head: bool) -> Option<Reply> {
        let status_line = self.line().await?;
        let mut parts = status_line.split(' ');
        let (version, status) = (parts.next().unwrap(), parts.next().unwrap().parse().unwrap());
        assert!(version == "HTTP/1.1" || version == "HTTP/1.0", "{status_line}");
        let mut reply = Reply { status, fields: Vec::new(), body: Vec::new() };
        loop {
            let line = self.line().await.expect("a head that ends");
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap();
            reply.fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if is_head || status == 304 || status == 204 {
            return Some(reply);
        }
        if reply.field("transfer-encoding") == "chunked" {
            loop {
                let size = self.line().await.expect("a chunk");
                let size = usize::from_str_radix(size.split(';').next().unwrap(), 16).unwrap();
                if size == 0 {
                    while !self.line().await.expect("the end of the trailers").is_empty() {}
                    return Some(reply);
                }
                self.body(&mut reply.body, size).await;
                assert_eq!(self.line().await.as_deref(), Some(""));
            }
        }
        let length = reply.field("content-length").parse().expect("an answer with a length");
        self.body(&mut reply.body, length).await;
        Some(reply)
    }

    async fn body(&mut self, body: &mut Vec<u8>, length: usize) {
        let start = body.len();
        body.resize(start + length, 0);
        self.stream.read_exact(&mut body[start..]).await.unwrap();
    }

    /// So many bytes, as soon as they are there.
    pub(crate) async fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let reading = tokio::time::timeout(Duration::from_secs(30), self.body(&mut bytes, length)).await;
        reading.expect("bytes that never come");
        bytes
    }

    /// All that comes until the connection is closed.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.read_to_end(&mut rest).await;
        rest
    }

    /// A line without its end; none at the end of the connection.
    pub(crate) async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await.ok()?;
        let line = line.strip_suffix(b"\r\n")?;
        // Fields may hold any byte.
        Some(line.iter().map(|byte| char::from(*byte)).collect())
    }

    /// All that comes until the connection is closed.
    pub(crate) async fn read_to_end(&mut self, said: &mut Vec<u8>) {
        let reading = tokio::time::timeout(Duration::from_secs(30), self.stream.read_to_end(said)).await;
        // How it is closed does not matter.
        reading.expect("the connection stays open").ok();
    }

    /// Whether the node closes the connection without saying more.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        let reading = tokio::time::timeout(Duration::from_secs(30), self.stream.read(&mut byte)).await;
        matches!(reading.expect("the connection stays open"), Ok(0) | Err(_))
    }
}
