//! The program that long tests run: such as a release build, where somebody names one.

use std::path::PathBuf;

/// The file that `KNEEPOINT_BIN` names, or else the program of this build.
pub fn program() -> PathBuf {
    std::env::var_os("KNEEPOINT_BIN")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_kneepoint")), PathBuf::from)
}
