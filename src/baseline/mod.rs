//! Baselines: what earlier runs came to, kept as one small file for each run in a directory that
//! people put into git or a bucket. A file is never changed once it is written, so two branches
//! that add runs merge without a conflict.
//!
//! | file | answers |
//! |---|---|
//! | `key` | which runs may be compared: one plan, one branch, one class of machine |
//! | `entry` | what is kept of a run |
//! | `store` | the directory |
//! | `calibration` | how much runs of one build differ, and which changes that lets a gate see |
//! | `stored_noise` | a calibration with the plan and the class of machine that it holds for |
//! | `history` | the runs of one key over time: where the newest level begins, and its noise |

mod calibration;
mod entry;
mod history;
mod key;
mod store;
mod stored_noise;

pub use calibration::{Calibration, Noise};
pub use entry::{Acceptance, Entry, Origin};
pub use history::{History, Series};
pub use key::Key;
pub use store::{Damaged, Kept, Store, StoreError};
pub use stored_noise::StoredNoise;
