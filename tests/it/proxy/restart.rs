//! What is kept outlives the process.

use std::net::SocketAddr;

use http::Method;
use ringback::testing::origin::{Body, Origin, Reply};

use super::text;
use crate::support::{process::Process, wire::Wire};

async fn get(address: SocketAddr, path: &str) -> crate::support::wire::Reply {
    Wire::connect(address).await.ask("GET", path, &[]).await
}

#[tokio::test]
async fn what_is_kept_survives_a_restart_and_a_kill() {
    let origin = Origin::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let page = |body| Reply::ok("text/plain", Body::of(body)).header("cache-control", "max-age=600");
    origin.set("/a", page("the first"));
    origin.set("/b", page("the second"));
    let start = || {
        let origin_url = origin.url("");
        Process::start_with(directory.path(), &["--proxy-listen", "127.0.0.1:0", "--proxy-origin", &origin_url])
    };
    let mut node = start();
    assert_eq!(text(&get(node.proxy_address.unwrap(), "/a").await), "the first");
    assert!(node.terminate().success());

    let node = start();
    let address = node.proxy_address.unwrap();
    assert_eq!(text(&get(address, "/a").await), "the first");
    assert_eq!(origin.count(&Method::GET, "/a"), 1);
    assert_eq!(text(&get(address, "/b").await), "the second");
    node.kill();

    // What was on its way to disk when the process was killed is there or is asked for again, and never wrong.
    let node = start();
    let address = node.proxy_address.unwrap();
    assert_eq!(text(&get(address, "/a").await), "the first");
    assert_eq!(origin.count(&Method::GET, "/a"), 1);
    assert_eq!(text(&get(address, "/b").await), "the second");
}
