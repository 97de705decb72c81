//! What other pods say to the room, and inputs that come of themselves.

use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use atlas_crdt::gate::scan_update;
use atlas_crdt::ids::{AppendId, ClientId, ConnId, Generation, PodId, Seq, UserId};
use atlas_crdt::limits::DOCUMENT_BYTES_MAX;
use atlas_crdt::room::{Claim, Input, LogRow};
use atlas_crdt::wire::ClientFrame;
use bytes::Bytes;
use yrs::StateVector;

use super::people::{Person, cursor};
use super::world::{ROLES, World};
use crate::known;

impl World {
    /// Another pod commits an edit upon all of the log.
    pub(super) fn other_pod(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let mut pod = Person::new(9, 9_000 + self.log.rows.len() as u64, true);
        known::receive(&pod.doc, &self.log.doc.encode());
        let update = pod.edit(u)?;
        if scan_update(&update, DOCUMENT_BYTES_MAX).is_ok_and(|scan| !scan.is_empty()) {
            let claims =
                vec![Claim { client: ClientId::new(pod.client), user: Some(UserId::from_u128(pod.user)) }];
            let seq = self.log.write(&update, &claims);
            self.bus.push_back(LogRow { seq, update, claims });
        }
        Ok(())
    }

    pub(super) fn deliver_remote(&mut self, is_lost: bool) {
        if let Some(LogRow { seq, update, claims }) = self.bus.pop_front()
            && !is_lost
        {
            self.handle(Input::Remote { generation: Generation::new(0), seq, update, claims });
        }
    }

    /// What may come at any moment, whether or not anybody asked.
    pub(super) fn odd(&mut self, who: usize, u: &mut Unstructured<'_>) -> Result<()> {
        let conn = ConnId::new(u.int_in_range(0..=self.conns + 1)?);
        let user = UserId::from_u128(self.people[who].user);
        let nobody = !self
            .people
            .iter()
            .any(|person| person.socket.as_ref().is_some_and(|socket| socket.conn == conn));
        match u.int_in_range(0..=13)? {
            0 => {
                let role = *u.choose(&ROLES)?;
                for person in &mut self.people {
                    if UserId::from_u128(person.user) == user
                        && let Some(socket) = &mut person.socket
                    {
                        socket.role = role;
                    }
                }
                self.handle(Input::RoleChanged { user, role: Some(role) });
            }
            1 => self.handle(Input::RoleChanged { user, role: None }),
            2 => self.handle(Input::Appended { append_id: AppendId::from_u128(5), seq: Seq::new(77) }),
            3 => {
                self.handle(Input::AppendFailed { append_id: AppendId::from_u128(5), reason: String::new() })
            }
            4 if nobody => self.handle(Input::Lagged { conn, since: Arc::new(StateVector::default()) }),
            5 if nobody => self.handle(Input::Writable { conn }),
            6 if nobody => self.handle(Input::Frame { conn, frame: ClientFrame::QueryAwareness }),
            7 => {
                // A bus message from before, or from another generation of the log.
                let (generation, seq) = (Generation::new(u.int_in_range(0..=1)?), Seq::new(1));
                let update = self.log.rows[0].update.clone();
                self.handle(Input::Remote { generation, seq, update, claims: Vec::new() });
            }
            8 | 9 => {
                // A look, from now or from before; rarely one at a log that is another.
                let seq = Seq::new(u.int_in_range(0..=self.log.rows.len() as u64)?);
                let generation = Generation::new(u64::from(u.ratio(1, 32)?));
                self.handle(Input::Head { generation, seq });
            }
            10 => {
                let users = u.arbitrary::<Vec<(u64, u128)>>()?;
                let users = users
                    .iter()
                    .take(8)
                    .map(|(client, user)| (ClientId::new(*client), UserId::from_u128(*user)));
                let (pod, users, whole) =
                    (PodId::new(u.int_in_range(1..=3)?), users.collect(), u.arbitrary()?);
                let update = if u.arbitrary()? {
                    cursor(u.int_in_range(0..=4_000)?, u.int_in_range(0..=9)?)
                } else {
                    Bytes::copy_from_slice(u.bytes(u.len().min(16))?)
                };
                self.handle(Input::RemotePresence { pod, update, users, whole });
            }
            11 => self.handle(Input::PodGone { pod: PodId::new(u.int_in_range(1..=3)?) }),
            12 => self.handle(if u.arbitrary()? { Input::BusResumed } else { Input::PresenceAsked }),
            13 if u.ratio(1, 8)? => {
                let seq = Seq::new(self.log.rows.len() as u64);
                self.handle(Input::Digest { generation: Generation::new(0), seq, hash: u.arbitrary()? });
            }
            _ => {}
        }
        Ok(())
    }
}
