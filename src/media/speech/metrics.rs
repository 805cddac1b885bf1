//! What speech costs and how it ends.

use std::time::Duration;

use super::SpeechError;

/// Counts one utterance that ended: spoken, abandoned, or why it failed.
pub(super) fn ended(engine: &'static str, result: &'static str, took: Duration, bytes: u64) {
    metrics::counter!("ringback_media_speech_utterances_total", "engine" => engine, "result" => result).increment(1);
    metrics::counter!("ringback_media_speech_bytes_total", "engine" => engine).increment(bytes);
    metrics::histogram!("ringback_media_speech_seconds", "engine" => engine).record(took);
}

/// Notes how long the first sound took.
pub(super) fn began(engine: &'static str, took: Duration) {
    metrics::histogram!("ringback_media_speech_first_seconds", "engine" => engine).record(took);
}

/// Counts what stood in for an engine that did not speak.
pub(super) fn stood_in(by: &'static str) {
    metrics::counter!("ringback_media_speech_fallbacks_total", "by" => by).increment(1);
}

/// The result of one that failed.
pub(super) fn result(error: &SpeechError) -> &'static str {
    error.label()
}
