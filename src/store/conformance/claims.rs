//! Whose client ids are.

use std::sync::Arc;

use atlas_crdt::ids::{AppendId, ClientId, DesignId, Seq, UserId};
use atlas_crdt::room::{Append, Claim};
use futures_util::future::join_all;

use super::{create, design_id, log, new_design, register, step, user_id};
use crate::clock::Clock;
use crate::store::{NewDesign, Store, StoreError};

/// The largest there is: Yjs keeps client ids in JavaScript numbers.
const LARGEST: u64 = (1 << 53) - 1;

fn claim(client: u64, user: Option<UserId>) -> Claim {
    Claim { client: ClientId::new(client), user }
}

fn claiming(design: DesignId, n: u128, claims: &[Claim]) -> Append {
    Append { claims: claims.to_vec(), ..step(design, n) }
}

/// Everything that the design knows of client ids, by id.
async fn claims(store: &dyn Store, design: DesignId) -> Vec<Claim> {
    let mut claims = store.load(design).await.unwrap().unwrap().claims;
    claims.sort_by_key(|claim| claim.client);
    claims
}

fn assert_foreign(answer: Result<Seq, StoreError>, client: u64) {
    match answer {
        Err(StoreError::Foreign { client: named }) => assert_eq!(named.get(), client),
        answer => panic!("{answer:?}"),
    }
}

pub(super) async fn a_client_id_belongs_to_who_claims_it_first(store: Arc<dyn Store>) {
    let owner = register(&*store, 1).await;
    let (ann, bob) = (Some(owner), Some(user_id(2)));
    let servers = claim(9, None);
    let new = NewDesign { claims: vec![servers], ..new_design(1, owner, "a design") };
    let design = store.create_design(new).await.unwrap().id;
    assert_eq!(claims(&*store, design).await, [servers]);

    let (hers, his) = ([claim(0, ann), claim(LARGEST, ann)], claim(5, bob));
    store.append(design, claiming(design, 1, &hers)).await.unwrap();
    store.append(design, claiming(design, 2, &[his, his])).await.unwrap();
    assert_eq!(claims(&*store, design).await, [hers[0], his, servers, hers[1]]);

    // What holds already may be said again, beside something new.
    store.append(design, claiming(design, 3, &[hers[1], claim(6, ann)])).await.unwrap();
    assert_foreign(store.append(design, claiming(design, 4, &[claim(LARGEST, bob)])).await, LARGEST);
    assert_foreign(store.append(design, claiming(design, 4, &[claim(LARGEST, None)])).await, LARGEST);
    assert_foreign(store.append(design, claiming(design, 4, &[claim(9, ann)])).await, 9);
    store.append(design, claiming(design, 5, &[servers])).await.unwrap();
    assert_eq!(claims(&*store, design).await, [hers[0], his, claim(6, ann), servers, hers[1]]);

    // Another design knows nothing of it, and takes its claims along when it goes.
    let other = create(&*store, 2, owner, "another").await;
    store.append(other, claiming(other, 1, &[claim(5, ann)])).await.unwrap();
    assert_eq!(claims(&*store, other).await, [claim(5, ann)]);
    assert!(store.delete_design(other).await.unwrap());
    create(&*store, 2, owner, "risen").await;
    assert_eq!(claims(&*store, other).await, []);
}

