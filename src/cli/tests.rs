use std::{
    fs,
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex},
};

use clap::{CommandFactory as _, Parser as _};

use super::{Arguments, Exit, Verb, block_on, run, terminal::Terminal};

/// What a verb wrote to one of its outputs.
#[derive(Clone, Default)]
pub(super) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A terminal and what is written to its two sides.
pub(super) fn terminal() -> (Terminal, Written, Written) {
    let (out, err) = (Written::default(), Written::default());
    (Terminal::of(out.clone(), err.clone()), out, err)
}

/// The verb that a command line stands for.
pub(super) fn parse(line: &[&str]) -> Result<Verb, clap::Error> {
    Arguments::try_parse_from([&["ringback"], line].concat()).map(|arguments| arguments.verb)
}

/// Runs a command line; returns how it ended, its output and what it said meanwhile.
pub(super) fn ringback(line: &[&str]) -> (Exit, String, String) {
    // Fails if another test was first.
    rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
    let (mut terminal, out, err) = terminal();
    let exit = run(parse(line).unwrap(), &mut terminal).unwrap_or_else(|error| {
        terminal.complain(&format!("{error:#}"));
        Exit::Failed
    });
    (exit, out.text(), err.text())
}

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn command_lines() {
    let check = |line: &[&str], fits: bool| {
        assert_eq!(parse(line).is_ok(), fits, "{line:?}");
    };
    check(&["serve"], true);
    check(&["serve", "--allow-origin", "10.0.0.0/8", "--allow-origin", "a:80", "--insecure-open"], true);
    check(&["serve", "--listen", "nowhere"], true);
    check(&["serve", "extra"], false);
    check(&["check-config", "--config", "a.toml", "--listen", "127.0.0.1:1"], true);
    check(&["check-config", "--print-config"], false);
    check(&["health", "--ops", "http://127.0.0.1:1", "--json"], true);
    check(&["transcode", "a.mp3", "b.wav", "--format", "wav", "--option", "rate:16000"], true);
    check(&["transcode", "a.raw", "b.wav", "--input", "l16:16000:2"], true);
    check(&["transcode", "a.mp3"], false);
    check(&["transcode", "a.mp3", "b.wav", "--option", "rate"], false);
    check(&["warm", "http://a/b", "http://a/c", "--format", "ulaw", "--format", "opus"], true);
    check(&["prefetch", "-"], true);
    check(&["warm", "--from", "list"], true);
    check(&["warm", "--from", "list", "http://a/b"], false);
    check(&["warm"], false);
    check(&["warm", "-", "--concurrency", "0"], false);
    check(&["sign", "http://a/b", "--expires", "24h", "--key-id", "a", "--plain", "--json"], true);
    check(&["sign", "http://a/b", "--key", "00", "--salt", "00", "--node", "http://a"], true);
    check(&["sign", "http://a/b", "--key", "00"], false);
    check(&["sign"], false);
    check(&["sign", "Hello", "--say", "--option", "voice:en"], true);
    check(&["get", "http://a/b", "-o", "x.wav", "--option", "rate:16000"], true);
    check(&["get", "http://a/b", "-o", "x.wav", "--directory", "y"], false);
    check(&["get"], false);
    check(&["tryget", "http://a/b", "--directory", "/tmp", "--json"], true);
    check(&["put", "a.wav"], true);
    check(&["put", "a.wav", "welcome"], true);
    check(&["put"], false);
    check(&["show", "http://a/b", "--json"], true);
    check(&["show", "--all"], true);
    check(&["show", "--all", "http://a/b"], false);
    check(&["show"], false);
    check(&["refresh", "http://a/b", "http://a/c"], true);
    check(&["purge", "http://a/b", "--prefix", "http://c/", "--tag", "d"], true);
    check(&["remove", "http://a/b"], true);
    check(&["delete", "--all", "--yes"], true);
    check(&["purge", "--all", "http://a/b"], false);
    check(&["purge"], false);
    check(&["clear", "-y"], true);
    check(&["clear", "http://a/b"], false);
    check(&["inspect", "a.wav", "--format", "ulaw", "--option", "gain:-3", "--input", "alaw"], true);
    check(&["inspect", "a.wav", "--option", "gain:-3"], false);
    check(&["warm", "--say", "Hello", "--voice", "en", "--text", "lines"], true);
    check(&["warm", "--document", "http://a/b", "--allow-host", "c:80", "--per-origin", "2"], true);
    check(&["warm", "--document", "not a url"], false);
    check(&["warm", "--document", "http://a/b", "--documents-max", "0"], false);
    check(&["dance"], false);
    check(&[], false);
}

#[test]
fn check_config_tells_all_or_nothing() {
    let (exit, out, _) = ringback(&["check-config"]);
    assert_eq!((exit, out.as_str()), (Exit::Done, "configuration is valid\n"));
    let (exit, out, _) = ringback(&[
        "check-config",
        "--listen",
        "0.0.0.0",
        "--public-url",
        "x",
        "--allow-origin",
        "",
        "--ops-listen",
        "x",
    ]);
    assert_eq!(exit, Exit::Usage);
    for part in ["has 4 mistakes:", "(--listen)", "(--public-url)", "(--allow-origin)", "(--ops-listen)"] {
        assert!(out.contains(part), "{part} is not in {out}");
    }
}

