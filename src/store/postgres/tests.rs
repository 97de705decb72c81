//! What is Postgres' own; the contract of every store is `store/conformance.rs`. Each test has a cluster of its own.

use std::collections::HashSet;
use std::sync::Mutex;

use atlas_loadtest::services::pgbouncer::PgBouncer;
use atlas_loadtest::services::postgres::Postgres;

use super::*;
use crate::store::conformance;

pub(super) async fn open(url: &str) -> PgStore {
    PgStore::open(url, PgSettings::default(), Clock::system(), &Tasks::new()).await.unwrap()
}

/// Runs the suite through `url` of each database.
async fn keeps_the_contract(postgres: &Postgres, url: impl Fn(&str) -> String) {
    let made = Mutex::new(HashSet::new());
    conformance::run_all(async |place| {
        let database = place.replace(' ', "-");
        if made.lock().unwrap().insert(place) {
            postgres.create_database(&database).await.unwrap();
        }
        Arc::new(open(&url(&database)).await) as Arc<dyn Store>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract() {
    let postgres = Postgres::start().await.unwrap();
    keeps_the_contract(&postgres, |database| postgres.url(database)).await;
}

/// Two sessions for all: whatever a transaction left behind in one would meet somebody else's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract_behind_a_pooler_in_transaction_mode() {
    let postgres = Postgres::start().await.unwrap();
    let pooler = PgBouncer::start(&postgres, 2).await.unwrap();
    keeps_the_contract(&postgres, |database| pooler.url(database)).await;
    assert!(1_000 < pooler.transactions().await.unwrap(), "it went through the pooler");
}
