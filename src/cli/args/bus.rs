//! Options of the bus, and of the nodes that dial in to it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Where the bus is, and as whom to connect.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Over a bus (NATS JetStream)")]
pub struct BusArgs {
    /// The bus, such as nats://bus:4222, or tls://bus:4222 for an encrypted connection
    #[arg(long, value_name = "URL")]
    pub bus: Option<String>,
    /// File of credentials (JWT and key) for the bus
    #[arg(long, value_name = "FILE", requires = "bus")]
    pub bus_credentials: Option<PathBuf>,
    /// File with the seed of an NKEY for the bus
    #[arg(long, value_name = "FILE", requires = "bus", conflicts_with = "bus_credentials")]
    pub bus_nkey: Option<PathBuf>,
    /// File with the certificate of the authority that signed the bus's
    #[arg(long, value_name = "FILE", requires = "bus")]
    pub bus_ca: Option<PathBuf>,
}

/// A run whose nodes dial in to a bus.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Over a bus (NATS JetStream)")]
pub struct BusRunArgs {
    #[command(flatten)]
    pub bus: BusArgs,
    /// Name of the run on the bus, which its generators and agents are given too; drawn if it is left
    /// out
    #[arg(long, value_name = "NAME", requires = "bus")]
    pub run: Option<String>,
    /// Wait for so many generators to dial in (`kneepoint generate --bus … --run NAME`)
    #[arg(long, value_name = "NUMBER", requires = "bus", conflicts_with = "generator",
        value_parser = clap::value_parser!(u16).range(1..))]
    pub generators: Option<u16>,
    /// Send the plan's secrets to nodes although the connection to the bus is not encrypted
    #[arg(long, requires = "bus")]
    pub bus_may_carry_secrets: bool,
}

/// What becomes of a run that loses a generator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum GeneratorLoss {
    /// The run ends
    #[default]
    End,
    /// The others take over its part after about seven seconds, and the run goes on
    Refill,
}

/// `kneepoint generate`.
#[derive(Clone, Debug, Default, Args)]
pub struct GenerateArgs {
    #[command(flatten)]
    pub node: NodeArgs,
}

/// `kneepoint agent`.
#[derive(Clone, Debug, Default, Args)]
pub struct AgentArgs {
    #[command(flatten)]
    pub node: NodeArgs,
    /// The agent's name in the plan
    #[arg(long, value_name = "NAME", requires = "bus")]
    pub name: Option<String>,
}

/// A node that dials in to a bus.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Over a bus (NATS JetStream)")]
pub struct NodeArgs {
    #[command(flatten)]
    pub bus: BusArgs,
    /// Name of the run on the bus
    #[arg(long, value_name = "NAME", requires = "bus")]
    pub run: Option<String>,
    /// Directory for what is sent, in files of at most 64 MiB, until the run is over; by default the
    /// one for temporary files
    #[arg(long, value_name = "DIR", requires = "bus")]
    pub spool: Option<PathBuf>,
}
