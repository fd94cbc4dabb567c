//! The arguments of what comes before a run: a first plan, what can be seen here, what could be
//! diagnosed, and whether a plan is like production.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::history::StoredArgs;

/// `kneepoint init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The running service: a URL, or its port on this machine
    #[arg(value_name = "URL|PORT")]
    pub service: String,
    /// The file for the plan; `-` prints it
    #[arg(long, value_name = "FILE", default_value = "plan.toml")]
    pub out: PathBuf,
}

/// Forms of a page on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PageFormat {
    /// Text for people.
    Terminal,
    /// JSON for programs.
    Json,
}

/// `kneepoint doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 nothing is missing, 123 something is, 1 kneepoint failed.")]
pub struct DoctorArgs {
    /// The service that is to be watched, to check the rights on its process: a URL, or its port on
    /// this machine
    #[arg(value_name = "URL|PORT", conflicts_with = "pid")]
    pub service: Option<String>,
    /// The process that is to be watched
    #[arg(long)]
    pub pid: Option<u32>,
    /// Print the result on stdout in this form
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = PageFormat::Terminal)]
    pub format: PageFormat,
}

/// `kneepoint coverage`.
#[derive(Debug, Args)]
pub struct CoverageArgs {
    /// A plan, a recording, or the directory that holds one
    #[arg(value_name = "PLAN|RECORDING", required_unless_present_any = ["prometheus", "guide"])]
    pub what: Option<PathBuf>,
    /// A Prometheus server instead, or the TOML file of an import: what an incident of now could be
    /// diagnosed from; `${NAME}` stands for a variable of the environment
    #[arg(long, value_name = "URL|FILE", conflicts_with = "what")]
    pub prometheus: Option<String>,
    /// Print what to export and to log before the next incident
    #[arg(long, conflicts_with_all = ["what", "prometheus"])]
    pub guide: bool,
    #[command(flatten)]
    pub stored: StoredArgs,
    /// Print the result on stdout in this form
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = PageFormat::Terminal)]
    pub format: PageFormat,
    /// Directory with more rule files
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
}

/// `kneepoint realism`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 no gap was found, 119 there are gaps, 104 bad plan, log or usage."
)]
pub struct RealismArgs {
    /// The plan
    pub plan: PathBuf,
    /// Access logs of production, in the order of their times; `-` for standard input
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub access_log: Vec<PathBuf>,
    /// Production's PostgreSQL, best a replica; only its catalogue and statistics are read. `${NAME}`
    /// stands for a variable of the environment
    #[arg(long, value_name = "URL")]
    pub production: Option<String>,
    /// The test's PostgreSQL; by default that of [collect.postgres] in the plan
    #[arg(long, value_name = "URL", requires = "production")]
    pub test: Option<String>,
    /// Print the result on stdout in this form
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = PageFormat::Terminal)]
    pub format: PageFormat,
}
