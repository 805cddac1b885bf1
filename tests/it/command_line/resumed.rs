//! A run that ends before its end, and the next one.

use std::{
    io::{BufRead as _, BufReader},
    process::Command,
    time::Duration,
};

use http::Method;
use ringback::{
    testing::{
        origin::{Body, Gate, Origin, Reply},
        signal::{Depth, Signal},
    },
    units::SampleRate,
};

use super::{Told, ringback};
use crate::support::{node::TestNode, process};

const PROMPTS: usize = 60;
/// Those that an origin gives before it is stopped.
const FIRST: usize = 25;

fn path(number: usize) -> String {
    format!("/{number}.wav")
}

/// An origin of which the first prompts are there and the others wait at a gate, a node, and a list of them all.
async fn half_way() -> (Origin, Gate, TestNode, tempfile::NamedTempFile) {
    let (origin, gate) = (Origin::start().await.unwrap(), Gate::closed());
    for number in 0..PROMPTS {
        let tone = Signal::noise(SampleRate::HZ_8000, number as u64, 0.5, Duration::from_millis(200));
        let reply = Reply::ok("audio/wav", Body::of(tone.wav(Depth::S16))).header("cache-control", "max-age=3600");
        origin.set(&path(number), if number < FIRST { reply } else { reply.hold_headers(&gate) });
    }
    let node = TestNode::start(&origin).await;
    let list = tempfile::NamedTempFile::new().unwrap();
    let lines: Vec<String> = (0..PROMPTS).map(|number| origin.url(&path(number))).collect();
    std::fs::write(list.path(), lines.join("\n")).unwrap();
    (origin, gate, node, list)
}

/// Runs a command line until it has told of so many items, and then sends it a signal.
async fn stopped(line: &[&str], items: usize, signal: &'static str) -> Told {
    let line: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
    let run = move || {
        let mut child = process::spawn(&line.iter().map(String::as_str).collect::<Vec<_>>());
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let told: Vec<String> = lines.by_ref().take(items).map(Result::unwrap).collect();
        assert_eq!(told.len(), items, "it ended by itself");
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let rest: Vec<String> = lines.map(Result::unwrap).collect();
        let output = child.wait_with_output().unwrap();
        Told { code: output.status.code(), out: output.stdout, err: [told, rest].concat().join("\n") }
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn a_killed_run_is_resumed_without_redoing_what_was_done() {
    let (origin, gate, node, list) = half_way().await;
    let (address, list) = (node.url(""), list.path().to_str().unwrap().to_owned());
    let line = ["warm", "--node", &address, "--from", &list, "--json"];
    let told = stopped(&line, FIRST, "-KILL").await;
    assert_eq!(told.code, None, "{told:?}");
    assert_eq!(told.err.matches("  filled  ").count(), FIRST, "{told:?}");

    gate.open();
    let told = ringback(&line).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let report = told.json();
    let (warm, filled) = (report["warm"].as_u64().unwrap(), report["filled"].as_u64().unwrap());
    assert_eq!(warm + filled, PROMPTS as u64);
    assert!(FIRST as u64 <= warm, "{report:#}");
    for number in 0..FIRST {
        assert_eq!(origin.count(&Method::GET, &path(number)), 1, "{number} was there");
    }
    // Those on their way when nobody waited for them any more may have been begun anew.
    let asked = (FIRST..PROMPTS).map(|number| origin.count(&Method::GET, &path(number)));
    let again = asked.clone().filter(|count| *count == 2).count();
    assert!(asked.clone().all(|count| (1..=2).contains(&count)) && again <= 8, "{:?}", asked.collect::<Vec<_>>());
}

#[tokio::test]
async fn ctrl_c_tells_what_was_done() {
    let (_origin, _gate, node, list) = half_way().await;
    let (address, list) = (node.url(""), list.path().to_str().unwrap().to_owned());
    let told = stopped(&["warm", "--node", &address, "--from", &list, "--json"], FIRST, "-INT").await;
    assert_eq!(told.code, Some(130), "{told:?}");
    let report = told.json();
    assert_eq!((&report["complete"], &report["filled"]), (&false.into(), &FIRST.into()), "{report:#}");
    assert!(told.err.ends_with("interrupted; running it again goes on from here"), "{told:?}");
}
