//! A server and its Redis: it comes and goes, and the server stays.

use std::time::Duration;

use atlas_loadtest::services::redis::Redis;
use serde_json::Value;

use crate::support::Server;

/// Long enough for a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_mins(1);

async fn bus(server: &Server) -> Value {
    server.nobody().get("/api/ops/health").await.expect(200).json()["bus"].clone()
}

/// How often the log has a line with all of these.
fn lines(server: &Server, words: &[&str]) -> usize {
    server.log().lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
}

/// Waits until the log has so many such lines.
async fn said(server: &Server, words: &[&str], times: usize) {
    let said = async {
        while lines(server, words) < times {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, said).await.unwrap_or_else(|_| panic!("{words:?}: {}", server.log()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_starts_and_serves_without_its_redis_and_finds_it_later() {
    let mut redis = Redis::start().await.unwrap();
    redis.kill().await.unwrap();
    let mut server = Server::start_with(&[("REDIS_URL", &redis.url())]);
    let ada = server.register("ada@example.com").await;
    let design = ada.create_design("Shop").await;
    ada.snapshot(&design).await;
    assert_eq!(bus(&server).await["is_connected"], false);
    said(&server, &["WARN", "Redis is away"], 2).await;
    assert_eq!(lines(&server, &["WARN", "Redis is away"]), 2, "once for each direction: {}", server.log());

    redis.restart().await.unwrap();
    let found = async {
        while bus(&server).await["is_connected"] != true {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap();
    said(&server, &["INFO", "Redis is back"], 2).await;
    // Not once more for all the attempts before.
    assert_eq!(lines(&server, &["WARN", "Redis is away"]), 2, "{}", server.log());
    redis.kill().await.unwrap();
    said(&server, &["WARN", "Redis is away"], 4).await;
    assert_eq!(lines(&server, &["INFO", "Redis is back"]), 2, "{}", server.log());
    ada.snapshot(&design).await;
    assert_eq!(server.stop(), Some(0), "and it stops as well without it");
    assert!(!server.log().contains("fred"), "what there is to say the bus says: {}", server.log());
}

#[tokio::test]
async fn without_redis_there_is_no_bus_to_speak_of() {
    let server = Server::start();
    assert_eq!(bus(&server).await, Value::Null);
    let broken = [("REDIS_URL", "rediss://127.0.0.1"), ("REDIS_CA", "-----BEGIN CERTIFICATE-----\nnone")];
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_atlas-collab"));
    let data = tempfile::tempdir().unwrap();
    command.arg("serve").env_clear().envs(broken).env("ATLAS_DATA_DIR", data.path());
    let output = command.env("ATLAS_LISTEN", "127.0.0.1:0").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("REDIS_CA"), "{told}");
}
