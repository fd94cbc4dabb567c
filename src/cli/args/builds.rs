//! Commands about two builds: `gate`, `calibrate` and `baseline`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ComparisonStdout, TERMINAL, comparison_format};

/// Directory of a store unless the user names one.
pub(super) const STORE: &str = ".kneepoint";

/// Where baselines are kept, and under which name.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Baselines")]
pub struct StoreArgs {
    /// Directory that holds baselines
    #[arg(long, value_name = "DIR", default_value = STORE)]
    pub store: PathBuf,
    /// Branch of the build; by default that of CI's environment, or git's
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// Commit of the build; by default that of CI's environment, or git's
    #[arg(long, value_name = "ID")]
    pub commit: Option<String>,
    /// Class of the machine, where its cores and memory do not say it, such as `ci-large`
    #[arg(long, value_name = "NAME")]
    pub machine: Option<String>,
}

/// How the runs of a build are made.
#[derive(Clone, Debug, Args)]
pub struct RunsArgs {
    /// The plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Runs of each build; by default those of `[gate]` in the plan
    #[arg(long, value_name = "NUMBER")]
    pub runs: Option<usize>,
    /// Run the whole load of the plan each time, and not the short one of `[gate]`; only so knees
    /// are compared
    #[arg(long)]
    pub full: bool,
    /// How long a build may take to answer after its command was started
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub start_within: String,
    /// Run without the collectors that cannot be opened
    #[arg(long)]
    pub lenient: bool,
    /// Run although a request fails each time that it is tried before the load
    #[arg(long)]
    pub allow_failing: bool,
    /// Show no stages, only which run it is
    #[arg(long, short)]
    pub quiet: bool,
    /// Directory with more rule files
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
}

/// `kneepoint gate`.
#[derive(Debug, Args)]
pub struct GateArgs {
    #[command(flatten)]
    pub runs: RunsArgs,
    /// Line for the shell that starts the build before; both builds then run in turn, each alone
    #[arg(long, value_name = "COMMAND", requires = "candidate_command")]
    pub base_command: Option<String>,
    /// Line for the shell that starts the build to judge; without it, the target must run already
    #[arg(long, value_name = "COMMAND")]
    pub candidate_command: Option<String>,
    /// Branch whose baseline the candidate is compared with, without `--base-command`
    #[arg(long, value_name = "BRANCH", default_value = "main")]
    pub against: String,
    /// Add the candidate's runs to the baseline of its branch unless it is worse
    #[arg(long)]
    pub add: bool,
    /// Rise that is allowed; by default that of `[gate]` in the plan
    #[arg(long, value_name = "SHARE")]
    pub max_worse: Option<String>,
    /// How much runs of one build differ: a standard deviation such as 3%, the JSON of an earlier
    /// comparison of several runs, or `none`; by default what `calibrate` stored for this plan and
    /// class of machine
    #[arg(long, value_name = "SHARE|FILE|none")]
    pub noise: Option<String>,
    /// Directory for the recordings and the comparison
    #[arg(long, value_name = "DIR", default_value = "kneepoint-gate")]
    pub out: PathBuf,
    /// Print the comparison on stdout in this form, and nothing else there
    #[arg(long, value_name = "FORMAT", value_parser = comparison_format(), default_value = TERMINAL)]
    pub format: ComparisonStdout,
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `kneepoint calibrate`.
#[derive(Debug, Args)]
pub struct CalibrateArgs {
    #[command(flatten)]
    pub runs: RunsArgs,
    /// Line for the shell that starts the build; without it, the target must run already
    #[arg(long, value_name = "COMMAND")]
    pub command: Option<String>,
    /// Directory for the recordings and the noise that was measured
    #[arg(long, value_name = "DIR", default_value = "kneepoint-calibration")]
    pub out: PathBuf,
    /// Directory of baselines that keeps the noise: `gate` and `compare` find it there
    #[arg(long, value_name = "DIR", default_value = STORE)]
    pub store: PathBuf,
    /// Class of the machine, where its cores and memory do not say it, such as `ci-large`
    #[arg(long, value_name = "NAME")]
    pub machine: Option<String>,
}

/// `kneepoint baseline`.
#[derive(Debug, Args)]
pub struct BaselineArgs {
    #[command(subcommand)]
    pub what: BaselineCommand,
}

/// What to do with the baselines.
#[derive(Debug, Subcommand)]
pub enum BaselineCommand {
    /// Keep what recordings came to
    Add {
        /// Recordings, or directories that hold some, made in one sitting
        #[arg(required = true, value_name = "RECORDING")]
        recordings: Vec<PathBuf>,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// List what is kept: plans, branches, machines, and how much their runs differ
    List {
        /// Directory that holds baselines
        #[arg(long, value_name = "DIR", default_value = STORE)]
        store: PathBuf,
    },
    /// Show the runs of a branch over time, and where they moved
    Show {
        /// Branch
        #[arg(default_value = "main")]
        branch: String,
        /// Name of the plan, or its beginning, where several are kept
        #[arg(long, value_name = "NAME")]
        plan: Option<String>,
        /// Directory that holds baselines
        #[arg(long, value_name = "DIR", default_value = STORE)]
        store: PathBuf,
    },
    /// Keep recordings as the new baseline: what came before is no longer compared with
    Accept {
        /// Recordings, or directories that hold some, made in one sitting
        #[arg(required = true, value_name = "RECORDING")]
        recordings: Vec<PathBuf>,
        /// Why the change is intended
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Remove old runs
    Prune {
        /// Sittings to keep of each plan, branch and machine
        #[arg(long, value_name = "NUMBER", default_value_t = 50)]
        keep: usize,
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
        /// Directory that holds baselines
        #[arg(long, value_name = "DIR", default_value = STORE)]
        store: PathBuf,
    },
}
