//! What operators sign with: `ringback sign`, and the few lines of the manual.

use std::process::Command;

use ringback::testing::origin::Origin;

use super::{KEY, SALT, node_with_key, pair, sign, speech, unsigned, unsigned_base64};
use crate::support::{node::TestNode, process};

/// `ringback sign` with this node's key and these arguments behind it; its output.
fn ringback_sign(arguments: &[&str]) -> (Option<i32>, String, String) {
    let pair = pair(&KEY, SALT);
    let (key, salt) = pair.split_once(':').unwrap();
    let output = process::run(&[&["sign", "--key", key, "--salt", salt], arguments].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(!format!("{out}{err}").contains(key), "a secret is shown");
    (output.status.code(), out, err)
}

async fn node() -> (Origin, TestNode) {
    let origin = speech().await;
    let (node, _) = node_with_key(&origin).await;
    (origin, node)
}

#[tokio::test]
async fn what_ringback_sign_prints_is_answered() {
    let (origin, node) = node().await;
    let source = origin.url("/speech.wav");
    let (code, out, err) = ringback_sign(&[&source]);
    assert_eq!((code, out.as_str()), (Some(0), format!("{}\n", sign(&unsigned_base64(&origin))).as_str()), "{err}");
    let (_, out, _) = ringback_sign(&["--plain", &source]);
    assert_eq!(out.trim_end(), sign(&unsigned(&origin, "-")));
    for arguments in [
        ["--expires", "24h", "--format", "opus", "--option", "bitrate:24000"].as_slice(),
        &["--expires", "99999999999", "--plain", "--option", "gain:-3.5", "--option", "trim:both"],
        &["--expires", "2100-01-01T00:00:00Z", "--option", "input:ulaw"],
    ] {
        let (code, out, err) = ringback_sign(&[arguments, &[&source]].concat());
        assert_eq!(code, Some(0), "{err}");
        assert_eq!(node.get(out.trim_end()).await.status, 200, "{out}");
    }
    let base = node.url("");
    let (_, out, _) =
        ringback_sign(&["--json", "--node", &format!("{base}/"), "--expires", "4102444800", &source, &source]);
    for line in out.lines() {
        let said: serde_json::Value = serde_json::from_str(line).unwrap();
        let path = said["path"].as_str().unwrap();
        assert_eq!((&said["source"], &said["expires"]), (&source.clone().into(), &4_102_444_800_u64.into()));
        assert_eq!(said["url"], format!("{base}{path}"));
        assert_eq!(node.get(path).await.status, 200);
    }
    assert_eq!(out.lines().count(), 2);
}

/// README's lines for a shell.
#[tokio::test]
async fn what_a_shell_signs_is_answered() {
    let (origin, node) = node().await;
    let manual = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, script) = manual.split_once("```bash\n# Sign a path\n").expect("the manual has a script");
    let (script, _) = script.split_once("```").unwrap();
    let pair = pair(&KEY, SALT);
    let (key, salt) = pair.split_once(':').unwrap();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .env("key", key)
        .env("salt", salt)
        .env("url", origin.url("/speech.wav"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = String::from_utf8(output.stdout).unwrap();
    assert_eq!(path.trim_end(), sign(&unsigned_base64(&origin)));
    assert_eq!(node.get(path.trim_end()).await.status, 200);
}

/// The API is no signed path: whoever may use it goes on to.
#[tokio::test]
async fn a_node_with_keys_is_warmed_as_before() {
    let (origin, node) = node().await;
    let (base, source) = (node.url(""), origin.url("/speech.wav"));
    // On another thread: this one runs the node's fills.
    let warmed = tokio::task::spawn_blocking(move || process::run(&["warm", "--node", &base, &source])).await.unwrap();
    assert!(warmed.status.success(), "{}", String::from_utf8_lossy(&warmed.stderr));
    let hit = node.get(&sign(&unsigned(&origin, "-"))).await;
    assert!(hit.status == 200 && hit.header("cache-status").contains("hit"), "{hit:?}");
    assert_eq!(node.get(&unsigned(&origin, "-")).await.slug(), "signature-invalid");
}
