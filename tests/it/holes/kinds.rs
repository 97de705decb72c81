//! What Yjs documents may hold and designs do not, by name; and what nothing holds.

use super::bytes::{
    ANY, ARRAY, EMBED, FORMAT, JSON, NULL, STRING, SUBDOCUMENT, TEXT, TYPE, Update, answer, behind, edit,
    in_list, in_root, in_root_list, sized,
};
use super::siege::{Answer, Attack, MALFORMED, RESET, Siege};

// R-LIMIT-4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_design_does_not_hold_is_refused_by_name() {
    let mut siege = Siege::new("kinds").await;
    let reset = Answer::Close(RESET);
    let malformed = Answer::Close(MALFORMED);
    let mut rows = Vec::new();
    let mut content = |what: &str, answered: Answer, kind: u8, bytes: &[u8]| {
        let item = in_root("meta", "evil", kind, bytes);
        let list =
            in_root("meta", "ground", TYPE, if kind == FORMAT || kind == EMBED { TEXT } else { ARRAY });
        let in_list = move |me: u64, kind: u8, bytes: &[u8]| in_list((me, 0), kind, bytes);
        let inner = bytes.to_vec();
        rows.push(Attack::new(what, answered, move |me| {
            vec![edit(&Update::of(me, 0, std::slice::from_ref(&item)).bytes())]
        }));
        rows.push(Attack::new(format!("{what}, in a list, in an answer"), answered, move |me| {
            vec![answer(&Update::of(me, 0, &[list.clone(), in_list(me, kind, &inner)]).bytes())]
        }));
    };
    let guid = [&sized(b"5e3")[..], &[118, 0]].concat();
    content("a subdocument", reset, SUBDOCUMENT, &guid);
    content(
        "a subdocument that loads itself",
        reset,
        SUBDOCUMENT,
        &[&sized(b"5e3")[..], &[118, 1], &sized(b"autoLoad"), &[120]].concat(),
    );
    content("an embed", reset, EMBED, &sized(b"{\"image\":1}"));
    content("a format", reset, FORMAT, &[sized(b"bold"), sized(b"true")].concat());
    content("an XML element", reset, TYPE, &[&[3][..], &sized(b"p")].concat());
    content("an XML fragment", reset, TYPE, &[4]);
    content("an XML hook", reset, TYPE, &[&[5][..], &sized(b"h")].concat());
    content("an XML text", reset, TYPE, &[6]);
    content("a weak link", reset, TYPE, &[7, 0, 1, 0]);
    content("a document inside", reset, TYPE, &[9]);
    content("JSON of Yjs before 13", reset, JSON, &[&[1][..], &sized(b"1")].concat());
    content("a moved range", malformed, 11, &[0, 1, 0]);
    for kind in [12, 15, 20, 31] {
        content(&format!("content of kind {kind}"), malformed, kind, &[0]);
    }
    for kind in [8, 10, 15, 100] {
        content(&format!("a type of kind {kind}"), malformed, TYPE, &[kind, 0]);
    }
    content("a value of an unknown kind", malformed, ANY, &[1, 90]);
    for root in ["evil", "", "Nodes", "node", "nodes\0", "prosemirror", "\u{202e}nodes"] {
        let item = in_root(root, "evil", ANY, NULL);
        rows.push(Attack::new(format!("the root {root:?}"), reset, move |me| {
            vec![edit(&Update::of(me, 0, std::slice::from_ref(&item)).bytes())]
        }));
    }
    for root in ["nodes", "edges", "meta", "comments"] {
        let list = in_root_list(root, STRING, &sized(b"evil"));
        rows.push(Attack::new(format!("a list in the root {root}"), reset, move |me| {
            vec![edit(&Update::of(me, 0, &[list.clone(), behind((me, 0), ANY, NULL)]).bytes())]
        }));
    }
    siege.attack(rows).await;
    siege.finish().await;
}
