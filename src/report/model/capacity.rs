//! How much the system carries: its resources as a table, and what is in use of each against the
//! load, as far as it was seen and beyond.

use serde::Serialize;

use super::super::wording::{
    self, clean, duration, number, percent, plural, rate, sentence, short_rate, value,
};
use super::load_curve::LoadCurve;
use crate::diagnose::{Headroom, Interval, ResourceRoom, wording::times};

/// At most this many resources have a line in the chart: those that are full first.
const MOST_LINES: usize = 3;
/// A resource that carries so many times as much as the first one does not belong into its chart.
const FAR_AWAY: f64 = 4.0;

/// What the columns of the table mean.
const LEGEND: &str = "Full: where a load test finds the limit, with the 95 % interval. Safe: below \
                      this load, requests hardly wait for it.";

/// What each resource carries.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct CapacityView {
    /// What is full first, and where.
    pub headline: String,
    /// What else the figures say, one sentence each.
    pub details: Vec<String>,
    /// What the columns of the table are called.
    pub columns: [String; 6],
    /// What these words mean.
    pub legend: &'static str,
    /// The resources, the first that is full first.
    pub rows: Vec<CapacityRow>,
    /// What a wanted load needs.
    pub wanted: Option<WantedView>,
    /// What a reader has to know.
    pub notes: Vec<String>,
    #[serde(skip)]
    pub chart: Option<CapacityChart>,
}

/// One resource as text.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct CapacityRow {
    pub name: String,
    /// How much of it there is.
    pub size: String,
    /// What one request keeps busy.
    pub demand: String,
    /// What is busy without requests; empty if nothing.
    pub idle: String,
    /// Share in use at the highest load that was carried well.
    pub in_use: String,
    /// The load at which it is full, with the interval.
    pub full_at: String,
    /// The load up to which requests hardly wait for it.
    pub safe: String,
}

/// What a wanted load needs, as text.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct WantedView {
    pub rate: String,
    /// Each resource, what it needs of it, and what there is now.
    pub needs: Vec<(String, String, String)>,
    pub instances: String,
    pub shared: String,
}

/// Shares in use against the load.
#[derive(Clone, Debug)]
pub(in crate::report) struct CapacityChart {
    /// Highest load on the axis, in requests per second.
    pub most: f64,
    pub lines: Vec<CapacityLine>,
    /// The knee of the run: estimate, low, high.
    pub knee: Option<(f64, f64, f64)>,
    pub knee_label: String,
}

/// One resource: shares in use, from 0 to 1, at loads.
#[derive(Clone, Debug)]
pub(in crate::report) struct CapacityLine {
    pub name: String,
    /// What was measured.
    pub points: Vec<(f64, f64)>,
    /// The line through it where it was seen: its two ends.
    pub seen: [(f64, f64); 2],
    /// The same line from there on to where the resource is used up, or the chart ends.
    pub ahead: [(f64, f64); 2],
    /// Between which loads it is full.
    pub full: (f64, f64),
}

impl CapacityView {
    /// The capacity that a diagnosis holds, with the knee of its run; `None` where no resource tells
    /// a limit.
    pub(super) fn of_run(room: Option<&Headroom>, curve: Option<&LoadCurve>) -> Option<Self> {
        let room = room.filter(|room| !room.resources.is_empty())?;
        let mut view = Self::new(room);
        // What the run carried is told by its stages, which are longer than what is compared here, and
        // what lies beyond it is for who asks for it.
        view.details.clear();
        view.notes.clear();
        if room.limit.is_none() {
            "None of these was used enough to tell which is full first."
                .clone_into(&mut view.headline);
        }
        let curve = curve.filter(|curve| !curve.axis.is_users());
        if let (Some(chart), Some(curve)) = (&mut view.chart, curve) {
            chart.knee = curve.knee;
            chart.knee_label.clone_from(&curve.knee_label);
            chart.most = curve.knee.map_or(chart.most, |knee| chart.most.max(1.1 * knee.2));
        }
        Some(view)
    }

    pub(in crate::report) fn new(room: &Headroom) -> Self {
        let highest = room.carried_well.unwrap_or(0.0);
        let first = room.resources.first();
        let headline = match (room.limit, first) {
            (Some(limit), Some(first)) => format!(
                "{} is full first, at about {} ({}).",
                capital(&clean(&first.name)),
                rate(limit.rate),
                between(&limit)
            ),
            (None, Some(first)) => format!(
                "What is full first cannot be told. Of {}, {} was in use at {}.",
                clean(&first.name),
                percent(share_in_use(first, highest)),
                rate(highest)
            ),
            _ => "No limit can be told from this recording.".to_owned(),
        };
        Self {
            headline,
            details: details(room),
            columns: columns(highest),
            legend: LEGEND,
            rows: room.resources.iter().map(|it| CapacityRow::new(it, highest)).collect(),
            wanted: WantedView::new(room),
            notes: room.caveats.iter().map(|text| sentence(text)).collect(),
            chart: CapacityChart::new(room),
        }
    }
}

