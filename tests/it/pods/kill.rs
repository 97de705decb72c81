//! A pod is killed: just after it acknowledged something, and before anybody can bring anything again.

use std::time::Duration;

use super::fleet::Fleet;
use super::keeper::Keeper;
use crate::faults::Crew;
use crate::faults::crew::{PATIENCE, now};

/// So long ago an acknowledgement may be if they flow.
pub(super) const FLOWING: Duration = Duration::from_millis(50);

/// Waits until somebody who types at this pod was acknowledged something there a moment ago. How long ago. Call it while nobody
/// comes back.
pub(super) async fn flows_at(keeper: &Keeper, pod: usize) -> Duration {
    let began = now();
    loop {
        let newest = keeper.at(pod).filter_map(|client| {
            client.look(|seen| seen.acknowledged_at.filter(|_| 0 < seen.saved && seen.is_synced()))
        });
        if let Some(ago) = newest.max().map(|at| at.elapsed()).filter(|ago| *ago < FLOWING) {
            return ago;
        }
        assert!(began.elapsed() < PATIENCE, "nobody at pod {pod} is acknowledged anything");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// kill -9. What anybody was acknowledged or shown until then is stored, read past all servers and before those who were at this
/// pod come back: they would bring what is missing. Edits that are there. Call it while nobody comes back.
pub(super) async fn kill(fleet: &mut Fleet, crew: &Crew, keeper: &Keeper, pod: usize) -> u64 {
    let there: Vec<_> = keeper.at(pod).cloned().collect();
    fleet.pods[pod].server.kill();
    for client in there {
        client.wait_until(PATIENCE, "the socket to break", |client| !client.is_open()).await.unwrap();
    }
    let promised = crew.promised();
    let mut edits = 0;
    for desk in &crew.desks {
        let found = fleet.bed.found(&fleet.pods[pod].server, &desk.design).await;
        found.check();
        edits += Crew::check(desk, &found.document(), &promised);
    }
    edits
}
