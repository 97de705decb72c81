//! Three servers on one Postgres, with or without Redis.

use std::net::SocketAddr;
use std::time::Duration;

use atlas_loadtest::balancer::Balancer;
use atlas_loadtest::client::{Client, Connect, Dialect};
use atlas_loadtest::proxy::Proxy;
use atlas_loadtest::services::redis::Redis;
use atlas_loadtest::world::{self, Random};
use serde_json::Value;

use super::CONVERGED_WITHIN;
use crate::faults::crew::{Desk, PATIENCE, now};
use crate::faults::{Bed, Crew, bed};
use crate::support::{Person, Server};

/// Servers of a fleet.
pub(super) const PODS: usize = 3;

/// In the log of a server that holds another document than another one.
pub(super) const DIVERGED: &str = "another document";

/// What pods have between them, besides the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Between {
    Nothing,
    Redis,
    /// One that they were told of, and that is not there.
    DeadRedis,
}

/// One server and its ways.
pub(super) struct Pod {
    pub(super) server: Server,
    pub(super) to_postgres: Proxy,
    pub(super) to_redis: Option<Proxy>,
}

pub(super) struct Fleet {
    pub(super) pods: Vec<Pod>,
    pub(super) redis: Option<Redis>,
    pub(super) balancer: Balancer,
    /// The first owns every design, the second edits along. They ask the balancer.
    pub(super) people: [Person; 2],
    pub(super) random: Random,
    pub(super) bed: Bed,
}

impl Fleet {
    pub(super) async fn with_redis() -> Self {
        Self::start(Between::Redis, &[]).await
    }

    pub(super) async fn start(between: Between, settings: &[(&str, &str)]) -> Self {
        let seed = world::seed();
        println!("seed {seed} (repeat with ATLAS_SEED={seed})");
        let mut bed = Bed::postgres().await;
        let mut redis = None;
        if between != Between::Nothing {
            let server = redis.insert(Redis::start().await.unwrap());
            if between == Between::DeadRedis {
                server.kill().await.unwrap();
            }
        }
        let mut pods: Vec<Pod> = Vec::new();
        for _ in 0..PODS {
            // The first makes the key that all sign with.
            let first = pods.first().map(|pod: &Pod| pod.server.data_folder().join("data/keys/signing.pem"));
            let key = first.map(|path| std::fs::read_to_string(path).unwrap());
            pods.push(Pod::start(bed.cluster().address(), redis.as_ref(), key, settings).await);
        }
        let addresses: Vec<SocketAddr> = pods.iter().map(|pod| pod.server.addr()).collect();
        let balancer = Balancer::start(&addresses).await.unwrap();
        let first = &pods[0].server;
        let people = [first.register("ann@example.com").await, first.register("ben@example.com").await];
        let people = people.map(|person| person.at(balancer.address()));
        Self { pods, redis, balancer, people, random: Random::seeded(seed), bed }
    }

    pub(super) fn owner(&self) -> &Person {
        &self.people[0]
    }

    /// The same person, asking this very pod.
    pub(super) fn person_at(&self, person: usize, pod: usize) -> Person {
        self.people[person].at(self.pods[pod].server.addr())
    }

    pub(super) fn ws_urls(&self) -> Vec<String> {
        self.pods.iter().map(|pod| pod.server.ws_url()).collect()
    }

    /// Where whoever looks for any pod connects.
    pub(super) fn balanced_url(&self) -> String {
        format!("ws://{}/ws", self.balancer.address())
    }

    /// `ws://…` of a design at a pod.
    pub(super) fn socket(&self, pod: usize, design: &str) -> String {
        format!("{}/{design}", self.pods[pod].server.ws_url())
    }

    /// A crew that types already, each desk at all pods.
    pub(super) async fn crew(&mut self, desks: usize, typists: usize) -> Crew {
        let mut crew = Crew::gather_at(&self.ws_urls(), &self.people, desks, typists).await;
        crew.start_typing(&mut self.random);
        crew.acknowledged_since(now()).await;
        crew
    }

