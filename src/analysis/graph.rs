//! The drawing as a directed graph, and the walks that rules make over it.
//!
//! Everything is linear in nodes and edges, and nothing recurses: a chain of ten thousand nodes is a legal drawing. Where
//! several answers are equally good, the one with the lowest indices is given, and those follow the ids.

use std::collections::VecDeque;

use super::model::Model;

/// A way from one node to the next: (edge, the node at its other end).
pub type Way = (usize, usize);

#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// For each node its ways out: (edge, the node at the other end). An edge that goes both ways stands at both ends.
    pub out: Vec<Vec<Way>>,
    /// For each node its ways in: (edge, where it comes from).
    pub into: Vec<Vec<Way>>,
}

/// Shortest ways from some starts to everything that they reach.
#[derive(Debug, Clone)]
pub struct Ways {
    /// For each node that was reached and is no start: the way by which.
    from: Vec<Option<Way>>,
    reached: Vec<bool>,
}

impl Ways {
    #[must_use]
    pub fn is_reached(&self, node: usize) -> bool {
        self.reached[node]
    }

    /// The hops that lead to `node`, the last one first: (edge, where it comes from). Empty for a start.
    pub fn back_from(&self, node: usize) -> impl Iterator<Item = Way> + '_ {
        std::iter::successors(self.from[node], |(_, before)| self.from[*before])
    }

    /// The nodes of the way to `node`, itself included, the start first.
    #[must_use]
    pub fn nodes_to(&self, node: usize) -> Vec<usize> {
        let mut nodes: Vec<usize> =
            std::iter::once(node).chain(self.back_from(node).map(|(_, before)| before)).collect();
        nodes.reverse();
        nodes
    }
}

impl Graph {
    #[must_use]
    pub fn of(model: &Model<'_>) -> Self {
        let mut graph =
            Self { out: vec![Vec::new(); model.nodes.len()], into: vec![Vec::new(); model.nodes.len()] };
        for (at, edge) in model.edges.iter().enumerate() {
            graph.add(at, edge.source, edge.target);
            if edge.is_both_ways {
                graph.add(at, edge.target, edge.source);
            }
        }
        graph
    }

    fn add(&mut self, edge: usize, source: usize, target: usize) {
        self.out[source].push((edge, target));
        self.into[target].push((edge, source));
    }

    /// Which nodes can be reached from `starts` by ways for which `may_pass(edge, to)` holds. The starts are reached.
    pub fn reach(
        &self,
        starts: impl IntoIterator<Item = usize>,
        may_pass: impl Fn(usize, usize) -> bool,
    ) -> Vec<bool> {
        walk(&self.out, starts, |_| true, may_pass)
    }

    /// As [`reach`](Self::reach), but the walk goes on only from starts and from nodes for which `may_cross` holds: what
    /// lies at the end of a way is reached, what lies behind it is not.
    pub fn reach_through(
        &self,
        starts: impl IntoIterator<Item = usize>,
        may_cross: impl Fn(usize) -> bool,
        may_pass: impl Fn(usize, usize) -> bool,
    ) -> Vec<bool> {
        walk(&self.out, starts, may_cross, may_pass)
    }

    /// From which nodes one of `ends` can be reached, by ways for which `may_pass(edge, from)` holds. The ends count.
    pub fn reach_back(
        &self,
        ends: impl IntoIterator<Item = usize>,
        may_pass: impl Fn(usize, usize) -> bool,
    ) -> Vec<bool> {
        walk(&self.into, ends, |_| true, may_pass)
    }

    /// The shortest ways from any of `starts`.
    pub fn ways(
        &self,
        starts: impl IntoIterator<Item = usize>,
        may_pass: impl Fn(usize, usize) -> bool,
    ) -> Ways {
        let mut ways = Ways { from: vec![None; self.out.len()], reached: vec![false; self.out.len()] };
        let mut waiting = VecDeque::new();
        for start in starts {
            if !std::mem::replace(&mut ways.reached[start], true) {
                waiting.push_back(start);
            }
        }
        while let Some(node) = waiting.pop_front() {
            for (edge, to) in &self.out[node] {
                if !ways.reached[*to] && may_pass(*edge, *to) {
                    ways.reached[*to] = true;
                    ways.from[*to] = Some((*edge, node));
                    waiting.push_back(*to);
                }
            }
        }
        ways
    }

