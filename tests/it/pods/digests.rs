//! Pods compare what they hold: what each says of a document reaches all the others, and a difference is found.

use std::collections::BTreeSet;
use std::time::Duration;

use atlas_loadtest::services::redis::Reply;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::fleet::{DIVERGED, Fleet, PODS};
use super::strike::ways;
use crate::faults::crew::{PATIENCE, now};

/// The first word comes half a minute after a room was opened at the earliest, and a part of that later.
const SAID_WITHIN: Duration = Duration::from_mins(1);

/// Waits until every pod has heard all of them say what they hold, and they have said it since this was called.
async fn all_are_heard(fleet: &Fleet) -> BTreeSet<u64> {
    let began = now();
    ways(fleet).for_each(|way| drop(way.take_digests()));
    let mut heard = vec![BTreeSet::new(); PODS];
    while heard.iter().any(|pods| pods.len() < PODS) {
        assert!(began.elapsed() < SAID_WITHIN, "after {SAID_WITHIN:?} each pod has heard these: {heard:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        for (pods, way) in heard.iter_mut().zip(ways(fleet)) {
            pods.extend(way.take_digests());
        }
    }
    println!("{:?} after the last edit each pod had heard what all of them hold", began.elapsed());
    heard.remove(0)
}

// R-MANY-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_that_rest_tell_each_other_what_they_hold() {
    let mut fleet = Fleet::with_redis().await;
    let mut crew = fleet.crew(1, PODS).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let edits = fleet.rest(&mut crew).await;
    let pods = all_are_heard(&fleet).await;
    assert_eq!(pods.len(), PODS, "more than there are");
    println!("{edits} edits; the pods are {pods:?}");
    fleet.check_logs();
    crew.leave();
    fleet.check_store();
}

/// Nobody's.
const STRANGER: u64 = 4_711;

/// What a pod says that holds something else at the end of this design's log. See `src/bus/codec.rs`.
async fn false_digest(fleet: &Fleet, design: &str) -> Vec<u8> {
    let of_head = async |column: &str| {
        let sql = format!("SELECT {column} FROM design_heads WHERE design_id = '{design}'");
        fleet.bed.count(&fleet.pods[0].server, &sql).await.to_be_bytes()
    };
    let (generation, seq) = (of_head("generation").await, of_head("head_seq").await);
    [&[1, 5][..], &STRANGER.to_be_bytes(), &generation, &seq, &[7; 32]].concat()
}

/// Says it to everybody who has this design open.
async fn say(fleet: &mut Fleet, design: &str, word: &[u8]) {
    let channels = fleet.redis().must(&["PUBSUB", "SHARDCHANNELS", &format!("*{design}*")]).await.unwrap();
    let Reply::List(channels) = channels else { panic!("{channels:?}") };
    let channel = channels[0].text().unwrap();
    let head = format!("*3\r\n$8\r\nSPUBLISH\r\n${}\r\n{channel}\r\n${}\r\n", channel.len(), word.len());
    let mut socket = TcpStream::connect(fleet.redis().address()).await.unwrap();
    socket.write_all(&[head.as_bytes(), word, b"\r\n"].concat()).await.unwrap();
    // Heard, and not only sent.
    let mut answer = [0; 4];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b":3\r\n", "not every pod listens");
}

/// Proves that the other tests would see it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_that_hold_something_else_say_so() {
    let mut fleet = Fleet::with_redis().await;
    let mut crew = fleet.crew(1, PODS).await;
    fleet.rest(&mut crew).await;
    fleet.check_logs();
    let design = crew.desks[0].design.clone();
    let word = false_digest(&fleet, &design).await;
    say(&mut fleet, &design, &word).await;
    let began = now();
    while fleet.pods.iter().any(|pod| !pod.server.log().contains(DIVERGED)) {
        assert!(began.elapsed() < PATIENCE, "somebody found nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    crew.leave();
    fleet.check_store();
}
