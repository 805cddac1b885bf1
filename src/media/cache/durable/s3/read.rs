//! Reading: objects, ranges of them, what is known of them, lists.

use std::{
    ops::Range,
    time::{Duration, SystemTime},
};

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures_util::stream;

use super::{
    S3,
    direct::{Incoming, Known},
    error::{Failure, Meaning, innermost},
    modified,
};
use crate::media::cache::durable::store::{Got, Listed, ObjectBytes, ObjectKey, ObjectMeta, StoreError};

/// Objects of one page of a list at most: S3 gives no more.
const PAGE_MAX: usize = 1_000;

impl S3 {
    pub(super) async fn read(
        &self,
        key: &ObjectKey,
        range: Option<Range<u64>>,
        lengths: Option<Vec<usize>>,
    ) -> Result<Got, StoreError> {
        let subject = || format!("reading {key}");
        let out_of_range = |Range { start, end }: Range<u64>| StoreError::OutOfRange { key: key.clone(), start, end };
        let wanted = match &range {
            Some(range) => match range.end.checked_sub(1).filter(|last| range.start <= *last) {
                Some(last) => Some(format!("bytes={}-{last}", range.start)),
                None => return Err(out_of_range(range.clone())),
            },
            None => None,
        };
        let (known, begun) = match (self.begin_reading(key, wanted).await, range.clone()) {
            (Ok(begun), _) => begun,
            (Err(Failure { meaning: Meaning::OutOfRange, .. }), Some(range)) => return Err(out_of_range(range)),
            (Err(failure), _) => return Err(failure.about(subject(), key)),
        };
        let total = match said(&known, range.as_ref()) {
            Ok(total) => total,
            Err(reason) => return Err(Failure::lies(reason).about(subject(), key)),
        };
        let range = range.unwrap_or(0..total);
        if total < range.end {
            return Err(out_of_range(range));
        }
        let modified = known.modified.unwrap_or(SystemTime::UNIX_EPOCH);
        let meta = ObjectMeta { length: total, modified, content_type: known.content_type };
        Ok(match begun {
            Begun::Direct(incoming) => Got { meta, body: incoming.into_bytes(lengths, self.read_timeout, subject()) },
            Begun::Sdk(stream) => {
                let body = body(stream, range.end - range.start, self.read_timeout, subject());
                let got = Got { meta, body };
                match lengths {
                    Some(lengths) => got.cut(lengths),
                    None => got,
                }
            }
        })
    }

    async fn begin_reading(&self, key: &ObjectKey, range: Option<String>) -> Result<(Known, Begun), Failure> {
        let name = self.name_of(key);
        if let Some(direct) = self.direct().await {
            let (known, incoming) = direct.get(&name, range.as_deref()).await?;
            return Ok((known, Begun::Direct(incoming)));
        }
        let request = self.clients.asking.get_object().bucket(&self.bucket).key(name).set_range(range);
        let answer = request.send().await?;
        let known = Known {
            length: answer.content_length().and_then(|length| u64::try_from(length).ok()),
            content_range: answer.content_range().map(str::to_owned),
            content_type: answer.content_type().map(str::to_owned),
            modified: Some(modified(answer.last_modified())),
        };
        Ok((known, Begun::Sdk(answer.body)))
    }

    pub(super) async fn look(&self, key: &ObjectKey) -> Result<ObjectMeta, StoreError> {
        let known = self.known(key).await.and_then(|known| match known.length {
            Some(length) => Ok((length, known)),
            None => Err(Failure::lies("an answer without a length")),
        });
        let (length, known) = known.map_err(|failure| failure.about(format!("looking at {key}"), key))?;
        let modified = known.modified.unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(ObjectMeta { length, modified, content_type: known.content_type })
    }

    /// What an object's head says.
    pub(super) async fn known(&self, key: &ObjectKey) -> Result<Known, Failure> {
        let name = self.name_of(key);
        if let Some(direct) = self.direct().await {
            return direct.head(&name).await;
        }
        let answer = self.clients.asking.head_object().bucket(&self.bucket).key(name).send().await?;
        Ok(Known {
            length: answer.content_length().and_then(|length| u64::try_from(length).ok()),
            content_range: None,
            content_type: answer.content_type().map(str::to_owned),
            modified: Some(modified(answer.last_modified())),
        })
    }