pub(super) async fn a_failed_append_claims_nothing(store: Arc<dyn Store>) {
    let owner = register(&*store, 1).await;
    let (ann, bob) = (Some(owner), Some(user_id(2)));
    let design = create(&*store, 1, owner, "Before").await;
    store.append(design, claiming(design, 1, &[claim(5, bob)])).await.unwrap();

    let renaming = Append {
        name: Some("After".to_owned()),
        ..claiming(design, 2, &[claim(6, ann), claim(5, ann), claim(7, ann)])
    };
    assert_foreign(store.append(design, renaming.clone()).await, 5);
    let torn = claiming(design, 2, &[claim(6, ann), claim(7, ann), claim(7, bob)]);
    assert_foreign(store.append(design, torn).await, 7);
    assert_eq!(claims(&*store, design).await, [claim(5, bob)]);
    assert_eq!(log(&*store, design).await.len(), 2);
    assert_eq!(store.head(design).await.unwrap().unwrap().seq, Seq::new(2));
    assert_eq!(store.design(design).await.unwrap().unwrap().name, "Before");

    // The append id was not used up, and no seq was lost.
    let proper = Append { claims: vec![claim(6, ann)], ..renaming };
    assert_eq!(store.append(design, proper).await.unwrap(), Seq::new(3));

    // Nor does an append claim anything that fails for another reason.
    let other = create(&*store, 2, owner, "another").await;
    let stolen = Append { append_id: step(design, 1).append_id, ..claiming(other, 1, &[claim(8, ann)]) };
    assert!(matches!(store.append(other, stolen).await, Err(StoreError::Conflict(_))));
    let nowhere = store.append(design_id(9), claiming(design_id(9), 1, &[claim(8, ann)])).await;
    assert!(matches!(nowhere, Err(StoreError::NoSuchDesign)), "{nowhere:?}");
    let same = NewDesign {
        append_id: AppendId::from_u128(design.as_u128() << 64),
        claims: vec![claim(8, None)],
        ..new_design(3, owner, "a third")
    };
    assert!(matches!(store.create_design(same).await, Err(StoreError::Conflict(_))));
    for n in [3, 9] {
        create(&*store, n, owner, "born later").await;
        assert_eq!(claims(&*store, design_id(n)).await, []);
    }
    assert_eq!(claims(&*store, other).await, []);
}

pub(super) async fn a_repeated_append_repeats_its_claims(store: Arc<dyn Store>) {
    let owner = register(&*store, 1).await;
    let design = create(&*store, 1, owner, "a design").await;
    let mine = claim(5, Some(owner));
    let same = join_all((0..10).map(|_| store.append(design, claiming(design, 1, &[mine])))).await;
    for answer in same {
        assert_eq!(answer.unwrap(), Seq::new(2));
    }
    store.append(design, step(design, 2)).await.unwrap();
    assert_eq!(store.append(design, claiming(design, 1, &[mine])).await.unwrap(), Seq::new(2));
    assert_eq!(claims(&*store, design).await, [mine]);
    let row = store.log_after(design, Seq::new(1), 1).await.unwrap().remove(0);
    assert_eq!(row.claims, [mine], "it is the first row's claim still");
}

pub(super) async fn one_id_is_claimed_by_one_of_many(store: Arc<dyn Store>) {
    const PEOPLE: u128 = 20;
    let owner = register(&*store, 1).await;
    let design = create(&*store, 1, owner, "a design").await;
    let append = |n| {
        let claims = [claim(5, Some(user_id(n))), claim(100 + u64::try_from(n).unwrap(), Some(user_id(n)))];
        store.append(design, claiming(design, n, &claims))
    };
    let answers = join_all((1..=PEOPLE).map(append)).await;
    let winners: Vec<u128> =
        (1..=PEOPLE).zip(&answers).filter(|(_, answer)| answer.is_ok()).map(|(n, _)| n).collect();
    let [winner] = winners[..] else { panic!("{winners:?} all have it") };
    for answer in answers.into_iter().filter(Result::is_err) {
        assert_foreign(answer, 5);
    }
    let his = Some(user_id(winner));
    assert_eq!(
        claims(&*store, design).await,
        [claim(5, his), claim(100 + u64::try_from(winner).unwrap(), his)]
    );
    assert_eq!(log(&*store, design).await.len(), 2);
}

pub(super) async fn claims_are_read_on_with_their_rows(store: Arc<dyn Store>) {
    let owner = register(&*store, 1).await;
    let mine = |client| claim(client, Some(owner));
    let new = NewDesign { claims: vec![claim(1, None)], ..new_design(1, owner, "a design") };
    let design = store.create_design(new).await.unwrap().id;
    store.append(design, claiming(design, 1, &[mine(30), mine(20)])).await.unwrap();
    store.append(design, step(design, 2)).await.unwrap();
    store.append(design, claiming(design, 3, &[mine(20), mine(10)])).await.unwrap();

    let read = async |after, limit| {
        let rows = store.log_after(design, Seq::new(after), limit).await.unwrap();
        let mut claims: Vec<_> = rows.into_iter().map(|row| row.claims).collect();
        for claims in &mut claims {
            claims.sort_by_key(|claim| claim.client);
        }
        claims
    };
    let all = [vec![claim(1, None)], vec![mine(20), mine(30)], vec![], vec![mine(10)]];
    assert_eq!(read(0, 10).await, all);
    assert_eq!(read(1, 2).await, all[1..3]);
    assert_eq!(read(3, 10).await, all[3..]);
    assert!(read(4, 10).await.is_empty());
    let tail = store.load(design).await.unwrap().unwrap().tail;
    assert_eq!(tail.len(), 4, "a load tells claims once, not with each row");
}

