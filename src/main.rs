//! The `kneepoint` program. Everything it does is in [`kneepoint::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    // The demo starts this program again for each of its processes.
    if let Some(code) = kneepoint::demo::child_main(arguments.get(1..).unwrap_or_default()) {
        return code;
    }
    kneepoint::cli::main(arguments).into()
}
