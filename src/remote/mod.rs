//! Parts of kneepoint that run elsewhere: agents, which collect on another host or in a container, and
//! load generators. One *coordinator* starts them, and they talk in lines of JSON.
//!
//! What carries their lines is a [`Carrier`]. Over the standard input and output of a child process,
//! such as `ssh db1 kneepoint agent`, the coordinator starts the node; no port is opened and nothing
//! is written on the node's host. Over a bus (NATS JetStream), the node dials out, and what it said
//! outlives the coordinator. A node ends when its coordinator is gone. Nobody above this room knows
//! which carrier a node has.
//!
//! | file | what it holds |
//! |---|---|
//! | `message` | what the two sides say: an envelope with one message a line |
//! | `generate` | what is said only to load generators and by them |
//! | `clock` | the time of a node on the coordinator's clock, with its error |
//! | `lines` | lines of bounded length from a stream that may carry anything |
//! | `carrier`, `child`, `bus` | what carries lines: a child process, or a bus |
//! | `source` | where a node comes from |
//! | `link` | the coordinator's end: starts, greets, and counts what is missing |
//! | `outbox` | what a node has not sent yet, in bounded memory |
//! | `node` | the node's end |
//! | `agent` | an agent: collectors that run there |
//! | `start`, `meet` | an agent gets to work: before the run, and again when it was lost |
//! | `agents`, `translate` | an agent during the run: its readings, on the run's clock, under names that say whose they are |
//!
//! **Times.** A node knows only its own monotonic clock, which nobody can set. The coordinator
//! measures where it stands ([`NodeClock`]) and translates. **Loss.** Each message has a number; what
//! is missing becomes a gap with its reason, and never a zero.

mod agent;
mod agents;
mod bus;
mod carrier;
mod child;
mod clock;
mod generate;
mod lines;
mod link;
mod meet;
mod message;
mod node;
mod outbox;
mod revealed;
mod source;
mod start;
mod translate;

pub use agent::{AgentEnd, serve_agent};
pub use agents::RunningAgent;
pub use bus::{Bus, BusAddress, DialledNode, PastLines, PastRun, RecordingCopy, RunName, Unsent};
pub use carrier::{Arrival, Carrier, Delivery, Keeping, NodeCarrier};
pub use clock::{ClockEstimate, ClockStep, Exchange, NodeClock};
pub use generate::{
    DoneMessage, FileMessage, GenerateTask, RefillMessage, RowsMessage, StageMessage, StartMessage,
};
pub use link::{Link, LinkError, News};
pub use meet::{MetAgent, meet_agents, seek_target};
pub use message::{
    AckMessage, ByeMessage, CollectTask, Envelope, Hello, LinesMessage, MAX_LINE, Message,
    OpenMessage, PROTOCOL, PingMessage, PongMessage, ReadyMessage, RefuseMessage, Role,
    SeekMessage, SentCollector, SoughtMessage, StopMessage, Task, Watched,
};
pub use node::{FromCoordinator, NodeEnd};
pub use outbox::Outbox;
pub use source::NodeSource;
