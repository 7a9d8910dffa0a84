//! One connection as a state machine: numbers move here, and verdicts say what the stack is to do.
//!
//! | module | what is in it |
//! |---|---|
//! | [`seq`], [`tick`], [`clock`], [`segment`] | sequence numbers, deadlines, the turn's time, received segments |
//! | [`config`] | the knobs under their Linux names |
//! | [`socket_options`], [`tuned`], [`info`] | what can be set on one connection; one on which something is; what is known of it |
//! | [`state`], [`connection`] | how far each side is closed; the hot and the warm block |
//! | [`handshake`], [`isn`] | opening |
//! | [`predict`], [`input`] | a segment for a synchronized connection: the expected one, any other |
//! | [`output`], [`window`] | what may be sent next; what is advertised and acknowledged |
//! | [`timer`], [`rtt`] | what expires and when |
//! | [`recovery`], [`scoreboard`], [`congestion`] | what is lost, and how much may be in flight |
//! | [`pools`] | what a connection has only while it needs it |
//! | [`ecn`] | congestion that routers tell of |
//! | [`time_wait`] | what is left afterwards |

pub mod clock;
pub mod config;
pub mod congestion;
pub mod connection;
pub mod cookie;
pub mod ecn;
pub mod handshake;
pub mod info;
pub mod input;
pub mod invalid;
pub mod isn;
pub mod output;
pub mod path_mtu;
pub mod pools;
pub mod predict;
pub mod recovery;
pub mod rtt;
pub mod scoreboard;
pub mod segment;
pub mod seq;
pub mod socket_options;
pub mod state;
pub mod tick;
pub mod time_wait;
pub mod timer;
pub mod tuned;
pub mod window;
