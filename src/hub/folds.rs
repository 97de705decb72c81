//! When a room's log has grown enough to be folded: the jobs are told, and do it without the room.
//!
//! A hint, nothing more. One that finds the queue full is dropped, and the room goes on as if nothing were: a later turn of
//! the room gives it again, and the sweep of the jobs finds a long log also without any hint.

use atlas_crdt::ids::{DesignId, Seq};
use atlas_crdt::room::{Input, Loaded};
use tokio::sync::mpsc;

/// Where hints go, and when.
#[derive(Debug, Clone)]
pub struct FoldHints {
    pub to: mpsc::Sender<DesignId>,
    /// Rows above the snapshot, or …
    pub rows: u64,
    /// … bytes in them, or …
    pub bytes: u64,
    /// … rows when the last connection leaves.
    pub rows_at_leave: u64,
}

/// What one room knows of its log.
#[derive(Debug)]
pub(super) struct FoldWatch {
    design: DesignId,
    hints: FoldHints,
    /// Folded up to here, or hinted at.
    base: Seq,
    /// Above it.
    bytes: u64,
    head: Seq,
    has_connections: bool,
}

impl FoldWatch {
    pub(super) fn new(design: DesignId, hints: FoldHints) -> Self {
        Self { design, hints, base: Seq::ZERO, bytes: 0, head: Seq::ZERO, has_connections: false }
    }

    /// Something reached the room that may have grown the log.
    pub(super) fn hear(&mut self, input: &Input) {
        match input {
            Input::Loaded(loaded) => self.loaded(loaded),
            Input::CaughtUp { rows } => rows.iter().for_each(|row| self.wrote(row.update.len())),
            Input::Remote { update, .. } => self.wrote(update.len()),
            _ => {}
        }
    }

    fn loaded(&mut self, loaded: &Loaded) {
        self.base = loaded.snapshot.as_ref().map_or(Seq::ZERO, |(seq, _)| *seq);
        self.bytes = 0;
        loaded.tail.iter().for_each(|row| self.wrote(row.update.len()));
    }

    /// A row of so many bytes was added.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// After each turn of a live room: where its log ends, and how many are there.
    pub(super) fn look(&mut self, head: Seq, connections: usize) {
        self.head = head;
        let was_left = self.has_connections && connections == 0;
        self.has_connections = 0 < connections;
        let rows = self.rows();
        let is_long = self.hints.rows <= rows || (0 < rows && self.hints.bytes <= self.bytes);
        if is_long || (was_left && self.hints.rows_at_leave <= rows) {
            self.hint();
        }
    }

    /// The room goes.
    pub(super) fn end(&mut self) {
        if self.hints.rows_at_leave <= self.rows() {
            self.hint();
        }
    }

    fn rows(&self) -> u64 {
        self.head.get().saturating_sub(self.base.get())
    }

    fn hint(&mut self) {
        if self.hints.to.try_send(self.design).is_ok() {
            self.base = self.head;
            self.bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use atlas_crdt::room::LogRow;
    use bytes::Bytes;

    use super::*;

    const DESIGN: DesignId = DesignId::from_u128(7);

    fn watch(places: usize) -> (FoldWatch, mpsc::Receiver<DesignId>) {
        let (to, hints) = mpsc::channel(places);
        let when = FoldHints { to, rows: 100, bytes: 10_000, rows_at_leave: 10 };
        (FoldWatch::new(DESIGN, when), hints)
    }

    fn loaded(snapshot: u64, tail: u64) -> Input {
        let row =
            |seq| LogRow { seq: Seq::new(seq), update: Bytes::from_static(&[0; 10]), claims: Vec::new() };
        Input::Loaded(Loaded {
            snapshot: (snapshot != 0).then(|| (Seq::new(snapshot), Bytes::new())),
            tail: (1..=tail).map(|n| row(snapshot + n)).collect(),
            ..Loaded::default()
        })
    }

    #[test]
    fn a_long_log_is_hinted_at_once() {
        let (mut watch, mut hints) = watch(8);
        watch.hear(&loaded(1_000, 40));
        watch.look(Seq::new(1_040), 1);
        for seq in 1_041..1_100 {
            watch.wrote(1);
            watch.look(Seq::new(seq), 1);
        }
        assert!(hints.try_recv().is_err());
        watch.look(Seq::new(1_100), 1);
        assert_eq!(hints.try_recv(), Ok(DESIGN));
        watch.look(Seq::new(1_199), 1);
        assert!(hints.try_recv().is_err(), "one hint for a hundred rows");
        watch.look(Seq::new(1_200), 1);
        assert_eq!(hints.try_recv(), Ok(DESIGN));
    }

    #[test]
    fn few_large_rows_count_by_their_bytes() {
        let (mut watch, mut hints) = watch(8);
        watch.hear(&loaded(0, 1));
        watch.look(Seq::new(1), 1);
        let update = Bytes::from(vec![0; 9_990]);
        watch.hear(&Input::CaughtUp { rows: vec![LogRow { seq: Seq::new(2), update, claims: Vec::new() }] });
        watch.look(Seq::new(2), 1);
        assert_eq!(hints.try_recv(), Ok(DESIGN));
        assert!(hints.try_recv().is_err());
    }

    #[test]
    fn who_leaves_last_has_the_log_folded() {
        let (mut watch, mut hints) = watch(8);
        watch.hear(&loaded(5, 9));
        for connections in [0, 2, 1, 0] {
            watch.look(Seq::new(14), connections);
        }
        assert!(hints.try_recv().is_err(), "nine rows are not worth it");
        watch.look(Seq::new(15), 0);
        assert!(hints.try_recv().is_err(), "nobody left: programs write without connections");
        watch.look(Seq::new(15), 1);
        watch.look(Seq::new(15), 0);
        assert_eq!(hints.try_recv(), Ok(DESIGN));
        watch.look(Seq::new(24), 0);
        watch.end();
        assert!(hints.try_recv().is_err());
        watch.look(Seq::new(25), 0);
        watch.end();
        assert_eq!(hints.try_recv(), Ok(DESIGN), "edits over HTTP, and then the room went");
    }

    #[test]
    fn a_hint_that_finds_no_place_is_given_again_later() {
        let (mut watch, mut hints) = watch(1);
        watch.hints.to.try_send(DesignId::from_u128(8)).unwrap();
        watch.hear(&loaded(0, 100));
        watch.look(Seq::new(100), 1);
        assert_eq!(hints.try_recv(), Ok(DesignId::from_u128(8)));
        watch.look(Seq::new(100), 1);
        assert_eq!(hints.try_recv(), Ok(DESIGN));
    }
}
