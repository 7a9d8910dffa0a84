//! The sample servers over the kernel's TCP, against plain clients.

mod echo;
mod http;
mod support;
