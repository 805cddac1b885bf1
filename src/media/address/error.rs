use crate::problem::{Kind, Problem};

/// An address cannot be read. Never quotes it: it may hold credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Longer than is read.
    #[error("the source address is longer than {max} bytes")]
    SourceTooLong {
        /// The limit.
        max: usize,
    },
    /// Not a URL.
    #[error("the source address is not a URL")]
    NotAUrl {
        /// What is wrong with it.
        #[source]
        source: url::ParseError,
    },
    /// A URL of another kind.
    #[error("only http and https sources can be fetched")]
    Scheme,
    /// A URL with `user:password@`.
    #[error("a source address with user name or password is not accepted")]
    Userinfo,
    /// The path has another shape than its grammar says.
    #[error("the path is not {expected}")]
    Shape {
        /// The grammar, for people.
        expected: &'static str,
    },
    /// The signature is not made of the characters of one.
    #[error("the signature part of the path is malformed")]
    Signature,
    /// The options part is malformed.
    #[error("the options part of the path is not \"-\" or name:value,name:value: {what}")]
    Options {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The option that says when the address ends does not.
    #[error("the option \"expires\" takes one time, in seconds since 1970 (UTC)")]
    Expires,
    /// The source part cannot be decoded.
    #[error("the source part of the path is not {expected}")]
    SourceCoding {
        /// What it should be.
        expected: &'static str,
    },
    /// No extension, or not one that could be.
    #[error("the path does not end in an extension such as \".ulaw\"")]
    Extension,
    /// The address that would be minted is longer than clients take.
    #[error("the address would be {length} characters long; at most {max} are minted")]
    TooLongToMint {
        /// Its length.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// Not the address of an artifact.
    #[error("this is not the address of an artifact")]
    NotAnArtifact,
}

impl AddressError {
    /// What the caller is told.
    pub fn problem(&self) -> Problem {
        let kind = match self {
            // Well-formed, and never fetched: told like an address that the guard refuses.
            AddressError::Scheme | AddressError::Userinfo => Kind::SourceForbidden,
            AddressError::NotAnArtifact => Kind::NotFound,
            AddressError::SourceTooLong { .. }
            | AddressError::NotAUrl { .. }
            | AddressError::Shape { .. }
            | AddressError::Signature
            | AddressError::Options { .. }
            | AddressError::Expires
            | AddressError::SourceCoding { .. }
            | AddressError::Extension
            | AddressError::TooLongToMint { .. } => Kind::BadRequest,
        };
        Problem::new(kind, self.to_string())
    }
}