    pub(super) async fn list_all(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let mut found = Vec::new();
        let mut next_page = None;
        while found.len() < limit {
            let request = self
                .clients
                .asking
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(format!("{}{prefix}", self.prefix))
                .set_start_after(after.map(|key| self.name_of(key)))
                .set_continuation_token(next_page.take())
                .max_keys((limit - found.len()).min(PAGE_MAX) as i32);
            let page = request.send().await.map_err(|error| Failure::from(error).about_all("listing".to_owned()))?;
            found.extend(page.contents().iter().filter_map(|object| {
                // What others have put into the bucket may have names that are none of ours.
                let name = object.key()?.strip_prefix(&self.prefix)?;
                let key = ObjectKey::new(name.to_owned()).ok()?;
                let length = u64::try_from(object.size()?).ok()?;
                Some(Listed { key, length, modified: modified(object.last_modified()) })
            }));
            next_page = page.next_continuation_token().map(str::to_owned);
            if next_page.is_none() || page.is_truncated() != Some(true) {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }
}

/// A body whose head has come.
enum Begun {
    Direct(Incoming),
    Sdk(ByteStream),
}

/// The length of the whole object, from an answer whose range is the one asked for, as far as the object has it. Otherwise what is wrong.
fn said(known: &Known, asked: Option<&Range<u64>>) -> Result<u64, String> {
    let length = known.length.ok_or("an answer without a length")?;
    match (asked, known.content_range.as_deref()) {
        (None, None) => Ok(length),
        // Some servers answer with the whole where a part was asked for. That is the same if the part is the whole.
        (Some(asked), None) if asked.start == 0 && asked.end == length => Ok(length),
        (Some(_), None) => Err("the whole where a part was asked for".to_owned()),
        (None, Some(_)) => Err("a part where the whole was asked for".to_owned()),
        (Some(asked), Some(text)) => {
            let Some((range, total)) = content_range(text) else {
                return Err("a range that cannot be read".to_owned());
            };
            let expected = asked.start..asked.end.min(total);
            if range == expected && range.end - range.start == length {
                Ok(total)
            } else {
                Err("another range than the one asked for".to_owned())
            }
        }
    }
}

/// The range and the length of the whole in `bytes 0-99/1234` (RFC 9110 §14.4).
fn content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total): (u64, u64, u64) = (first.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
    (first <= last && last < total).then(|| (first..last + 1, total))
}

/// The pieces of `source`: `length` bytes, none of which lets wait longer than `silence_max`, or an error at the end.
fn body(source: ByteStream, length: u64, silence_max: Duration, subject: String) -> ObjectBytes<StoreError> {
    // After an error nothing comes any more: there is no source then.
    let pieces = stream::unfold((Some(source), length), move |(source, left)| {
        let subject = subject.clone();
        async move {
            match piece(source?, left, silence_max).await {
                Ok(Some((bytes, source))) => {
                    let left = left - bytes.len() as u64;
                    Some((Ok(bytes), (Some(source), left)))
                }
                Ok(None) => None,
                Err(reason) => Some((Err(Failure::lies(reason).about_all(subject)), (None, 0))),
            }
        }
    });
    Box::pin(pieces)
}

/// The next piece of `left` bytes, and what comes behind it.
async fn piece(
    mut source: ByteStream,
    left: u64,
    silence_max: Duration,
) -> Result<Option<(Bytes, ByteStream)>, String> {
    match tokio::time::timeout(silence_max, source.next()).await {
        Err(_) => Err("the body has stalled".to_owned()),
        Ok(Some(Err(error))) => Err(innermost(&error)),
        Ok(Some(Ok(bytes))) if bytes.len() as u64 > left => Err("more bytes than the answer said".to_owned()),
        Ok(Some(Ok(bytes))) => Ok(Some((bytes, source))),
        Ok(None) if left > 0 => Err("fewer bytes than the answer said".to_owned()),
        Ok(None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::content_range;

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(content_range("bytes 0-99/1234"), Some((0..100, 1234)));
        assert_eq!(content_range("bytes 5-5/6"), Some((5..6, 6)));
        for bad in [
            "",
            "bytes 0-99",
            "bytes 0-99/*",
            "bytes */12",
            "bytes 9-0/12",
            "bytes 0-12/12",
            "0-99/1234",
            "bytes -1-2/3",
        ] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
        assert_eq!(content_range(&format!("bytes 0-{0}/{0}", u64::MAX)), None);
    }
}
