//! The arguments of what asks a server that stores metrics, and of what looks back at it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::StdoutFormat;

/// Where results can be read from that are not files.
#[derive(Debug, Subcommand)]
pub enum ImportSource {
    /// Read what a Prometheus server stored of a service: last night, without a load test
    Prometheus(PrometheusArgs),
}

/// `kneepoint import prometheus`.
#[derive(Debug, Args)]
pub struct PrometheusArgs {
    /// TOML file with these options (`url`, `match`, `from`, …); what is typed here counts before it
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The server, such as http://prometheus:9090; `${NAME}` stands for a variable of the environment
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Begin: 2026-11-28T18:03 (local time), with Z or +01:00, 18:03 (the last one), -6h, or seconds
    /// since 1970
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// End, in the same forms; now by default
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<String>,
    /// Directory for the recording [default: kneepoint-out]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// No progress
    #[arg(long, short)]
    pub quiet: bool,
    #[command(flatten)]
    pub stored: StoredArgs,
    #[command(flatten)]
    pub beside: BesideArgs,
}

/// What of a Prometheus server is meant, and who asks.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Of the Prometheus server")]
pub struct StoredArgs {
    /// The service that answers the requests, as a selector such as '{job="shop"}'; may be given
    /// several times
    #[arg(long = "match", id = "target", value_name = "SELECTOR")]
    pub target: Vec<String>,
    /// Its machine, as node_exporter sees it
    #[arg(long, value_name = "SELECTOR")]
    pub host: Vec<String>,
    /// Its PostgreSQL, as postgres_exporter sees it
    #[arg(long, value_name = "SELECTOR")]
    pub database: Vec<String>,
    /// A service that it calls; may be given several times
    #[arg(long, value_name = "SELECTOR")]
    pub downstream: Vec<String>,
    /// A further header, such as 'X-Scope-OrgID: team-a'; `${NAME}` stands for a variable of the
    /// environment
    #[arg(long, value_name = "HEADER")]
    pub header: Vec<String>,
    /// Token for the header `Authorization: Bearer`, such as '${PROMETHEUS_TOKEN}'
    #[arg(long, value_name = "TOKEN")]
    pub bearer: Option<String>,
    /// PEM file of the authority that signed the server's certificate
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<String>,
    /// PEM file of the certificate that the server asks for
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub cert_file: Option<String>,
    /// PEM file of the key of that certificate
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    pub key_file: Option<String>,
}

/// What is laid beside the series of a Prometheus server.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Beside it, of the same time")]
pub struct BesideArgs {
    /// Access logs with the time of each request: they become the load
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub access_log: Vec<PathBuf>,
    /// PostgreSQL's log, or the output of `journalctl -o export`
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub log: Vec<PathBuf>,
    /// CSV files that another system exported; needs --map
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub csv: Vec<PathBuf>,
    #[command(flatten)]
    pub clocks: ClockArgs,
}

/// How the times of files are read.
#[derive(Debug, Default, Args)]
pub struct ClockArgs {
    /// TOML file that says what the columns of CSV files mean
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// Zone of times in logs that have none, such as Europe/Berlin or +02:00
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    pub log_zone: Option<String>,
    /// Move the times of access logs by this, such as -1h, instead of comparing them with the
    /// server's own counters
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub shift_log: Option<String>,
}

/// `kneepoint incident`.
#[derive(Debug, Args)]
pub struct IncidentArgs {
    /// The recording, or the directory that holds it
    pub recording: PathBuf,
    /// A moment within the incident: 18:03, 2026-11-28T18:03, -6h, or seconds since 1970; without it,
    /// the worst time is looked for
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with_all = ["from", "to"])]
    pub at: Option<String>,
    /// When the incident began, if that is known
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// When it ended; the end of the recording by default
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, requires = "from")]
    pub to: Option<String>,
    /// Print the result on stdout in this form, and nothing else there
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = StdoutFormat::Terminal)]
    pub format: StdoutFormat,
    /// Directory with more rule files
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
}

/// `kneepoint capacity`.
#[derive(Debug, Args)]
pub struct CapacityArgs {
    /// The recording, or the directory that holds it
    pub recording: PathBuf,
    /// A load to plan for, such as 1200/s
    #[arg(long, value_name = "RATE")]
    pub want: Option<String>,
    /// Also write the chart of use by load to this file, as SVG
    #[arg(long, value_name = "FILE")]
    pub chart: Option<PathBuf>,
    /// Print the result on stdout in this form, and nothing else there
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = StdoutFormat::Terminal)]
    pub format: StdoutFormat,
    /// Directory with more rule files
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
}
