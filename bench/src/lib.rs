//! Load generation and comparison with the kernel's TCP.
