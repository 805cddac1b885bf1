//! The program `ringback`. All of it is in the library; this only picks the allocator and hands over.

use std::process::ExitCode;

/// Chosen for the large disk hits, which cost several times less processor time than with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ringback::cli::main()
}
