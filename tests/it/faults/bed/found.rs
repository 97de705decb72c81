//! A design as it lies in the store, read past the server.

use std::collections::BTreeMap;

use atlas_loadtest::replica::Replica;
use serde_json::{Value, json};

/// Its log, and where it is folded.
pub(crate) struct Found {
    design: String,
    head: u64,
    /// The newest snapshot: where it ends, and the document.
    snapshot: Option<(u64, Vec<u8>)>,
    /// `seq`, update and authors, by `seq`.
    rows: Vec<(u64, Vec<u8>, Value)>,
}

impl Found {
    /// From the columns of any store.
    pub(crate) fn new(
        design: &str,
        head: i64,
        snapshot: Option<(i64, Vec<u8>)>,
        rows: Vec<(i64, Vec<u8>, Value)>,
    ) -> Self {
        let snapshot = snapshot.map(|(seq, document)| (number(seq), document));
        let rows = rows.into_iter().map(|(seq, update, authors)| (number(seq), update, authors));
        Self { design: design.to_owned(), head: number(head), snapshot, rows: rows.collect() }
    }

    /// Where the newest snapshot ends; 0 without one.
    pub(crate) fn folded(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |(seq, _)| *seq)
    }

    /// Rows that were deleted because the snapshot holds them.
    pub(crate) fn deleted_rows(&self) -> u64 {
        self.rows.first().map_or(self.folded(), |(seq, _, _)| *seq - 1)
    }

    /// The log has no hole up to the head, and what anybody wrote is in it without a hole and once.
    pub(crate) fn check(&self) {
        let Self { design, .. } = self;
        let first = self.deleted_rows() + 1;
        assert!(
            first <= self.folded() + 1,
            "{design}: rows begin at {first}, folded up to {}",
            self.folded()
        );
        let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
        for (expected, (seq, _, authors)) in (first..).zip(&self.rows) {
            assert_eq!(*seq, expected, "{design}: a hole in the log");
            let wrote =
                authors.as_array().unwrap().iter().flat_map(|author| author["wrote"].as_array().unwrap());
            for range in wrote {
                let [client, start, end] = ["client", "start", "end"].map(|key| range[key].as_u64().unwrap());
                let before = ends.get(&client).copied();
                let follows = before.map_or(start == 0 || 1 < first, |before| start == before);
                assert!(follows, "{design}: row {seq} has {start} of client {client} after {before:?}");
                ends.insert(client, end);
            }
        }
        let end = self.rows.last().map_or(self.folded(), |(seq, _, _)| *seq);
        assert_eq!(end, self.head, "{design}: the log ends at {end}, its head says {}", self.head);
    }

    fn replica(&self) -> Replica {
        let mut replica = Replica::new(1);
        let folded = self.snapshot.iter().map(|(_, document)| document);
        let tail = self.rows.iter().filter(|(seq, _, _)| self.folded() < *seq).map(|(_, update, _)| update);
        for update in folded.chain(tail) {
            replica.apply(update).unwrap();
        }
        assert!(!replica.has_gaps(), "{}: the log does not make a whole document", self.design);
        replica
    }

    /// As a client has it.
    pub(crate) fn drawing(&self) -> Value {
        self.replica().json()
    }

    /// `{"nodes": [{"id": …, …}]}`, as a snapshot of the API has it.
    pub(crate) fn document(&self) -> Value {
        let with_id = |(id, node): (&String, &Value)| {
            let mut node = node.clone();
            node["id"] = json!(id);
            node
        };
        let nodes: Vec<Value> = self.drawing()["nodes"].as_object().unwrap().iter().map(with_id).collect();
        json!({ "nodes": nodes })
    }
}

fn number(value: i64) -> u64 {
    value.try_into().unwrap()
}
