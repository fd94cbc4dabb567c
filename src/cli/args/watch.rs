//! The options of `watch`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::{ObserveArgs, OutputArgs};

/// `kneepoint watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The service under load, such as http://127.0.0.1:8080/; by default the URL in COMMAND
    #[arg(long, value_name = "URL", conflicts_with = "plan")]
    pub target: Option<String>,
    /// A plan, for its target, collectors and objectives; its load is not used
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    #[command(flatten)]
    pub observe: ObserveArgs,
    /// A file into which COMMAND writes its results; may be given several times. By default
    /// kneepoint asks the tools of `kneepoint list tools` for their results
    #[arg(long, value_name = "FILE")]
    pub results: Vec<PathBuf>,
    /// An access log of the service, to take the load from; may be given several times
    #[arg(long, value_name = "FILE", conflicts_with = "results")]
    pub access_log: Vec<PathBuf>,
    /// Format of the results or logs, if kneepoint cannot tell it; `kneepoint list importers` names
    /// them
    #[arg(long, value_name = "FORMAT")]
    pub from: Option<String>,
    /// Watch a load that somebody else makes, until Ctrl-C or the end of `--duration`
    #[arg(long, conflicts_with = "command")]
    pub no_command: bool,
    /// How long to watch at most, such as 10m; COMMAND is then asked to end (SIGTERM)
    #[arg(long, value_name = "TIME")]
    pub duration: Option<String>,
    /// Command that starts an agent on another host or in a container, such as
    /// 'ssh app1 kneepoint agent'; may be given several times
    #[arg(long, value_name = "COMMAND")]
    pub agent: Vec<String>,
    /// Watch without the collectors that cannot be opened; the report lists what is missing
    #[arg(long)]
    pub lenient: bool,
    /// Directory with more rule files
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputArgs,
    /// The command that makes the load, after `--`, such as k6 run script.js
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}
