//! `ringback get` and `ringback tryget`: audio of a source from a running node, as a file. `http_get` and `http_tryget` of FreeSWITCH's
//! mod_http_cache, which print where the file is.

use std::{
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use clap::Args;
use reqwest::{Method, Response, header::HeaderMap};
use serde_json::json;
use tempfile::NamedTempFile;

use crate::ids::{ArtifactId, BodyDigest, Sha256};

use super::{
    Exit,
    address::{self, KeyArguments, Wanted},
    node::{Node, NodeArguments, Refusal, describe, is_of_a_node},
    output::{directory_of, is_standard, put, temporary},
    terminal::Terminal,
};

/// The format where neither `--format` nor the output's name says one.
const FORMAT: &str = "ulaw";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Source of the audio
    #[arg(value_name = "URL")]
    source: String,
    /// Have it spoken: what is named is a text, not a URL
    #[arg(long)]
    say: bool,
    /// Where the audio goes; - is standard output. Replaced at once when all is there, untouched if anything fails
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Without --output: the directory of the file, which has a name that no other audio has, and whose path is printed
    #[arg(long, value_name = "DIR", default_value = ".", conflicts_with = "output")]
    directory: PathBuf,
    /// Format, by its extension (ulaw, alaw, wav, wav16, sln16, g722, opus, …) [default: the extension of FILE, else ulaw]
    #[arg(long, value_name = "EXT")]
    format: Option<String>,
    /// Option of the format, such as rate:16000, loudness:-19 or preset:NAME, or of speech: voice:NAME, language:TAG; repeatable
    #[arg(long, value_name = "NAME:VALUE", value_parser = super::parse_option)]
    option: Vec<(String, String)>,
    #[command(flatten)]
    keys: KeyArguments,
    #[command(flatten)]
    node: NodeArguments,
    /// Write {"path", "bytes", "content_type", "address", "cache"} instead of the path
    #[arg(long)]
    json: bool,
}

/// Gets the audio; with `cached_only` only if the node has it.
pub(super) async fn run(arguments: &Arguments, cached_only: bool, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let asked = arguments.node.client().and_then(|node| Ok((node, path(arguments)?)));
    let (node, path) = match asked {
        Ok(asked) => asked,
        Err(error) => {
            terminal.complain(&format!("{error:#}"));
            return Ok(Exit::Usage);
        }
    };
    let request = || {
        let request = node.request(Method::GET, &path);
        // A file that is named by its content has to know its name; a stream can be written down as it comes.
        let request = if arguments.output.is_none() { request.header("prefer", "wait") } else { request };
        if cached_only { request.header("cache-control", "only-if-cached") } else { request }
    };
    let response = match node.send_and_wait(request).await {
        Ok(response) => response,
        Err(refusal) => return Ok(refusal.tell(&arguments.source, arguments.json, terminal)),
    };
    if let Err(refusal) = is_of_a_node(&response) {
        return Ok(refusal.tell(&arguments.source, arguments.json, terminal));
    }
    let headers = response.headers().clone();
    let place = match &arguments.output {
        Some(output) => directory_of(output),
        None => arguments.directory.clone(),
    };
    let body = match Body::receive(response, &place).await? {
        Ok(body) => body,
        Err(refusal) => return Ok(refusal.tell(&arguments.source, arguments.json, terminal)),
    };
    if body.contradicts(&headers) {
        terminal.complain(&format!("{}: the audio is not what its Repr-Digest says", arguments.source));
        return Ok(Exit::Failed);
    }
    deliver(arguments, &node, body, &headers, terminal)
}

/// The path to ask for.
fn path(arguments: &Arguments) -> anyhow::Result<String> {
    let extension = extension(arguments);
    address::check_format(extension, &arguments.option, arguments.say)?;
    let mut options = arguments.option.clone();
    let signing = arguments.keys.signer(&mut options)?;
    let source = &arguments.source;
    let wanted = if arguments.say { Wanted::Text(source) } else { Wanted::Url(source) };
    wanted.signed_path(&options, extension, signing.as_ref()).with_context(|| format!("cannot ask for {source}"))
}

fn extension(arguments: &Arguments) -> &str {
    let by_name = || arguments.output.as_deref().and_then(Path::extension).and_then(|extension| extension.to_str());
    arguments.format.as_deref().or_else(by_name).unwrap_or(FORMAT)
}

