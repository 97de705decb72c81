//! What can be done to a server that hands a client's bytes to its Yjs library, done to this one: hole by hole, with
//! real bytes over real sockets, against the real binary.
//!
//! Each family of holes is one test with one table. [`Siege`] sends every row of it from an account that may edit, in
//! both dialects, and holds it against what docs/PROTOCOL.md promises: only the sender is answered, with the code that
//! is documented, the process lives, its memory stays, and two others, one stock client and one `atlas.v1` client,
//! go on editing and miss nothing. At the end the design is exported, the server is killed and started again on what
//! it stored, and the design is exported again: the same.

mod bytes;
mod clocks;
mod counts;
mod depth;
mod foreign;
mod kinds;
mod labour;
mod pending;
mod poison;
mod presence;
mod roles;
pub(crate) mod siege;
mod sizes;
mod structure;
