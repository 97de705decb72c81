//! The document and the room of Atlas Collab, pure.

pub mod ids;
pub mod roles;
pub mod limits;
mod lib0;
pub mod schema;
pub mod gate;
pub mod wire;
pub mod presence;
pub mod design;
pub mod view;
pub mod integrity;
pub mod room;
pub mod invariants;
