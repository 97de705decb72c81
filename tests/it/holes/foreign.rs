//! Other people's client ids. Whoever could write under a colleague's id would silence the colleague: the colleague's
//! own edits under the same clocks would count as known, be acknowledged, and be lost.

use atlas_loadtest::canvas;
use atlas_loadtest::client::{Client, Connect, Dialect};

use super::siege::{BOTH, RESET, Siege};
use crate::support::Person;

fn put(client: &Client, id: &str) -> Option<u64> {
    client.edit(|roots, txn| canvas::put_node(roots, txn, id, "a node", 0.0, 0.0))
}

/// A client of this person that writes under `id`, and has everything that the server has.
async fn forger(siege: &Siege, person: &Person, dialect: Dialect, id: u64) -> Client {
    let client = Client::open(siege.connect(person, dialect).client_id(id)).await.unwrap();
    client.synced().await.unwrap();
    client
}

/// The last edit of this client was refused, and its id with it.
async fn is_refused(client: &Client, dialect: Dialect, code: &str, what: &str) {
    match dialect {
        Dialect::Stock => {
            let closed = client.closed().await.unwrap();
            println!("foreign: {what} (Stock): came back: close {:?} {:?}", closed.code, closed.reason);
            assert_eq!(closed.code, Some(RESET), "{what}");
        }
        Dialect::Atlas => {
            let refused = client.notice("refused").await.unwrap();
            println!("foreign: {what} (Atlas): came back: {refused}");
            assert_eq!((refused["code"].as_str(), &refused["reset"]), (Some(code), &true.into()), "{what}");
            client.close().await.unwrap();
        }
    }
}

/// Whether everybody at work has these nodes.
async fn arrive(siege: &Siege, nodes: &[&str]) {
    for client in &siege.honest {
        let all = |client: &Client| nodes.iter().all(|id| client.json()["nodes"].get(id).is_some());
        client.wait_until(std::time::Duration::from_secs(20), "the colleague's edits", all).await.unwrap();
    }
}

fn offline(siege: &Siege, person: &Person, dialect: Dialect, id: u64) -> Connect {
    siege.connect(person, dialect).client_id(id)
}

// R-ID-1, R-REFUSE-1, R-REFUSE-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_colleague_comes_back_to_find_every_offline_edit_accepted() {
    let mut siege = Siege::new("absent colleague").await;
    for dialect in BOTH {
        let id = siege.fresh_id();
        let ben = Client::open(offline(&siege, &siege.ben, Dialect::Atlas, id)).await.unwrap();
        put(&ben, &format!("by-ben-{id}"));
        ben.all_saved().await.unwrap();
        ben.vanish();
        put(&ben, &format!("offline-{id}"));

        // Ben's id, Ben's next clock; while the room knows Ben, and again when it has been loaded anew.
        for when in ["in the same room", "after a restart"] {
            let mallory = forger(&siege, &siege.mallory, dialect, id).await;
            put(&mallory, "evil");
            is_refused(
                &mallory,
                dialect,
                "foreign_client",
                &format!("an edit under an absent colleague's id {when}"),
            )
            .await;
            siege.nobody_noticed(when).await;
            siege.restart().await;
        }
        // A whole document with a forged edit in it, as the answer to the server's question.
        let mallory = Client::offline(offline(&siege, &siege.mallory, dialect, id));
        let known = siege.honest[0].with_replica(|replica| replica.diff_since(&[0])).unwrap();
        mallory.with_replica(|replica| replica.apply(&known)).unwrap();
        put(&mallory, "evil");
        mallory.reconnect().await.unwrap();
        is_refused(&mallory, dialect, "foreign_client", "an answer under an absent colleague's id").await;

        ben.reconnect().await.unwrap();
        ben.all_saved().await.unwrap();
        arrive(&siege, &[&format!("by-ben-{id}"), &format!("offline-{id}")]).await;
        put(&ben, &format!("online-{id}"));
        ben.all_saved().await.unwrap();
        arrive(&siege, &[&format!("online-{id}")]).await;
        ben.close().await.unwrap();
    }
    siege.nobody_noticed("the colleague is back").await;
    siege.finish().await;
}

