//! What the server takes from a request's head.

use super::error::{HttpError, Malformed};

/// The head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// What is asked for.
    pub method: Method,
    /// The path of the target, without the query; `*` or an authority for OPTIONS and CONNECT.
    pub path: &'a str,
    /// The protocol version.
    pub version: Version,
    /// Whether the peer wants to go on using the connection.
    pub persistence: Persistence,
    /// Whether the peer waits for `100 Continue` before it sends the body.
    pub expectation: Expectation,
    /// How the body is framed.
    pub body: BodyLength,
}

/// The methods of RFC 9110 and RFC 5789.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
    /// Any other.
    Unknown,
}

/// The protocol version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// Whether a connection outlives the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// It does.
    KeepAlive,
    /// It does not.
    Close,
}

/// What a peer waits for before it sends the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Nothing.
    None,
    /// `100 Continue`, or a final answer.
    Continue,
}

/// How a request's body is framed (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// By its length in bytes; 0 when there is none.
    Known(u64),
    /// By the chunked coding.
    Chunked,
}

impl Method {
    fn parse(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "CONNECT" => Self::Connect,
            "OPTIONS" => Self::Options,
            "TRACE" => Self::Trace,
            "PATCH" => Self::Patch,
            _ => Self::Unknown,
        }
    }
}

impl<'a> Request<'a> {
    /// Checks a parsed head and takes from it what matters.
    pub(super) fn check(head: &httparse::Request<'_, 'a>) -> Result<Self, HttpError> {
        let version = if head.version == Some(0) { Version::Http10 } else { Version::Http11 };
        let fields = Fields::gather(head.headers)?;
        match (fields.hosts, version) {
            (1, _) | (0, Version::Http10) => {}
            _ => return Err(Malformed::Host.into()),
        }
        let method = Method::parse(head.method.unwrap_or_default());
        Ok(Self {
            method,
            path: path_of(method, head.path.unwrap_or_default())?,
            version,
            persistence: match (version, fields.close, fields.keep_alive) {
                (_, Named::Yes, _) | (Version::Http10, Named::No, Named::No) => Persistence::Close,
                (Version::Http11, Named::No, _) | (Version::Http10, Named::No, Named::Yes) => {
                    Persistence::KeepAlive
                }
            },
            // RFC 9110 section 10.1.1: a server MUST ignore it in a request of HTTP/1.0.
            expectation: match version {
                Version::Http10 => Expectation::None,
                Version::Http11 => fields.expectation,
            },
            body: fields.body(version)?,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    No,
    Yes,
}

/// What the Transfer-Encoding fields name.
#[derive(Clone, Copy, Default)]
struct Codings {
    fields: u32,
    chunked: u32,
    others: u32,
    /// Codings named after chunked.
    after_chunked: u32,
}

/// The header fields that decide about framing and the connection.
struct Fields {
    hosts: u32,
    content_length: Option<u64>,
    codings: Codings,
    close: Named,
    keep_alive: Named,
    expectation: Expectation,
}

impl Fields {
    fn gather(headers: &[httparse::Header<'_>]) -> Result<Self, HttpError> {
        let mut fields = Self {
            hosts: 0,
            content_length: None,
            codings: Codings::default(),
            close: Named::No,
            keep_alive: Named::No,
            expectation: Expectation::None,
        };
        for header in headers {
            // The length tells most fields apart before a byte is compared.
            match header.name.len() {
                4 if header.name.eq_ignore_ascii_case("host") => {
                    fields.hosts += 1;
                    check_authority(header.value)?;
                }
                6 if header.name.eq_ignore_ascii_case("expect")
                    && header.value.eq_ignore_ascii_case(b"100-continue") =>
                {
                    fields.expectation = Expectation::Continue;
                }
                10 if header.name.eq_ignore_ascii_case("connection") => fields.connection(header.value),
                14 if header.name.eq_ignore_ascii_case("content-length") => {
                    fields.content_length(header.value)?;
                }
                17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                    fields.transfer_encoding(header.value);
                }
                _ => {}
            }
        }
        Ok(fields)
    }

    fn connection(&mut self, value: &[u8]) {
        for option in list(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = Named::Yes;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = Named::Yes;
            }
        }
    }

    /// RFC 9110 section 8.6: the same number said several times is still that number.
    fn content_length(&mut self, value: &[u8]) -> Result<(), HttpError> {
        for number in value.split(|&byte| byte == b',') {
            let number = parse_decimal(number.trim_ascii()).ok_or(Malformed::ContentLength)?;
            match self.content_length.replace(number) {
                Some(before) if before != number => return Err(Malformed::ContentLength.into()),
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) {
        let codings = &mut self.codings;
        codings.fields += 1;
        for coding in list(value) {
            codings.after_chunked += u32::from(codings.chunked > 0);
            if coding.eq_ignore_ascii_case(b"chunked") {
                codings.chunked += 1;
            } else {
                codings.others += 1;
            }
        }
    }

    /// RFC 9112 section 6.3; what may be a smuggled request is refused and not repaired (section 11.2).
    fn body(&self, version: Version) -> Result<BodyLength, HttpError> {
        let Codings { fields, chunked, others, after_chunked } = self.codings;
        match (fields, self.content_length) {
            (0, length) => Ok(BodyLength::Known(length.unwrap_or(0))),
            (_, Some(_)) => Err(Malformed::TwoLengths.into()),
            (_, None) if version == Version::Http10 || chunked == 0 || after_chunked > 0 => {
                Err(Malformed::TransferEncoding.into())
            }
            (_, None) if others > 0 => Err(HttpError::UnsupportedCoding),
            (_, None) => Ok(BodyLength::Chunked),
        }
    }
}

/// The members of a comma-separated list.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// A number of nothing but digits.
pub(super) fn parse_decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// The path of a target in one of the four forms of RFC 9112 section 3.2.
fn path_of(method: Method, target: &str) -> Result<&str, HttpError> {
    let path = match (method, target.as_bytes()) {
        (Method::Connect, authority) => {
            check_authority(authority)?;
            return Ok(target);
        }
        (_, [b'/', ..]) => target,
        (Method::Options, b"*") => return Ok(target),
        _ => {
            // RFC 9112 section 3.2.2: a server MUST accept the absolute form.
            let (scheme, rest) = target.split_once("://").ok_or(Malformed::Target)?;
            if !scheme.eq_ignore_ascii_case("http") {
                return Err(Malformed::Target.into());
            }
            let path = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(path);
            if authority.is_empty() {
                return Err(Malformed::Target.into());
            }
            check_authority(authority.as_bytes())?;
            path
        }
    };
    let path = path.find('?').map_or(path, |query| &path[..query]);
    Ok(if path.is_empty() { "/" } else { path })
}

/// The characters of `uri-host [ ":" port ]`, RFC 3986 section 3.2; empty where the target has no authority.
fn check_authority(authority: &[u8]) -> Result<(), HttpError> {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte);
    if authority.iter().all(fits) { Ok(()) } else { Err(Malformed::Host.into()) }
}
