//! The room's promises, told as stories: who hears what, and when.
#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic, helpers included")]

mod adversary;
mod bounds;
mod damage;
mod documents;
mod edits;
mod herd;
mod ids;
mod life;
mod news;
mod overtaken;
mod refusals;
mod repair;
mod roaming;
mod settle;

mod stage;