#[test]
fn serve_prints_what_is_in_force() {
    let (exit, out, _) = ringback(&[
        "serve",
        "--print-config",
        "--listen",
        "127.0.0.1:7000",
        "--allow-origin",
        "a",
        "--allow-origin",
        "b",
    ]);
    assert_eq!(exit, Exit::Done);
    for line in ["listen = \"127.0.0.1:7000\"  # --listen", "allow_origins = [\"a\", \"b\"]  # --allow-origin"] {
        assert!(out.lines().any(|got| got == line), "{line} is not in\n{out}");
    }
    let open = ["--proxy-listen", "0.0.0.0:7000", "--proxy-origin", "http://a.example"];
    let (exit, out, err) = ringback(&[&["serve", "--print-config"], &open[..]].concat());
    assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
    assert!(err.contains("proxy.listen: is not a loopback address"), "{err}");
}

#[test]
fn a_node_that_does_not_answer_is_not_healthy() {
    let gone = block_on(async { tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap() });
    let ops = format!("http://{}", gone.unwrap());
    let (exit, out, _) = ringback(&["health", "--ops", &ops]);
    assert_eq!(exit, Exit::Failed);
    assert!(out.starts_with("not ready: no answer: "), "{out}");
    let (exit, out, _) = ringback(&["health", "--ops", &ops, "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((exit, &answer["ready"]), (Exit::Failed, &serde_json::Value::Bool(false)));
}

#[test]
fn health_is_what_the_node_says() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let check = |status: u16, body: &'static str, exit: Exit, said: &str| {
        let answer = move || async move { (axum::http::StatusCode::from_u16(status).unwrap(), body) };
        let router = axum::Router::new().route("/health/ready", axum::routing::get(answer));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let ops = format!("http://{}/", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, router).await });
        let (got, out, _) = ringback(&["health", "--ops", &ops]);
        assert_eq!((got, out.as_str()), (exit, said), "for {status} {body}");
    };
    check(200, r#"{"status":"ready","reasons":[]}"#, Exit::Done, "ready\n");
    let draining = r#"{"status":"not ready","reasons":["draining","starting"]}"#;
    check(503, draining, Exit::Failed, "not ready: draining, starting\n");
    check(500, "<html>", Exit::Failed, "not ready: status 500 Internal Server Error\n");
}

/// One second of silence as 16-bit mono WAV at 8 kHz.
fn write_silence(path: &Path) {
    let mut wav = b"RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00".to_vec();
    wav.extend(8000_u32.to_le_bytes());
    wav.extend(16_000_u32.to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(16_000_u32.to_le_bytes());
    wav.extend([0; 16_000]);
    let length = u32::try_from(wav.len() - 8).unwrap();
    wav[4..8].copy_from_slice(&length.to_le_bytes());
    fs::write(path, wav).unwrap();
}

#[test]
fn transcode_replaces_its_output_at_once_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let input = at("in.wav");
    write_silence(Path::new(&input));
    fs::write(at("out.ulaw"), "old").unwrap();

    let (exit, out, err) = ringback(&["transcode", &input, &at("out.ulaw"), "--json"]);
    assert_eq!(exit, Exit::Done, "{err}");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["bytes"], fs::metadata(at("out.ulaw")).unwrap().len());
    assert_eq!(report["kind"], "wav");
    assert_eq!(report["id"].as_str().unwrap().len(), 64);

    let (exit, out, _) = ringback(&["transcode", &input, &at("out.wav"), "--option", "rate:16000"]);
    assert_eq!(exit, Exit::Done);
    assert!(out.starts_with("kind       wav\nduration   "), "{out}");

    let (exit, _, err) = ringback(&["transcode", &at("absent.wav"), &at("out.ulaw")]);
    assert_eq!(exit, Exit::Failed);
    assert!(err.starts_with("ringback: opening "), "{err}");
    assert_eq!(report["bytes"], fs::metadata(at("out.ulaw")).unwrap().len(), "the output changed");

    let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "something was left behind: {names:?}");
}

#[test]
fn transcode_refuses_formats_that_make_no_sense() {
    let check = |line: &[&str], said: &str| {
        let (exit, _, err) = ringback(&[&["transcode"], line].concat());
        assert_eq!(exit, Exit::Usage, "{line:?}");
        assert!(err.contains(said), "{said} is not in {err}");
    };
    check(&["a", "b"], "OUT has no extension");
    check(&["a", "-"], "OUT has no extension");
    check(&["a", "b.xyz"], "no output format has the extension \"xyz\"");
    check(&["a", "b.raw"], "nothing to convert");
    check(&["a", "b", "--format", "ulaw", "--option", "bitrate:9000"], "the option \"bitrate\" does not apply");
}

