//! Tests of the speech room, by subject. The program and the service are real ones; nothing here waits for time to pass.
#![allow(clippy::indexing_slicing, reason = "in a test a panic is the answer")]

mod jambonz;
mod markup;
mod program;
mod record;
mod room;
mod service;
mod split;
mod support;
