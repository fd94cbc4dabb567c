//! The command line as it was typed. The commands decide what it means.

mod builds;
mod bus;
mod history;
mod scaffold;
mod watch;

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::demo::Ports;
use crate::report::{self, ComparisonFormat};
pub use builds::{BaselineArgs, BaselineCommand, CalibrateArgs, GateArgs, RunsArgs, StoreArgs};
pub use bus::{AgentArgs, BusArgs, BusRunArgs, GenerateArgs, GeneratorLoss, NodeArgs};
pub use history::{
    BesideArgs, CapacityArgs, ClockArgs, ImportSource, IncidentArgs, PrometheusArgs, StoredArgs,
};
pub use scaffold::{CoverageArgs, DoctorArgs, InitArgs, PageFormat, RealismArgs};
pub use watch::WatchArgs;

const EXAMPLES: &str = "\
Examples:
  kneepoint demo                        break a sample shop on a real PostgreSQL and read why
  kneepoint init 8080                   write a plan from what the service on this port shows
  kneepoint run plan.toml               run a plan against your own service
  kneepoint run http://127.0.0.1:8080/ --postgres postgres://shop@127.0.0.1/shop
  kneepoint watch --target http://127.0.0.1:8080/ -- k6 run script.js
  kneepoint soak plan.toml --rate 50/s --duration 8h
  kneepoint run plan.toml --live        show the run in a browser as it goes on
  kneepoint diagnose kneepoint-out/recording.jsonl.zst
  kneepoint compare runs/main --with runs/branch
  kneepoint gate plan.toml --base-command ./old --candidate-command ./new

Exit codes: 0 done, 1 kneepoint failed, 99 an objective was not met, 104 bad plan or usage,
105 interrupted (recording kept), 106 refused before any load, 119 plan unlike production,
120 knee below --expect, 121 leak, 122 worse than before, 123 inconclusive.";

/// Finds the load at which a system breaks, and explains why.
#[derive(Debug, Parser)]
#[command(name = "kneepoint", version, about, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Break a sample shop with a real fault, and explain why it breaks
    Demo(DemoArgs),
    /// Write a first plan from what a running service shows: metrics, health, OpenAPI, its process
    Init(InitArgs),
    /// Say what this machine lets kneepoint see, and what one command would add
    Doctor(DoctorArgs),
    /// Say which causes could be diagnosed today, and what one line would add
    Coverage(CoverageArgs),
    /// Hold a plan against what users do: what a test with it does not cover
    Realism(RealismArgs),
    /// Load-test a plan or a URL, watch the system, and explain why it breaks
    Run(Box<RunArgs>),
    /// Hold one rate for hours, and report what leaks or drifts
    Soak(Box<SoakArgs>),
    /// Diagnose a recording
    Diagnose(DiagnoseArgs),
    /// Write reports from a recording
    Report(ReportArgs),
    /// Open the report of a recording in a browser
    View(ViewArgs),
    /// Compare the recordings of two builds: did it get worse, where, and why
    Compare(CompareArgs),
    /// Run two builds in turn, or one against its baseline, and fail if it got worse
    Gate(Box<GateArgs>),
    /// Keep, list, show, accept and remove the baselines that `gate` and `compare` use
    Baseline(BaselineArgs),
    /// Run one build several times: how much runs differ here, and which changes can be seen
    Calibrate(Box<CalibrateArgs>),
    /// Watch a service while another tool loads it, and explain why it breaks
    Watch(Box<WatchArgs>),
    /// Make a part of the load of a `run` on another machine; `run --generator` starts it, or it dials in
    Generate(GenerateArgs),
    /// Collect on this host for a run elsewhere; that run starts it (`--agent`, `[[agent]]`), or it dials in
    Agent(AgentArgs),
    /// Read the results of another load generator, or what a Prometheus server stored
    Import(Box<ImportArgs>),
    /// Say what happened in a recorded time that nobody chose for a test: since when, what changed, why
    Incident(IncidentArgs),
    /// Say how much a system can carry: its limits, the headroom now, and what a wanted load needs
    Capacity(CapacityArgs),
    /// Make a plan from another tool's script, a browser recording, an access log or an API description
    Convert(ConvertArgs),
    /// Check a plan without sending anything
    Check(CheckArgs),
    /// List collectors, report formats, importers, tools, converters, rules or metrics
    List(ListArgs),
    /// Explain or test diagnosis rules
    Rules(RulesArgs),
    /// Explain a term of a report, such as knee, goodput or open-model
    Explain(ExplainArgs),
    /// Print the manual page, or write one for each command
    Man(ManArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Where results go.
#[derive(Clone, Debug, Args)]
pub struct OutputArgs {
    /// Directory for the recording and the reports
    #[arg(long, value_name = "DIR", default_value = "kneepoint-out")]
    pub out: PathBuf,
    /// Print the diagnosis on stdout in this form, and nothing else there
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = StdoutFormat::Terminal)]
    pub format: StdoutFormat,
    /// No progress, only the verdict
    #[arg(long, short)]
    pub quiet: bool,
}

