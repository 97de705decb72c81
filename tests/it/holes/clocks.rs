//! Clocks: a block far ahead under a colleague's client id, after which the colleague's own edits would count as known,
//! and everything else that could push a clock to its end.
//!
//! The colleagues are at work all the time: [`Siege`] has them edit, and be acknowledged, after every row.

use super::bytes::{ANY, DELETED, NULL, Update, answer, collected, edit, in_root, number, skip};
use super::siege::{Answer, Attack, BOTH, MALFORMED, Siege};

/// The largest clock that there may be.
const LAST: u64 = (1 << 31) - 1;

/// What would be under `client` from `clock` on, in each form that takes a clock, `len` clocks long.
fn forms(client: u64, clock: u64, len: u64) -> Vec<(&'static str, Vec<u8>)> {
    let value = Update::of(client, clock, &[in_root("nodes", "evil", ANY, NULL)]);
    let mut forms = vec![
        ("collected", Update::of(client, clock, &[collected(len)]).bytes()),
        ("deleted", Update::of(client, clock, &[in_root("nodes", "evil", DELETED, &number(len))]).bytes()),
        ("left out", Update::of(client, clock, &[skip(len)]).bytes()),
    ];
    if len == 1 {
        forms.push(("a value", value.bytes()));
    }
    forms
}

// R-LIMIT-5, R-SYNC-10, R-REFUSE-4, R-ID-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_far_ahead_under_a_colleagues_id() {
    let mut siege = Siege::new("clocks").await;
    let colleagues = [("Ann", siege.honest[0].client_id()), ("Ben", siege.honest[1].client_id())];
    let foreign = Answer::Refused("foreign_client");
    for (name, client) in colleagues {
        let mut rows = Vec::new();
        // Beyond the range of clocks.
        for (clock, len) in
            [((1 << 32) - 2, 1), ((1 << 32) - 1, 1), (1 << 31, 1), (LAST, 1), (5, 1 << 32), (5, LAST)]
        {
            for (form, update) in forms(client, clock, len) {
                let what = format!("{form} under {name}'s id, {clock} + {len}");
                // One colleague's in updates, the other's in answers.
                let message = if name == "Ann" { edit(&update) } else { answer(&update) };
                rows.push(Attack::message(what, Answer::Close(MALFORMED), message));
            }
        }
        // Within it, above a hole.
        for (clock, len) in [(LAST - 1, 1), (1 << 30, 1 << 20), (100_000, 1)] {
            for (form, update) in forms(client, clock, len) {
                let what = format!("{form} under {name}'s id, {clock} + {len}");
                let messages = vec![edit(&update), answer(&update), answer(&update)];
                rows.push(Attack::new(what, foreign, move |_| messages.clone()));
            }
        }
        siege.attack(rows).await;
        // The very next clocks: no gap, and the colleague would be silent, for one edit or for good.
        for (form, is_all) in (0..7).map(|nth| if nth < 3 { (nth, true) } else { (nth - 3, false) }) {
            for dialect in BOTH {
                // The colleague has edited since.
                let next = next_clock(&siege, client);
                let (what, update) =
                    forms(client, next, if is_all { LAST - next } else { 1 }).swap_remove(form);
                let all = if is_all { "all that are left" } else { "one" };
                let what = format!("{what} under {name}'s id, the next clocks, {all}");
                siege.strike(&Attack::message(what, foreign, edit(&update)), dialect).await;
            }
        }
    }
    siege.finish().await;
}

/// The next clock of this client in what everybody has.
fn next_clock(siege: &Siege, client: u64) -> u64 {
    let state = siege.honest[0].with_replica(|replica| replica.state_vector());
    u64::from(state.get(&yrs::block::ClientID::new(client)))
}

// R-LIMIT-5, R-COUNT-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_uses_up_its_clocks_uses_up_its_own() {
    let mut siege = Siege::new("used up").await;
    let one = |clock: u64| {
        move |me: u64| edit(&Update::of(me, clock, &[in_root("meta", "evil", ANY, NULL)]).bytes())
    };
    let all = |me: u64| edit(&Update::of(me, 0, &[collected(LAST)]).bytes());
    let rows = [
        Attack::new("every clock collected at once", Answer::Taken, move |me| vec![all(me)]),
        Attack::new("one more than every clock", Answer::Close(MALFORMED), move |me| {
            vec![all(me), one(LAST)(me)]
        }),
        Attack::new("every clock once more", Answer::Taken, move |me| vec![all(me), all(me), all(me)]),
        Attack::new("a value under a used clock", Answer::Taken, move |me| vec![all(me), one(LAST - 1)(me)]),
        Attack::new("every clock deleted, thrice", Answer::Taken, |me| {
            let gone = Update::of(me, 0, &[in_root("nodes", "gone", DELETED, &number(LAST))]);
            vec![edit(&gone.clone().and_delete(me, &[(0, LAST)]).bytes()); 3]
        }),
    ];
    siege.attack(rows).await;
    siege.finish().await;
}
