//! A client that asks the same thing again and again over keep-alive connections and counts exactly. Bare sockets: whatever it
//! saves leaves more of the machine to the server.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

const BUFFER_BYTES: usize = 64 << 10;

/// A request as it goes over the wire, and what a right answer to it is.
#[derive(Clone)]
pub(crate) struct Request {
    text: Arc<str>,
    expected: Option<(u16, u64)>,
}

impl Request {
    /// `extra` is header lines, each with its line end.
    pub(crate) fn get(path: &str, extra: &str) -> Request {
        let text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n{extra}\r\n");
        Request { text: text.into(), expected: None }
    }

    /// The same, taking any other status or length for a failure.
    pub(crate) fn expecting(self, status: u16, body_bytes: u64) -> Request {
        Request { expected: Some((status, body_bytes)), ..self }
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body_bytes: u64,
    head: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// One request on a connection of its own.
pub(crate) async fn once(address: SocketAddr, request: &Request) -> Result<Answer> {
    Connection::open(address).await?.ask(request).await
}

/// Open connections, ready to ask.
pub(crate) struct Load {
    connections: Vec<Connection>,
    request: Request,
}

impl Load {
    pub(crate) async fn connect(address: SocketAddr, request: &Request, connections: usize) -> Result<Load> {
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            open.push(Connection::open(address).await?);
        }
        Ok(Load { connections: open, request: request.clone() })
    }

    /// Asks at least `requests` times, the same number on each connection, and says how often.
    pub(crate) async fn run(&mut self, requests: u64) -> Result<u64> {
        let each = requests.div_ceil(self.connections.len() as u64);
        let total = each * self.connections.len() as u64;
        let mut running = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            let request = self.request.clone();
            running.spawn(async move {
                for _ in 0..each {
                    connection.ask(&request).await?;
                }
                Ok::<Connection, anyhow::Error>(connection)
            });
        }
        while let Some(connection) = running.join_next().await {
            self.connections.push(connection??);
        }
        Ok(total)
    }
}

struct Connection {
    stream: TcpStream,
    buffer: Box<[u8]>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: vec![0; BUFFER_BYTES].into() })
    }

    async fn ask(&mut self, request: &Request) -> Result<Answer> {
        self.stream.write_all(request.text.as_bytes()).await?;
        let (head_bytes, mut filled) = self.read_head().await?;
        let head = std::str::from_utf8(&self.buffer[..head_bytes])?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status line")?;
        let mut answer = Answer { status, body_bytes: 0, head: head.to_owned() };
        // A 304 may state the length of what it does not send (RFC 9110 §8.6).
        if status != 304 {
            answer.body_bytes = answer.header("content-length").context("no Content-Length")?.parse()?;
        }
        filled -= head_bytes;
        let mut left = answer.body_bytes.checked_sub(filled as u64).context("more came than was announced")?;
        while left > 0 {
            let most = self.buffer.len().min(usize::try_from(left)?);
            let count = self.stream.read(&mut self.buffer[..most]).await?;
            ensure!(count > 0, "the connection closed {left} bytes before the end");
            left -= count as u64;
        }
        match request.expected {
            Some(expected) if expected != (answer.status, answer.body_bytes) => {
                bail!("status {} with {} bytes, wanted {expected:?}", answer.status, answer.body_bytes)
            }
            _ => Ok(answer),
        }
    }

    /// Length of the head, blank line included, and of what is in the buffer by then.
    async fn read_head(&mut self) -> Result<(usize, usize)> {
        let mut filled = 0;
        loop {
            let count = self.stream.read(&mut self.buffer[filled..]).await?;
            ensure!(count > 0, "the connection closed before the end of a head");
            filled += count;
            if let Some(end) = self.buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") {
                return Ok((end + 4, filled));
            }
        }
    }
}
