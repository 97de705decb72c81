//! What plays the part of the world against an Atlas Collab server: clients, a network that fails, traffic.
//!
//! - [`client`]: one architect's side of a socket, with a real Yjs document in it. Integration tests hold it to what
//!   it saw: every notice, every close code, every byte.
//! - [`replica`]: the document and the presence of that architect, without any network.
//! - [`canvas`]: the edits that people make on a drawing, as transactions on that document.
//! - [`api`]: the few REST calls that a test or a scenario needs before it can open a socket.
//! - [`balancer`]: one address before several servers.
//! - [`proxy`]: a TCP proxy between both that counts bytes, cuts, freezes and restores.
//! - [`relay`]: the yardstick: a server that only copies messages from one socket to the others.
//! - [`traffic`], [`probe`], [`process`] and [`bench`]: load that costs its generator little, what a process uses
//!   meanwhile, and the table that compares the two.
//! - [`saving`]: writers who wait until their edits are stored.
//! - [`services`]: real database servers that are thrown away with their test.
//! - [`world`]: the one place where all of these take time, randomness and tasks from.
//!
//! Nothing here is linked into the server.

pub mod api;
pub mod balancer;
pub mod bench;
pub mod canvas;
pub mod client;
pub mod probe;
pub mod process;
pub mod proxy;
pub mod relay;
pub mod replica;
pub mod saving;
pub mod services;
pub mod traffic;
pub mod world;
