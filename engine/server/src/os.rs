//! What the framework asks of Linux: sleeping and waking, cores, signals, privileges, addresses and routes.

pub mod bell;
pub mod cores;
pub mod huge_pages;
pub mod netlink;

pub mod privileges;
pub mod signals;
