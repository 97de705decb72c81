//! Several servers: a cluster, and a master that sentinels know.

use atlas_loadtest::services::redis::{Redis, RedisCluster, RedisSentinel, SERVICE, Setup};

use super::tests::{design, hear_gap, keeps_the_contract, open, settings, stats, until, users, with_login};
use super::*;
use crate::bus::conformance::{hear, message};
use crate::bus::{Heard, Subscription};

async fn cluster() -> (RedisCluster, RedisSettings) {
    let setup = Setup { users: users().await, ..Setup::default() };
    let cluster = RedisCluster::start_with(&setup).await.unwrap();
    let ports: Vec<u16> = cluster.nodes.iter().map(Redis::port).collect();
    let settings = with_login(settings(RedisLayout::Cluster, &ports));
    (cluster, settings)
}

async fn subscribe_all(bus: &RedisBus, count: u128) -> Vec<Subscription> {
    let mut all = Vec::new();
    for n in 0..count {
        all.push(bus.subscribe(design(n)).await);
    }
    all
}

/// What one says about each design the other hears, over gaps.
async fn all_flow(one: &RedisBus, all: &mut [Subscription], seq: u64) {
    for (n, subscription) in (0..).zip(all) {
        one.publish(design(n), message(seq));
        while hear(subscription).await != message(seq) {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_keeps_the_contract() {
    let (_cluster, settings) = cluster().await;
    keeps_the_contract(&settings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_design_is_a_matter_of_one_shard() {
    const DESIGNS: u128 = 300;
    let (cluster, settings) = cluster().await;
    let (one, two) = (open(&settings).await, open(&settings).await);
    let mut all = subscribe_all(&two, DESIGNS).await;
    all_flow(&one, &mut all, 1).await;
    let mut calls = Vec::new();
    for node in &cluster.nodes {
        calls.push(node.calls("spublish").await.unwrap());
        assert_eq!(node.calls("publish").await.unwrap(), 0, "nothing goes to all nodes");
    }
    println!("messages of {DESIGNS} designs on each shard: {calls:?}");
    assert_eq!(calls.iter().sum::<u64>(), 300);
    assert!(calls.iter().all(|calls| 60 < *calls), "{calls:?}");
    assert_eq!(stats(&two).gaps, 0);
    drop(all);
    until("shards hear that nobody listens", async || {
        let mut left = 0;
        for node in &cluster.nodes {
            let told = node.must(&["PUBSUB", "SHARDCHANNELS"]).await.unwrap();
            left += format!("{told:?}").matches("design").count();
        }
        left == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_comes_back() {
    let (mut cluster, settings) = cluster().await;
    let (one, two) = (open(&settings).await, open(&settings).await);
    let mut all = subscribe_all(&two, 30).await;
    all_flow(&one, &mut all, 1).await;
    cluster.nodes[1].kill().await.unwrap();
    for bus in [&one, &two] {
        until("it is noticed", async || !stats(bus).is_connected).await;
    }
    cluster.nodes[1].restart().await.unwrap();
    cluster.wait_until_whole().await.unwrap();
    for bus in [&one, &two] {
        until("it is connected again", async || stats(bus).is_connected).await;
    }
    for subscription in &mut all {
        hear_gap(subscription).await;
    }
    all_flow(&one, &mut all, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_slot_that_moves_takes_its_designs_along() {
    let (cluster, settings) = cluster().await;
    let (one, two) = (open(&settings).await, open(&settings).await);
    let mut all = subscribe_all(&two, 30).await;
    all_flow(&one, &mut all, 1).await;
    let channel = format!("atlas:design:{}", design(7));
    let (from, slot) = (cluster.owner(&channel).await.unwrap(), cluster.slot(&channel).await.unwrap());
    let to = (from + 1) % 3;
    cluster.move_slot(slot, to).await.unwrap();
    let told = cluster.nodes[to].must(&["SPUBLISH", &channel, "nobody is there yet"]).await.unwrap();
    println!("the new node knows it: {told:?}");
    hear_gap(&mut all[7]).await;
    // The other channels were asked for again as well, and may or may not be through with it.
    all_flow(&one, &mut all, 2).await;
    assert!(stats(&one).is_connected && stats(&two).is_connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_master_is_found_and_everybody_told_of_a_gap() {
    let setup = Setup { users: users().await, ..Setup::default() };
    let mut all = RedisSentinel::start_with(&setup).await.unwrap();
    let layout = RedisLayout::Sentinel { service: SERVICE.into(), login: None };
    let settings = with_login(settings(layout, &all.sentinel_ports()));
    keeps_the_contract(&settings).await;

    let (one, two) = (open(&settings).await, open(&settings).await);
    let mut subscription = two.subscribe(design(1)).await;
    one.publish(design(1), message(1));
    assert_eq!(hear(&mut subscription).await, message(1));
    assert_eq!(all.master().await.unwrap(), Some(0));
    all.servers[0].kill().await.unwrap();
    for bus in [&one, &two] {
        until("it is noticed", async || !stats(bus).is_connected).await;
    }
    all.wait_for_master(1).await.unwrap();
    for bus in [&one, &two] {
        until("it is connected again", async || stats(bus).is_connected).await;
    }
    let heard = subscription.messages.recv().await;
    assert_eq!(heard, Some(Heard::Gap));
    one.publish(design(1), message(2));
    assert_eq!(hear(&mut subscription).await, message(2));
    assert!(1 <= all.servers[1].calls("spublish").await.unwrap(), "through the new master");
}
