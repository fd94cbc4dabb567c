//! Turns dumps into bounded counts. A stack that is not among the most frequent of a look, or that
//! would be one series too many in a run, counts as `other`.

use std::collections::{BTreeMap, BTreeSet};

use super::stack::{Dump, Frame, Holder, State};
use crate::timeline::{BatchBuilder, Labels, MetricSpec, names};

/// Places of threads, and stacks that use the processor, that one look reports …
const MOST_OF_A_LOOK: usize = 40;
/// … and that a run may have.
const MOST_OF_A_RUN: usize = 400;
/// Frames of a stack in a label.
const MOST_FRAMES: usize = 16;
/// What stands for all others.
const OTHER: &str = "other";
/// Threads without a frame of the application that wait: workers without work, the runtime's own.
const IDLE: &str = "idle";

/// The counts of one look, and the series of the run so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    threads: BTreeMap<Labels, f64>,
    cpu: BTreeMap<Labels, f64>,
    known_threads: BTreeSet<Labels>,
    known_cpu: BTreeSet<Labels>,
}

impl Tally {
    /// Counts a dump of one process that stands for `scale` processes.
    pub fn add(&mut self, runtime: &str, dump: &Dump, scale: f64) {
        let of_runtime = || Labels::none().with("runtime", runtime);
        for thread in &dump.threads {
            let own = thread.own();
            let labels = match (own, thread.state) {
                (None, State::Running) if thread.frames.is_empty() => continue,
                (None, State::Wait | State::Io | State::Sleep) => of_runtime().with("state", IDLE),
                (own, state) => {
                    let frame = own.or(thread.frames.first());
                    let labels = placed(of_runtime(), frame).with("state", state.key());
                    match dump.holder(thread) {
                        Some(Holder::Known(place)) => labels.with("held_at", place),
                        Some(Holder::Likely(place)) => labels.with("near_at", place),
                        None => labels,
                    }
                }
            };
            *self.threads.entry(labels).or_default() += thread.count as f64 * scale;
        }
        for (frames, cores) in &dump.cpu {
            let own = frames.iter().find(|frame| frame.is_own).or(frames.first());
            let labels = placed(of_runtime(), own).with("stack", folded(frames));
            *self.cpu.entry(labels).or_default() += cores * scale;
        }
    }

    /// Writes the counts of this look, and starts the next one.
    pub fn push(&mut self, batch: &mut BatchBuilder) {
        let threads = std::mem::take(&mut self.threads);
        write(batch, &names::STACKS_THREADS, threads, &mut self.known_threads);
        write(batch, &names::STACKS_CPU, std::mem::take(&mut self.cpu), &mut self.known_cpu);
    }
}

fn write(
    batch: &mut BatchBuilder,
    metric: &MetricSpec,
    counts: BTreeMap<Labels, f64>,
    known: &mut BTreeSet<Labels>,
) {
    let mut counts: Vec<(Labels, f64)> = counts.into_iter().collect();
    counts.sort_by(|(left, a), (right, b)| b.total_cmp(a).then_with(|| left.cmp(right)));
    let mut others: BTreeMap<Labels, f64> = BTreeMap::new();
    for (index, (labels, value)) in counts.into_iter().enumerate() {
        let fits = known.len() < MOST_OF_A_RUN || known.contains(&labels);
        if index < MOST_OF_A_LOOK && fits {
            known.insert(labels.clone());
            batch.push_labelled(metric, labels, value);
        } else {
            *others.entry(other(&labels)).or_default() += value;
        }
    }
    for (labels, value) in others {
        batch.push_labelled(metric, labels, value);
    }
}

/// The labels that stand for a series which does not fit.
fn other(labels: &Labels) -> Labels {
    let kept = ["runtime", "state"].into_iter().filter_map(|name| Some((name, labels.get(name)?)));
    kept.fold(Labels::none().with("function", OTHER), |all, (name, value)| all.with(name, value))
}

fn placed(labels: Labels, frame: Option<&Frame>) -> Labels {
    match frame {
        Some(frame) => labels.with("function", &*frame.function).with("at", frame.place()),
        None => labels.with("function", OTHER),
    }
}

/// The functions of a stack from the outside inwards. Of neighbouring frames that are not the
/// application's only the outermost is kept, and the innermost of all.
fn folded(frames: &[Frame]) -> String {
    let mut kept: Vec<&Frame> = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        let outside = frames.get(index + 1);
        let is_called_by_own = outside.is_none_or(|outside| outside.is_own);
        if frame.is_own || index == 0 || is_called_by_own {
            kept.push(frame);
        }
    }
    kept.truncate(MOST_FRAMES);
    let names = kept.iter().rev().map(|frame| frame.function.replace(';', ","));
    names.collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::super::stack::Thread;
    use super::*;

    fn frame(function: &str, line: u32, is_own: bool) -> Frame {
        Frame::new(function, "a.py", line, is_own)
    }

    fn readings(tally: &mut Tally) -> Vec<(String, f64)> {
        let mut batch = BatchBuilder::new();
        tally.push(&mut batch);
        batch.finish().into_iter().map(|one| (one.key.to_string(), one.value)).collect()
    }

    #[test]
    fn threads_are_counted_by_state_and_own_place() {
        let mut tally = Tally::default();
        let waiting =
            Thread::new(State::Wait, vec![frame("park", 1, false), frame("take", 9, true)]);
        let idle = Thread { count: 5, ..Thread::new(State::Wait, vec![frame("park", 1, false)]) };
        let dump = Dump { threads: vec![waiting.clone(), waiting, idle], ..Dump::default() };
        tally.add("jvm", &dump, 2.0);
        let wanted = [
            ("stacks.threads{runtime=jvm,state=idle}".to_owned(), 10.0),
            ("stacks.threads{at=a.py:9,function=take,runtime=jvm,state=wait}".to_owned(), 4.0),
        ];
        assert_eq!(readings(&mut tally), wanted);
        assert!(readings(&mut tally).is_empty(), "each look starts anew");
    }

    #[test]
    fn a_target_with_endless_places_gives_a_bounded_number_of_series() {
        let mut tally = Tally::default();
        let mut series = BTreeSet::new();
        for look in 0..100 {
            let thread =
                |index| Thread::new(State::Wait, vec![frame(&format!("f{look}_{index}"), 1, true)]);
            let dump = Dump { threads: (0..100).map(thread).collect(), ..Dump::default() };
            tally.add("go", &dump, 1.0);
            let found = readings(&mut tally);
            assert_eq!(found.iter().map(|(_, value)| value).sum::<f64>(), 100.0);
            series.extend(found.into_iter().map(|(key, _)| key));
        }
        assert!(series.len() <= MOST_OF_A_RUN + 1, "{}", series.len());
    }

    #[test]
    fn a_stack_keeps_own_frames_and_what_they_call() {
        let frames = [
            frame("memcpy", 0, false),
            frame("dumps", 0, false),
            frame("render;", 3, true),
            frame("dispatch", 0, false),
            frame("serve", 0, false),
            frame("main", 1, true),
            frame("bootstrap", 0, false),
        ];
        assert_eq!(folded(&frames), "bootstrap;main;serve;render,;dumps;memcpy");
    }
}