/// How a run is shown while it goes on.
#[derive(Clone, Debug, Default, Args)]
pub struct LookArgs {
    /// Serve a live page, and after the run its report: at a free port of this machine, or at an
    /// address such as 127.0.0.1:8089
    #[arg(long, value_name = "ADDR", num_args = 0..=1, require_equals = true,
        default_missing_value = "127.0.0.1:0")]
    pub live: Option<String>,
    /// Let those who see the live page end and pause the run and mark moments
    #[arg(long, requires = "live")]
    pub control: bool,
}

/// Forms of the diagnosis on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StdoutFormat {
    /// Text for people.
    Terminal,
    /// JSON for programs; see reports/schema.
    Json,
    /// Markdown for a comment under a change.
    Markdown,
}

impl StdoutFormat {
    /// Name of the report format behind it.
    pub fn name(self) -> &'static str {
        match self {
            StdoutFormat::Terminal => "terminal",
            StdoutFormat::Json => "json",
            StdoutFormat::Markdown => "markdown",
        }
    }
}

/// `kneepoint demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The fault to show; `--list` names them
    pub fault: Option<String>,
    /// Name the faults and what each shows
    #[arg(long)]
    pub list: bool,
    /// Start the shop without the fault, at a load that it can carry
    #[arg(long)]
    pub healthy: bool,
    /// Print the plan that the demo would run, and stop
    #[arg(long)]
    pub print_plan: bool,
    /// Leave the shop running without load until Ctrl-C, for a load tool of your own
    #[arg(long)]
    pub serve: bool,
    /// Listen on this port, and on the next three for the services behind the shop; by default on
    /// free ports
    #[arg(long)]
    pub port: Option<Ports>,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub look: LookArgs,
}

/// `kneepoint run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub live: LiveArgs,
    #[command(flatten)]
    pub url: UrlArgs,
    /// Exit with 120 if the knee is below this rate, such as 200/s
    #[arg(long, value_name = "RATE")]
    pub expect: Option<String>,
    /// Make the load on another machine, with this command, such as
    /// 'ssh gen1 kneepoint generate'; give it several times to share the load equally
    #[arg(long, value_name = "COMMAND")]
    pub generator: Vec<String>,
    /// What to do when a generator is lost: end the run, or let the others take over its part (its
    /// stage does not count then)
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    pub on_generator_loss: GeneratorLoss,
    #[command(flatten)]
    pub bus: BusRunArgs,
}

/// `kneepoint soak`.
#[derive(Debug, Args)]
pub struct SoakArgs {
    #[command(flatten)]
    pub live: LiveArgs,
    #[command(flatten)]
    pub probe: ProbeArgs,
    /// Rate to hold, such as 50/s; by default the plan's, if its load is one rate
    #[arg(long, value_name = "RATE")]
    pub rate: Option<String>,
    /// How long to hold it, such as 8h; by default the plan's, if its load is one rate, otherwise 1h
    #[arg(long, value_name = "TIME")]
    pub duration: Option<String>,
    /// Stop as soon as it is clear what leaks and what does not, after 10 minutes at the earliest
    #[arg(long)]
    pub until_settled: bool,
}

/// Options of every live run.
#[derive(Debug, Args)]
pub struct LiveArgs {
    /// A plan file, or the URL of a service
    #[arg(value_name = "PLAN|URL")]
    pub what: String,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub look: LookArgs,
    /// Run without the collectors that cannot be opened; the report lists what is missing
    #[arg(long)]
    pub lenient: bool,
    /// Command that starts an agent on another host or in a container, such as
    /// 'ssh app1 kneepoint agent'; may be given several times
    #[arg(long, value_name = "COMMAND")]
    pub agent: Vec<String>,
    /// Run although a request fails each time that it is tried before the load
    #[arg(long)]
    pub allow_failing: bool,
    /// End the run as soon as this file exists or this URL answers with success (2xx)
    #[arg(long, value_name = "FILE|URL")]
    pub kill_switch: Option<String>,
    /// Access logs of production: the report says how much of their traffic the plan covers
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub against: Vec<PathBuf>,
    /// Show the schedule, the first requests and how many there will be; send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Directory with more rule files
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
}

