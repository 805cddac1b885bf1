//! What a failed request to S3 means.
//!
//! Reasons are made of status, code and the innermost cause. None of these holds a credential: those travel in header fields, and
//! messages of servers, which like to repeat what they were sent, are left out.

use std::{error::Error, io};

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use super::super::store::{ObjectKey, StoreError};

/// Bytes of a reason at most.
const REASON_MAX: usize = 200;

/// What an answer that is no success says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// There is no such object.
    Absent,
    /// There is no such upload in parts any more.
    UploadGone,
    /// The range lies outside the object.
    OutOfRange,
    /// There is an object already, which was not to be replaced.
    IsThere,
    /// Another request for the same name was in the way. It may be tried again.
    Conflict,
    /// The server does not know what was asked of it.
    Unknown,
    /// It refuses.
    Refused,
    /// It has no room.
    Full,
    /// It fails.
    Fails,
}

/// What went wrong, without what it was about.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) meaning: Meaning,
    /// For people.
    pub(super) reason: String,
}

impl Failure {
    /// The server fails in a way that is ours to notice.
    pub(super) fn lies(reason: impl Into<String>) -> Failure {
        Failure { meaning: Meaning::Fails, reason: reason.into() }
    }

    /// As the trait's error.
    pub(super) fn about(self, subject: String, key: &ObjectKey) -> StoreError {
        match self.meaning {
            Meaning::Absent => StoreError::NotFound { key: key.clone() },
            _ => self.about_all(subject),
        }
    }

    /// As the trait's error, where no single object was asked for.
    pub(super) fn about_all(self, subject: String) -> StoreError {
        let Failure { meaning, reason } = self;
        match meaning {
            Meaning::Full => StoreError::Full { subject },
            Meaning::Refused | Meaning::Unknown => StoreError::Refused { subject, reason },
            // Where these are answers to what was asked, the caller has looked at them before.
            Meaning::Absent
            | Meaning::UploadGone
            | Meaning::OutOfRange
            | Meaning::IsThere
            | Meaning::Conflict
            | Meaning::Fails => StoreError::Unavailable { subject, reason },
        }
    }
}

impl<E: ProvideErrorMetadata + Error + 'static> From<SdkError<E, HttpResponse>> for Failure {
    fn from(error: SdkError<E, HttpResponse>) -> Failure {
        let status = error.raw_response().map(|response| response.status().as_u16());
        match &error {
            SdkError::ServiceError(answer) => {
                let (status, code) = (status.unwrap_or(0), answer.err().code().unwrap_or_default());
                let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
                let reason = format!("{status} {code}").trim_end().to_owned();
                Failure { meaning: meaning(status, &code), reason }
            }
            SdkError::TimeoutError(_) => Failure::lies("no answer in time"),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Failure::lies("no connection in time"),
            // An answer that cannot be read: another program listens there, or a proxy is in between.
            SdkError::ResponseError(_) => {
                let status = status.unwrap_or(0);
                Failure::lies(format!("an answer with status {status} that cannot be read: {}", innermost(&error)))
            }
            _ => Failure::lies(innermost(&error)),
        }
    }
}

/// What status and code of an answer say. **Source**: S3 API reference, "Error responses"; codes of MinIO and Ceph where there is no room.
pub(super) fn meaning(status: u16, code: &str) -> Meaning {
    match (status, code) {
        (_, "NoSuchBucket") => Meaning::Refused,
        (_, "NoSuchUpload") => Meaning::UploadGone,
        (_, "SlowDown" | "RequestTimeout" | "InternalError" | "ServiceUnavailable") => Meaning::Fails,
        (507, _)
        | (_, "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded" | "QuotaExceeded" | "InsufficientCapacity") => {
            Meaning::Full
        }
        (404, _) => Meaning::Absent,
        (412, _) => Meaning::IsThere,
        (409, _) => Meaning::Conflict,
        (416, _) => Meaning::OutOfRange,
        (400 | 501, "NotImplemented" | "InvalidArgument" | "InvalidRequest" | "") | (501, _) => Meaning::Unknown,
        (408 | 429 | 500.., _) => Meaning::Fails,
        (300..500, _) => Meaning::Refused,
        // An error in an answer that began well: `CompleteMultipartUpload` does that.
        _ => Meaning::Fails,
    }
}

/// The text of the cause at the end of the chain: those before it only say that something failed.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = source(cause) {
        cause = next;
    }
    let text: String = cause.to_string().chars().filter(|letter| !letter.is_control()).collect();
    text.chars().take(REASON_MAX).collect()
}

/// An [`io::Error`] does not name what it wraps as its source, but the source of that.
fn source<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{Meaning, innermost, meaning};

    #[test]
    fn answers_mean_what_they_say() {
        for (status, code, expected) in [
            (404, "NoSuchKey", Meaning::Absent),
            (404, "", Meaning::Absent),
            (404, "NoSuchBucket", Meaning::Refused),
            (404, "NoSuchUpload", Meaning::UploadGone),
            (416, "InvalidRange", Meaning::OutOfRange),
            (412, "PreconditionFailed", Meaning::IsThere),
            (409, "ConditionalRequestConflict", Meaning::Conflict),
            (501, "NotImplemented", Meaning::Unknown),
            (400, "InvalidArgument", Meaning::Unknown),
            (400, "RequestTimeout", Meaning::Fails),
            (400, "ExpiredToken", Meaning::Refused),
            (301, "PermanentRedirect", Meaning::Refused),
            (401, "", Meaning::Refused),
            (403, "SignatureDoesNotMatch", Meaning::Refused),
            (403, "QuotaExceeded", Meaning::Full),
            (507, "XMinioStorageFull", Meaning::Full),
            (429, "", Meaning::Fails),
            (500, "InternalError", Meaning::Fails),
            (502, "", Meaning::Fails),
            (503, "SlowDown", Meaning::Fails),
            (200, "InternalError", Meaning::Fails),
        ] {
            assert_eq!(meaning(status, code), expected, "{status} {code}");
        }
    }

    #[test]
    fn the_innermost_cause_is_told() {
        let error = io::Error::other(io::Error::other("connection refused"));
        assert_eq!(innermost(&error), "connection refused");
    }
}
