//! An original that is known by its name before it comes: nothing of the index is asked, and nothing written there.

use futures_util::StreamExt as _;

use crate::{
    ids::ContentHash,
    media::cache::SourceRecord,
    problem::{Kind, Problem},
};

use super::{
    Shared,
    source::{Arrival, Hashed, Received, SourceFlight, State, Stop},
};

/// The bytes of an upload, into the spool. `known` is what the index would say of it.
pub(super) async fn upload(
    shared: &Shared,
    flight: &SourceFlight,
    known: Option<&SourceRecord>,
    hash: &ContentHash,
) -> Result<(Arrival, Received), Stop> {
    let record = known.ok_or_else(without_record)?;
    // What is not there now may be put there in a moment, and then it is: no failure of it is remembered.
    let read = shared.uploads.read(&flight.tenant, hash).await.map_err(Problem::passing)?;
    let (length, mut body) = read;
    let arrival = arrival(shared, record, Some(length));
    flight.state.send_replace(State::Arriving(arrival));
    let mut hashed = Hashed::new(&flight.spool);
    while let Some(bytes) = body.next().await {
        hashed = hashed.append(bytes?).await?;
    }
    let body = hashed.finish();
    if body.digest.as_bytes() != hash.as_bytes() {
        tracing::error!(content_hash = %hash, "an upload is damaged in its store");
        return Err(Problem::new(Kind::Internal, "the upload is damaged in its store").into());
    }
    // It lies among the uploads already.
    flight.kept.store(true, std::sync::atomic::Ordering::Relaxed);
    let record = SourceRecord { length: body.length, ..record.clone() };
    Ok((arrival, Received { body, content_hash: *hash, record, finished: shared.clock.now() }))
}

/// What is known of it from its first byte on.
pub(super) fn arrival(shared: &Shared, record: &SourceRecord, declared: Option<u64>) -> Arrival {
    Arrival {
        declared,
        first_byte: shared.clock.now(),
        fresh_until: record.fresh_until,
        last_modified: Some(record.changed_at),
        storable: true,
        input: None,
    }
}

pub(super) fn without_record() -> Problem {
    Problem::new(Kind::Internal, "a source that is known by its name came without its record")
}
