//! Where the target's threads stand in its code and what uses its processor, with the boxes of a
//! flame graph.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::wording::{NOTHING, clean, cores, number, percent, plural};
use crate::diagnose::{Diagnosis, Stacks};

/// Rows of each table.
const MOST_ROWS: usize = 8;
/// Share of the whole below which a box is too narrow to be seen.
const NARROWEST: f64 = 0.002;
/// Difference of the shares of a function at the knee and at low load from which a box says so.
const DIFFERS: f64 = 0.05;

/// The tables and the flame graph.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct StacksView {
    /// How often and when the stacks were read.
    pub note: String,
    pub places: Vec<PlaceRow>,
    pub functions: Vec<FunctionRow>,
    #[serde(skip)]
    pub flame: Option<Flame>,
}

/// Threads that stand at one place.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct PlaceRow {
    pub at: String,
    pub function: String,
    pub state: &'static str,
    /// Where the holder of the lock stands, in words; empty if unknown.
    pub holder: String,
    pub low: String,
    pub knee: String,
}

/// A function that uses the processor.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct FunctionRow {
    pub at: String,
    pub function: String,
    pub low: String,
    pub knee: String,
    /// Share of the bar that is filled, in percent.
    pub bar: f64,
}

/// The boxes of a flame graph.
#[derive(Clone, Debug)]
pub(in crate::report) struct Flame {
    pub boxes: Vec<FlameBox>,
    /// Rows of boxes.
    pub depth: usize,
    /// Whether there is a low load to compare with.
    pub is_compared: bool,
}

/// One function on the stacks above it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct FlameBox {
    pub name: String,
    /// Its shares of the processor time, in words.
    pub about: String,
    /// Left edge and width as shares of the whole.
    pub left: f64,
    pub width: f64,
    /// Row from the top.
    pub row: usize,
    pub change: FlameChange,
}

/// What the share of a function at the knee is to that at low load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum FlameChange {
    More,
    Less,
    Alike,
}

impl StacksView {
    pub(super) fn new(diagnosis: &Diagnosis) -> Option<StacksView> {
        let stacks = diagnosis.stacks.as_ref()?;
        let whose =
            if diagnosis.knee.is_some() { "from the knee on" } else { "under the highest load" };
        let low = match stacks.looks_low {
            0 => "not at low load".to_owned(),
            looks => format!("{} at low load", plural(looks, "time", "times")),
        };
        let of = match &stacks.service {
            Some(service) => format!(" of {service}"),
            None => String::new(),
        };
        Some(StacksView {
            note: format!(
                "The stacks{of} were read {} {whose} and {low}. Counts are means of these readings.",
                plural(stacks.looks_knee, "time", "times")
            ),
            places: places(stacks),
            functions: functions(stacks),
            flame: flame(stacks),
        })
    }
}

fn places(stacks: &Stacks) -> Vec<PlaceRow> {
    // What one look happened to see is not worth a row.
    let seen = |count: f64| count >= 0.5;
    let worth =
        stacks.places.iter().filter(|place| seen(place.knee) || place.low.is_some_and(seen));
    worth
        .take(MOST_ROWS)
        .map(|place| PlaceRow {
            at: clean(&place.at),
            function: clean(&place.function),
            state: match place.state.as_str() {
                "running" => "running",
                "lock" => "waiting for a lock",
                "interpreter" => "waiting for the interpreter lock",
                "io" => "waiting for a socket or a file",
                "sleep" => "sleeping",
                _ => "waiting",
            },
            holder: match (&place.held_at, &place.near_at) {
                (Some(held), _) => format!("holder at {}", clean(held)),
                (None, Some(near)) => format!("holder likely at {}", clean(near)),
                (None, None) => String::new(),
            },
            low: place.low.map_or_else(|| NOTHING.to_owned(), number),
            knee: number(place.knee),
        })
        .collect()
}

fn functions(stacks: &Stacks) -> Vec<FunctionRow> {
    let worth = stacks.functions.iter().filter(|function| function.knee > 0.0);
    worth
        .take(MOST_ROWS)
        .map(|function| {
            let share = stacks.share_knee(function.knee);
            let low = stacks.share_low(function.low);
            FunctionRow {
                at: clean(&function.at),
                function: clean(&function.function),
                low: low.map_or_else(|| NOTHING.to_owned(), percent),
                knee: format!("{} ({})", percent(share), cores(function.knee)),
                bar: (share * 100.0).round().clamp(0.0, 100.0),
            }
        })
        .collect()
}

/// A function in the tree of all stacks.
#[derive(Default)]
struct Node {
    low: f64,
    knee: f64,
    calls: BTreeMap<String, Node>,
}

fn flame(stacks: &Stacks) -> Option<Flame> {
    let mut root = Node::default();
    for stack in &stacks.folded {
        let (low, knee) = (stack.low.unwrap_or(0.0), stack.knee);
        let mut node = &mut root;
        for function in &stack.functions {
            node = node.calls.entry(clean(function)).or_default();
            node.low += low;
            node.knee += knee;
        }
    }
    root.knee = root.calls.values().map(|node| node.knee).sum();
    root.low = root.calls.values().map(|node| node.low).sum();
    if root.knee <= 0.0 {
        return None;
    }
    let is_compared = root.low > 0.0;
    let mut boxes = Vec::new();
    place(&root, &root, (0.0, 0), &mut boxes);
    let depth = boxes.iter().map(|one| one.row + 1).max()?;
    Some(Flame { boxes, depth, is_compared })
}

/// Adds the boxes of what `node` calls, side by side from `left` on.
fn place(root: &Node, node: &Node, (left, row): (f64, usize), boxes: &mut Vec<FlameBox>) {
    let mut left = left;
    for (name, call) in &node.calls {
        let width = call.knee / root.knee;
        if width < NARROWEST {
            continue;
        }
        let low = (root.low > 0.0).then(|| call.low / root.low);
        let change = match low.map(|low| width - low) {
            Some(more) if more >= DIFFERS => FlameChange::More,
            Some(less) if less <= -DIFFERS => FlameChange::Less,
            _ => FlameChange::Alike,
        };
        let at_low = low.map_or(String::new(), |low| format!(", {} at low load", percent(low)));
        boxes.push(FlameBox {
            name: name.clone(),
            about: format!("{name}: {} of the CPU time{at_low}", percent(width)),
            left,
            width,
            row,
            change,
        });
        place(root, call, (left, row + 1), boxes);
        left += width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn boxes_lie_inside_what_calls_them_and_fill_the_whole() {
        let view = StacksView::new(&fixture::diagnosis(&fixture::recording())).unwrap();
        let flame = view.flame.unwrap();
        let of_row = |row| flame.boxes.iter().filter(move |one| one.row == row);
        assert!((of_row(0).map(|one| one.width).sum::<f64>() - 1.0).abs() < 1e-9);
        for row in 1..flame.depth {
            for inner in of_row(row) {
                let outer = of_row(row - 1).any(|outer| {
                    outer.left <= inner.left + 1e-9
                        && inner.left + inner.width <= outer.left + outer.width + 1e-9
                });
                assert!(outer, "{inner:?}");
            }
        }
        let render = flame.boxes.iter().find(|one| one.name == "render").unwrap();
        assert_eq!(render.change, FlameChange::More);
        assert_eq!(render.about, "render: 71 % of the CPU time, 20 % at low load");
    }
}
