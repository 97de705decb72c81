//! What a room tells of the analysis of its design.

use atlas_crdt::ids::{AnalysisId, Seq};
use atlas_crdt::roles::DesignRole;
use atlas_crdt::room::{Dialect, Input};
use atlas_crdt::wire::{AnalysisBrief, ServerFrame};
use serde_json::{Value, json};

use crate::stage::{ANA, BEN, EVE, Stage};

fn started(seq: u64) -> Input {
    Input::AnalysisStarted { seq: Seq::new(seq) }
}

fn analysed(no: u64, seq: u64) -> Input {
    let brief = AnalysisBrief {
        analysis_id: AnalysisId::from_u128(0xabc),
        security_score: 3.9,
        grade: "F".to_owned(),
        severity: Some("critical".to_owned()),
        coverage: 0.62,
        findings_count: no,
        seq: Seq::new(seq),
    };
    Input::Analysed { no, brief }
}

/// What this connection is told by all of these.
fn told(
    stage: &mut Stage,
    conn: atlas_crdt::ids::ConnId,
    all: impl IntoIterator<Item = Input>,
) -> Vec<Value> {
    for input in all {
        stage.input(input);
    }
    let notices = stage.heard(conn).into_iter().map(|frame| match frame {
        ServerFrame::Notice(notice) => notice,
        other => panic!("{other:?}"),
    });
    notices.collect()
}

#[test]
fn everybody_who_understands_it_hears_that_a_run_began_and_what_came_of_it() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    stage.sync(BEN, DesignRole::Viewer, Dialect::Atlas);
    stage.sync(EVE, DesignRole::Editor, Dialect::Stock);
    let expected = vec![
        json!({"type": "analysis.started", "seq": 17}),
        json!({"type": "analysis.completed", "analysis_id": "00000000-0000-0000-0000-000000000abc",
            "security_score": 3.9, "grade": "F", "severity": "critical", "coverage": 0.62,
            "findings_count": 4, "seq": 17}),
    ];
    assert_eq!(told(&mut stage, ANA, [started(17), analysed(4, 17)]), expected);
    assert_eq!(told(&mut stage, BEN, []), expected);
    assert_eq!(told(&mut stage, EVE, []), Vec::<Value>::new());
}

#[test]
fn nobody_hears_anything_twice_or_of_what_is_over() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    let none = Vec::<Value>::new();
    assert_eq!(
        told(&mut stage, ANA, [started(3), started(3), started(2)]).len(),
        1,
        "a bus says it again, and late"
    );
    assert_eq!(told(&mut stage, ANA, [analysed(5, 9), analysed(5, 9), analysed(4, 8)]).len(), 1);
    assert_eq!(told(&mut stage, ANA, [started(9), started(8)]), none, "its end was told already");
    assert_eq!(told(&mut stage, ANA, [analysed(6, 9)]).len(), 1, "somebody accepted a finding");
    assert_eq!(told(&mut stage, ANA, [analysed(7, 2)]).len(), 1, "the log does not order what is said");
    assert_eq!(told(&mut stage, ANA, [started(9)]), none);
    assert_eq!(told(&mut stage, ANA, [started(10)]).len(), 1);
}

#[test]
fn who_comes_later_is_told_nothing() {
    let mut stage = Stage::live();
    stage.sync(ANA, DesignRole::Editor, Dialect::Atlas);
    told(&mut stage, ANA, [started(3), analysed(5, 3)]);
    stage.sync(BEN, DesignRole::Editor, Dialect::Atlas);
    assert_eq!(told(&mut stage, BEN, [started(3), analysed(5, 3)]), Vec::<Value>::new());
    assert_eq!(told(&mut stage, BEN, [analysed(6, 4)]).len(), 1);
}
