//! What the fault tests share: people who type without a pause and note what was promised to them, and the checks of what
//! is there afterwards.
//!
//! - `typist.rs` one writer: its edits are numbered, and what is left of them says exactly how many there were;
//! - `crew.rs` several designs with their typists and watchers, connected, typing, cut off and back;
//! - `bed.rs` what stands under the server, and its log as it lies there;
//! - `stage.rs` a server over a bed, two people, and a seed that is printed;
//! - `endure.rs` what everybody sees while the store is in trouble.

pub(crate) mod bed;
pub(crate) mod crew;
pub(crate) mod endure;
pub(crate) mod stage;
pub(crate) mod typist;

pub(crate) use bed::Bed;
pub(crate) use crew::Crew;
pub(crate) use stage::Stage;
