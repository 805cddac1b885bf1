use std::io::{Read as _, Write as _};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::problem::ConfigProblems;

use super::{
    Config, Health, Metrics, Unready, metrics as room,
    process::{Stat, Status, parse_boot_time, parse_stat, parse_status},
    serve_ops,
};

#[test]
fn ready_until_a_reason_says_otherwise() {
    let health = Health::new();
    let check = |ready: bool, live: bool, reasons: &[&str]| {
        assert_eq!((health.is_ready(), health.is_live(), health.reasons().as_slice()), (ready, live, reasons));
    };
    check(false, true, &["starting"]);
    health.clear(Unready::Starting);
    check(true, true, &[]);
    health.set(Unready::DataDirectory);
    health.clone().set(Unready::Draining);
    check(false, true, &["draining", "data-directory-unusable"]);
    health.clear(Unready::Draining);
    check(false, true, &["data-directory-unusable"]);
    health.clear(Unready::DataDirectory);
    health.fail();
    check(false, false, &["failed"]);
}

#[test]
fn filters_are_checked() {
    let check = |filter: &str, mistakes: usize| {
        let mut problems = ConfigProblems::default();
        Config { filter: filter.to_owned(), ..Config::default() }.validate("observability", &mut problems);
        assert_eq!(problems.iter().count(), mistakes, "{filter}: {problems:?}");
        assert!(problems.iter().all(|(key, _)| key == "observability.filter"));
    };
    check("info", 0);
    check("warn,ringback::media=debug", 0);
    check("", 0);
    check("ringback=loud", 1);
    check("a=b=c", 1);
}

#[test]
fn proc_files_are_read() {
    let status = "Name:\tringback\nVmPeak:\t  99 kB\nVmRSS:\t    2048 kB\nThreads:\t9\n";
    assert_eq!(parse_status(status), Some(Status { resident_bytes: 2_097_152.0, threads: 9.0 }));
    assert_eq!(parse_status("Name:\tkthreadd\nThreads:\t1\n"), None);
    let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 9 0 123400 1 2 3";
    assert_eq!(parse_stat(stat), Some(Stat { cpu_ticks: 200.0, start_ticks: 123_400.0 }));
    assert_eq!(parse_stat("7 (short) S 1"), None);
    assert_eq!(parse_boot_time("cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_000.0));
    assert_eq!(parse_boot_time("cpu 1 2\n"), None);
}

#[test]
fn first_byte_times_fall_into_buckets() {
    let recorder = room::recorder().unwrap();
    let metrics = Metrics::of(&recorder);
    ::metrics::with_local_recorder(&recorder, || {
        ::metrics::histogram!("ringback_media_first_byte_seconds").record(0.000_3);
        ::metrics::histogram!("ringback_media_first_byte_seconds").record(0.02);
        ::metrics::counter!("ringback_media_cache_hits_total").increment(2);
        let text = metrics.render();
        for line in [
            r#"ringback_media_first_byte_seconds_bucket{le="0.00025"} 0"#,
            r#"ringback_media_first_byte_seconds_bucket{le="0.0005"} 1"#,
            r#"ringback_media_first_byte_seconds_bucket{le="0.025"} 2"#,
            r#"ringback_media_first_byte_seconds_bucket{le="300"} 2"#,
            r#"ringback_media_first_byte_seconds_bucket{le="+Inf"} 2"#,
            "ringback_media_cache_hits_total 2",
        ] {
            assert!(text.lines().any(|got| got == line), "{line} is not in\n{text}");
        }
    });
}

#[test]
fn the_process_is_measured() {
    let recorder = room::recorder().unwrap();
    let metrics = Metrics::of(&recorder);
    let text = ::metrics::with_local_recorder(&recorder, || {
        metrics.render();
        metrics.render()
    });
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    };
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("process_open_fds") >= 3.0);
    assert!(value("process_threads") >= 1.0);
    assert!(value("process_start_time_seconds") > 1.6e9);
}

/// Status line and body of the answer to a GET.
fn get(address: std::net::SocketAddr, path: &str) -> (String, String) {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: ops\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn operators_are_answered_until_shutdown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (health, shutdown) = (Health::new(), CancellationToken::new());
    let metrics = Metrics::of(&room::recorder().unwrap());
    let serving = tokio::spawn(serve_ops(listener, metrics, health.clone(), shutdown.clone()));
    let check = |path: &'static str, status: &'static str, body: &'static str| async move {
        let (got, got_body) = tokio::task::spawn_blocking(move || get(address, path)).await.unwrap();
        assert_eq!((got.as_str(), got_body.as_str()), (status, body), "for {path}");
    };
    let (ok, unavailable) = ("HTTP/1.1 200 OK", "HTTP/1.1 503 Service Unavailable");
    check("/health/ready", unavailable, r#"{"status":"not ready","reasons":["starting"],"lacks":[]}"#).await;
    check("/health", unavailable, r#"{"status":"not ready","reasons":["starting"],"lacks":[]}"#).await;
    check("/health/live", ok, r#"{"status":"live","reasons":[],"lacks":[]}"#).await;
    health.clear(Unready::Starting);
    check("/health/ready", ok, r#"{"status":"ready","reasons":[],"lacks":[]}"#).await;
    health.fail();
    check("/health/live", unavailable, r#"{"status":"failed","reasons":["failed"],"lacks":[]}"#).await;
    check("/metrics", ok, "").await;
    check("/elsewhere", "HTTP/1.1 404 Not Found", "").await;
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}