    /// The nodes through which every way from any of `starts` to any of `ends` leads, in the order in which they are
    /// passed. A lone start and a lone end are among them. Empty when no way exists.
    ///
    /// One shortest way is walked node by node. Around the nodes passed so far, everything that can be reached without
    /// touching the rest of the way is explored; `far` is the furthest place at which such a detour joins it again. A
    /// node that no detour goes round cannot be avoided. Every edge is looked at once.
    #[must_use]
    pub fn bottlenecks(&self, starts: &[usize], ends: &[usize]) -> Vec<usize> {
        let mut is_end = vec![false; self.out.len()];
        for end in ends {
            is_end[*end] = true;
        }
        let ways = self.ways(starts.iter().copied(), |_, _| true);
        let Some(end) = ends.iter().find(|end| ways.is_reached(**end)) else {
            return Vec::new();
        };
        let path = ways.nodes_to(*end);
        let mut place: Vec<Option<usize>> = vec![None; self.out.len()];
        for (at, node) in path.iter().enumerate() {
            place[*node] = Some(at);
        }
        // Behind the last place stands the common end of all ends; before the first, the common start of all starts.
        let behind = path.len();
        let mut explored = vec![false; self.out.len()];
        let mut far = 0;
        let mut waiting: Vec<usize> = Vec::new();
        let meet =
            |node: usize, far: &mut usize, waiting: &mut Vec<usize>, explored: &mut Vec<bool>| match place
                [node]
            {
                Some(at) => *far = (*far).max(at),
                None if !std::mem::replace(&mut explored[node], true) => waiting.push(node),
                None => {}
            };
        for start in starts {
            meet(*start, &mut far, &mut waiting, &mut explored);
        }
        let mut bottlenecks = Vec::new();
        for (at, node) in path.iter().enumerate() {
            while let Some(beside) = waiting.pop() {
                if is_end[beside] {
                    far = behind;
                }
                for (_, to) in &self.out[beside] {
                    meet(*to, &mut far, &mut waiting, &mut explored);
                }
            }
            if far == at {
                bottlenecks.push(*node);
            }
            if is_end[*node] {
                far = behind;
            }
            for (_, to) in &self.out[*node] {
                meet(*to, &mut far, &mut waiting, &mut explored);
            }
        }
        bottlenecks
    }

    /// The largest sets of nodes in which each reaches each other, as far as `may_pass(edge, from, to)` lets them: those of
    /// two nodes and more, each sorted, in the order of their first nodes.
    ///
    /// Tarjan, "Depth-first search and linear graph algorithms" (1972), with a stack of its own.
    pub fn cycles(&self, may_pass: impl Fn(usize, usize, usize) -> bool) -> Vec<Vec<usize>> {
        const NEW: usize = usize::MAX;
        let count = self.out.len();
        let mut order = vec![NEW; count];
        let mut low = vec![NEW; count];
        let mut is_open = vec![false; count];
        let mut open: Vec<usize> = Vec::new();
        // A node that is being visited, and how many of its ways out were taken.
        let mut visiting: Vec<(usize, usize)> = Vec::new();
        let mut next = 0;
        let mut cycles = Vec::new();
        for root in 0..count {
            if order[root] != NEW {
                continue;
            }
            visiting.push((root, 0));
            while let Some((node, taken)) = visiting.pop() {
                if taken == 0 {
                    order[node] = next;
                    low[node] = next;
                    next += 1;
                    is_open[node] = true;
                    open.push(node);
                }
                let Some((edge, to)) = self.out[node].get(taken).copied() else {
                    if let Some((parent, _)) = visiting.last() {
                        low[*parent] = low[*parent].min(low[node]);
                    }
                    if low[node] == order[node] {
                        let mut members = Vec::new();
                        while let Some(member) = open.pop() {
                            is_open[member] = false;
                            members.push(member);
                            if member == node {
                                break;
                            }
                        }
                        if 1 < members.len() {
                            members.sort_unstable();
                            cycles.push(members);
                        }
                    }
                    continue;
                };
                visiting.push((node, taken + 1));
                if !may_pass(edge, node, to) {
                    continue;
                }
                if order[to] == NEW {
                    visiting.push((to, 0));
                } else if is_open[to] {
                    low[node] = low[node].min(order[to]);
                }
            }
        }
        cycles.sort_unstable();
        cycles
    }
}

