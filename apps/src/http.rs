//! An HTTP/1.1 server (RFC 9110, RFC 9112) with four routes.
//!
//! | route | methods | answer |
//! |---|---|---|
//! | `/` | GET, HEAD | a page |
//! | `/plaintext` | GET, HEAD | `Hello, World!`, written in one piece from a template |
//! | `/bytes/N` | GET, HEAD | N bytes (at most 2⁴⁰) of [`pattern`], as fast as the peer takes them |
//! | `/echo` | POST | the body, framed as it came, while it comes |

mod answer;
mod application;
mod body;
mod chunked;
mod codec;
mod connection;
mod error;
pub mod pattern;
mod request;
mod response;
#[cfg(test)]
mod tests;

pub use application::{Http, HttpTimes};
pub use codec::{HttpCodec, HttpProgress, Message, Rest};
pub use connection::Connection;
pub use error::{HttpError, Malformed};
pub use request::{BodyLength, Expectation, Method, Persistence, Request, Version};
