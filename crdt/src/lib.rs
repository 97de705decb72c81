//! The core of Atlas Collab: the shared document of a design, and the room in which people edit it. Pure: no IO, no
//! async, no clock, no randomness. What it needs of those is passed in, so that the same inputs always have the same
//! outcome, and a whole life of a room can be lived in a test within milliseconds.
//!
//! # A bird's-eye view
//!
//! ```text
//!  bytes of a socket ──> wire::decode ──> Room::handle(now, Input) ──> Effects: Append, Send, Publish, Close …
//!                                            │
//!        gate      what would these bytes do?   (before yrs sees them)
//!        design    the yrs document: apply, diff, encode
//!        presence  who is here, and where
//!                                            │
//!        view      the document as plain nodes and edges, for REST, exports and analysis
//! ```
//!
//! A [`room::Room`] is the only owner of a design's document on a pod. Everything that can happen to it is one
//! variant of [`room::Input`]; everything it wants done is a [`room::Effect`], which somebody else carries out and
//! reports on with further inputs. The document is at most one append ahead of the log: frames that arrive while an
//! append is in flight wait, and what a commit made durable is acknowledged and shown in one step.
//!
//! # What never breaks
//!
//! The promises have names, INV-1 to INV-11; [`invariants`] lists those that this crate keeps and checks them between
//! any two inputs in debug builds. Three shape everything else:
//!
//! - INV-2: `Saved(n)` only after the commit.
//! - INV-3: nothing leaves a room before it is in the log, so that nobody ever sees an edit that can still be lost.
//! - INV-9: no bytes can panic, abort, hang or balloon the process.
//!
//! # In reading order

pub mod ids;
pub mod roles;
pub mod limits;
pub mod schema;
mod lib0;
pub mod wire;
pub mod gate;
pub mod presence;
pub mod design;
pub mod view;
pub mod integrity;
mod digest;
pub mod room;
pub mod invariants;
