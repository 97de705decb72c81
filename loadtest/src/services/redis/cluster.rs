//! Three servers that share the hash slots, without replicas: what a node has is away while it is.

use std::time::Duration;

use anyhow::Context;

use super::super::free_port;
use super::{AGAIN, Redis, Reply, Setup};

const SLOTS: u32 = 16_384;
const NODES: u32 = 3;
const JOIN_PATIENCE: Duration = Duration::from_secs(20);
/// Milliseconds after which a node that says nothing is taken for failed.
const NODE_TIMEOUT: &str = "1000";

/// A running cluster.
#[derive(Debug)]
pub struct RedisCluster {
    pub nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Returns when all nodes know each other and each serves its slots.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(&Setup::default()).await
    }

    pub async fn start_with(setup: &Setup) -> anyhow::Result<Self> {
        let mut nodes: Vec<Redis> = Vec::new();
        for _ in 0..NODES {
            let mut setup = setup.clone();
            let gossip = free_port()?.to_string();
            setup.settings.extend(
                ["--cluster-enabled", "yes", "--cluster-port", &gossip].into_iter().map(str::to_owned),
            );
            setup.settings.extend(
                ["--cluster-node-timeout", NODE_TIMEOUT, "--cluster-require-full-coverage", "no"]
                    .into_iter()
                    .map(str::to_owned),
            );
            let node = Redis::start_with(&setup).await?;
            // Set once it runs: only then is it certain which port it got.
            node.must(&["CLUSTER", "SET-CONFIG-EPOCH", &(nodes.len() + 1).to_string()]).await?;
            if let Some(first) = nodes.first() {
                first.must(&["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string(), &gossip]).await?;
            }
            nodes.push(node);
        }
        for (at, node) in (0..NODES).zip(&nodes) {
            let (from, to) = (SLOTS * at / NODES, SLOTS * (at + 1) / NODES - 1);
            node.must(&["CLUSTER", "ADDSLOTSRANGE", &from.to_string(), &to.to_string()]).await?;
        }
        let cluster = Self { nodes };
        cluster.wait_until_whole().await?;
        Ok(cluster)
    }

    /// Returns when every node sees all slots served by all nodes.
    pub async fn wait_until_whole(&self) -> anyhow::Result<()> {
        let whole = async {
            while !self.is_whole().await {
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::time::timeout(JOIN_PATIENCE, whole).await.context("the nodes did not become a cluster")
    }

    async fn is_whole(&self) -> bool {
        for node in &self.nodes {
            let told = node.must(&["CLUSTER", "INFO"]).await;
            let words = [
                "cluster_state:ok".to_owned(),
                format!("cluster_slots_ok:{SLOTS}"),
                format!("cluster_known_nodes:{NODES}"),
            ];
            let is_whole = told.is_ok_and(|told| {
                told.text().is_some_and(|text| words.iter().all(|word| text.lines().any(|line| line == word)))
            });
            if !is_whole {
                return false;
            }
        }
        true
    }

    /// What a client connects to: one node, and another in case that is down.
    #[must_use]
    pub fn url(&self) -> String {
        let ports: Vec<u16> = self.nodes.iter().map(Redis::port).collect();
        format!("redis-cluster://127.0.0.1:{}?node=127.0.0.1:{}", ports[0], ports[1])
    }

    /// Which node serves a key or a channel of this name.
    pub async fn owner(&self, name: &str) -> anyhow::Result<usize> {
        let slot = self.nodes[0].must(&["CLUSTER", "KEYSLOT", name]).await?;
        let Reply::Number(slot) = slot else { anyhow::bail!("no slot: {slot:?}") };
        let slot = u32::try_from(slot)?;
        (0..NODES)
            .position(|at| (SLOTS * at / NODES..SLOTS * (at + 1) / NODES).contains(&slot))
            .context("a slot that nobody has")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_node_serves_its_own_and_comes_back_as_it_was() {
        let mut cluster = RedisCluster::start().await.unwrap();
        let owner = cluster.owner("a").await.unwrap();
        for (at, node) in cluster.nodes.iter().enumerate() {
            assert_eq!(node.must(&["GET", "a"]).await.is_ok(), at == owner);
        }
        cluster.nodes[owner].restart().await.unwrap();
        cluster.wait_until_whole().await.unwrap();
        assert!(cluster.nodes[owner].must(&["GET", "a"]).await.is_ok());
    }
}
