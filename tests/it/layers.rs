//! Who may import whom: the table of `DESIGN.md` §4, held against every file under `src`.

use std::{fmt::Write as _, fs, path::Path};

use crate::support::rust_source::{self, NamedPath};

/// What everybody speaks. These rooms import nothing of ours.
const VOCABULARY: &[&str] = &["units", "ids", "clock", "problem", "secret"];

/// One room: its module path and the rooms it may import besides itself and the vocabulary.
struct Row {
    room: &'static str,
    may_import: &'static [&'static str],
}

const fn row(room: &'static str, may_import: &'static [&'static str]) -> Row {
    Row { room, may_import }
}

/// A room that has rows of its parts (`media::cache` beside `media`) is, under its own name, the root files of its folder and the
/// face that it shows to others. `*` stands for every room but `testing`.
const TABLE: &[Row] = &[
    row("units", &[]),
    row("ids", &[]),
    row("clock", &[]),
    row("problem", &[]),
    row("secret", &[]),
    row("observability", &[]),
    row("store", &["observability"]),
    row("lease", &["observability"]),
    row("outbound", &["observability", "store", "lease"]),
    row("tenancy", &["observability", "store", "lease"]),
    row("accounts", &["observability", "store", "lease", "outbound", "tenancy"]),
    row("concurrency", &["observability", "store", "lease", "outbound", "tenancy"]),
    row("presence", &["observability", "store", "lease", "outbound", "tenancy"]),
    row("metering", &["observability", "store", "lease", "outbound", "tenancy"]),
    // The parts of media do not know one another; its root files (the face, the request, the fill, the spool) know them all.
    row("media::format", &[]),
    row("media::address", &["media::format"]),
    row("media::audio", &["media::format"]),
    row("media::freshness", &[]),
    row(
        "media::origin",
        &["media::format", "media::freshness", "observability", "store", "lease", "outbound", "tenancy"],
    ),
    row("media::speech", &["media::format", "observability", "store", "lease", "outbound", "tenancy"]),
    row(
        "media::cache",
        &["media::format", "media::freshness", "observability", "store", "lease", "outbound", "tenancy"],
    ),
    row(
        "media",
        &[
            "media::format",
            "media::address",
            "media::audio",
            "media::freshness",
            "media::origin",
            "media::speech",
            "media::cache",
            "observability",
            "store",
            "lease",
            "outbound",
            "tenancy",
            "concurrency",
            "metering",
        ],
    ),
    row("calls::sip", &["observability", "lease", "outbound", "tenancy"]),
    row("calls::sdp", &[]),
    row("calls::rtp", &["observability"]),
    row("calls::instructions", &[]),
    row(
        "calls",
        &[
            "calls::sip",
            "calls::sdp",
            "calls::rtp",
            "calls::instructions",
            "media",
            "media::format",
            "concurrency",
            "metering",
            "presence",
            "observability",
            "store",
            "lease",
            "outbound",
            "tenancy",
        ],
    ),
    row(
        "api",
        &[
            "observability",
            "store",
            "lease",
            "outbound",
            "tenancy",
            "accounts",
            "concurrency",
            "presence",
            "metering",
            "media",
            "media::format",
            "calls",
        ],
    ),
    // Of every room only its `config.rs`: see `is_config`.
    row("config", &["*"]),
    row("app", &["*"]),
    row("cli", &["app", "config", "accounts", "concurrency", "media", "media::format", "observability"]),
    row("main", &["cli"]),
    row("testing", &["*", "testing"]),
];

#[test]
fn rooms_import_only_what_the_table_allows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut report = String::new();
    for file in rust_source::files(&root.join("src")).unwrap() {
        let source = fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(root).unwrap().to_str().unwrap();
        for breach in breaches(name, &source) {
            writeln!(report, "{breach}").unwrap();
        }
    }
    assert!(report.is_empty(), "imports against the table of DESIGN.md §4:\n{report}");
}