// R-ID-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announced_id_is_its_announcers() {
    let mut siege = Siege::new("announced").await;
    for dialect in BOTH {
        for is_live in [true, false] {
            let id = siege.fresh_id();
            let ben = Client::open(offline(&siege, &siege.ben, Dialect::Atlas, id)).await.unwrap();
            ben.synced().await.unwrap();
            ben.announce(Some(serde_json::json!({ "user": "Ben" })));
            let ann = siege.honest[0].clone();
            ann.wait_until(std::time::Duration::from_secs(20), "Ben", |ann| ann.others().contains_key(&id))
                .await
                .unwrap();
            let what = if is_live {
                "an edit under a live colleague's announced id"
            } else {
                ben.vanish();
                ann.wait_until(std::time::Duration::from_secs(20), "Ben to be gone", |ann| {
                    !ann.others().contains_key(&id)
                })
                .await
                .unwrap();
                "an edit under the announced id of a colleague who went"
            };
            let mallory = forger(&siege, &siege.mallory, dialect, id).await;
            mallory.announce(Some(serde_json::json!({ "user": "Mallory" })));
            put(&mallory, "evil");
            is_refused(&mallory, dialect, "foreign_client", what).await;

            // The first edit under it is Ben's.
            put(&ben, &format!("first-{id}"));
            if !is_live {
                ben.reconnect().await.unwrap();
            }
            ben.all_saved().await.unwrap();
            arrive(&siege, &[&format!("first-{id}")]).await;
            ben.close().await.unwrap();
        }
    }
    siege.nobody_noticed("announced ids").await;
    siege.finish().await;
}

// R-ID-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ids_of_last_week_still_pass_on_a_new_socket() {
    let mut siege = Siege::new("last week").await;
    for dialect in BOTH {
        // Monday's window wrote something and closed with unsent edits; they lie on Ben's disk.
        let (monday_id, today_id) = (siege.fresh_id(), siege.fresh_id());
        let monday = Client::open(offline(&siege, &siege.ben, Dialect::Atlas, monday_id)).await.unwrap();
        put(&monday, &format!("monday-{monday_id}"));
        monday.all_saved().await.unwrap();
        monday.vanish();
        put(&monday, &format!("unsent-{monday_id}"));
        let disk = monday.with_replica(|replica| replica.diff_since(&[0])).unwrap();
        siege.restart().await;

        // Mallory found the disk, and cannot bring it in Ben's place.
        let thief =
            Client::offline(offline(&siege, &siege.mallory, dialect, siege.honest[0].client_id() ^ today_id));
        thief.with_replica(|replica| replica.apply(&disk)).unwrap();
        thief.reconnect().await.unwrap();
        is_refused(&thief, dialect, "foreign_client", "a colleague's unsent edits, brought by somebody else")
            .await;
        assert!(siege.honest[0].json()["nodes"].get(format!("unsent-{monday_id}")).is_none());

        let today = Client::offline(offline(&siege, &siege.ben, dialect, today_id));
        today.with_replica(|replica| replica.apply(&disk)).unwrap();
        put(&today, &format!("today-{today_id}"));
        today.reconnect().await.unwrap();
        arrive(&siege, &[&format!("unsent-{monday_id}"), &format!("today-{today_id}")]).await;
        assert!(today.is_open());
        today.close().await.unwrap();
    }
    siege.nobody_noticed("last week's ids").await;
    siege.finish().await;
}

// R-ID-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_writes_under_the_servers_own_id() {
    let siege = Siege::new("the server's id").await;
    let file = serde_json::json!({ "projectName": "Imported", "nodes": [{ "id": "a" }], "edges": [] });
    let imported = siege.ann.import(serde_json::to_vec(&file).unwrap()).await;
    let created = siege.ann.create_design("Fresh").await;
    for (design, what) in [(imported, "an imported design"), (created, "a new design")] {
        let url = format!("{}/{design}", siege.server.ws_url());
        let connect = |dialect| Connect::new(&url, dialect).token(siege.ann.token());
        let reader = Client::open(connect(Dialect::Atlas)).await.unwrap();
        reader.synced().await.unwrap();
        let state = reader.with_replica(|replica| replica.state_vector());
        let writers: Vec<u64> = state.iter().map(|(id, _)| id.get()).collect();
        let [servers] = writers[..] else { panic!("the server wrote once: {writers:?}") };
        for dialect in BOTH {
            // Not even the owner, under the id that made the design.
            let owner = Client::open(connect(dialect).client_id(servers)).await.unwrap();
            owner.synced().await.unwrap();
            put(&owner, "evil");
            is_refused(&owner, dialect, "foreign_client", &format!("an edit under the id that made {what}"))
                .await;
            put(&reader, &format!("fine-{dialect:?}"));
            reader.all_saved().await.unwrap();
        }
        let after = siege.ann.snapshot(&design).await.to_string();
        assert!(
            after.contains("fine-Stock") && after.contains("fine-Atlas") && !after.contains("evil"),
            "{after}"
        );
    }
    siege.finish().await;
}
