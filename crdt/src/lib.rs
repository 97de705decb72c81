//! The document and the room of Atlas Collab, pure.

pub mod design;
pub mod gate;
pub mod ids;
pub mod integrity;
pub mod invariants;
mod lib0;
pub mod limits;
pub mod presence;
pub mod roles;
pub mod room;
pub mod schema;
pub mod view;
pub mod wire;
