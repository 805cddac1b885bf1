//! A small local origin: serves the files of a directory over HTTP until it is told to stop.
//!
//! `fixture_origin DIRECTORY [ADDRESS:PORT]` prints its address as its first line; without one it takes a free port of
//! 127.0.0.1. `make run` uses it.

use std::{
    env,
    error::Error,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
};

use ringback::testing::origin::Origin;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fixture_origin: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let directory = env::args_os().nth(1).map(PathBuf::from).ok_or("usage: fixture_origin DIRECTORY [ADDRESS:PORT]")?;
    if !directory.is_dir() {
        return Err(format!("{} is not a directory", directory.display()).into());
    }
    let address = env::args().nth(2).map_or(Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))), |text| text.parse())?;
    let origin = Origin::serve_dir_on(address, directory).await?;
    writeln!(io::stdout(), "{}", origin.address())?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}
