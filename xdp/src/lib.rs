//! `AF_XDP` sockets, UMEM, rings, the BPF program and the lab.

pub mod lab;
