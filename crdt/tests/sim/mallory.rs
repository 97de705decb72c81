//! Somebody who may edit and means no good. Whatever she sends, the others' work arrives and the room lives.

use std::collections::BTreeMap;

use atlas_crdt::design::{DesignDoc, poison};
use atlas_crdt::ids::{ClientId, ConnId, UserId};
use bytes::Bytes;
use yrs::updates::decoder::Decode;
use yrs::{ArrayPrelim, Doc, Map, MapPrelim, TextPrelim, Transact, Update};

use crate::rng::Rng;

/// In everything that she writes under somebody else's client id.
pub(crate) const FORGED: &str = "forged";

/// In what she writes more than once under the same clocks.
const FORKED: &str = "forked";

pub(crate) const USER: UserId = UserId::from_u128(666);

#[derive(Debug, Default)]
pub(crate) struct Mallory {
    /// At each pod.
    pub(crate) conns: BTreeMap<usize, ConnId>,
    attacks: u64,
}

/// What she sends: a document message or an awareness update.
pub(crate) enum Attack {
    Update(Bytes),
    Awareness(Bytes),
}

impl Mallory {
    /// The next attack. `log` is what everybody can read, `claimed` the client ids that are somebody's.
    pub(crate) fn attack(
        &mut self,
        rng: &mut Rng,
        log: &DesignDoc,
        claimed: &[ClientId],
        has_one_pod: bool,
    ) -> Attack {
        self.attacks += 1;
        // An id that she used before may be spent.
        let own = 50_000 + self.attacks;
        let victim = (!claimed.is_empty()).then(|| claimed[rng.below(claimed.len())].get());
        match (rng.below(8), victim) {
            (0 | 1, Some(victim)) => Attack::Update(self.write(log, victim, FORGED)),
            (2, Some(victim)) => {
                let mut update = vec![1];
                crate::peer::write_var(&mut update, victim);
                // Where a pod may not have heard whose the id is, those who see this wait for a higher clock.
                crate::peer::write_var(&mut update, if has_one_pod { 1 << 20 } else { 1 });
                update.extend(b"\x02{}");
                Attack::Awareness(update.into())
            }
            (3, _) => Attack::Update(self.write(log, own, poison::FAILS)),
            // The same clocks twice, with something else in them, perhaps at two pods at once.
            (4 | 5, _) => Attack::Update(self.write(log, 60_000 + self.attacks / 3, FORKED)),
            // A struct at clock 7 of a client that has none.
            (6, _) => Attack::Update(Bytes::from_static(&[1, 1, 99, 7, 0, 1, 0])),
            _ => Attack::Update(Bytes::from_static(&[1, 1, 99, 0, 0x2b, 1])),
        }
    }

    fn write(&self, log: &DesignDoc, client: u64, text: &str) -> Bytes {
        let doc = Doc::with_client_id(client);
        let meta = doc.get_or_insert_map("meta");
        doc.transact_mut().apply_update(Update::decode_v1(&log.encode()).unwrap()).unwrap();
        let mut txn = doc.transact_mut();
        let key = format!("{text} {}", self.attacks);
        // Under the same clocks stands something that the other's next clocks cannot build upon.
        match if text == FORKED { self.attacks % 4 } else { 0 } {
            0 => _ = meta.insert(&mut txn, key, true),
            1 => _ = meta.insert(&mut txn, key, MapPrelim::from([("inside", true)])),
            2 => _ = meta.insert(&mut txn, key, ArrayPrelim::from([1, 2, 3])),
            _ => _ = meta.insert(&mut txn, key, TextPrelim::new("letters")),
        }
        txn.encode_update_v1().into()
    }
}
