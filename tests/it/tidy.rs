//! Small promises about the source that no compiler checks.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use crate::support::rust_source;

/// A file that passes this is two rooms, a type that owns everything, or tests that belong beside it.
const FILE_LINES_MAX: usize = 700;

/// Marks of unfinished work. Spelled in halves, so that this file may be read like any other.
const MARKS: &[&str] =
    &[concat!("to", "do!"), concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X"), concat!("HA", "CK")];

#[test]
fn the_source_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut report = String::new();
    for folder in ["src", "tests", "benches", "examples"] {
        for file in rust_source::files(&root.join(folder)).unwrap_or_default() {
            let source = fs::read_to_string(&file).unwrap();
            let name = file.strip_prefix(root).unwrap().display();
            for (line, complaint) in complaints(&file, &source) {
                writeln!(report, "{name}:{line}: {complaint}").unwrap();
            }
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

fn complaints(file: &Path, source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let lines = source.lines().count();
    if lines > FILE_LINES_MAX {
        found.push((lines, format!("{lines} lines; at most {FILE_LINES_MAX}")));
    }
    for (i, line) in source.lines().enumerate() {
        for mark in MARKS.iter().filter(|mark| has_word(line, mark)) {
            found.push((i + 1, format!("unfinished work: {mark}")));
        }
        if let Some(name) = line.trim().strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
            let documented = module_file(file, name).is_some_and(|file| has_module_doc(&file));
            if !documented {
                found.push((i + 1, format!("the module {name} does not begin with a //! doc")));
            }
        }
    }
    found
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let borders = [line[..at].chars().next_back(), line[at + word.len()..].chars().next()];
        borders.into_iter().flatten().all(|border| !border.is_alphanumeric() && border != '_')
    })
}

/// Where `mod name;` in `file` has its source.
fn module_file(file: &Path, name: &str) -> Option<PathBuf> {
    let stem = file.file_stem()?.to_str()?;
    let folder =
        if ["mod", "lib", "main"].contains(&stem) { file.parent()?.to_owned() } else { file.with_extension("") };
    [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")].into_iter().find(|path| path.exists())
}

fn has_module_doc(file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|source| source.starts_with("//!"))
}

#[test]
fn planted_disorder_is_found() {
    let complaints_of = |source: &str| complaints(Path::new("src/lib.rs"), source);
    assert_eq!(complaints_of("fn f() {}\n"), []);
    assert_eq!(complaints_of(&"\n".repeat(FILE_LINES_MAX + 1)).len(), 1);
    for mark in MARKS {
        assert_eq!(complaints_of(&format!("\n// {mark} later")).len(), 1, "{mark}");
    }
    assert_eq!(complaints_of("// a methodology, FIXMEs aside"), []);
    assert_eq!(complaints_of("pub mod no_such_module;").len(), 1);
}
