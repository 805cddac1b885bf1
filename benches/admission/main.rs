//! What admitting costs: one decision over four levels in process, with few and with a million accounts; and through a real Redis server, CPU and decisions a second.
//!
//! `make bench-admission` builds it as the node is released. It starts a server of its own.

#![expect(clippy::print_stdout, reason = "the table on standard output is the product")]

#[expect(dead_code, reason = "only what it ran on is told from here")]
#[path = "../media_hit/cpu.rs"]
mod cpu;
mod here;
mod there;

use std::env;

use anyhow::Result;

const USAGE: &str = "admission [ACCOUNTS]
Run it by `make bench-admission`.";

fn main() -> Result<()> {
    // `cargo bench` adds --bench; `cargo test --benches` calls without arguments.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [accounts] = arguments.as_slice() else {
        println!("{USAGE}");
        return Ok(());
    };
    println!("{}", cpu::machine());
    here::run(accounts.parse()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(there::run())
}