fn columns(highest: f64) -> [String; 6] {
    let in_use = format!("in use at {}", short_rate(highest));
    ["resource", "there is", "a request uses", &in_use, "full at", "safe up to"].map(str::to_owned)
}

fn details(room: &Headroom) -> Vec<String> {
    let mut details = Vec::new();
    match room.carried_well {
        Some(highest) => {
            details.push(format!("Highest load that was carried well: {}.", rate(highest)));
            if let Some(first) = room.resources.first().filter(|_| room.limit.is_some()) {
                let share = first.safe / highest;
                details.push(match share >= 1.0 {
                    true => format!(
                        "Requests hardly wait for it up to {}, {} that load.",
                        rate(first.safe),
                        times(share)
                    ),
                    false => format!(
                        "Requests hardly wait for it up to {}, and that load was higher: there is no \
                         room left.",
                        rate(first.safe)
                    ),
                });
            }
        }
        None => details.push("No load was carried well.".to_owned()),
    }
    if let Some(second) = room.resources.get(1).filter(|_| room.limit.is_some()) {
        details.push(format!(
            "Next is {}, at about {} ({}).",
            clean(&second.name),
            rate(second.carries.rate),
            between(&second.carries)
        ));
    }
    details
}

fn between(interval: &Interval) -> String {
    format!("between {} and {}", short_rate(interval.low), short_rate(interval.high))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().collect::<String>());
    first.unwrap_or_default() + chars.as_str()
}

/// What is in use at a load.
fn in_use(resource: &ResourceRoom, load: f64) -> f64 {
    resource.background + resource.demand.rate * load
}

/// No more than all of it: the line through what was measured goes on beyond that.
fn share_in_use(resource: &ResourceRoom, load: f64) -> f64 {
    (in_use(resource, load) / resource.limit).min(1.0)
}

impl CapacityRow {
    fn new(resource: &ResourceRoom, highest: f64) -> Self {
        Self {
            name: clean(&resource.name),
            size: value(resource.limit, resource.unit),
            demand: duration(resource.demand.rate),
            idle: match resource.background > 0.0 {
                true => value(resource.background, resource.unit),
                false => String::new(),
            },
            in_use: percent(share_in_use(resource, highest)),
            full_at: format!(
                "{} ({} to {})",
                short_rate(resource.carries.rate),
                number(resource.carries.low),
                short_rate(resource.carries.high)
            ),
            safe: short_rate(resource.safe),
        }
    }
}

impl WantedView {
    fn new(room: &Headroom) -> Option<Self> {
        let wanted = room.wanted.as_ref()?;
        let needs = wanted.needs.iter().map(|need| {
            (clean(&need.name), value(need.amount, need.unit), value(need.now, need.unit))
        });
        let instances = room.instances.zip(wanted.instances).map(|(now, instances)| {
            let noun = plural(instances, "instance", "instances");
            format!("{noun} of the target as it is now (now {now})")
        });
        let shared = wanted.shared.as_ref().map(|shared| {
            format!(
                "{} is shared by all instances and is full before that, however many there are.",
                capital(&clean(shared))
            )
        });
        Some(Self {
            rate: wording::rate(wanted.rate),
            needs: needs.collect(),
            instances: instances.unwrap_or_default(),
            shared: shared.unwrap_or_default(),
        })
    }
}

impl CapacityChart {
    fn new(room: &Headroom) -> Option<Self> {
        let first = room.resources.first().filter(|_| room.limit.is_some())?;
        let most = 1.08 * first.carries.high.max(room.seen?.1);
        let is_near = |it: &&ResourceRoom| it.carries.rate <= FAR_AWAY * first.carries.rate;
        let near = room.resources.iter().filter(is_near).take(MOST_LINES);
        let lines = near.filter_map(|resource| CapacityLine::new(resource, most)).collect();
        Some(Self { most, lines, knee: None, knee_label: String::new() })
    }
}

impl CapacityLine {
    fn new(resource: &ResourceRoom, most: f64) -> Option<Self> {
        let share = |busy: f64| busy / resource.limit;
        let rates = || resource.points.iter().map(|point| point.0);
        let (low, high) = rates().reduce(f64::min).zip(rates().reduce(f64::max))?;
        // Where the line meets the resource: through what is used up, not through the axis, so that
        // one that bends upwards is drawn as it was extended.
        let slope = resource.demand.rate;
        let at = |rate: f64| {
            (rate, share(resource.limit - slope * (resource.carries.rate - rate)).clamp(0.0, 1.0))
        };
        let end = resource.carries.rate.clamp(high, most.max(high));
        Some(Self {
            name: clean(&resource.name),
            points: resource.points.iter().map(|(rate, busy)| (*rate, share(*busy))).collect(),
            seen: [at(low), at(high)],
            ahead: [at(high), at(end)],
            full: (resource.carries.low, resource.carries.high),
        })
    }
}