/// What to observe, with a URL instead of a plan.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Instead of a plan, with a URL")]
pub struct ObserveArgs {
    /// Process id of the service, if its port does not lead to it
    #[arg(long)]
    pub pid: Option<u32>,
    /// PostgreSQL behind the service, such as postgres://user@127.0.0.1/shop
    #[arg(long, value_name = "URL")]
    pub postgres: Option<String>,
    /// A Prometheus endpoint to scrape; may be given several times
    #[arg(long, value_name = "URL")]
    pub metrics: Vec<String>,
}

/// What to observe and to probe, with a URL instead of a plan.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Instead of a plan, with a URL")]
pub struct ProbeArgs {
    #[command(flatten)]
    pub observe: ObserveArgs,
    /// Cheap route of the service, such as /health, to probe during the load; may be given several
    /// times
    #[arg(long, value_name = "PATH")]
    pub canary: Vec<String>,
}

/// Options that replace a plan when a URL is run.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Instead of a plan, with a URL")]
pub struct UrlArgs {
    #[command(flatten)]
    pub probe: ProbeArgs,
    /// Rate of the first stage, such as 20/s
    #[arg(long, value_name = "RATE")]
    pub start: Option<String>,
    /// Highest rate to offer, such as 500/s
    #[arg(long, value_name = "RATE")]
    pub max: Option<String>,
    /// How long each stage is held, such as 5s
    #[arg(long, value_name = "TIME")]
    pub hold: Option<String>,
}

impl ObserveArgs {
    /// The options that were given.
    pub fn given(&self) -> Vec<&'static str> {
        only_given(&[
            ("--pid", self.pid.is_some()),
            ("--postgres", self.postgres.is_some()),
            ("--metrics", !self.metrics.is_empty()),
        ])
    }
}

impl ProbeArgs {
    /// The options that were given.
    pub fn given(&self) -> Vec<&'static str> {
        [self.observe.given(), only_given(&[("--canary", !self.canary.is_empty())])].concat()
    }
}

impl UrlArgs {
    /// The options that were given.
    pub fn given(&self) -> Vec<&'static str> {
        let search = only_given(&[
            ("--start", self.start.is_some()),
            ("--max", self.max.is_some()),
            ("--hold", self.hold.is_some()),
        ]);
        [self.probe.given(), search].concat()
    }
}

fn only_given(options: &[(&'static str, bool)]) -> Vec<&'static str> {
    options.iter().filter(|(_, given)| *given).map(|(option, _)| *option).collect()
}

/// `kneepoint diagnose`.
#[derive(Debug, Args)]
pub struct DiagnoseArgs {
    /// The recording, or the directory that a run left it in; with `--bus`, the name of the run
    #[arg(value_name = "RECORDING|RUN")]
    pub recording: PathBuf,
    #[command(flatten)]
    pub bus: BusArgs,
    /// Files that nodes have left because the bus did not take what is in them
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "bus")]
    pub spool: Vec<PathBuf>,
    /// Write the reports into this directory too
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the diagnosis on stdout in this form, and nothing else there
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = StdoutFormat::Terminal)]
    pub format: StdoutFormat,
    /// Directory with more rule files
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
}

/// Forms of a comparison on stdout.
#[derive(Clone, Copy, Debug)]
pub enum ComparisonStdout {
    /// Text for people.
    Terminal,
    /// One of the registry.
    Format(&'static ComparisonFormat),
}

/// Name of the form of a comparison for people at a terminal.
pub(in crate::cli) const TERMINAL: &str = "terminal";

/// Reads the name of a form of a comparison. The registry names them, so that a new one is not
/// listed twice.
pub(in crate::cli) fn comparison_format() -> impl TypedValueParser<Value = ComparisonStdout> {
    let terminal = PossibleValue::new(TERMINAL).help("text for people");
    let named = report::COMPARISON_FORMATS
        .iter()
        .map(|format| PossibleValue::new(format.name).help(format.summary));
    let names: Vec<PossibleValue> = std::iter::once(terminal).chain(named).collect();
    PossibleValuesParser::new(names).map(|name| {
        let format = report::find_comparison_format(&name);
        format.map_or(ComparisonStdout::Terminal, ComparisonStdout::Format)
    })
}

/// `kneepoint compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Recordings of the build before, directories that hold some, or a directory of baselines;
    /// without `--with`, exactly two: before and after
    #[arg(required = true, value_name = "BASE")]
    pub runs: Vec<PathBuf>,
    /// Recordings of the build to judge, or directories that hold some
    #[arg(long, value_name = "CANDIDATE", num_args = 1..)]
    pub with: Vec<PathBuf>,
    /// Branch whose baseline is meant, where BASE is a directory of baselines
    #[arg(long, value_name = "BRANCH", default_value = "main")]
    pub against: String,
    /// Rise that is allowed
    #[arg(long, value_name = "SHARE", default_value = "10%")]
    pub max_worse: String,
    /// How much runs of one build differ: a standard deviation such as 3%, the JSON of an earlier
    /// comparison of several runs, or `none`; by default what `calibrate` stored for this plan and
    /// class of machine
    #[arg(long, value_name = "SHARE|FILE|none")]
    pub noise: Option<String>,
    /// Directory in which `calibrate` stored the noise
    #[arg(long, value_name = "DIR", default_value = builds::STORE)]
    pub store: PathBuf,
    /// Class of the machine, where its cores and memory do not say it, such as `ci-large`
    #[arg(long, value_name = "NAME")]
    pub machine: Option<String>,
    /// Write the comparison as files into this directory too: a page with charts, JSON, Markdown,
    /// JUnit, and GitLab's report of code quality
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the comparison on stdout in this form, and nothing else there
    #[arg(long, value_name = "FORMAT", value_parser = comparison_format(), default_value = TERMINAL)]
    pub format: ComparisonStdout,
    /// Directory with more rule files
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
}

