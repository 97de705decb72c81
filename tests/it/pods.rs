//! Several servers on one database, and perhaps a Redis between them, each by a way of its own that can fail.
//!
//! - `fleet.rs` the servers, what they stand on, and the ways between;
//! - `keeper.rs` clients that come back by themselves, as pages do, and how long they were away;
//! - `kill.rs` pods that are killed, and what is stored then;
//! - `lag.rs` how long what is saved takes until everybody sees it;
//! - `stall.rs` how long the machine stood still meanwhile;
//! - `strike.rs` what can happen to Redis.

mod fleet;
mod keeper;
mod kill;
mod lag;
mod stall;
mod strike;

mod crossing;
mod digests;
mod herd;
mod pod_faults;
mod redis_faults;
mod roaming;
mod rolling;
mod schedules;
mod settling;

use std::time::Duration;

/// What is saved is seen by everybody within this, whatever happens to Redis.
const CONVERGED_WITHIN: Duration = Duration::from_secs(2);
