//! How much can be carried, for people at a terminal, and for programs.

use std::io;

use serde::Serialize;

use super::wording::{self, clean, sentence, short_rate, value};
use crate::diagnose::wording::times;
use crate::diagnose::{Headroom, ResourceRoom};

/// Grows by one when a field changes its meaning or goes away; new fields leave it as it is.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    capacity: &'a Headroom,
}

/// Writes it as JSON.
///
/// # Errors
/// When the writer fails.
pub fn headroom_json(room: &Headroom, w: &mut dyn io::Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *w, &Document { schema: SCHEMA, capacity: room })?;
    writeln!(w)
}

/// Writes it as text.
///
/// # Errors
/// When the writer fails.
pub fn headroom_text(room: &Headroom, w: &mut dyn io::Write) -> io::Result<()> {
    match room.carried_well {
        Some(rate) => writeln!(w, "Highest load that was carried well: {}.", wording::rate(rate))?,
        None => writeln!(w, "No load was carried well.")?,
    }
    if let Some(first) = room.resources.first() {
        let now = room.seen.map_or(0.0, |(_, highest)| highest);
        writeln!(
            w,
            "First limit: {}, used up at {} ({} to {}); no queue that matters up to {}.",
            clean(&first.name),
            wording::rate(first.carries.rate),
            short_rate(first.carries.low),
            short_rate(first.carries.high),
            wording::rate(first.safe)
        )?;
        if now > 0.0 {
            let share = first.safe / now;
            writeln!(
                w,
                "Headroom: {} the highest load seen, {}.",
                times(share),
                wording::rate(now)
            )?;
        }
    }
    if let Some(second) = room.resources.get(1) {
        writeln!(
            w,
            "Second limit: {}, used up at {}.",
            clean(&second.name),
            wording::rate(second.carries.rate)
        )?;
    }
    if !room.resources.is_empty() {
        writeln!(w, "\nWhat a request needs")?;
    }
    for resource in &room.resources {
        writeln!(w, "  {}", line(resource))?;
    }
    if let Some(wanted) = &room.wanted {
        writeln!(w, "\nFor {}", wording::rate(wanted.rate))?;
        for need in &wanted.needs {
            writeln!(w, "  {}: {}", clean(&need.name), value(need.amount, need.unit))?;
        }
        if let (Some(now), Some(instances)) = (room.instances, wanted.instances) {
            let noun = wording::plural(instances, "instance", "instances");
            writeln!(w, "  {noun} of the target (now {now})")?;
        }
        if let Some(shared) = &wanted.shared {
            writeln!(
                w,
                "  {} is shared: it is used up before that, however many instances there are",
                clean(shared)
            )?;
        }
    }
    for caveat in &room.caveats {
        writeln!(w, "\nNote: {}", sentence(caveat))?;
    }
    Ok(())
}

fn line(resource: &ResourceRoom) -> String {
    let background = match resource.background > 0.0 {
        true => format!(", beside {} without requests", value(resource.background, resource.unit)),
        false => String::new(),
    };
    format!(
        "{}: {} ({} to {}) of {}{background}; carries {} ({} to {})",
        clean(&resource.name),
        wording::duration(resource.demand.rate),
        wording::duration(resource.demand.low),
        wording::duration(resource.demand.high),
        value(resource.limit, resource.unit),
        short_rate(resource.carries.rate),
        short_rate(resource.carries.low),
        short_rate(resource.carries.high),
    )
}
