//! The `kneepoint` program: everything it does is in [`kneepoint::cli`].

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(code) = kneepoint::demo::child_main(&args) {
        return code;
    }
    ExitCode::SUCCESS
}
