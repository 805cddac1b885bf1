mod document;

use std::{collections::BTreeMap, io::Write as _, path::Path, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    problem::ConfigProblems,
    units::{ByteCount, duration_text},
};

use super::{Config, Flag, Loaded, Mistakes, Origin, Root, Sources, load};

/// A configuration with every shape that rooms use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Node {
    port: u16,
    verbose: bool,
    name: Option<String>,
    prefix: Option<ipnet::Ipv6Net>,
    count: Option<u32>,
    names: Option<Vec<String>>,
    media: Media,
    token: Secret,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Media {
    cache: Cache,
    origins: Vec<String>,
    rates: Vec<u32>,
    by_host: BTreeMap<String, u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Cache {
    disk: ByteCount,
    #[serde(with = "duration_text")]
    wait: Duration,
}

/// As rooms write it: it can be read, and is shown as stars.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
struct Secret(String);

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl Default for Node {
    fn default() -> Node {
        Node {
            port: 80,
            verbose: false,
            name: None,
            prefix: None,
            count: None,
            names: None,
            media: Media::default(),
            token: Secret("default".to_owned()),
        }
    }
}

impl Default for Media {
    fn default() -> Media {
        Media { cache: Cache::default(), origins: Vec::new(), rates: vec![8000], by_host: BTreeMap::new() }
    }
}

impl Default for Cache {
    fn default() -> Cache {
        Cache { disk: ByteCount::gib(8), wait: Duration::from_secs(30) }
    }
}

impl Root for Node {
    const ALIASES: &'static [(&'static str, &'static str)] = &[("RINGBACK_NICKNAME", "name")];

    fn validate(&self, problems: &mut ConfigProblems) {
        problems.check(self.port != 7, "port", "is taken by echo");
        problems.check(self.media.cache.disk.get() >= 1024, "media.cache.disk", "is too small");
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// Loads `T` from the text of a file, variables and flags. The file is called `FILE` in what comes back.
fn load_from<T: Root>(
    text: &str,
    variables: &[(&str, &str)],
    flags: &[(&'static str, &'static str, serde_json::Value)],
) -> Result<Loaded<T>, Vec<String>> {
    let file = file(text);
    let sources = Sources {
        file: Some(file.path().to_owned()),
        environment: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        flags: flags.iter().map(|(name, key, value)| Flag { name, key, value: value.clone() }).collect(),
    };
    load(&sources).map_err(|Mistakes(mistakes)| {
        let path = file.path().display().to_string();
        mistakes.iter().map(|mistake| mistake.to_string().replace(&path, "FILE")).collect()
    })
}

fn node(text: &str, variables: &[(&str, &str)]) -> Result<Node, Vec<String>> {
    load_from(text, variables, &[]).map(|loaded| loaded.config)
}

fn check_mistakes(text: &str, variables: &[(&str, &str)], expected: &[&str]) {
    let mistakes = node(text, variables).expect_err("there should be mistakes");
    assert_eq!(mistakes, expected, "for {text:?} and {variables:?}");
}

#[test]
fn nothing_said_means_defaults() {
    let loaded: Loaded<Node> = load(&Sources::default()).unwrap();
    assert_eq!(loaded.config, Node::default());
    assert!(loaded.origins.is_empty());
}

#[test]
fn later_sources_win() {
    let text = "port = 1\nname = \"file\"\n[media.cache]\ndisk = \"1GiB\"\nwait = \"1s\"\n";
    let variables =
        [("RINGBACK_NAME", "variable"), ("RINGBACK_MEDIA__CACHE__DISK", "2GiB"), ("HOME", "/"), ("PORT", "x")];
    let loaded: Loaded<Node> = load_from(text, &variables, &[("--name", "name", json!("flag"))]).unwrap();
    let expected = Node {
        port: 1,
        name: Some("flag".to_owned()),
        media: Media { cache: Cache { disk: ByteCount::gib(2), wait: Duration::from_secs(1) }, ..Media::default() },
        ..Node::default()
    };
    assert_eq!(loaded.config, expected);
    assert_eq!(loaded.origins["name"], Origin::Flag("--name"));
    assert_eq!(loaded.origins["media.cache.disk"], Origin::Environment("RINGBACK_MEDIA__CACHE__DISK".to_owned()));
    assert!(matches!(&loaded.origins["media.cache.wait"], Origin::File { line: 5, .. }), "{:?}", loaded.origins);
    assert_eq!(loaded.origins.len(), 4);
}

#[test]
fn variables_are_read_by_the_type_of_the_default() {
    let variables = [
        ("RINGBACK_PORT", "8080"),
        ("RINGBACK_VERBOSE", "true"),
        ("RINGBACK_PREFIX", "64:ff9b::/96"),
        ("RINGBACK_COUNT", "7"),
        ("RINGBACK_NAMES", "a, b"),
        ("RINGBACK_NICKNAME", "12"),
        ("RINGBACK_MEDIA__ORIGINS", "10.0.0.0/8, sounds.internal,"),
        ("RINGBACK_MEDIA__RATES", "8000,16000"),
        ("RINGBACK_TOKEN", "hush"),
        ("RINGBACK_NODE", "http://elsewhere"),
    ];
    let node = node("", &variables).unwrap();
    assert_eq!((node.port, node.verbose, node.count), (8080, true, Some(7)));
    assert_eq!(node.prefix.unwrap().to_string(), "64:ff9b::/96");
    assert_eq!(node.names.unwrap(), ["a", "b"]);
    assert_eq!(node.name.unwrap(), "12", "an alias, and text although it looks like a number");
    assert_eq!(node.media.origins, ["10.0.0.0/8", "sounds.internal"]);
    assert_eq!(node.media.rates, [8000, 16000]);
    assert_eq!(node.token, Secret("hush".to_owned()));
}

#[test]
fn an_empty_variable_takes_away() {
    let said = "count = 3\n[media]\norigins = [\"a\"]\n";
    let node = node(said, &[("RINGBACK_COUNT", ""), ("RINGBACK_MEDIA__ORIGINS", "")]).unwrap();
    assert_eq!((node.count, node.media.origins), (None, Vec::new()));
}

#[test]
fn keys_of_an_open_table_are_the_operators() {
    let node = node("[media.by_host]\n\"a.example\" = 1\n", &[]).unwrap();
    assert_eq!(node.media.by_host["a.example"], 1);
}

#[test]
fn every_kind_of_mistake_at_once() {
    let text = r#"prot = 1
port = "eighty"
verbose = 1
media.cache = 5
[media]
origins = "10.0.0.0/8"
[media.cahce]
disk = "1GiB"
wait = "1s"
[cache]
x = 1
[nothing.like_it]
x = 1
"#;
    let variables = [
        ("RINGBACK_MEDIA", "x"),
        ("RINGBACK_MEDIA_CACHE__DISK", "1GiB"),
        ("RINGBACK_MEDIA__BY_HOST", "x"),
        ("RINGBACK_MEDIA__CACHE__DISK", "100B"),
        ("RINGBACK_MEDIA__CACHE__WAIT", "30"),
        ("RINGBACK_MEDIA__RATES", "8000,fast"),
        ("RINGBACK_PORT", "70000"),
        ("RINGBACK_PREFIX", "10.0.0.0/8"),
        ("RINGBACK_VERBOSE", "yes"),
    ];
    check_mistakes(
        text,
        &variables,
        &[
            "prot: there is no such key; did you mean port? (FILE:1)",
            "port: invalid type: string \"eighty\", expected u16 (FILE:2)",
            "verbose: invalid type: integer `1`, expected a boolean (FILE:3)",
            "media.cache: is a table of keys and takes no value itself (FILE:4)",
            "duplicate key (FILE:5)",
            "media.origins: invalid type: string \"10.0.0.0/8\", expected a sequence (FILE:6)",
            "media.cahce: there is no such key; did you mean media.cache? (FILE:7)",
            "cache: there is no such key; did you mean media.cache? (FILE:10)",
            "nothing: there is no such key (FILE:12)",
            "media: is a table, which a variable cannot set: use the file (RINGBACK_MEDIA)",
            "media_cache.disk: there is no such key; did you mean RINGBACK_MEDIA__CACHE__DISK? (RINGBACK_MEDIA_CACHE__DISK)",
            "media.by_host: is a table, which a variable cannot set: use the file (RINGBACK_MEDIA__BY_HOST)",
            "media.cache.wait: \"30\" is not a duration such as \"30s\" or \"250ms\": time unit needed, for example 30sec or 30ms (RINGBACK_MEDIA__CACHE__WAIT)",
            "media.rates: \"fast\" is not a number (RINGBACK_MEDIA__RATES)",
            "port: invalid value: integer `70000`, expected u16 (RINGBACK_PORT)",
            "prefix: invalid IP address syntax (RINGBACK_PREFIX)",
            "verbose: \"yes\" is neither true nor false (RINGBACK_VERBOSE)",
            "media.cache.disk: is too small (RINGBACK_MEDIA__CACHE__DISK)",
        ],
    );
}

#[test]
fn broken_lines_do_not_hide_the_others() {
    check_mistakes(
        "port = \nverbose = maybe\nnmae = \"x\"\n",
        &[],
        &[
            "string values must be quoted, expected literal string (FILE:1)",
            "string values must be quoted, expected literal string (FILE:2)",
            "nmae: there is no such key; did you mean name? (FILE:3)",
        ],
    );
}

#[test]
fn single_mistakes() {
    check_mistakes("port = 7", &[], &["port: is taken by echo (FILE:1)"]);
    check_mistakes("port = -1", &[], &["port: invalid value: integer `-1`, expected u16 (FILE:1)"]);
    check_mistakes("port = 99999999999999999999", &[], &["port: 99999999999999999999 is too large a number (FILE:1)"]);
    check_mistakes("port = { a = 1 }", &[], &["port: invalid type: map, expected u16 (FILE:1)"]);
    check_mistakes("", &[("RINGBACK_UNHEARD_OF", "1")], &["unheard_of: there is no such key (RINGBACK_UNHEARD_OF)"]);
}

#[test]
fn sizes_need_a_unit_that_exists() {
    let mistakes = node("[media.cache]\ndisk = \"8 gigs\"", &[]).unwrap_err();
    assert!(mistakes[0].starts_with("media.cache.disk: \"8 gigs\" is not a size such as \"512MiB\""), "{mistakes:?}");
}

#[test]
fn a_file_that_is_not_there_is_a_mistake() {
    let sources = Sources { file: Some("/nonexistent/ringback.toml".into()), ..Sources::default() };
    let mistakes = load::<Node>(&sources).unwrap_err();
    assert!(mistakes.to_string().contains("/nonexistent/ringback.toml cannot be read: "), "{mistakes}");
}

#[test]
fn printing_shows_origins_and_hides_secrets() {
    let loaded: Loaded<Node> =
        load_from("[media.cache]\nwait = \"2m\"", &[("RINGBACK_TOKEN", "hush")], &[("--port", "port", json!(81))])
            .unwrap();
    let printed = loaded.print().unwrap();
    for line in ["port = 81  # --port", "verbose = false", "[media.cache]", "token = \"***\"  # RINGBACK_TOKEN"] {
        assert!(printed.lines().any(|printed| printed == line), "{line} is not in\n{printed}");
    }
    assert!(printed.lines().any(|line| line.starts_with("wait = \"2m\"  # /") && line.ends_with(":2")), "{printed}");
    assert!(!printed.contains("hush"), "{printed}");
    assert!(toml::from_str::<Node>(&printed).is_ok(), "{printed}");
}

fn check_node(text: &str, expected: &[&str]) {
    let mistakes = load_from::<Config>(text, &[], &[]).map(drop).err().unwrap_or_default();
    assert_eq!(mistakes, expected, "for {text:?}");
}

#[test]
fn beyond_loopback_only_on_purpose() {
    let refused = "listen: is not a loopback address: anybody who reaches it could use the node; say insecure_open if that is meant (FILE:1)";
    for address in ["0.0.0.0", "[::]", "192.168.1.1"] {
        // Nobody is let in without credentials.
        check_node(&format!("listen = \"{address}:80\""), &[]);
        check_node(&format!("listen = \"{address}:80\"\nhttp.anonymous = \"read\""), &[refused]);
        check_node(&format!("listen = \"{address}:80\"\nhttp.anonymous = \"all\""), &[refused]);
    }
    check_node("listen = \"[::1]:80\"", &[]);
    check_node("listen = \"127.8.9.1:80\"", &[]);
    check_node("listen = \"0.0.0.0:80\"\ninsecure_open = true\nhttp.anonymous = \"all\"", &[]);
    check_node("ops_listen = \"0.0.0.0:9090\"", &[]);
}

/// Who has to sign can be told apart: that is what insecure_open stands in for.
#[test]
fn signed_paths_may_be_served_beyond_loopback() {
    let refused = "listen: is not a loopback address: anybody who reaches it could use the node; say insecure_open if that is meant (FILE:1)";
    let keys = format!("[media.signing]\nkeys = [\"{}:00\"]\n", "0f".repeat(32));
    let check = |more: &str, http: &str, expected: &[&str]| {
        check_node(&format!("listen = \"0.0.0.0:80\"\n{http}{keys}{more}"), expected);
    };
    check("", "", &[]);
    check("", "http.anonymous = \"off\"\n", &[]);
    check("", "http.anonymous = \"read\"\n", &[]);
    check("", "http.anonymous = \"all\"\n", &[refused]);
    check("required = false\n", "", &[]);
    check("required = false\n", "http.anonymous = \"read\"\n", &[refused]);
    check("required = false\n", "http.anonymous = \"all\"\ninsecure_open = true\n", &[]);
}

/// What is wrong with a secret is told without the secret, whatever is wrong.
#[test]
fn mistakes_in_keys_are_told_without_them() {
    let said = |text: &str, variables: &[(&str, &str)]| {
        let mistakes = load_from::<Config>(text, variables, &[]).map(drop).unwrap_err().join("\n");
        assert!(!mistakes.contains("c0ffee"), "{mistakes}");
        mistakes
    };
    let list = "media.signing.keys: is not a list of texts \"KEY:SALT\" or \"ID=KEY:SALT\" (FILE:2)";
    assert_eq!(said("[media.signing]\nkeys = \"c0ffee\"", &[]), list);
    assert_eq!(said("[media.signing]\nkeys = [12, \"c0ffee\"]", &[]), list);
    assert_eq!(said("[media.signing]\nkeys = { c0ffee = 1 }", &[]), list);
    let short = "media.signing.keys: number 2 has a key of less than 32 bytes (64 digits)";
    let good = format!("{}:00", "0f".repeat(32));
    let text = format!("[media.signing]\nkeys = [\"{good}\", \"c0ffee:00\"]");
    assert_eq!(said(&text, &[]), format!("{short} (FILE:2)"));
    let variable = "RINGBACK_MEDIA__SIGNING__KEYS";
    assert_eq!(said("", &[(variable, &format!("{good},c0ffee:00"))]), format!("{short} ({variable})"));
    let loaded = load_from::<Config>("", &[(variable, &format!("{good}, a={good}"))], &[]).unwrap();
    let printed = loaded.print().unwrap();
    assert!(printed.contains("keys = [\"***\", \"a=***\"]  # RINGBACK_MEDIA__SIGNING__KEYS"), "{printed}");
    assert!(!format!("{printed} {loaded:?}").contains("0f0f"), "{printed}");
}

#[test]
fn allowed_sources_are_judged_at_the_start() {
    let said =
        "media.origin.allowed_sources: \"https://a.example/?b\" may have a host, a port and a path only (FILE:2)";
    check_node("[media.origin]\nallowed_sources = [\"https://*.a.example/b/\", \"https://a.example/?b\"]", &[said]);
    check_node("[media.origin]\nallowed_sources = [\"http://10.0.0.1:8000\", \"https://a.example/*/x-*\"]", &[]);
}

#[test]
fn listeners_are_two() {
    let same = "ops_listen: is the same as listen: metrics and health have a listener of their own (FILE:1)";
    check_node("ops_listen = \"127.0.0.1:8080\"", &[same]);
    check_node("listen = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"", &[]);
}

#[test]
fn presets_are_judged_at_the_start_and_all_of_them() {
    let text = "[media.presets]\nright = \"gain:-3,loudness:-23\"\nwrong = \"gain:loud,volume:11\"\nempty = \"\"\n";
    check_node(
        text,
        &[
            "media.presets.empty: \"\" is not name:value, as in \"gain:-3,loudness:-23\" (FILE:1)",
            "media.presets.wrong: the option \"gain\" takes -60 to 30 dB with at most one decimal, not \"loud\" (FILE:1)",
            "media.presets.wrong: no format has the option \"volume\" (FILE:1)",
        ],
    );
    check_node("[media.presets]\nright = \"rate:16000,gain:-3\"\nalso = \"bitrate:24000, trim:both:-40\"\n", &[]);
    check_node(
        "[media]\npresets = { number = 1 }\n",
        &["media.presets: invalid type: integer `1`, expected a string (FILE:2)"],
    );
}

#[test]
fn public_url_is_a_plain_base() {
    check_node("public_url = \"https://media.example.com/audio\"", &[]);
    let absolute =
        "public_url: \"media.example.com\" is not an absolute URL such as \"https://media.example.com\" (FILE:1)";
    check_node("public_url = \"media.example.com\"", &[absolute]);
    check_node("public_url = \"ftp://a\"", &["public_url: \"ftp://a\" must begin with http:// or https:// (FILE:1)"]);
    let plain = "public_url: \"http://a/?b\" may have a host, a port and a path only (FILE:1)";
    check_node("public_url = \"http://a/?b\"", &[plain]);
}

#[test]
fn certificate_and_key_come_together_and_fit() {
    // Made by `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500`, for tests only.
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/tests");
    let check = |cert: Option<&str>, key: Option<&str>, expected: &[&str]| {
        let line = |name: &str, file: Option<&str>| match file {
            Some(file) => format!("{name} = '{}'\n", directory.join(file).display()),
            None => "\n".to_owned(),
        };
        let directory = directory.display().to_string();
        let mistakes = load_from::<Config>(&(line("tls_cert", cert) + &line("tls_key", key)), &[], &[]).map(drop);
        let mistakes: Vec<_> =
            mistakes.err().unwrap_or_default().iter().map(|text| text.replace(&directory, "DIR")).collect();
        assert_eq!(mistakes, expected);
    };
    let (cert, key, other) = (Some("node-cert.pem"), Some("node-key.pem"), Some("other-key.pem"));
    check(cert, key, &[]);
    check(cert, None, &["tls_key: is missing: a certificate needs its key"]);
    check(None, key, &["tls_cert: is missing: a key needs its certificate"]);
    check(
        cert,
        other,
        &["tls_key: certificate and key cannot be used together: keys may not be consistent: KeyMismatch (FILE:2)"],
    );
    check(key, key, &["tls_cert: DIR/node-key.pem holds no certificate (FILE:1)"]);
    check(cert, cert, &["tls_key: DIR/node-cert.pem has no private key in PEM: no items found (FILE:2)"]);
    check(
        Some("absent.pem"),
        key,
        &[
            "tls_cert: DIR/absent.pem has no certificate in PEM: I/O error: No such file or directory (os error 2) (FILE:1)",
        ],
    );
}
