//! Floods of presence: of ids, of bytes, of clocks, and in others' names.

use super::bytes::{number, numbers, presence, presence_of, sized};
use super::siege::{Answer, Attack, Siege};

/// What every row floods with.
const TIMES: u64 = 2_000;

// R-PRES-2, R-PRES-3, R-PRES-5, R-PRES-7, R-ID-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_presence_reach_nobody_and_stay_nowhere() {
    let mut siege = Siege::new("presence").await;
    let colleagues: Vec<u64> = siege.honest.iter().map(atlas_loadtest::client::Client::client_id).collect();
    let theirs = colleagues.clone();
    let rows = [
        Attack::new("2,000 ids of one socket", Answer::Taken, |me| {
            (0..TIMES).map(|n| presence_of(&[(me + n, 1, "{\"evil\":1}")])).collect()
        }),
        Attack::new("4,000 ids at once, 200 times", Answer::Taken, |me| {
            let state = "{}";
            let entries: Vec<_> = (0..4_000).map(|n| (me + n, 1, state)).collect();
            vec![presence_of(&entries); 200]
        }),
        Attack::new("2,000 states of 16 kB", Answer::Taken, |me| {
            let state = format!("{{\"evil\":\"{}\"}}", "x".repeat(16_000));
            (0..TIMES).map(|n| presence_of(&[(me + n % 20, 1 + n, &state)])).collect()
        }),
        Attack::new("clocks at their end", Answer::Taken, |me| {
            [(1 << 31) - 1, 1 << 31, (1 << 32) - 2, (1 << 32) - 1]
                .map(|clock| presence_of(&[(me, clock, "{}"), (me, clock, "null")]))
                .to_vec()
        }),
        Attack::new("one id that comes and goes 2,000 times", Answer::Taken, |me| {
            (0..TIMES).map(|n| presence_of(&[(me, 1 + n, if n % 2 == 0 { "{}" } else { "null" })])).collect()
        }),
        Attack::new("the colleagues' ids, with higher clocks", Answer::Taken, move |_| {
            let entry = |n| theirs.iter().map(|id| (*id, 1_000 + n, "{\"evil\":1}")).collect::<Vec<_>>();
            (0..TIMES).map(|n| presence_of(&entry(n))).collect()
        }),
        Attack::new("removals of the colleagues", Answer::Taken, {
            let theirs = colleagues.clone();
            move |_| {
                let entry = |n| theirs.iter().map(|id| (*id, n, "null")).collect::<Vec<_>>();
                (0..TIMES).map(|n| presence_of(&entry(n))).collect()
            }
        }),
        Attack::new("removals of 4,096 who never were, 200 times", Answer::Taken, |me| {
            let entries: Vec<_> = (0..4_096).map(|n| (me + n, 7, "null")).collect();
            vec![presence_of(&entries); 200]
        }),
        Attack::new("one id 4,000 times in one message", Answer::Taken, |me| {
            let entry = |n| [numbers(&[me, n]), sized(b"{}")].concat();
            vec![presence(&[number(4_000), (0..4_000).flat_map(entry).collect()].concat())]
        }),
    ];
    for row in rows {
        siege.attack([row]).await;
        // Nobody can take a colleague's place, and little of anything is left when its sender goes.
        for (me, other) in [(0, 1), (1, 0)] {
            let client = siege.honest[me].clone();
            let person = [&siege.ann, &siege.ben][other].email.clone();
            let id = colleagues[other];
            let is_there = |client: &atlas_loadtest::client::Client| {
                let others = client.others();
                others.get(&id).is_some_and(|state| state["user"] == *person) && others.len() == 1
            };
            client
                .wait_until(std::time::Duration::from_secs(20), "the colleague alone", is_there)
                .await
                .unwrap();
        }
    }
    siege.finish().await;
}
