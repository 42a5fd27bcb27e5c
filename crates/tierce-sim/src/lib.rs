//! Replays access traces against the eviction policies of `tierce`.

mod args;
mod chart;
mod replay;
pub mod synthetic;
mod table;
mod trace;

pub use args::{Format, HELP, Options, Size, UsageError};
pub use chart::{Curve, draw};
pub use replay::{Outcome, replay};
pub use table::{Row, render};
pub use trace::{Trace, TraceError};