/// Puts the audio into its place and says where that is.
fn deliver(
    arguments: &Arguments,
    node: &Node,
    body: Body,
    headers: &HeaderMap,
    terminal: &mut Terminal,
) -> anyhow::Result<Exit> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let address = text("content-location").map(|address| absolute(node, address));
    let (bytes, digest) = (body.bytes, body.digest);
    let path = match &arguments.output {
        Some(output) => output.clone(),
        None => arguments.directory.join(name(address.as_deref(), digest, extension(arguments))),
    };
    body.put(&path, terminal).with_context(|| format!("writing {}", path.display()))?;
    let report = if arguments.json {
        json!({
            "path": path.display().to_string(), "bytes": bytes, "content_type": text("content-type"),
            "address": address, "cache": text("cache-status"),
        })
        .to_string()
    } else {
        path.display().to_string()
    };
    if is_standard(&path) {
        terminal.note(if arguments.json { &report } else { text("cache-status").unwrap_or_default() });
    } else {
        terminal.say(&report)?;
    }
    Ok(Exit::Done)
}

/// Addresses of a node without a public URL are paths.
fn absolute(node: &Node, address: &str) -> String {
    if address.starts_with('/') { format!("{}{address}", node.address()) } else { address.to_owned() }
}

/// The name of a file that no other audio has: that of its persistent address, or, where it has none, its digest.
fn name(address: Option<&str>, digest: BodyDigest, extension: &str) -> String {
    let last = address.and_then(|address| address.rsplit('/').next());
    let is_one = |name: &&str| {
        let parts = name.split_once('.');
        // What the other side says is a name in a directory of ours only if it is one of the node's.
        parts.is_some_and(|(id, rest)| {
            id.parse::<ArtifactId>().is_ok() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    };
    last.filter(is_one).map_or_else(|| format!("{digest}.{extension}"), str::to_owned)
}

/// Audio in a file beside its place, which nobody sees until it is whole.
struct Body {
    file: NamedTempFile,
    bytes: u64,
    digest: BodyDigest,
}

impl Body {
    /// Takes all of an answer; the inner error is the node's.
    async fn receive(mut response: Response, directory: &Path) -> anyhow::Result<Result<Body, Refusal>> {
        let file =
            temporary(directory).with_context(|| format!("making a temporary file in {}", directory.display()))?;
        let mut file = BufWriter::new(file);
        let (mut bytes, mut digest) = (0, Sha256::new());
        loop {
            match response.chunk().await {
                Ok(Some(piece)) => {
                    bytes += piece.len() as u64;
                    digest.update(&piece);
                    file.write_all(&piece).context("writing the audio down")?;
                }
                Ok(None) => break,
                Err(error) => {
                    return Ok(Err(Refusal {
                        status: Some(response.status().as_u16()),
                        slug: "broken-off".to_owned(),
                        detail: format!("the audio ended before its end: {}", describe(error)),
                        retry_after: None,
                    }));
                }
            }
        }
        let file = file.into_inner().map_err(std::io::IntoInnerError::into_error).context("writing the audio down")?;
        Ok(Ok(Body { file, bytes, digest: BodyDigest::from_bytes(digest.finish()) }))
    }

    /// Whether the answer says that its bytes are others. Streams say nothing.
    fn contradicts(&self, headers: &HeaderMap) -> bool {
        let said = headers.get("repr-digest").and_then(|value| value.to_str().ok());
        let said = said.and_then(|text| text.strip_prefix("sha-256=:")?.strip_suffix(':'));
        said.is_some_and(|said| said != BASE64.encode(self.digest.as_bytes()))
    }

    fn put(mut self, path: &Path, terminal: &mut Terminal) -> std::io::Result<()> {
        if !is_standard(path) {
            return put(self.file, path);
        }
        std::io::Seek::rewind(self.file.as_file_mut())?;
        std::io::copy(self.file.as_file_mut(), terminal.out())?;
        terminal.out().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_name_of_its_address_and_of_nothing_else() {
        let digest = BodyDigest::of(b"audio");
        let own = format!("{digest}.ulaw");
        let id = "0f".repeat(32);
        let check = |address: Option<&str>, expected: &str| {
            assert_eq!(name(address, digest, "ulaw"), expected, "for {address:?}");
        };
        check(None, &own);
        check(Some(&format!("http://n/media/{id}.wav")), &format!("{id}.wav"));
        check(Some(&format!("/media/{id}.ulaw")), &format!("{id}.ulaw"));
        check(Some("http://n/media/../../etc/passwd"), &own);
        check(Some(&format!("http://n/media/{id}")), &own);
        check(Some(&format!("http://n/media/{id}./..")), &own);
        check(Some(&format!("http://n/media/{id}.a b")), &own);
    }
}
