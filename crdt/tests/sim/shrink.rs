//! Makes a life that fails as short as it can be found to be.

use crate::plan::{Action, Plan};

/// Lives that are tried at most.
const TRIES_MAX: usize = 400;

/// A part of the plan for which `fails` still holds: chunks are left out, large ones first.
pub(crate) fn shrink(plan: &Plan, fails: impl Fn(&Plan) -> bool) -> Plan {
    let mut best = plan.clone();
    let mut tries = 0;
    let mut chunk = best.actions.len().div_ceil(2);
    while 0 < chunk && tries < TRIES_MAX {
        let mut at = 0;
        let before = best.actions.len();
        while at < best.actions.len() && tries < TRIES_MAX {
            let end = (at + chunk).min(best.actions.len());
            let actions: Vec<Action> =
                best.actions[..at].iter().chain(&best.actions[end..]).copied().collect();
            let shorter = Plan { actions, ..best.clone() };
            tries += 1;
            if fails(&shorter) {
                best = shorter;
            } else {
                at = end;
            }
        }
        if chunk == 1 && best.actions.len() == before {
            break;
        }
        chunk = if chunk == 1 { 1 } else { chunk / 2 };
    }
    best
}

#[test]
fn what_does_not_matter_is_left_out() {
    let mut plan = Plan::of_seed(3);
    plan.actions.retain(|action| !matches!(action, Action::Kill(_)));
    plan.actions.insert(40, Action::Kill(1));
    let at = plan.actions.len() - 9;
    plan.actions.insert(at, Action::Kill(2));
    let fails = |plan: &Plan| {
        let of = |wanted| plan.actions.iter().position(|action| *action == Action::Kill(wanted));
        of(1).zip(of(2)).is_some_and(|(one, two)| one < two)
    };
    assert_eq!(shrink(&plan, fails).actions, [Action::Kill(1), Action::Kill(2)]);
}
