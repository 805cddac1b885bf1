//! `ringback put`: gives a running node a file, as an upload or as a prompt with a name. `http_put` of FreeSWITCH's mod_http_cache.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::Args;
use http_body::{Frame, SizeHint};
use reqwest::{Method, header};
use serde::{Deserialize, Serialize};
use tokio::{fs::File, io::AsyncRead, io::ReadBuf};

use crate::media::{http::prompt_path, prompts::PromptName};

use super::{Exit, node::NodeArguments, output::is_standard, terminal::Terminal};

/// Bytes read from the file at a time.
const PIECE: usize = 64 << 10;
/// The type of whatever is sent: the node goes by the content.
const CONTENT_TYPE: &str = "application/octet-stream";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The original; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name to give it: the prompt is /prompts/NAME.EXT from then on, in any format by EXT. Without a name it is an upload, which is
    /// named by its content
    #[arg(value_name = "NAME")]
    name: Option<String>,
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
    let node = arguments.node.client_for_sending().and_then(|node| Ok((node, path(arguments)?)));
    let (node, path) = match node {
        Ok(asked) => asked,
        Err(error) => {
            terminal.complain(&format!("{error:#}"));
            return Ok(Exit::Usage);
        }
    };
    let body = Contents::open(&arguments.file).await;
    let body = body.with_context(|| format!("opening {}", arguments.file.display()))?;
    let request = node.request(Method::PUT, &path).header(header::CONTENT_TYPE, CONTENT_TYPE);
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
    let last = name.rsplit('/').next().unwrap_or_default();
    // It says nothing of what is put there; which formats are got there is said when they are got.
    let (stem, extension) = match (name.rsplit_once('.'), arguments.file.extension().and_then(OsStr::to_str)) {
        (Some(parts), _) if last.contains('.') => parts,
        (_, Some(extension)) => (name, extension),
        _ => bail!("NAME {name:?}: neither it nor FILE has an extension"),
    };
    let stem: PromptName = stem.parse().with_context(|| format!("NAME {name:?}"))?;
    let path = format!("/prompts/{stem}.{extension}");
    prompt_path(&path).map_err(|_| anyhow::anyhow!("NAME {name:?}: {extension:?} is no extension"))?;
    Ok(path)
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
        check("a.mp3", Some("/prompts/de/welcome_1"), Some("/prompts/de/welcome_1.mp3"));
        check("a", Some("welcome"), None);
        check(STANDARD, Some("welcome"), None);
        check(STANDARD, Some("welcome.wav"), Some("/prompts/welcome.wav"));
        for name in ["", "/prompts/", "..", "a/../b", "/a", "ä", "a b", "a.", "a.w v", "a/.wav"] {
            check("a.mp3", Some(name), None);
        }
    }
}
