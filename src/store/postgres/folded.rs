//! Upkeep on a real cluster.

use atlas_loadtest::services::postgres::Postgres;

use super::*;
use crate::store::{Stores, conformance};

async fn open(postgres: &Postgres, database: &str) -> PgStore {
    // Opened again, the database is there already.
    let _ = postgres.create_database(database).await;
    let url = postgres.url(database);
    PgStore::open(&url, PgSettings::default(), Clock::system(), &Tasks::new()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract_of_upkeep() {
    let postgres = Postgres::start().await.unwrap();
    conformance::run_upkeep(async |place| Stores::new(open(&postgres, place).await)).await;
}
