//! One design's life on one pod: events in, effects out.

mod effect;
mod input;

pub use effect::{Append, Author, ClockRange, Effect, FrameKind};
pub use input::{Dialect, Input, Join, Loaded, LogRow};