/// `kneepoint import`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct ImportArgs {
    /// Where to read from, if not from files
    #[command(subcommand)]
    pub source: Option<ImportSource>,
    /// The files of one run, also compressed by gzip or zstd; `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Their format, if kneepoint cannot tell it; `kneepoint list importers` names them
    #[arg(long, value_name = "FORMAT")]
    pub from: Option<String>,
    /// A recording of the same time to add this to: of `watch`, or of `import prometheus`, to which
    /// access logs, PostgreSQL's log, the journal and CSV files can be added
    #[arg(long, value_name = "RECORDING")]
    pub into: Option<PathBuf>,
    #[command(flatten)]
    pub clocks: ClockArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `kneepoint convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// The file, `-` for standard input
    pub file: PathBuf,
    /// Its format, if kneepoint cannot tell it; `kneepoint list converters` names them
    #[arg(long, value_name = "FORMAT")]
    pub from: Option<String>,
    /// A directory for the plan and its data, or a plan file ending in .toml; `-` prints the plan
    #[arg(long, value_name = "DIR|FILE", default_value = "kneepoint-plan")]
    pub out: PathBuf,
    /// Target URL, overriding the file's
    #[arg(long, value_name = "URL")]
    pub target: Option<String>,
    /// Replay each request of an access log at its recorded time
    #[arg(long)]
    pub timed: bool,
    /// How many times as fast as the log
    #[arg(long, value_name = "FACTOR", requires = "timed")]
    pub speed: Option<f64>,
    /// Keep images, scripts and styles that a browser recorded
    #[arg(long)]
    pub keep_static: bool,
    /// Overwrite existing files
    #[arg(long)]
    pub force: bool,
}

/// `kneepoint report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The recording, or the directory that a run left it in
    pub recording: PathBuf,
    /// A format and its file, `-` for stdout; may be given several times
    #[arg(long, value_name = "FORMAT=FILE", required = true)]
    pub format: Vec<String>,
    /// Directory with more rule files
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
}

/// `kneepoint view`.
#[derive(Debug, Args)]
pub struct ViewArgs {
    /// The recording, or the directory that a run left it in; also one of a run that goes on
    pub recording: PathBuf,
    /// Where to serve it, such as 127.0.0.1:8089; by default at a free port of this machine
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub live: String,
    /// Directory with more rule files
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
}

/// `kneepoint check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The plan file
    pub plan: PathBuf,
    /// Access logs of production: exit with 119 where their traffic is no longer like the plan
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub against: Vec<PathBuf>,
}

/// `kneepoint explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The term; without one, all terms are listed
    #[arg(value_name = "TERM")]
    pub word: Vec<String>,
}

/// `kneepoint man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write one page for each command into this directory
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `kneepoint list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// What to list
    #[arg(value_enum)]
    pub what: Listing,
}

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Listing {
    /// Collectors, with their options
    Collectors,
    /// Report formats
    Formats,
    /// Results of other tools that can be read
    Importers,
    /// Load tools that `watch` asks for their results
    Tools,
    /// Formats that plans can be made from
    Converters,
    /// Diagnosis rules
    Rules,
    /// Metrics that rules and reports name
    Metrics,
}

/// `kneepoint rules`.
#[derive(Debug, Args)]
pub struct RulesArgs {
    /// What to do
    #[command(subcommand)]
    pub command: RulesCommand,
}

/// What can be done with rules.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Explain what a rule looks at, why, and what to do when it fires
    Explain {
        /// The rule's id
        id: String,
        /// Directory with more rule files
        #[arg(long, value_name = "DIR")]
        rules: Option<PathBuf>,
    },
    /// Run the test cases that rule files carry
    Test {
        /// Directory with more rule files
        #[arg(long, value_name = "DIR")]
        rules: Option<PathBuf>,
    },
}