/// One line per import that the table forbids: `file:line: room may not import path`.
fn breaches(file: &str, source: &str) -> Vec<String> {
    let module = module_path(file);
    let Some(first) = module.first() else { return Vec::new() };
    let Some(own) = room_of(&module) else {
        return vec![format!("{file}:1: the room `{first}` has no row in the table")];
    };
    let is_test_file = file.ends_with("/tests.rs") || file.contains("/tests/");
    let mut found = Vec::new();
    let mut named = rust_source::named_paths(source, &["crate", "super", "ringback"]);
    if own.room == "config" {
        named = follow_bare_rooms(source, named);
    }
    for named in named {
        let is_test = is_test_file || named.is_test;
        let Some(target) = resolve(&module, &named) else { continue };
        let verdict = match room_of(&target) {
            None if named.segments[0] == "super" || target.is_empty() => continue,
            None => format!("`{}` has no row in the table", target.join("::")),
            Some(room) if is_allowed(own, room, &target, is_test) => continue,
            Some(_) => format!("`{}` may not import `{}`", own.room, target.join("::")),
        };
        found.push(format!("{file}:{}: {verdict}", named.line));
    }
    found
}

fn is_allowed(own: &Row, target: &Row, path: &[String], is_test: bool) -> bool {
    if own.room == target.room {
        return true;
    }
    if target.room == "testing" {
        return is_test || own.may_import.contains(&"testing");
    }
    if VOCABULARY.contains(&target.room) {
        return !VOCABULARY.contains(&own.room) && own.room != "main";
    }
    if own.room == "config" {
        return is_config(path);
    }
    // Everybody but the room itself and the roots sees rooms below a face only where the table names them.
    own.may_import.contains(&"*") || own.may_import.contains(&target.room)
}

/// `crate::media::cache::Config`, `crate::outbound::config::GuardConfig`, …
fn is_config(path: &[String]) -> bool {
    path.iter().skip(1).any(|segment| segment == "config" || segment.ends_with("Config"))
}

/// `use crate::outbound;` names a room so that the code can say `outbound::Config`: judged is what the code says of it.
fn follow_bare_rooms(source: &str, named: Vec<NamedPath>) -> Vec<NamedPath> {
    let is_bare = |named: &NamedPath| named.segments[0] == "crate" && is_room(&named.segments[1..].join("::"));
    let (bare, mut followed): (Vec<NamedPath>, Vec<NamedPath>) = named.into_iter().partition(is_bare);
    for room in bare {
        let local_name = room.segments.last().map_or("", String::as_str);
        for mut used in rust_source::named_paths(source, &[local_name]) {
            used.segments.splice(..1, room.segments.iter().cloned());
            followed.push(used);
        }
    }
    followed
}

fn is_room(path: &str) -> bool {
    TABLE.iter().any(|row| row.room == path)
}

/// `src/media/cache/disk.rs` → `media cache disk`; `mod.rs` names its folder; `lib.rs` is the crate itself.
fn module_path(file: &str) -> Vec<String> {
    let stem = file.trim_start_matches("src/").trim_end_matches(".rs");
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    if stem == "lib" { Vec::new() } else { stem.split('/').map(str::to_owned).collect() }
}

/// The row with the longest name that `path` begins with.
fn room_of(path: &[String]) -> Option<&'static Row> {
    let begins = |row: &&Row| {
        let mut wanted = row.room.split("::");
        let mut given = path.iter();
        wanted.all(|segment| given.next().is_some_and(|given| given == segment))
    };
    TABLE.iter().filter(begins).max_by_key(|row| row.room.len())
}

/// The path from the crate's root on; `None` where it leads out of the crate.
fn resolve(module: &[String], named: &NamedPath) -> Option<Vec<String>> {
    let ups = named.segments.iter().take_while(|segment| *segment == "super").count();
    if ups == 0 {
        return Some(named.segments[1..].to_vec());
    }
    let base = module.get(..module.len().checked_sub(ups)?)?;
    Some([base, &named.segments[ups..]].concat())
}

