//! `media.presets_only`: callers choose among the operator's presets and say no options of their own.

use super::{KEY, SALT, outcome, pair, sign, speech, unsigned, with_keys};
use crate::support::{node::TestNode, wire::Wire};

#[tokio::test]
async fn only_presets_are_taken() {
    let origin = speech().await;
    let node = TestNode::start_with(&origin, |config| {
        config.media.presets_only = true;
        config.media.presets = [("quiet".to_owned(), "gain:-6".to_owned())].into();
        with_keys(config, &[pair(&KEY, SALT)]);
        config.media.signing.required = false;
    })
    .await;
    let mut wire = Wire::connect(node.node.address).await;
    let quiet = wire.ask("GET", &unsigned(&origin, "preset:quiet"), &[]).await;
    assert_eq!(quiet.status, 200, "{}", quiet.shown());
    for options in
        ["gain:-6", "preset:quiet,gain:-6", "rate:8000", "trim:none", "input:ulaw", "bitrate:9000", "nonsense:1"]
    {
        for path in [unsigned(&origin, options), sign(&unsigned(&origin, options))] {
            for method in ["GET", "HEAD"] {
                assert_eq!(wire.ask(method, &path, &[]).await.status, 403, "{path}");
            }
            assert_eq!(outcome(&wire.ask("GET", &path, &[]).await), (403, "presets-only".to_owned()), "{path}");
        }
    }
    // What says nothing of the sound may be said.
    let signed = sign(&unsigned(&origin, "preset:quiet,expires:99999999999"));
    let reply = wire.ask("GET", &signed, &[]).await;
    assert_eq!((reply.status, reply.field("content-location")), (200, quiet.field("content-location")));
    assert_eq!(wire.ask("GET", &unsigned(&origin, "-"), &[]).await.status, 200);
    assert_eq!(
        outcome(&wire.ask("GET", &unsigned(&origin, "preset:loud"), &[]).await),
        (400, "bad-request".to_owned())
    );

    let post = async |options: serde_json::Value| {
        let source = serde_json::json!({ "url": origin.url("/speech.wav") });
        node.post(&serde_json::json!({ "source": source, "format": "ulaw", "options": options })).await
    };
    assert_eq!(post(serde_json::json!({ "preset": "quiet" })).await.status, 200);
    for options in [serde_json::json!({ "gain": -6 }), serde_json::json!({ "preset": "quiet", "trim": "none" })] {
        assert_eq!(post(options.clone()).await.slug(), "presets-only", "{options}");
    }
}
