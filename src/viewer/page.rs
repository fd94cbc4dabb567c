//! The live page: one document whose style and script are admitted by their digests.

use super::control::Control;
use crate::report::{digest, style};

const PAGE: &str = include_str!("../../reports/html/live.html");
const STYLE: &str = include_str!("../../reports/html/live.css");
const SCRIPT: &str = include_str!("../../reports/html/live.js");

/// A page, and what it may do.
pub(super) struct Page {
    pub(super) html: String,
    pub(super) policy: String,
}

impl Page {
    /// The live page, with buttons for what viewers may do to the run.
    pub(super) fn live(control: Option<&dyn Control>) -> Self {
        let style = format!("{}{STYLE}", style());
        let policy = format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            digest(&style),
            digest(SCRIPT)
        );
        let html = PAGE
            .replace("{{ control }}", if control.is_some() { "yes" } else { "no" })
            .replace(
                "{{ pause }}",
                if control.is_some_and(Control::can_pause) { "yes" } else { "no" },
            )
            .replace("{{ style }}", &style)
            .replace("{{ script }}", SCRIPT);
        Self { html, policy }
    }
}

/// What the page of a report may do beyond what it says itself: nobody may frame it.
pub(super) const REPORT_POLICY: &str = "frame-ancestors 'none'";