#[test]
fn planted_breaches_are_found_where_they_stand() {
    #[track_caller]
    fn check(file: &str, source: &str, expected: &[&str]) {
        assert_eq!(breaches(file, source), expected, "{file}:\n{source}");
    }

    // What is allowed.
    check("src/media/audio/wav.rs", "use crate::{ids::ChunkId, media::format::Format, units};", &[]);
    check("src/media/audio/mp3/frame.rs", "use super::super::wav; use super::huffman;", &[]);
    check("src/media/fill.rs", "use crate::media::{audio, cache::{Cache, Chunk}, origin as o};", &[]);
    check("src/app.rs", "fn f() { crate::media::Media::build(crate::config::load()) }", &[]);
    check(
        "src/config/mod.rs",
        "use crate::{media::cache, outbound}; struct A { b: outbound::Config } fn f() { cache::Config::default() }",
        &[],
    );
    check("src/config/mod.rs", "use crate::media::cache::{Config as C, config::Disk};", &[]);
    check("src/main.rs", "fn main() -> ExitCode { ringback::cli::run() }", &[]);
    check("src/lib.rs", "pub mod units;", &[]);

    // What is not.
    check(
        "src/config/mod.rs",
        "use crate::media;\nfn f(x: media::Media) {}",
        &["src/config/mod.rs:2: `config` may not import `media::Media`"],
    );
    check(
        "src/config/load.rs",
        "use crate::outbound::Client;",
        &["src/config/load.rs:1: `config` may not import `outbound::Client`"],
    );
    check("src/units.rs", "use crate::ids::Tenant;", &["src/units.rs:1: `units` may not import `ids::Tenant`"]);
    check(
        "src/media/audio/mod.rs",
        "//! Doc.\nuse crate::{\n    ids::{ChunkId, Tenant},\n    media::{\n        format::Format,\n        cache::Cache,\n    },\n};\n",
        &["src/media/audio/mod.rs:6: `media::audio` may not import `media::cache::Cache`"],
    );
    check(
        "src/media/cache/disk.rs",
        "use super::super::origin::Fetched;\n",
        &["src/media/cache/disk.rs:1: `media::cache` may not import `media::origin::Fetched`"],
    );
    check(
        "src/media/origin/mod.rs",
        "use crate::media::Media;",
        &["src/media/origin/mod.rs:1: `media::origin` may not import `media::Media`"],
    );
    check(
        "src/api/mod.rs",
        "use crate::media::cache::Cache;",
        &["src/api/mod.rs:1: `api` may not import `media::cache::Cache`"],
    );
    check(
        "src/outbound/mod.rs",
        "\nfn f(x: crate::media::Request) {}",
        &["src/outbound/mod.rs:2: `outbound` may not import `media::Request`"],
    );
    check(
        "src/media/mod.rs",
        "use crate::config::Config;",
        &["src/media/mod.rs:1: `media` may not import `config::Config`"],
    );
    check("src/main.rs", "use ringback::app;", &["src/main.rs:1: `main` may not import `app`"]);
    check("src/media/mod.rs", "use crate::utils::x;", &["src/media/mod.rs:1: `utils::x` has no row in the table"]);
    check("src/utils.rs", "", &["src/utils.rs:1: the room `utils` has no row in the table"]);

    // Test code may use the testing room, other code may not.
    check("src/outbound/tests.rs", "use crate::testing::origin::Origin;", &[]);
    check("src/outbound/mod.rs", "#[cfg(test)]\nmod tests { use crate::testing::origin::Origin; }", &[]);
    check(
        "src/outbound/mod.rs",
        "#[cfg(test)]\nmod tests;\nuse crate::testing::origin::Origin;",
        &["src/outbound/mod.rs:3: `outbound` may not import `testing::origin::Origin`"],
    );

    // Comments, strings and characters are not code.
    check("src/units.rs", "// crate::media::x\n/* crate::media /* nested */ crate::api */ /// [`crate::api`]\n", &[]);
    check(
        "src/units.rs",
        "const A: &str = \"crate::api::x \\\" crate::media\"; const B: &str = r#\"\"crate::api::y\"#;",
        &[],
    );
    check(
        "src/units.rs",
        "fn f<'a>(c: &'a u8) -> char { let q = '\"'; crate::api::z; '\\'' }",
        &["src/units.rs:1: `units` may not import `api::z`"],
    );
}
