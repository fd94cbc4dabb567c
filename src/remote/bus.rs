//! NATS JetStream as a carrier: nodes dial out, and what they say outlives the coordinator.
//!
//! | file | what it holds |
//! |---|---|
//! | `address` | where the bus is and who this process is to it, without secrets in what prints |
//! | `connection` | a connection that was checked: who refuses it, and what to do |
//! | `subject` | the subjects of a run, and which of them are stored |
//! | `follow` | reads a stream across lost connections |
//! | `publish` | sends until the server has acknowledged |
//! | `spool` | what a node has sent, in files of bounded size, for a server that has lost it |
//! | `coordinator` | the coordinator's end: nodes that dial in, each a [`Carrier`](super::Carrier) |
//! | `dialled` | the node's end |
//! | `copy` | copies the recording onto the bus while it is written |
//! | `past` | reads a run back |
//!
//! **What is stored.** The stream of a run holds what nodes say, the stages of the load, and the
//! coordinator's recording: what a recording holds, and no more. The plan, its files and its
//! variables go to the node's own subject, which no stream holds: the server passes them on and
//! forgets them. So do leases and pings, which mean something only now.

mod address;
mod connection;
mod coordinator;
mod copy;
mod dialled;
mod follow;
mod past;
mod publish;
mod spool;
mod subject;

pub use address::{BusAddress, RunName};
pub use coordinator::Bus;
pub use copy::RecordingCopy;
pub use dialled::{DialledNode, Unsent};
pub use past::{PastLines, PastRun};
