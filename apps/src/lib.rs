//! Sample servers: echo and http.
