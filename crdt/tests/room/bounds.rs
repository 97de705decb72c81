//! Designs that have more of something than they may grow to.

use atlas_crdt::design::{Change, ElementPatch, Patch};
use atlas_crdt::limits::NODES_MAX;
use atlas_crdt::room::Input;
use atlas_crdt::wire::RefusalCode;
use serde_json::json;

use crate::edits::{edit, loaded, node, rename};
use crate::stage::{Stage, Writer};

#[test]
fn a_design_far_beyond_todays_limits_is_read_only() {
    let mut stage = Stage::loading();
    let nodes = Writer::new(100);
    for at in 0..=2 * NODES_MAX {
        nodes.node(&format!("n{at}"));
    }
    stage.input(Input::Loaded(loaded(&nodes.everything())));
    stage.ask(edit(1, rename("Mine")));
    assert_eq!(stage.refused(1), RefusalCode::ReadOnly);
}

/// Several servers may have let something pass side by side, each within the limits.
#[test]
fn a_design_a_little_beyond_todays_limits_may_shrink() {
    let mut stage = Stage::loading();
    let nodes = Writer::new(100);
    for at in 0..NODES_MAX + 5 {
        nodes.node(&format!("n{at}"));
    }
    stage.input(Input::Loaded(loaded(&nodes.everything())));
    stage.ask(edit(1, node("one more", json!({}))));
    assert_eq!(stage.refused(1), RefusalCode::TooMany);
    stage.wait(20);
    let nodes = ElementPatch { remove: vec!["n0".to_owned()], ..ElementPatch::default() };
    let delete = Change::Patch(Patch { nodes, ..Patch::default() });
    stage.ask(edit(2, delete));
    assert_eq!(stage.answer(2), None, "it waits for its commit");
    let append = stage.take_append().unwrap();
    stage.commit(&append, 2);
    stage.done(2);
}
