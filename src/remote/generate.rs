//! What is said only to load generators and by them: files, the instant of the start, stages, and which
//! loads have done all their work.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::revealed::Revealed;
use crate::plan::Secret;
use crate::timeline::{Moment, Stage};

/// Bytes of a file in one message. In base64 they are a quarter of a line at most.
const PART_BYTES: usize = 768 << 10;

/// What a load generator has to do. It contains secrets that the generator has to send, which do not
/// print.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GenerateTask {
    plan: Revealed,
    variables: BTreeMap<String, Revealed>,
    /// Which part of the load, from 0 on,
    pub segment: u32,
    /// of how many.
    pub segments: u32,
    /// Threads that make it, the same number in each generator.
    pub workers: u32,
}

impl GenerateTask {
    /// Part `segment` of `segments` of the load of a plan: its text, with `${NAME}` as it stands
    /// there, and the values of these variables.
    pub fn new(
        plan: &str,
        variables: &BTreeMap<String, String>,
        (segment, segments): (u32, u32),
        workers: u32,
    ) -> Self {
        let hidden = |text: &str| Revealed(Secret::new(text));
        let variables =
            variables.iter().map(|(name, value)| (name.clone(), hidden(value))).collect();
        Self { plan: hidden(plan), variables, segment, segments, workers }
    }

    /// The plan's text.
    pub fn plan(&self) -> &str {
        self.plan.0.reveal()
    }

    /// The values of its variables.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let value =
            |(name, value): (&String, &Revealed)| (name.clone(), value.0.reveal().to_owned());
        self.variables.iter().map(value).collect()
    }
}

/// A part of a file that the plan names, before `open`. The parts of a file follow each other.
#[derive(Debug, Serialize, Deserialize)]
pub struct FileMessage {
    /// The path in the plan.
    pub path: String,
    data: Revealed,
}

impl FileMessage {
    /// The parts of a file; one that is empty for an empty file.
    pub fn parts<'f>(path: &'f str, bytes: &'f [u8]) -> impl Iterator<Item = FileMessage> + 'f {
        let empty = bytes.is_empty().then_some(bytes);
        bytes.chunks(PART_BYTES).chain(empty).map(|part| FileMessage {
            path: path.to_owned(),
            data: Revealed(Secret::new(BASE64.encode(part))),
        })
    }

    /// Its bytes; `None` if they are damaged.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        BASE64.decode(self.data.0.reveal()).ok()
    }
}

/// The load begins.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StartMessage {
    /// Where moment zero of the run lies on the node's clock, in nanoseconds. It may be before the
    /// node was started.
    pub zero: i64,
    /// The load ends if nothing comes from the coordinator for so long, in seconds.
    pub lease_secs: f64,
    /// Whether the generator says which rows of sequential data it has used, so that others can take over.
    #[serde(default)]
    pub tells_rows: bool,
}

/// A stage of one load. Its rates and users are those of all generators together.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StageMessage {
    /// Which of the loads that run side by side.
    pub flow: u32,
    /// The stage, in moments of the run.
    pub stage: Stage,
}

/// A generator was lost: this one makes a piece of its part, too.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct RefillMessage {
    /// Which part of the load it makes beside its own, from 0 on,
    pub segment: u32,
    /// of how many.
    pub segments: u32,
    /// How many were lost in this run, this one included.
    pub round: u32,
    /// From when on, in moments of the run.
    pub from: Moment,
    /// The lost one may have used the rows of sequential data before this one.
    pub first_row: u64,
}

/// Which rows of sequential data a generator has used.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct RowsMessage {
    /// The first one after them.
    pub used: u64,
}

/// All virtual users of one load have done their work.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct DoneMessage {
    /// Which load.
    pub flow: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_and_its_files_do_not_print_what_they_carry() {
        let variables = BTreeMap::from([("TOKEN".to_owned(), "hunter2".to_owned())]);
        let task = GenerateTask::new("authorization = \"hunter1\"", &variables, (1, 3), 2);
        assert!(!format!("{task:?}").contains("hunter"), "{task:?}");
        let line = serde_json::to_string(&task).unwrap();
        let read: GenerateTask = serde_json::from_str(&line).unwrap();
        assert_eq!((read.plan(), read.variables()), (task.plan(), variables));
        assert_eq!((read.segment, read.segments, read.workers), (1, 3, 2));
    }

    #[test]
    fn a_file_arrives_as_it_was_however_long() {
        for length in [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut arrived = Vec::new();
            for part in FileMessage::parts("ids.csv", &bytes) {
                let line = serde_json::to_string(&part).unwrap();
                assert!(line.len() < super::super::MAX_LINE / 2);
                let part: FileMessage = serde_json::from_str(&line).unwrap();
                assert_eq!(part.path, "ids.csv");
                arrived.extend(part.bytes().unwrap());
            }
            assert!(arrived == bytes, "{length} bytes");
        }
        assert!(FileMessage::parts("empty", &[]).count() == 1);
    }
}