    /// The same around a design that is there already.
    pub(super) async fn crew_around(&mut self, design: String, typists: usize) -> Crew {
        let mut crew = Crew::gather_around(&self.ws_urls(), &self.people, vec![design], typists).await;
        crew.start_typing(&mut self.random);
        crew.acknowledged_since(now()).await;
        crew
    }

    pub(super) fn redis(&mut self) -> &mut Redis {
        self.redis.as_mut().unwrap()
    }

    /// Waits until this pod takes people again.
    pub(super) async fn ready(&self, pod: usize) {
        let began = now();
        while !self.balancer.is_ready(pod) {
            assert!(began.elapsed() < PATIENCE, "pod {pod} does not get ready");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Everybody stops, everything becomes saved and seen, what each pod shows and exports and what lies in the store are the
    /// same, and the logs are whole, with nothing in them twice. How many edits that are.
    pub(super) async fn rest(&self, crew: &mut Crew) -> u64 {
        let edits = crew.rest(self.owner()).await;
        for desk in &crew.desks {
            let found = self.bed.found(&self.pods[0].server, &desk.design).await;
            found.check();
            let stored = found.drawing();
            assert_eq!(desk.watcher.json(), stored, "{} is another drawing in the store", desk.design);
            for pod in 0..PODS {
                self.shows(pod, desk, &stored).await;
            }
            let exported = self.owner().snapshot(&desk.design).await;
            for pod in 0..PODS {
                let other = self.person_at(0, pod).snapshot(&desk.design).await;
                assert_eq!(
                    other["content_hash"], exported["content_hash"],
                    "pod {pod} shows another drawing"
                );
            }
        }
        edits
    }

    /// Somebody who has nothing yet comes to this pod, and is shown this drawing.
    async fn shows(&self, pod: usize, desk: &Desk, drawing: &Value) {
        let connect = Connect::new(&self.socket(pod, &desk.design), Dialect::Stock);
        let newcomer = Client::open(connect.token(self.owner().token())).await.unwrap();
        newcomer.synced().await.unwrap();
        // Where nobody has been for a while the newest edits may still be on their way.
        let same = |newcomer: &Client| newcomer.json() == *drawing;
        let _ = newcomer.wait_until(CONVERGED_WITHIN, "the same drawing", same).await;
        assert_eq!(newcomer.json(), *drawing, "pod {pod} shows another drawing");
        assert_eq!(newcomer.seen().faults, Vec::<String>::new());
        newcomer.vanish();
    }

    /// Nobody anywhere found that two pods hold different documents.
    pub(super) fn check_logs(&self) {
        for pod in &self.pods {
            let log = pod.server.log();
            assert!(!log.contains("panicked"), "{log}");
            assert!(!log.contains(DIVERGED), "{log}");
        }
    }

    /// Has everything checked that is stored. Blobs lie with each pod.
    pub(super) fn check_store(&self) {
        let checked = tokio::task::block_in_place(|| self.pods[0].server.run(&["fsck", "--no-blobs"]));
        let told = String::from_utf8_lossy(&checked.stdout).into_owned();
        let problems = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert_eq!(checked.status.code(), Some(0), "fsck found something: {told}{problems}");
        println!("fsck: {}", told.trim().lines().last().unwrap_or_default());
    }
}

impl Pod {
    async fn start(
        postgres: SocketAddr,
        redis: Option<&Redis>,
        key: Option<String>,
        settings: &[(&str, &str)],
    ) -> Self {
        let to_postgres = Proxy::start(postgres).await.unwrap();
        let mut to_redis = None;
        let mut all = vec![
            ("ATLAS_ACCESS_TOKEN_SECS", "86400".to_owned()),
            ("LOG_LEVEL", "warn".to_owned()),
            ("DATABASE_URL", bed::Cluster::url_at(to_postgres.address())),
        ];
        if let Some(redis) = redis {
            let way = Proxy::before_redis(redis.address()).await.unwrap();
            all.push(("REDIS_URL", format!("redis://{}", way.address())));
            to_redis = Some(way);
        }
        all.extend(key.map(|key| ("ATLAS_JWT_PRIVATE_KEY", key)));
        let mut all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend(settings);
        let server = tokio::task::block_in_place(|| Server::start_with(&all));
        Self { server, to_postgres, to_redis }
    }
}
