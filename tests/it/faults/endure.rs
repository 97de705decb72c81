//! What everybody sees while the store is in trouble: nothing is acknowledged, nothing new is shown, presence flows, the
//! server's memory stays, and whoever typed types on.

use std::time::Duration;

use atlas_loadtest::client::{Client, Connect, Dialect};
use serde_json::json;
use tokio::task::JoinSet;

use super::Crew;
use super::crew::{PATIENCE, now};
use super::stage::Stage;
use crate::support::resident_bytes;

/// How long presence may take to everybody else, whatever the store does.
const PRESENCE_PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks.
const BEAT: Duration = Duration::from_millis(400);
/// Bytes. What the server may grow by.
const GROWTH_MAX: u64 = 64 << 20;

/// What whoever comes now meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joins {
    /// The design is in memory, with an edit that is not stored: they hear that the store is in trouble and wait, and are
    /// not shown an empty document.
    Admitted,
    /// It cannot be read: they are refused, and never shown an empty document. Who is in stays.
    Refused,
}

/// Figures of an outage, for people.
#[derive(Debug, Default)]
pub(crate) struct Endured {
    /// From the fault until everybody had been told.
    pub(crate) told_after: Duration,
    /// Edits that were made and not acknowledged.
    pub(crate) waiting: u64,
    pub(crate) joins: u32,
    pub(crate) presence_slowest: Duration,
    pub(crate) grown_bytes: u64,
}

/// `store.degraded` came after the last `store.healthy`.
pub(crate) fn is_told_of_trouble(client: &Client) -> bool {
    client.look(|seen| {
        let of_store = |notice: &&serde_json::Value| {
            notice["type"] == "store.degraded" || notice["type"] == "store.healthy"
        };
        seen.notices.iter().rev().find(of_store).is_some_and(|notice| notice["type"] == "store.degraded")
    })
}

/// Call it at the beginning of an outage that stops every design: watches everybody for `length`.
pub(crate) async fn endure(stage: &Stage, crew: &Crew, length: Duration, joins: Joins) -> Endured {
    let (began, resident) = (now(), resident_bytes(&stage.server));
    for typist in crew.typists() {
        let told = typist.client.wait_until(PATIENCE, "store.degraded", is_told_of_trouble);
        told.await.unwrap();
    }
    let mut figures = Endured { told_after: began.elapsed(), ..Endured::default() };
    let (acknowledgements, promised) = (crew.acknowledgements(), crew.promised());
    let made = crew.edits();
    let mut newcomers = JoinSet::new();
    let mut beat = 0_u64;
    while began.elapsed() < length {
        tokio::time::sleep(BEAT).await;
        beat += 1;
        let presence = presence_flows(crew, beat).await;
        figures.presence_slowest = figures.presence_slowest.max(presence);
        // One at a time: a refusal may take as long as the server waits for its store.
        if newcomers.is_empty() {
            newcomers.spawn(join(stage, crew, beat, joins));
        }
        while let Some(ended) = newcomers.try_join_next() {
            ended.unwrap();
            figures.joins += 1;
        }
        let grown = resident_bytes(&stage.server).saturating_sub(resident);
        figures.grown_bytes = figures.grown_bytes.max(grown);
        assert!(grown < GROWTH_MAX, "the server grew by {grown} bytes");
    }
    while let Some(ended) = newcomers.join_next().await {
        ended.unwrap();
        figures.joins += 1;
    }
    assert!(0 < figures.joins, "nobody came");
    assert_eq!(crew.acknowledgements(), acknowledgements, "something was acknowledged");
    assert!(crew.promised() == promised, "something was shown");
    assert!(made < crew.edits(), "nobody typed");
    for client in crew.clients() {
        assert!(client.is_open(), "{:?}", client.look(|seen| seen.closed.clone()));
    }
    figures.waiting = crew.edits() - crew.typists().map(|typist| typist.acknowledged()).sum::<u64>();
    figures
}

/// One person moves; everybody else at the desk sees it.
async fn presence_flows(crew: &Crew, beat: u64) -> Duration {
    let desk = &crew.desks[usize::try_from(beat).unwrap() % crew.desks.len()];
    let moving = &desk.typists[0].client;
    let (id, moved) = (moving.client_id(), now());
    moving.announce(Some(json!({ "beat": beat })));
    for client in desk.clients().filter(|client| client.client_id() != id) {
        let seen = |client: &Client| client.others().get(&id).is_some_and(|state| state["beat"] == beat);
        client.wait_until(PRESENCE_PATIENCE, "somebody to move", seen).await.unwrap();
    }
    moved.elapsed()
}

/// Somebody comes, looks, and goes.
fn join(stage: &Stage, crew: &Crew, beat: u64, joins: Joins) -> impl Future<Output = ()> + use<> {
    let desk = &crew.desks[usize::try_from(beat).unwrap() % crew.desks.len()];
    let url = format!("{}/{}", stage.server.ws_url(), desk.design);
    let connect = Connect::new(&url, Dialect::Atlas).token(stage.people[1].token());
    async move {
        match joins {
            Joins::Admitted => patient(connect).await,
            Joins::Refused => unreadable(connect).await,
        }
    }
}

/// A design that is in memory, and has an edit which is on its way into the log: whoever comes waits for that.
async fn patient(connect: Connect) {
    let newcomer = Client::open(connect).await.unwrap();
    newcomer.wait_until(PATIENCE, "store.degraded", is_told_of_trouble).await.unwrap();
    tokio::time::sleep(BEAT).await;
    assert!(newcomer.is_open());
    assert_eq!(newcomer.look(|seen| seen.received_documents.messages), 0, "it was shown what is not stored");
    newcomer.vanish();
}

/// A design that cannot be loaded now: whoever comes is sent away with 1013 or 503, having been shown nothing.
pub(crate) async fn unreadable(connect: Connect) {
    match Client::open(connect).await {
        Ok(client) => {
            client.wait_until(PATIENCE, "the refusal", |client| !client.is_open()).await.unwrap();
            let closed = client.look(|seen| seen.closed.clone()).unwrap();
            assert_eq!(closed.code, Some(1013), "{closed:?}");
            assert_eq!(client.look(|seen| seen.received_documents.messages), 0, "it was shown something");
        }
        Err(error) => assert_eq!(error.status(), Some(503), "{error:?}"),
    }
}