/// As many as one design may ever have.
pub(super) async fn fifty_thousand_claims_load(store: Arc<dyn Store>) {
    const CLAIMS: u64 = 50_000;
    let owner = register(&*store, 1).await;
    let design = create(&*store, 1, owner, "a design").await;
    let many: Vec<Claim> = (0..CLAIMS).map(|n| claim(LARGEST / CLAIMS * n, Some(owner))).collect();
    let clock = Clock::system();
    store.append(design, claiming(design, 1, &many)).await.unwrap();
    let appended = clock.now();
    let loaded = store.load(design).await.unwrap().unwrap();
    println!("{CLAIMS} claims: appended in {appended} ms, loaded in {} ms", clock.now().since(appended));
    let mut found = loaded.claims;
    found.sort_by_key(|claim| claim.client);
    assert_eq!(found, many);
    // All of them again, with one that is somebody else's among them.
    let mut torn = many.clone();
    torn[40_000].user = Some(user_id(2));
    assert_foreign(store.append(design, claiming(design, 2, &torn)).await, torn[40_000].client.get());
    store.append(design, claiming(design, 2, &many)).await.unwrap();
    let rows = store.log_after(design, Seq::new(1), 10).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.claims.len()).collect::<Vec<_>>(), [many.len(), 0]);
}

pub(super) async fn announced_ids_are_remembered_until_they_are_claimed(store: Arc<dyn Store>) {
    use atlas_crdt::limits::ANNOUNCED_IDS_PER_USER_MAX;

    let (ana, ben) = (register(&*store, 1).await, register(&*store, 2).await);
    let design = create(&*store, 1, ana, "a design").await;
    let announced = async || store.load(design).await.unwrap().unwrap().announced;
    let claims = async || store.load(design).await.unwrap().unwrap().claims;
    let written = claims().await;
    let id = ClientId::new;
    store.announce(design, id(70), ana).await.unwrap();
    store.announce(design, id(70), ben).await.unwrap();
    store.announce(design_id(9), id(71), ben).await.unwrap();
    assert_eq!(announced().await, [Claim { client: id(70), user: Some(ana) }], "the first has it");
    assert_eq!(claims().await, written, "nothing is written under it");

    let claim = Claim { client: id(70), user: Some(ana) };
    store.append(design, Append { claims: vec![claim], ..step(design, 1) }).await.unwrap();
    assert_eq!(announced().await, []);
    assert!(claims().await.contains(&claim));
    assert_eq!(store.log_after(design, Seq::new(1), 10).await.unwrap()[0].claims, [claim]);
    store.announce(design, id(70), ben).await.unwrap();
    assert_eq!(announced().await, []);

    // What somebody only announced is not free for others either: another pod may not have heard of it.
    store.announce(design, id(80), ben).await.unwrap();
    assert_foreign(store.append(design, claiming(design, 2, &[self::claim(80, Some(ana))])).await, 80);
    assert_foreign(store.append(design, claiming(design, 2, &[self::claim(80, None)])).await, 80);
    assert_eq!(announced().await, [self::claim(80, Some(ben))], "nothing was written");
    let claim = Claim { client: id(80), user: Some(ben) };
    store.append(design, Append { claims: vec![claim], ..step(design, 2) }).await.unwrap();
    assert!(claims().await.contains(&claim) && announced().await.is_empty());

    for client in 0..ANNOUNCED_IDS_PER_USER_MAX as u64 + 10 {
        store.announce(design, id(1_000 + client), ben).await.unwrap();
    }
    store.announce(design, id(5_000), ana).await.unwrap();
    let kept = announced().await;
    let of_ben = kept.iter().filter(|claim| claim.user == Some(ben)).count();
    assert_eq!((of_ben, kept.len()), (ANNOUNCED_IDS_PER_USER_MAX, ANNOUNCED_IDS_PER_USER_MAX + 1));
    assert!(kept.contains(&Claim { client: id(5_000), user: Some(ana) }));
}
