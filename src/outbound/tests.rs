//! The guard by tables, the client against real sockets on loopback.

mod client;
mod guard;
mod pure;
pub(crate) mod server;
