//! What is Postgres' own; the contract of every store is `store/conformance.rs`. Each test has a cluster of its own.

use std::collections::HashSet;
use std::sync::Mutex;

use atlas_loadtest::services::postgres::Postgres;

use super::*;
use crate::store::conformance;

pub(super) async fn open(url: &str) -> PgStore {
    PgStore::open(url, PgSettings::default(), Clock::system(), &Tasks::new()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract() {
    let postgres = Postgres::start().await.unwrap();
    let made = Mutex::new(HashSet::new());
    conformance::run_all(async |place| {
        let database = place.replace(' ', "-");
        if made.lock().unwrap().insert(place) {
            postgres.create_database(&database).await.unwrap();
        }
        Arc::new(open(&postgres.url(&database)).await) as Arc<dyn Store>
    })
    .await;
}
