//! What somebody who watches a run sees of it now: one model, which the terminal draws and a page
//! shows. Every number and every text of both is computed here, once.
//!
//! It takes in what the run records, as it is recorded, and concludes nothing. What the diagnosis
//! suspects so far comes from outside, from the function that judges the whole run at its end.
//!
//! ```
//! use kneepoint::live::{About, Live, Seen};
//! use kneepoint::timeline::{LoadTick, Moment, Window};
//!
//! let mut live = Live::new(About { title: "shop".to_owned(), ..About::default() });
//! let window = Window::new(Moment::from_secs_f64(1.0), Moment::from_secs_f64(2.0));
//! let tick = LoadTick { offered: 50, ..LoadTick::empty(window, "here") };
//! live.see(Seen::Tick(Box::new(tick)));
//! assert_eq!(live.now().number("offered").and_then(|it| it.shown.value), Some(50.0));
//! ```

mod history;
mod levels;
mod log;
mod model;
mod now;
mod panels;
mod seen;
mod stages;
#[cfg(test)]
mod tests;

pub use history::{Past, PointNow};
pub use levels::is_wanted;
pub use model::{About, Live, Recent};
pub use now::{
    ErrorRow, LevelGroup, LevelRow, LineKind, LogLine, Now, NumberRow, Shown, StageMark, StageNow,
    StageState, State, Suspects,
};
pub use panels::{PANELS, PanelLine, PanelSpec};
pub use seen::Seen;
pub use stages::load_of;