fn walk(
    ways: &[Vec<Way>],
    starts: impl IntoIterator<Item = usize>,
    may_cross: impl Fn(usize) -> bool,
    may_pass: impl Fn(usize, usize) -> bool,
) -> Vec<bool> {
    let mut reached = vec![false; ways.len()];
    let mut waiting: Vec<usize> = Vec::new();
    for start in starts {
        if !std::mem::replace(&mut reached[start], true) {
            waiting.push(start);
        }
    }
    while let Some(node) = waiting.pop() {
        for (edge, to) in &ways[node] {
            if !reached[*to] && may_pass(*edge, *to) {
                reached[*to] = true;
                if may_cross(*to) {
                    waiting.push(*to);
                }
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn graph(count: usize, edges: &[(usize, usize)]) -> Graph {
        let mut graph = Graph { out: vec![Vec::new(); count], into: vec![Vec::new(); count] };
        for (at, (source, target)) in edges.iter().enumerate() {
            graph.add(at, *source, *target);
        }
        graph
    }

    /// Small and rather dense, so that detours and cycles are common; ends and starts may coincide.
    fn graphs() -> impl Strategy<Value = (usize, Vec<(usize, usize)>, Vec<usize>, Vec<usize>)> {
        (1usize..12).prop_flat_map(|count| {
            let some = || prop::collection::vec(0..count, 0..3);
            (Just(count), prop::collection::vec((0..count, 0..count), 0..24), some(), some())
        })
    }

    /// Hops from any start, by relaxing all edges until nothing changes; `without` is taken away.
    fn hops(
        count: usize,
        edges: &[(usize, usize)],
        starts: &[usize],
        without: Option<usize>,
    ) -> Vec<Option<usize>> {
        let mut hops = vec![None; count];
        for start in starts.iter().filter(|start| Some(**start) != without) {
            hops[*start] = Some(0);
        }
        for _ in 0..count {
            for (source, target) in edges.iter().filter(|edge| Some(edge.1) != without) {
                if let Some(so_far) = hops[*source]
                    && hops[*target].is_none_or(|known| so_far + 1 < known)
                {
                    hops[*target] = Some(so_far + 1);
                }
            }
        }
        hops
    }

    proptest! {
        #[test]
        fn reaching_agrees_with_relaxing((count, edges, starts, ends) in graphs()) {
            let graph = graph(count, &edges);
            let naive: Vec<bool> =
                hops(count, &edges, &starts, None).iter().map(Option::is_some).collect();
            prop_assert_eq!(graph.reach(starts.clone(), |_, _| true), naive);
            let turned: Vec<_> = edges.iter().map(|(source, target)| (*target, *source)).collect();
            let naive: Vec<bool> =
                hops(count, &turned, &ends, None).iter().map(Option::is_some).collect();
            prop_assert_eq!(graph.reach_back(ends, |_, _| true), naive);
        }

        #[test]
        fn a_cut_is_a_node_taken_away((count, edges, starts, _) in graphs(), cut in 0usize..12) {
            prop_assume!(cut < count);
            let starts: Vec<usize> = starts.into_iter().filter(|start| *start != cut).collect();
            let reached = graph(count, &edges).reach(starts.clone(), |_, to| to != cut);
            let naive: Vec<bool> =
                hops(count, &edges, &starts, Some(cut)).iter().map(Option::is_some).collect();
            prop_assert_eq!(reached, naive);
        }

        #[test]
        fn what_is_not_crossed_is_an_end((count, edges, starts, walls) in graphs()) {
            let reached = graph(count, &edges).reach_through(starts.clone(), |node| !walls.contains(&node), |_, _| true);
            // The same drawing without the ways out of what is not crossed.
            let open: Vec<_> =
                edges.into_iter().filter(|edge| !walls.contains(&edge.0) || starts.contains(&edge.0)).collect();
            let naive: Vec<bool> = hops(count, &open, &starts, None).iter().map(Option::is_some).collect();
            prop_assert_eq!(reached, naive);
        }

        #[test]
        fn ways_are_the_shortest_and_hang_together((count, edges, starts, _) in graphs()) {
            let ways = graph(count, &edges).ways(starts.clone(), |_, _| true);
            for (node, hops) in hops(count, &edges, &starts, None).into_iter().enumerate() {
                prop_assert_eq!(ways.is_reached(node), hops.is_some());
                let Some(hops) = hops else { continue };
                prop_assert_eq!(ways.back_from(node).count(), hops);
                let mut to = node;
                for (edge, before) in ways.back_from(node) {
                    prop_assert_eq!(edges[edge], (before, to));
                    to = before;
                }
                prop_assert!(starts.contains(&to));
                prop_assert_eq!(ways.nodes_to(node).len(), hops + 1);
            }
        }

        #[test]
        fn bottlenecks_are_the_nodes_without_which_no_end_is_reached((count, edges, starts, ends) in graphs()) {
            let is_joined = |without| {
                let hops = hops(count, &edges, &starts, without);
                ends.iter().any(|end| hops[*end].is_some())
            };
            let naive: Vec<usize> = if is_joined(None) {
                (0..count).filter(|node| !is_joined(Some(*node))).collect()
            } else {
                Vec::new()
            };
            let mut found = graph(count, &edges).bottlenecks(&starts, &ends);
            found.sort_unstable();
            prop_assert_eq!(found, naive);
        }

        #[test]
        fn cycles_are_the_nodes_that_reach_each_other((count, edges, walls, _) in graphs()) {
            let open: Vec<_> = edges.iter().copied().filter(|edge| !walls.contains(&edge.0)).collect();
            let reach: Vec<Vec<Option<usize>>> = (0..count).map(|node| hops(count, &open, &[node], None)).collect();
            let mut naive: Vec<Vec<usize>> = (0..count)
                .map(|a| (0..count).filter(|b| reach[a][*b].is_some() && reach[*b][a].is_some()).collect())
                .filter(|members: &Vec<usize>| 1 < members.len())
                .collect();
            naive.sort();
            naive.dedup();
            let found = graph(count, &edges).cycles(|_, from, _| !walls.contains(&from));
            prop_assert_eq!(found, naive);
        }
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_nodes_is_no_trouble() {
        const LONG: usize = 100_000;
        let chain: Vec<(usize, usize)> = (1..LONG).map(|node| (node - 1, node)).collect();
        let open = graph(LONG, &chain);
        assert!(open.reach([0], |_, _| true)[LONG - 1]);
        assert!(open.reach_back([LONG - 1], |_, _| true)[0]);
        assert_eq!(open.ways([0], |_, _| true).back_from(LONG - 1).count(), LONG - 1);
        assert_eq!(open.bottlenecks(&[0], &[LONG - 1]).len(), LONG);
        assert!(open.cycles(|_, _, _| true).is_empty());
        let ring: Vec<(usize, usize)> = chain.into_iter().chain([(LONG - 1, 0)]).collect();
        assert_eq!(graph(LONG, &ring).cycles(|_, _, _| true), [(0..LONG).collect::<Vec<_>>()]);
    }

    #[test]
    fn among_equal_ways_the_lowest_indices_win() {
        let two = graph(4, &[(0, 2), (0, 1), (2, 3), (1, 3)]);
        // By the first edge, over node 2.
        assert_eq!(two.ways([0], |_, _| true).nodes_to(3), [0, 2, 3]);
    }
}
