//! When the log is not what the room takes it for: everybody goes, with the edits that nobody was told are saved, and
//! comes back to a room that reads the log anew.
//!
//! Looks into the store ([`Input::Head`](super::Input::Head)) are asynchronous, and one that was taken before the last
//! commits were made shows less of the log than the room knows. So what is too short is only a reason to read the log:
//! when it was too short twice, the second time shorter than what had been reached when the first was told, the design
//! is loaded, and what the load says counts.

use super::effect::Effect;
use super::live::{ASTRAY, Live};
use super::rebuild::Rebuild;
use crate::ids::{AppendId, Generation, Millis, Seq};
use crate::wire::CloseCode;

/// Why the log is not what the room takes it for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Astray {
    /// The log can never take the append in flight.
    Refused,
    /// Rows that this room knew are not in the log any more.
    LostRows,
    /// The log was restored, and is another one.
    Restored,
    /// Another server has another document at the same place of the log.
    Diverged,
}

impl Astray {
    const fn what(self) -> &'static str {
        match self {
            Self::Refused => "the log refused an append: the design must be loaded anew",
            Self::LostRows => "the log has lost rows: the design must be loaded anew",
            Self::Restored => "the log was restored: the design must be loaded anew",
            Self::Diverged => {
                "another server has another document at the same place of the log: the design must be loaded anew"
            }
        }
    }
}

impl Live {
    /// A look into the store saw the log go up to `seq`, a moment ago.
    pub(super) fn head(&mut self, now: Millis, generation: Generation, seq: Seq, effects: &mut Vec<Effect>) {
        if self.generation < generation {
            return self.goes_astray(Astray::Restored);
        }
        self.store_is_well(now, effects);
        if (generation, seq) < (self.generation, self.head) {
            self.head_is_short(generation, seq, effects);
        } else {
            self.doubted = None;
            // An append of ours that is in the log before we hear of it looks the same: it has as long as any other.
            self.remote.hear_of(seq);
            self.note_hole(now);
        }
    }

    fn head_is_short(&mut self, generation: Generation, seq: Seq, effects: &mut Vec<Effect>) {
        let is_old = self.doubted.is_none_or(|reached| generation == self.generation && reached <= seq);
        if is_old {
            self.doubted = Some(self.head);
        } else if self.rebuild.is_none() {
            self.doubted = None;
            self.read_snapshot(effects);
        }
    }

    /// The store has answered: what waits for it to be well again need not wait longer.
    fn store_is_well(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        let is_reading_well =
            !self.remote.has_failed() && !self.rebuild.as_ref().is_some_and(Rebuild::has_failed);
        if is_reading_well {
            self.store_was_read(effects);
        }
        self.remote.hurry(now);
        if let Some(rebuild) = &mut self.rebuild {
            rebuild.hurry(now);
        }
        if let Some(flight) = &mut self.durability.in_flight {
            flight.hurry(now);
        }
    }

    /// The log can never take this append.
    pub(super) fn append_refused(&mut self, append_id: AppendId) {
        if self.is_in_flight(append_id) {
            self.goes_astray(Astray::Refused);
        }
    }

    /// The room ends after this input.
    pub(super) fn goes_astray(&mut self, why: Astray) {
        self.astray.get_or_insert(why);
    }

    /// See the module's head.
    pub(super) fn give_up(&mut self, now: Millis, why: Astray, effects: &mut Vec<Effect>) {
        effects.push(Effect::Report { what: why.what().to_owned() });
        self.settle_now(effects);
        let is_lost = why == Astray::Refused;
        self.edits_are_pointless(CloseCode::Overloaded, ASTRAY, is_lost, effects);
        self.close_all(now, CloseCode::Overloaded, ASTRAY, effects);
        self.flush_presence(now, effects);
    }
}
