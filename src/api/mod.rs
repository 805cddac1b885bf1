//! The edge: every request enters here, gets its id, is admitted and sent to its room.

mod admission;

mod answer;

mod audio;

mod config;

mod connect;

mod edge;

mod head_timer;

mod lanes;

mod docs;

mod listener;

mod peer;

mod operations;

mod pages;

mod permission;

mod places;

mod posted;

mod proxy;

mod socket;

mod stalled;

mod told;

mod v1;

mod v2010;

pub use answer::Answer;
pub use config::{Anonymous, Config};
pub use edge::{Behind, Edge, Parts};
pub use listener::{ListenError, Listener};
pub use proxy::ProxyEdge;
pub use socket::Peer;
