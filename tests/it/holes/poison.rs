//! The second fence: an update that passes every check and at which the document fails all the same. The debug binary
//! that these tests run fails on purpose at two texts; a release never does.

use atlas_crdt::design::poison;
use atlas_loadtest::client::Dialect;

use super::bytes::{ANY, NULL, Update, edit, in_root, sized};
use super::siege::{Answer, Attack, BOTH, Siege};

/// A value that is the text, under a key of `meta`.
fn poisoned(me: u64, text: &str) -> Vec<u8> {
    let value = [&[1, 119][..], &sized(text.as_bytes())].concat();
    Update::of(me, 0, &[in_root("meta", "evil", ANY, &value)]).bytes()
}

/// How many lines of the log say this.
fn logged(siege: &Siege, what: &str) -> usize {
    siege.log().lines().filter(|line| line.contains(what)).count()
}

// R-REFUSE-6, R-REFUSE-7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_document_cannot_take_costs_its_sender_alone() {
    const TO_QUARANTINE: &str = "goes to quarantine";
    let mut siege = Siege::new("poison").await;
    let rejected = Answer::Refused("rejected");
    let mut culprits = Vec::new();
    for (text, what) in [(poison::PANICS, "the library panics"), (poison::FAILS, "the library fails")] {
        for dialect in BOTH {
            let me = siege.fresh_id();
            let update = poisoned(me, text);
            siege.strike(&Attack::message(what, rejected, edit(&update)), dialect).await;
            culprits.push((me, update));
        }
    }
    assert_eq!(logged(&siege, TO_QUARANTINE), culprits.len());
    assert_eq!(logged(&siege, "evil"), 0, "no content of the design is logged");

    // The same bytes, and others under the same client id: known, and no load for the room any more. So it is after
    // the server was killed and started again.
    for when in ["at once", "after a restart"] {
        for (me, update) in &culprits {
            let harmless = edit(&Update::of(*me, 0, &[in_root("meta", "evil", ANY, NULL)]).bytes());
            for dialect in BOTH {
                let again = Attack::message(format!("the same bytes, {when}"), rejected, edit(update));
                siege.strike(&again, dialect).await;
                let what = format!("something harmless under the same id, {when}");
                siege
                    .strike(
                        &Attack::message(what, Answer::Refused("spent_client"), harmless.clone()),
                        dialect,
                    )
                    .await;
            }
        }
        assert_eq!(logged(&siege, TO_QUARANTINE), culprits.len());
        siege.restart().await;
    }
    siege.finish().await;
}

// R-REFUSE-6, INV-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_beside_what_fails_are_acknowledged() {
    let mut siege = Siege::new("poison beside work").await;
    for round in 0..10 {
        let me = siege.fresh_id();
        let text = if round % 2 == 0 { poison::PANICS } else { poison::FAILS };
        let attack = siege.throw(BOTH[round % 2], vec![edit(&poisoned(me, text))]);
        let bystander = siege.open(&siege.mallory, Dialect::Atlas);
        // Mallory's own second window is an innocent like any other.
        let ((), bystander) = tokio::join!(attack, bystander);
        for turn in 0..5 {
            let id = format!("beside-{round}-{turn}");
            bystander.edit(|roots, txn| atlas_loadtest::canvas::put_node(roots, txn, &id, "fine", 0.0, 0.0));
        }
        siege.work().await;
        bystander.all_saved().await.unwrap();
        bystander.close().await.unwrap();
    }
    siege.nobody_noticed("poison").await;
    siege.finish().await;
}
