//! A neighbour: a program that is unrelated to the shop and uses CPU all the time.

use std::hint::black_box;
use std::io;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::pipe::{self, Listening, tell};
use super::{process, server};

/// First argument of the neighbour process.
pub(super) const ENTRY: &str = "__demo-neighbour";

/// Settings of the neighbour process.
#[derive(Serialize, Deserialize)]
pub(super) struct Settings {
    /// How many threads compute.
    pub threads: usize,
}

/// The neighbour process.
pub(super) fn main() -> ExitCode {
    process::set_name("neighbour");
    server::exit("neighbour", run())
}

fn run() -> io::Result<()> {
    let settings: Settings = pipe::read_settings()?;
    // It does not listen; the guard only waits for this message.
    tell(&Listening { port: 0 })?;
    std::thread::scope(|scope| {
        for _ in 0..settings.threads {
            scope.spawn(|| {
                let mut digest = Sha256::digest([]);
                loop {
                    digest = black_box(Sha256::digest(digest));
                }
            });
        }
    });
    Ok(())
}
