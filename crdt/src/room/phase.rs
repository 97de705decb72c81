//! The phases of a room's life, each with exactly its own data.

use super::edit::turned_away;
use super::effect::Effect;
use super::input::Input;
use super::live::Live;
use super::rebuild::Rebuild;
use crate::ids::Millis;
use crate::wire::CloseCode;

/// Milliseconds. How long a room that could not be loaded, or whose design is gone, goes on turning joiners away: it
/// spares the store a load for each of them.
const LINGER_MS: u64 = 1_000;

#[derive(Debug)]
pub(super) enum Phase {
    /// The store is being read. What happens meanwhile and matters later is noted.
    Loading {
        notes: Vec<Input>,
    },
    Live(Box<Live>),
    Draining(Draining),
    Closed,
}

impl Phase {
    pub(super) fn live(&self) -> Option<&Live> {
        match self {
            Self::Live(live) => Some(live),
            Self::Draining(draining) => draining.work.as_deref(),
            Self::Loading { .. } | Self::Closed => None,
        }
    }
}

/// No connection is left and none is let in. The room goes when everything is saved.
#[derive(Debug)]
pub(super) struct Draining {
    pub(super) code: CloseCode,
    pub(super) reason: String,
    /// What still has to reach the log.
    pub(super) work: Option<Box<Live>>,
    until: Millis,
}

impl Draining {
    pub(super) fn new(code: CloseCode, reason: String, work: Option<Box<Live>>, now: Millis) -> Self {
        let linger = if work.is_some() { 0 } else { LINGER_MS };
        Self { code, reason, work, until: now.plus(linger) }
    }

    pub(super) fn is_done(&self, now: Millis) -> bool {
        self.is_clean() && self.until <= now
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        if self.is_clean() { Some(self.until) } else { self.work.as_ref().and_then(|live| live.deadline()) }
    }

    fn is_clean(&self) -> bool {
        self.work.as_ref().is_none_or(|live| {
            live.durability.is_clean() && live.rebuild.as_ref().is_none_or(Rebuild::holds_nothing)
        })
    }
}

/// Who joins, or asks for an edit, is never left without an answer.
pub(super) fn turn_away(input: &Input, code: CloseCode, reason: &str, effects: &mut Vec<Effect>) {
    match input {
        Input::Join(join) => {
            effects.push(Effect::Close { conn: join.conn, code, reason: reason.to_owned() });
        }
        Input::Edit(edit) => {
            effects.push(Effect::Answer { request: edit.request, outcome: turned_away(code, reason) });
        }
        _ => {}
    }
}
