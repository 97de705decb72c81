//! Tests of the real binary over real sockets. `support.rs` starts it; each other file tells one part of the story.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "in a test a failure is a panic and figures are printed, helpers included"
)]

mod faults;
mod support;

mod accounts;
mod analysis;
mod command_line;
mod damage;
mod designs_people_have;
mod edit;
mod fifty;
mod folding;
mod holes;
mod kills;
mod neighbours;
mod openapi;
mod operate;
mod outages;
mod permissions_rest;
mod redis;
mod pods;
mod rest;
mod socket_basics;
mod socket_hostile;
mod socket_life;
mod socket_slow_reader;
