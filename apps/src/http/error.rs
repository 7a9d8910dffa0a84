//! Why a request is refused, and the status that says so.

use core::fmt;

/// Why a stream of requests cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The request breaks the grammar or a rule of RFC 9112.
    Malformed(Malformed),
    /// The request line alone is longer than a head may be.
    TargetTooLong {
        /// The limit in bytes.
        head_max: usize,
    },
    /// The header or trailer section is too long.
    HeadTooLong {
        /// The limit in bytes.
        head_max: usize,
    },
    /// There are too many header fields.
    TooManyFields {
        /// The limit.
        fields_max: usize,
    },
    /// The body is too long.
    BodyTooLong {
        /// Bytes announced or seen.
        length: u64,
        /// The limit in bytes.
        body_max: u64,
    },
    /// A transfer coding other than chunked.
    UnsupportedCoding,
    /// A version other than 1.0 and 1.1.
    UnsupportedVersion,
    /// The peer ended its stream within a request.
    Truncated,
}

/// What is wrong with a malformed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The grammar of the request line or of a header field (obs-fold, bare CR and a space before the colon among it).
    Head(httparse::Error),
    /// A target of none of the four forms.
    Target,
    /// No Host where one is required, or more than one, or not a host.
    Host,
    /// Content-Length is not one number.
    ContentLength,
    /// Both Content-Length and Transfer-Encoding.
    TwoLengths,
    /// Transfer-Encoding does not end in chunked, names it twice, or comes with HTTP/1.0.
    TransferEncoding,
    /// The grammar of a chunk's size line.
    ChunkSize,
    /// A chunk is not followed by CRLF.
    ChunkEnd,
    /// The grammar of the trailer section.
    Trailer,
}

impl HttpError {
    /// The status code and reason phrase that tell the peer.
    pub fn status(self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::Truncated => "400 Bad Request",
            Self::TargetTooLong { .. } => "414 URI Too Long",
            Self::HeadTooLong { .. } | Self::TooManyFields { .. } => "431 Request Header Fields Too Large",
            Self::BodyTooLong { .. } => "413 Content Too Large",
            Self::UnsupportedCoding => "501 Not Implemented",
            Self::UnsupportedVersion => "505 HTTP Version Not Supported",
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "malformed request: {what}"),
            Self::TargetTooLong { head_max } => {
                write!(f, "request line of more than {head_max} bytes (`head_max`)")
            }
            Self::HeadTooLong { head_max } => {
                write!(f, "header section of more than {head_max} bytes (`head_max`)")
            }
            Self::TooManyFields { fields_max } => write!(f, "more than {fields_max} header fields"),
            Self::BodyTooLong { length, body_max } => {
                write!(f, "body of {length} bytes, at most {body_max} are allowed (`body_max`)")
            }
            Self::UnsupportedCoding => f.write_str("a transfer coding other than chunked"),
            Self::UnsupportedVersion => f.write_str("a version other than HTTP/1.0 and HTTP/1.1"),
            Self::Truncated => f.write_str("the stream ended within a request"),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => error.fmt(f),
            Self::Target => f.write_str("invalid request target"),
            Self::Host => f.write_str("missing, repeated or invalid Host"),
            Self::ContentLength => f.write_str("Content-Length is not one number"),
            Self::TwoLengths => f.write_str("both Content-Length and Transfer-Encoding"),
            Self::TransferEncoding => f.write_str("invalid Transfer-Encoding"),
            Self::ChunkSize => f.write_str("invalid chunk size"),
            Self::ChunkEnd => f.write_str("chunk without CRLF at its end"),
            Self::Trailer => f.write_str("invalid trailer section"),
        }
    }
}

impl core::error::Error for HttpError {}

impl From<Malformed> for HttpError {
    fn from(what: Malformed) -> Self {
        Self::Malformed(what)
    }
}
