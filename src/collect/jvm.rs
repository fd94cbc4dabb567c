//! Watches the JVMs among the target's processes: their garbage collections and their old
//! generation. The source is the counters that each JVM keeps in `/tmp/hsperfdata_USER/PID` for
//! `jstat`. The application needs no change.
//!
//! What it cannot see: JVMs started with `-XX:-UsePerfData`, and JVMs that are not HotSpot. The old
//! generation is as of the last collection, because the JVM itself does not update it more often.

use std::time::Duration;

use super::proc::Text;
use super::proc::hsperf::{self, Counters};
use super::proc::tree::Tree;
use super::{Collector, CollectorSpec, OpenError, OpenResult, Opens, SampleError, TargetHint};
use crate::plan::CollectorConfig;
use crate::timeline::{BatchBuilder, Labels, names};

pub(super) static SPEC: CollectorSpec = CollectorSpec {
    name: "jvm",
    summary: "collections and old generation of JVMs among the target's processes, from the \
              counters that they keep for jstat; needs their user or root",
    hint: "[collect.jvm] on the machine the target runs on, as its user or root",
    opens: Opens::ForLocalTarget,
    options: &[],
    metrics: &[names::JVM_GC_TIME, names::JVM_GC_COUNT, names::JVM_OLD_USED, names::JVM_OLD_LIMIT],
    interval: Duration::from_secs(1),
    open,
};

fn open(_config: &CollectorConfig, hint: &TargetHint) -> OpenResult {
    let tree = Tree::of_target(hint.process_config.as_ref(), hint)?;
    let mut jvm = Jvm { tree, text: Text::default() };
    if jvm.counters().is_empty() {
        return Err(OpenError::absent(
            "none of the target's processes is a JVM with counters for jstat",
            "start the JVM without `-XX:-UsePerfData`, or leave [collect.jvm] out",
        ));
    }
    Ok(Box::new(jvm))
}

struct Jvm {
    tree: Tree,
    text: Text,
}

impl Collector for Jvm {
    fn watches(&self) -> String {
        format!("JVMs among {}", self.tree.describe())
    }

    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError> {
        self.tree.refresh().map_err(SampleError)?;
        let all = self.counters();
        if all.is_empty() {
            return Err(SampleError("no JVM among the target's processes".to_owned()));
        }
        for (pid, counters) in &all {
            let labels = Labels::none().with("pid", pid.to_string());
            if let Some(collections) = hsperf::collections(counters) {
                for (kind, (count, seconds)) in
                    [("minor", collections.minor), ("major", collections.major)]
                {
                    let labels = labels.clone().with("kind", kind);
                    batch.push_labelled(&names::JVM_GC_COUNT, labels.clone(), count);
                    batch.push_labelled(&names::JVM_GC_TIME, labels, seconds);
                }
            }
            if let Some(old) = hsperf::old(counters) {
                batch.push_labelled(&names::JVM_OLD_USED, labels.clone(), old.used_bytes);
                batch.push_labelled(&names::JVM_OLD_LIMIT, labels, old.limit_bytes);
            }
        }
        Ok(())
    }

    fn events(&mut self) -> Vec<String> {
        self.tree.events()
    }
}

impl Jvm {
    /// The counters of every process that has them.
    fn counters(&mut self) -> Vec<(u32, Counters)> {
        let text = &mut self.text;
        let read = |pid: u32| Some((pid, hsperf::of_process(text, pid)?));
        self.tree.pids().filter_map(read).collect()
    }
}
