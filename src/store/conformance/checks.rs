//! What a check of the store is told. What it is told about damage stands in the implementations' own tests.

use std::time::Duration;

use serde_json::Value;

use super::folds::{compaction, design_of, fold};
use super::{design_id, hash, payload, user_id};
use crate::store::Stores;
use crate::store::folds::BacklogBlob;

pub(super) async fn every_design_is_listed(stores: Stores) {
    let upkeep = &*stores.upkeep;
    assert_eq!(upkeep.design_ids(None, 10).await.unwrap(), []);
    for n in [4, 1, 3, 5, 2] {
        design_of(&stores, n, 1).await;
    }
    let ids: Vec<_> = (1..=5).map(design_id).collect();
    assert_eq!(upkeep.design_ids(None, 10).await.unwrap(), ids);
    assert_eq!(upkeep.design_ids(None, 2).await.unwrap(), ids[..2]);
    assert_eq!(upkeep.design_ids(Some(ids[1]), 2).await.unwrap(), ids[2..4]);
    assert_eq!(upkeep.design_ids(Some(ids[4]), 2).await.unwrap(), []);
    stores.store.delete_design(ids[2]).await.unwrap();
    assert_eq!(upkeep.design_ids(Some(ids[2]), 10).await.unwrap(), ids[3..]);
}

pub(super) async fn what_remains_is_told_as_it_is(stores: Stores) {
    let upkeep = &*stores.upkeep;
    assert!(upkeep.remains(design_id(9)).await.unwrap().is_none());
    let design = design_of(&stores, 1, 9).await;
    let read = async || upkeep.remains(design).await.unwrap().unwrap();
    let seqs =
        |rows: &[(atlas_crdt::ids::Seq, u64)]| rows.iter().map(|(seq, _)| seq.get()).collect::<Vec<_>>();

    let fresh = read().await;
    assert_eq!((fresh.generation.get(), fresh.head.get()), (1, 9));
    assert_eq!(seqs(&fresh.rows), (1..=9).collect::<Vec<_>>());
    assert_eq!(fresh.rows[3].1, payload(design, 3).len() as u64);
    assert_eq!((fresh.snapshots.len(), fresh.segments.len(), fresh.backlog.len()), (0, 0, 0));
    assert_eq!((fresh.owner, fresh.owner_is_member, fresh.columns), (user_id(1), true, None));

    let lease = compaction(&stores, design).await;
    let mut first = fold(design, 0, 4);
    // A character that not every database takes: some keep U+FFFD in its place.
    first.nodes = r#"[{"id":"a\u0000b","data":{"label":"\\u0000 \"é\" ☃"}}]"#.to_owned();
    first.edges = r#"[{"id":"e","source":"a","target":"b"}]"#.to_owned();
    upkeep.commit_fold(lease, first.clone()).await.unwrap();
    let folded = read().await;
    assert_eq!(seqs(&folded.rows), (1..=9).collect::<Vec<_>>());
    assert_eq!(folded.snapshots, [(first.seq, first.snapshot.clone(), Some(first.hash))]);
    assert_eq!(folded.segments, first.segments);
    let (nodes, edges) = folded.columns.unwrap();
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let without = first.nodes.replace("a\\u0000b", "a\u{fffd}b");
    assert!([value(&first.nodes), value(&without)].contains(&value(&nodes)), "{nodes}");
    assert_eq!(value(&edges), value(&first.edges));

    let second = fold(design, 4, 8);
    upkeep.commit_fold(lease, second.clone()).await.unwrap();
    let prefix = format!("designs/{design}/snapshots");
    let waiting = BacklogBlob { prefix: prefix.clone(), hash: hash(8), bytes: second.snapshot.clone() };
    upkeep.add_to_backlog(waiting).await.unwrap();
    let twice = read().await;
    assert_eq!(twice.snapshots.iter().map(|(seq, ..)| seq.get()).collect::<Vec<_>>(), [4, 8]);
    assert_eq!(twice.segments, [first.segments, second.segments].concat());
    assert_eq!(twice.backlog, [(prefix, hash(8))]);

    upkeep.prune_folded(lease, 6, Duration::ZERO).await.unwrap();
    let pruned = read().await;
    assert_eq!(seqs(&pruned.rows), [7, 8, 9]);
    assert_eq!(pruned.snapshots, [(second.seq, second.snapshot, Some(second.hash))]);
    assert_eq!(pruned.segments.len(), 2, "what was archived stays known");
    assert_eq!(value(&pruned.columns.unwrap().0), value(&second.nodes));
}
