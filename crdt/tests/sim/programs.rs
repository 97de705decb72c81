//! Programs that ask for edits over HTTP, and remember what they were told: every answer must be true for ever.

use std::collections::{BTreeMap, BTreeSet};

use atlas_crdt::design::{Change, ElementPatch, Elements, Patch, Replacement, poison};
use atlas_crdt::ids::{ClientId, Generation, RequestId, Seq, UserId};
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Edit, EditOutcome, Expected, Tag};
use atlas_crdt::view::Element;
use serde_json::{Map, Value, json};

use crate::disk::Disk;
use crate::faults::Faults;
use crate::mallory;

use crate::rng::Rng;

const USER: UserId = UserId::from_u128(555);
/// Client ids from here on are the server's.
pub(crate) const FIRST_CLIENT: u64 = 1_000_000;

/// What a program waits for.
#[derive(Debug)]
struct Asked {
    pod: usize,
    client: ClientId,
    mark: String,
    /// It is to be made on exactly this state, or not at all.
    on: Option<Seq>,
    is_permitted: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Programs {
    asked: u64,
    waiting: BTreeMap<RequestId, Asked>,
    /// What was said not to be made, and must not be made later either.
    never: BTreeSet<ClientId>,
}

impl Programs {
    /// Something new to ask for.
    pub(crate) fn ask(&mut self, rng: &mut Rng, disk: &Disk, pod: usize) -> Edit {
        self.asked += 1;
        let client = ClientId::new(FIRST_CLIENT + self.asked);
        let mark = format!("mark-rest-{}", self.asked);
        let head = disk.head();
        let (expected, on) = match rng.below(6) {
            0 => (Some(vec![Tag::Yjs { generation: Generation::new(0), seq: head }]), Some(head)),
            1 => {
                let content_hash = disk.doc().view().content_hash();
                (Some(vec![Tag::Json { content_hash }]), Some(head))
            }
            2 => (Some(vec![Tag::Json { content_hash: [0; 32] }]), None),
            _ => (None, None),
        };
        let is_permitted = !rng.one_in(8);
        let is_evil = rng.one_in(25);
        let edit = Edit {
            request: RequestId::new(self.asked),
            user: if is_evil { mallory::USER } else { USER },
            role: if is_permitted { DesignRole::Editor } else { DesignRole::Viewer },
            client,
            expected: expected.map(Expected::OneOf),
            change: if is_evil {
                Change::Patch(Patch { meta: object(json!({"evil": poison::FAILS})), ..Patch::default() })
            } else {
                change(rng, disk, &mark, self.asked, on.is_some())
            },
            bytes: 1_000,
        };
        self.waiting.insert(edit.request, Asked { pod, client, mark, on, is_permitted });
        edit
    }

    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(crate) fn is_waiting_for(&self, pod: usize) -> bool {
        self.waiting.values().any(|asked| asked.pod == pod)
    }

    /// The pod died: nobody will ever say what became of these.
    pub(crate) fn forget(&mut self, pod: usize) {
        self.waiting.retain(|_, asked| asked.pod != pod);
    }

    /// One answer for each request, and a true one.
    pub(crate) fn hear(
        &mut self,
        request: RequestId,
        outcome: &EditOutcome,
        disk: &Disk,
        faults: &mut Faults,
    ) {
        let Asked { client, mark, on, is_permitted, .. } =
            self.waiting.remove(&request).expect("one answer for each request");
        let row = disk.first_row_of(client);
        match outcome {
            EditOutcome::Done(edited) if edited.has_changed => {
                faults.count("edits over HTTP made");
                assert!(is_permitted, "INV-5: {mark} was not permitted");
                assert_eq!(row, Some(edited.seq), "INV-2: {mark} was answered and is not in the log");
                assert!(disk.has_mark(&mark));
                // Rows that show nothing may stand between.
                let is_on = |on: Seq| on.next() == edited.seq || disk.shows_the_same(on, edited.seq);
                assert!(on.is_none_or(is_on), "{mark} was made on another state");
                if edited.seq == disk.head() {
                    assert_eq!(edited.content_hash, disk.doc().view().content_hash());
                }
            }
            EditOutcome::Unknown => faults.count("edits over HTTP of which nobody knows"),
            other => {
                match other {
                    EditOutcome::Stale { .. } => faults.count("edits over HTTP stale"),
                    EditOutcome::TurnedAway { .. } => faults.count("edits over HTTP turned away"),
                    EditOutcome::Refused { .. } => faults.count("edits over HTTP refused"),
                    EditOutcome::Unfit { message } => panic!("{message}"),
                    EditOutcome::Done(_) | EditOutcome::Unknown => {}
                }
                assert_eq!(row, None, "{mark} is in the log, and the answer was {other:?}");
                self.never.insert(client);
            }
        }
    }

    /// What was not made then was not made later.
    pub(crate) fn check_at_rest(&self, disk: &Disk) {
        assert!(self.waiting.is_empty(), "never answered: {:?}", self.waiting);
        for client in &self.never {
            assert_eq!(disk.first_row_of(*client), None, "said not to be made, and made later");
        }
    }
}

/// A change that leaves its mark. `on_this_state`: it is made on the state that the disk shows now, or not at all.
fn change(rng: &mut Rng, disk: &Disk, mark: &str, number: u64, on_this_state: bool) -> Change {
    let mut meta = object(json!({ mark: true }));
    if rng.one_in(5) {
        meta.insert("name".to_owned(), json!(format!("by a program {number}")));
    }
    let node = |rng: &mut Rng| format!("n{}", rng.below(12));
    if rng.one_in(2) {
        let mut nodes = ElementPatch::default();
        let body =
            json!({"width": rng.below(500), "data": {"label": null, "securityFlags": {"tls": number}}});
        nodes.upsert.push((node(rng), object(body)));
        let gone = node(rng);
        if gone != nodes.upsert[0].0 {
            nodes.remove.push(gone);
        }
        let mut edges = ElementPatch::default();
        let ends = object(json!({"source": node(rng), "target": node(rng)}));
        edges.upsert.push((format!("e{}", rng.below(12)), ends));
        return Change::Patch(Patch { nodes, edges, meta });
    }
    let view = disk.doc().view();
    let mut keep = |elements: Vec<Element>| -> Elements {
        let kept = elements.into_iter().filter(|_| !rng.one_in(4));
        let mut kept: Elements = kept.map(|Element { id, body }| (id, body)).collect();
        for (_, body) in &mut kept {
            // yrs writes the keys of a plain object in any order (INV-10).
            body.remove("position");
        }
        kept
    };
    let (nodes, edges) = (keep(view.nodes), keep(view.edges));
    // On another state it would take away the marks that this one does not have.
    let meta_is_whole = on_this_state;
    if meta_is_whole {
        meta.extend(view.meta.into_iter().filter(|(key, _)| key != "name"));
    }
    Change::Replace(Replacement { nodes, edges, meta, meta_is_whole })
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("an object is meant") };
    object
}
