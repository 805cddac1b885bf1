//! `ringback put`: gives a running node a file, as an upload or as a prompt with a name. `http_put` of FreeSWITCH's mod_http_cache.

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::Args;
use http_body::{Frame, SizeHint};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, header};
use serde::{Deserialize, Serialize};
use tokio::{fs::File, io::AsyncRead, io::ReadBuf};

use crate::media::format::{Format, Headerless};

use super::{Exit, node::NodeArguments, output::is_standard, terminal::Terminal};

/// What is escaped in the name of a prompt: all but the unreserved characters of RFC 3986 §2.3. A slash is a part of it.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// Bytes read from the file at a time.
const PIECE: usize = 64 << 10;
/// The type of a file whose name says none.
const UNKNOWN_TYPE: &str = "application/octet-stream";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The original; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name to give it: the prompt is /prompts/NAME.EXT from then on, in any format by EXT. Without a name it is an upload, which is
    /// named by its content
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Content-Type to say that it has, instead of what its name stands for. What is in a container is known by its content
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    #[command(flatten)]
    node: NodeArguments,
    /// Write what the node answers, {"content_hash", "bytes", "type", "url"}, instead of the address
    #[arg(long)]
    json: bool,
}

/// What the node says of an original that it keeps.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    content_hash: String,
    bytes: u64,
    r#type: String,
    url: String,
}

pub(super) async fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let node = arguments.node.client().and_then(|node| Ok((node, path(arguments)?)));
    let (node, path) = match node {
        Ok(asked) => asked,
        Err(error) => {
            terminal.complain(&format!("{error:#}"));
            return Ok(Exit::Usage);
        }
    };
    let content_type = arguments.content_type.clone().unwrap_or_else(|| content_type(&arguments.file));
    let body = Contents::open(&arguments.file).await;
    let body = body.with_context(|| format!("opening {}", arguments.file.display()))?;
    let request = node.request(Method::PUT, &path).header(header::CONTENT_TYPE, content_type);
    let request = request.body(reqwest::Body::wrap(body));
    match node.ask::<Kept>(request).await {
        Ok(kept) if arguments.json => terminal.say(&serde_json::to_string(&kept)?)?,
        Ok(kept) => terminal.say(&kept.url)?,
        Err(refusal) => return Ok(refusal.tell(&arguments.file.display().to_string(), arguments.json, terminal)),
    }
    Ok(Exit::Done)
}

/// Where it is put.
fn path(arguments: &Arguments) -> anyhow::Result<String> {
    let Some(name) = &arguments.name else { return Ok("/v1/media/uploads".to_owned()) };
    let name = name.strip_prefix("/prompts/").unwrap_or(name);
    if name.is_empty() || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        bail!("NAME {name:?}: expected a name such as welcome, or welcome.wav");
    }
    let has_extension = name.rsplit('/').next().is_some_and(|last| last.contains('.'));
    // It says what is put there, where the content does not; which formats are got there is said when they are got.
    let extension = match arguments.file.extension().and_then(|extension| extension.to_str()) {
        Some(extension) if !has_extension => format!(".{extension}"),
        None if !has_extension => bail!("NAME {name:?}: neither it nor FILE has an extension"),
        _ => String::new(),
    };
    Ok(format!("/prompts/{}{extension}", utf8_percent_encode(name, ESCAPED)))
}

/// What the name of a file stands for.
fn content_type(file: &Path) -> String {
    let name = file.to_str().unwrap_or_default();
    if let Some(headerless) = Headerless::of_path(name) {
        return headerless.content_type().into_owned();
    }
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let ours = Format::parse(extension, &[]).ok().and_then(|format| format.content_type(extension));
    match (ours, extension) {
        (Some(ours), _) => ours.into_owned(),
        (None, "mp3") => "audio/mpeg".to_owned(),
        (None, "flac") => "audio/flac".to_owned(),
        (None, "m4a" | "mp4") => "audio/mp4".to_owned(),
        (None, "aac") => "audio/aac".to_owned(),
        (None, "aif" | "aiff" | "aifc") => "audio/aiff".to_owned(),
        (None, _) => UNKNOWN_TYPE.to_owned(),
    }
}

/// A file as the body of a request, of which no more than a piece is in memory.
struct Contents {
    file: Pin<Box<dyn AsyncRead + Send + Sync>>,
    /// Bytes that are still to come, where that is known.
    left: Option<u64>,
    piece: Box<[u8]>,
}

impl Contents {
    async fn open(path: &Path) -> io::Result<Contents> {
        let piece = vec![0; PIECE].into_boxed_slice();
        if is_standard(path) {
            return Ok(Contents { file: Box::pin(StandardInput::new()?), left: None, piece });
        }
        let file = File::open(path).await?;
        let metadata = file.metadata().await?;
        let left = metadata.is_file().then_some(metadata.len());
        Ok(Contents { file: Box::pin(file), left, piece })
    }
}

impl http_body::Body for Contents {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Contents { file, left, piece } = &mut *self;
        let mut room = ReadBuf::new(piece);
        match file.as_mut().poll_read(context, &mut room) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Some(Err(error))),
            Poll::Ready(Ok(())) if room.filled().is_empty() => match left {
                Some(1..) => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
                _ => Poll::Ready(None),
            },
            Poll::Ready(Ok(())) => {
                let mut bytes = Bytes::copy_from_slice(room.filled());
                if let Some(left) = left {
                    // What was added to the file meanwhile is not what was announced.
                    bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= bytes.len() as u64;
                    if bytes.is_empty() {
                        return Poll::Ready(None);
                    }
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Standard input as a file, so that reading it waits on the blocking pool like that of any other.
struct StandardInput(File);

impl StandardInput {
    fn new() -> io::Result<StandardInput> {
        use std::os::fd::AsFd as _;
        let copy = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(StandardInput(File::from_std(copy.into())))
    }
}

impl AsyncRead for StandardInput {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, room)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::output::STANDARD, *};

    #[test]
    fn prompts_have_the_extension_of_the_name_or_of_the_file() {
        let check = |file: &str, name: Option<&str>, expected: Option<&str>| {
            let line = [&["ringback", "put", file], name.as_slice()].concat();
            let arguments = <crate::cli::Arguments as clap::Parser>::try_parse_from(line).unwrap();
            let crate::cli::Verb::Put(arguments) = arguments.verb else { panic!("another verb") };
            assert_eq!(path(&arguments).ok().as_deref(), expected, "{file} {name:?}");
        };
        check("a.mp3", None, Some("/v1/media/uploads"));
        check("a.mp3", Some("welcome"), Some("/prompts/welcome.mp3"));
        check("a.mp3", Some("welcome.wav"), Some("/prompts/welcome.wav"));
        check("a.mp3", Some("/prompts/de/ä 1"), Some("/prompts/de/%C3%A4%201.mp3"));
        check("a", Some("welcome"), None);
        check(STANDARD, Some("welcome"), None);
        check(STANDARD, Some("welcome.wav"), Some("/prompts/welcome.wav"));
        for name in ["", "/prompts/", "..", "a/../b", "/a"] {
            check("a.mp3", Some(name), None);
        }
    }

    #[test]
    fn types_are_what_names_stand_for() {
        let check = |name: &str, expected: &str| assert_eq!(content_type(Path::new(name)), expected, "{name}");
        check("a.mp3", "audio/mpeg");
        check("a.wav", "audio/wav");
        check("a.ulaw", "audio/PCMU");
        check("a.xyz", UNKNOWN_TYPE);
        check(STANDARD, UNKNOWN_TYPE);
    }
}
