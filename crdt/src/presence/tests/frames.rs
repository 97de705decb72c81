//! How large what the room says may be.

use super::*;

// R-PRES-3
#[test]
fn what_the_room_says_is_never_more_than_a_client_may_send_back() {
    const CLIENTS: usize = 300;
    let (mut presence, mut echoes) = (Presence::new(), Presence::new());
    let largest = format!(r#"{{"a":"{}"}}"#, "x".repeat(AWARENESS_STATE_BYTES_MAX - 8));
    for client in 0..CLIENTS {
        // Sizes of all kinds, the largest among them.
        let state =
            if client % 50 == 7 { largest.clone() } else { format!(r#"{{"a":"{}"}}"#, "y".repeat(client)) };
        let client = client as u64;
        receive(&mut presence, at(0), ConnId::new(client), &update(&[(client, 1, &state)])).unwrap();
    }
    let snapshot = presence.snapshot();
    assert!(2 < snapshot.len(), "{} updates", snapshot.len());
    for heard in [snapshot, presence.take_changes()] {
        let clients: Vec<u64> = read_all(&heard).into_iter().map(|(client, _, _)| client).collect();
        assert_eq!(clients, (0..CLIENTS as u64).collect::<Vec<_>>(), "each once");
        for update in heard {
            receive(&mut echoes, at(0), BEN, &update).unwrap();
        }
    }
}
