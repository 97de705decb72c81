//! Damage of every kind, told in one line each.

use atlas_crdt::ids::Seq;

use crate::blob::BlobHash;
use crate::jobs::compact::{segments_of, snapshots_of};
use crate::jobs::testing::{SETTINGS, World};
use crate::store::Store as _;
use crate::store::upkeep::Upkeep as _;

/// A design with rows that are folded and gone, rows that are folded and there, and rows above.
async fn world() -> World {
    let mut world = World::new().await;
    world.edit(40).await;
    world.clock.advance(SETTINGS.folds.keep);
    world.fold().await;
    world.edit(40).await;
    world.fold().await;
    world.edit(5).await;
    assert_eq!(world.check().await, [""; 0]);
    let remains = world.store.remains(world.design).await.unwrap().unwrap();
    assert_eq!(remains.rows.first().unwrap().0, Seq::new(42));
    assert_eq!(remains.snapshots.last().unwrap().0, Seq::new(81));
    assert_eq!((remains.head, remains.segments.len()), (Seq::new(86), 5));
    world
}

/// Each is one statement, and what the check then says of it.
const DAMAGE: &[(&str, &[&str])] = &[
    ("DELETE FROM design_updates WHERE seq = 84", &["rows 84 to 84 are missing"]),
    ("DELETE FROM design_updates WHERE seq = 86", &["rows 86 to 86 are missing at the end of the log"]),
    ("UPDATE design_heads SET head_seq = 85", &["the log goes to row 86, and its head says 85"]),
    ("UPDATE design_updates SET payload = x'0707' WHERE seq = 83", &["row 83 cannot be read"]),
    ("UPDATE design_updates SET payload = x'0707' WHERE seq = 50", &["row 50 cannot be read"]),
    (
        "UPDATE design_updates SET authors = '[1]' WHERE seq = 83",
        &["the authors of log row 83 cannot be read"],
    ),
    // An update that is whole, in the place of another.
    (
        "UPDATE design_updates SET payload = (SELECT payload FROM design_updates WHERE seq = 86) WHERE seq = 82",
        &["rows 82 to 86 cannot be applied"],
    ),
    (
        "UPDATE design_snapshots SET payload = x'0707' WHERE seq = 81",
        &["the snapshot of row 81 is not what its hash says", "the snapshot of row 81 cannot be read"],
    ),
    (
        "DELETE FROM design_snapshots WHERE seq = 81",
        &[
            "rows 1 to 41 are missing: no snapshot has them",
            "segments go to row 81, and the snapshot to row 0",
            "the columns of nodes and edges do not belong to a snapshot",
        ],
    ),
    ("UPDATE designs SET nodes = '[]'", &["the columns are not what the snapshot shows: nodes"]),
    ("UPDATE designs SET edges = '[7]'", &["the columns are not what the snapshot shows: edges"]),
    ("DELETE FROM design_segments WHERE first_seq = 21", &["a segment of rows 41 to 41 follows on row 20"]),
    (
        "DELETE FROM design_segments WHERE last_seq = 81",
        &["segments go to row 61, and the snapshot to row 81"],
    ),
    ("DELETE FROM design_members", &["its owner"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_damaged_in_the_database_is_told() {
    for (sql, expected) in DAMAGE {
        let world = world().await;
        world.tamper(sql).await;
        let told = world.check().await;
        assert_eq!(told.len(), expected.len(), "{sql}: {told:#?}");
        for (told, expected) in told.iter().zip(*expected) {
            assert!(told.starts_with(&format!("design {}: {expected}", world.design)), "{sql}: {told}");
            assert!(!told.contains('\n'));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_that_are_gone_or_changed_are_told() {
    let world = world().await;
    let remains = world.store.remains(world.design).await.unwrap().unwrap();
    let (segments, snapshots) = (segments_of(world.design), snapshots_of(world.design));
    let hash = BlobHash(remains.segments[1].hash);
    let path = world.data.path().join("blobs").join(&segments).join(hash.to_string());
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    let told = world.check().await;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains(&hash.to_string()), "{told:#?}");

    // The bytes of another segment, under a name of their own.
    std::fs::write(&path, whole).unwrap();
    world.tamper("UPDATE design_segments SET hash = (SELECT hash FROM design_segments WHERE first_seq = 1) WHERE first_seq = 21").await;
    let told = world.check().await;
    assert!(told.len() == 1 && told[0].contains("the segment of rows 21 to 40"), "{told:#?}");

    let world = self::world().await;
    let remains = world.store.remains(world.design).await.unwrap().unwrap();
    let hash = BlobHash(remains.segments[4].hash);
    world.archive.blobs().delete(&segments_of(world.design), hash).await.unwrap();
    let told = world.check().await;
    assert!(told.len() == 1 && told[0].contains("the segment of rows 62 to 81 is nowhere"), "{told:#?}");
    let hash = BlobHash(remains.snapshots.last().unwrap().2.unwrap());
    world.archive.blobs().delete(&snapshots_of(world.design), hash).await.unwrap();
    let told = world.check().await;
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[1].contains("the snapshot of row 81 is not archived"), "{told:#?}");
    drop(snapshots);
}

/// A hole in the log, and blobs that cannot be asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_found_is_told_also_when_blobs_are_out_of_reach() {
    let world = world().await;
    world.tamper("DELETE FROM design_updates WHERE seq = 84").await;
    world.blobs.is_away.store(true, std::sync::atomic::Ordering::SeqCst);
    let (told, summary) = world.checked(crate::jobs::fsck::Depth::Contents).await;
    assert_eq!((summary.problems, summary.unchecked), (1, 1), "{told:#?}");
    assert!(told[0].contains("rows 84 to 84 are missing"), "{told:#?}");
    assert!(told[1].contains("the rest is not checked"), "{told:#?}");
}

/// A snapshot that can be read, with columns and hash to match, and that is still not what people wrote.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_lies_is_found_by_what_the_segments_say() {
    let mut world = World::new().await;
    world.edit(40).await;
    world.clock.advance(SETTINGS.folds.keep);
    world.fold().await;
    let mut other = World::new().await;
    other.edit(39).await;
    other.clock.advance(SETTINGS.folds.keep);
    other.fold().await;
    let theirs = other.store.remains(other.design).await.unwrap().unwrap();
    let (_, payload, hash) = theirs.snapshots.last().unwrap().clone();
    let (nodes, edges) = theirs.columns.unwrap();
    {
        use sqlx::ConnectOptions as _;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(world.data.path().join("atlas.db"));
        let mut connection = options.connect().await.unwrap();
        let lie = sqlx::query("UPDATE design_snapshots SET payload = ?1, hash = ?2").bind(payload.to_vec());
        lie.bind(hash.map(Vec::from)).execute(&mut connection).await.unwrap();
        let lie = sqlx::query("UPDATE designs SET nodes = ?1, edges = ?2").bind(nodes).bind(edges);
        lie.execute(&mut connection).await.unwrap();
    }
    let sealed = world.archive.seal(&payload).unwrap();
    world.archive.put(&snapshots_of(world.design), &sealed).await.unwrap();
    let told = world.check().await;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("the snapshot of row 41 is not what the segments make"), "{told:#?}");
    assert!(world.store.load(world.design).await.unwrap().is_some(), "nothing else would have noticed");
}
