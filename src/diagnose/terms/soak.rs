//! The diagnosis of a long stage: the verdict, and each series that was analysed for it.

use serde::{Deserialize, Serialize};

use crate::timeline::{Moment, Unit, Window};

/// What a long stage at one load shows about leaks and drift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Soak {
    /// Whether the plan asked for a soak. Otherwise the plan only holds one rate for long.
    pub asked: bool,
    /// The answer.
    pub verdict: SoakVerdict,
    /// Offered load that was held, in requests per second.
    pub rate: f64,
    /// When it was held.
    pub window: Window,
    /// Each series that was analysed, growing ones first.
    pub trends: Vec<Trend>,
    /// What was not watched, each with what to add to the plan.
    pub not_watched: Vec<String>,
}

/// The verdict of a soak.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum SoakVerdict {
    /// Something that can run out grows without an end, or has run out.
    Leak,
    /// Nothing that was watched grows without an end.
    NoLeak,
    /// That is not known yet.
    Undecided {
        /// Of what, and why.
        why: String,
        /// How many more seconds under the same load would decide, if that can be computed.
        more_seconds: Option<f64>,
    },
}

/// What a series is a series of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// Memory that no file backs.
    Memory,
    /// Resident memory, including the page cache of mapped files; a second witness only.
    Resident,
    /// The heap as the runtime reports it.
    Heap,
    /// Open descriptors.
    Descriptors,
    /// Open descriptors of one type; reported only if they grow.
    DescriptorType,
    /// Connections in CLOSE_WAIT.
    Unclosed,
    /// Connections to others.
    Connections,
    /// Connections of a pool that are in use.
    Pool,
    /// Threads.
    Threads,
    /// Sessions of a database.
    Sessions,
    /// Idle sessions of a database.
    Unused,
    /// Space used on a disk.
    Disk,
    /// Inodes used on a disk.
    Inodes,
    /// Files that are deleted and still open.
    Deleted,
    /// Files that are open for writing; reported only if they grow.
    Written,
    /// Memory of the tool itself; never the target's fault.
    OwnMemory,
    /// The median response time.
    ResponseTime,
    /// Processor time that a request costs.
    CpuPerRequest,
    /// Temporary files that a database writes for a request.
    TempPerRequest,
}

impl ResourceKind {
    /// Whether it can run out. Other kinds drift, or show the same as another kind.
    pub fn can_run_out(self) -> bool {
        !matches!(
            self,
            ResourceKind::Resident
                | ResourceKind::DescriptorType
                | ResourceKind::Written
                | ResourceKind::OwnMemory
                | ResourceKind::ResponseTime
                | ResourceKind::CpuPerRequest
                | ResourceKind::TempPerRequest
        )
    }

    /// Whether it gets a row only if it grows.
    pub fn is_told_only_growing(self) -> bool {
        use ResourceKind::{DescriptorType, TempPerRequest, Written};
        matches!(self, DescriptorType | Written | TempPerRequest)
    }

    /// Whether growth of this confirms growth of `other`.
    pub fn confirms(self, other: ResourceKind) -> bool {
        use ResourceKind::{
            Connections, Deleted, DescriptorType, Descriptors, Disk, Heap, Inodes, Memory, Pool,
            Resident, Sessions, Threads, Unclosed, Unused, Written,
        };
        let groups: [&[ResourceKind]; 4] = [
            &[Disk, Inodes, Deleted, Written],
            &[Memory, Resident, Heap],
            &[Descriptors, DescriptorType, Unclosed, Connections, Pool, Sessions, Unused],
            &[Threads],
        ];
        groups.iter().any(|group| group.contains(&self) && group.contains(&other))
    }
}

/// One series over a long stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// What it is a series of.
    pub kind: ResourceKind,
    /// The same in words.
    pub resource: String,
    /// Whose, if there are several: a process, a peer, an application.
    pub subject: Option<String>,
    /// The recorded series.
    pub series: String,
    /// Unit of its values.
    pub unit: Unit,
    /// What it shows.
    pub verdict: TrendVerdict,
    /// From its first reading to the last.
    pub window: Window,
    /// How many readings there are.
    pub readings: u64,
    /// Its level in the first tenth.
    pub begin: f64,
    /// Its level in the last tenth.
    pub level: f64,
    /// Its limit, if that is known.
    pub limit: Option<f64>,
    /// How fast it grows, if it does.
    pub pace: Option<Pace>,
    /// Another series of its kind that also grows.
    pub confirmed_by: Option<String>,
    /// Moments at which its process restarted.
    pub restarts: Vec<Moment>,
    /// Moments at which its runtime collected its whole heap; empty if there are too many to
    /// distinguish.
    pub collections: Vec<Moment>,
    /// The steps of the analysis.
    pub steps: Vec<TrendStep>,
    /// Its lower edge, without what follows the load.
    pub floors: Vec<(Moment, f64)>,
}

/// What one series shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum TrendVerdict {
    /// It grows without an end.
    Leak,
    /// It grew to its limit and stays there.
    Exhausted,
    /// It may.
    Undecided {
        /// Why that is not known.
        why: String,
        /// How many more seconds under the same load would decide.
        more_seconds: f64,
    },
    /// It does not.
    NoLeak {
        /// Smallest growth per second that would have been found.
        detectable: f64,
    },
}

impl TrendVerdict {
    /// Its place in a list that begins with the worst.
    pub fn rank(&self) -> u8 {
        match self {
            TrendVerdict::Exhausted => 0,
            TrendVerdict::Leak => 1,
            TrendVerdict::Undecided { .. } => 2,
            TrendVerdict::NoLeak { .. } => 3,
        }
    }
}

impl Trend {
    /// What it is and whose, in words.
    pub fn name(&self) -> String {
        match &self.subject {
            Some(subject) if !self.resource.contains(subject.as_str()) => {
                format!("{} ({subject})", self.resource)
            }
            _ => self.resource.clone(),
        }
    }

    /// Whether it is something that can run out, and grows without an end or has run out.
    pub fn is_running_out(&self) -> bool {
        let is_bad = matches!(self.verdict, TrendVerdict::Leak | TrendVerdict::Exhausted);
        is_bad && self.kind.can_run_out()
    }

    /// Growth as a share of its last level; negative if it shrank.
    pub(crate) fn share_grown(&self) -> f64 {
        let grown = self.level - self.begin;
        if grown == 0.0 { 0.0 } else { grown / self.level.abs().max(self.begin.abs()) }
    }

    /// Seconds until it reaches its limit, if it grows and the limit is known.
    pub fn seconds_left(&self) -> Option<f64> {
        Some(self.pace?.runs_out?.expected)
    }
}

/// How fast something grows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Growth per second, in the unit of the series.
    pub slope: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end of its 95 % interval.
    pub high: f64,
    /// When the limit is reached; `None` if none is known.
    pub runs_out: Option<RunsOut>,
}

/// Seconds from the end of a series until its limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunsOut {
    /// At the estimated pace.
    pub expected: f64,
    /// At the upper end of its interval.
    pub soonest: f64,
    /// At the lower end of its interval; `None` if that is not growth.
    pub latest: Option<f64>,
}

/// One step of the analysis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrendStep {
    /// In words, with its number.
    pub text: String,
    /// Whether it speaks for a leak; `None` for a step that only prepares.
    pub holds: Option<bool>,
}