const SIGN: &[&str] =
    &["sign", "--key", "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f", "--salt", "AbCd"];

#[test]
fn sign_prints_what_openssl_says() {
    let (exit, out, err) = ringback(&[SIGN, &["http://a/b"]].concat());
    // printf '\xab\xcd/-/aHR0cDovL2EvYg.ulaw' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0f…0f -binary
    let signature = "txiluqFHWFUgjZIbJOoEemIic8eg2grmKDbsDoXMeyo";
    assert_eq!((exit, out), (Exit::Done, format!("/fetch/{signature}/-/aHR0cDovL2EvYg.ulaw\n")), "{err}");
}

#[test]
fn sign_puts_options_expiry_and_key_into_the_path() {
    let check = |arguments: &[&str], before: &str, after: &str| {
        let (exit, out, err) = ringback(&[SIGN, &["http://a/b"], arguments].concat());
        assert_eq!(exit, Exit::Done, "{err}");
        let (out, signature) = (out.trim_end(), out.split('/').rev().nth(after.matches('/').count()).unwrap());
        assert_eq!(
            (out.strip_suffix(after), signature.len()),
            (Some(format!("{before}/fetch/{signature}").as_str()), 43)
        );
    };
    let options = ["--format", "wav", "--option", "rate:16000", "--option", "preset:x"];
    check(&options, "", "/rate:16000,preset:x/aHR0cDovL2EvYg.wav");
    check(&["--expires", "99999999999", "--key-id", "k1"], "", "/expires:99999999999,k:k1/aHR0cDovL2EvYg.ulaw");
    check(&["--plain", "--public-url", "https://m/a/"], "https://m/a", "/-/plain/http%3A%2F%2Fa%2Fb.ulaw");
}

#[test]
fn sign_prints_addresses_of_speech() {
    let (exit, out, err) = ringback(&[SIGN, &["Hello", "--say", "--option", "voice:en-gb"]].concat());
    assert_eq!(exit, Exit::Done, "{err}");
    // printf '\xab\xcd/say/voice:en-gb/SGVsbG8.ulaw' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0f…0f -binary
    let signature = "HWKGDkvpXe_9r8BCfvzH-vOAAiUZBwRUDiaXqBfJXmw";
    assert_eq!(out, format!("/say/{signature}/voice:en-gb/SGVsbG8.ulaw\n"));
}

#[test]
fn sign_refuses_what_nobody_would_answer_and_shows_no_key() {
    let check = |arguments: &[&str], exit: Exit, said: &str| {
        let (got, out, err) = ringback(arguments);
        assert_eq!((got, out.as_str()), (exit, ""), "{arguments:?}: {err}");
        assert!(err.contains(said) && !err.contains("0f0f"), "{said} is not in {err}");
    };
    let with = |arguments: &[&'static str]| [SIGN, arguments].concat();
    check(&with(&["ftp://a/b"]), Exit::Failed, "only http and https");
    check(&with(&["http://a/b", "--format", "mp3"]), Exit::Usage, "--format mp3: ");
    check(&with(&["http://a/b", "--option", "bitrate:1"]), Exit::Usage, "\"bitrate\"");
    check(&with(&["http://a/b", "--option", "expires:1"]), Exit::Usage, "--expires");
    for (when, said) in
        [("soon", "expected a time from now"), ("1700000000", "is over"), ("2020-01-01T00:00:00Z", "is over")]
    {
        check(&with(&["http://a/b", "--expires", when]), Exit::Usage, said);
    }
    check(&["sign", "http://a/b", "--key", "0f0f", "--salt", "00"], Exit::Usage, "less than 32 bytes");
    check(&["sign", "http://a/b", "--key", "0f0fxx", "--salt", "00"], Exit::Usage, "not hexadecimal");
    check(&["sign", "http://a/b"], Exit::Failed, "no key is configured");
}

#[test]
fn sign_takes_the_keys_of_a_configuration() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let (key, other) = ("0f".repeat(32), "1e".repeat(32));
    let keys = format!("[\"a={other}:00\", \"{key}:AbCd\"]");
    writeln!(file, "public_url = \"https://m.example\"\n[media.signing]\nkeys = {keys}").unwrap();
    let config = file.path().to_str().unwrap();
    let (exit, out, err) = ringback(&["sign", "--config", config, "http://a/b"]);
    assert_eq!(exit, Exit::Done, "{err}");
    let (_, path, _) = ringback(&[SIGN, &["http://a/b"]].concat());
    assert_eq!(out, format!("https://m.example{path}"));
    let (exit, out, _) = ringback(&["sign", "--config", config, "http://a/b", "--key-id", "a", "--public-url", ""]);
    assert!(exit == Exit::Done && out.starts_with("/fetch/") && out.contains("/k:a/"), "{out}");
    let (exit, _, err) = ringback(&["sign", "--config", config, "http://a/b", "--key-id", "b"]);
    assert!(exit == Exit::Failed && err.contains("no key with this id"), "{err}");
}
