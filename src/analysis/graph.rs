//! The drawing as a directed graph, and the walks that rules make over it. Everything is linear in nodes and edges.

use super::model::Model;

#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// For each node its ways out: (edge, the node at the other end). An edge that goes both ways stands at both ends.
    pub out: Vec<Vec<(usize, usize)>>,
    /// For each node its ways in: (edge, where it comes from).
    pub into: Vec<Vec<(usize, usize)>>,
}

impl Graph {
    #[must_use]
    pub fn of(model: &Model<'_>) -> Self {
        let mut graph =
            Self { out: vec![Vec::new(); model.nodes.len()], into: vec![Vec::new(); model.nodes.len()] };
        for (at, edge) in model.edges.iter().enumerate() {
            graph.out[edge.source].push((at, edge.target));
            graph.into[edge.target].push((at, edge.source));
            if edge.is_both_ways {
                graph.out[edge.target].push((at, edge.source));
                graph.into[edge.source].push((at, edge.target));
            }
        }
        graph
    }

    /// Which nodes can be reached from `starts` by ways for which `may_pass(edge, to)` holds. The starts are reached.
    pub fn reach(
        &self,
        starts: impl IntoIterator<Item = usize>,
        may_pass: impl Fn(usize, usize) -> bool,
    ) -> Vec<bool> {
        let mut reached = vec![false; self.out.len()];
        let mut waiting: Vec<usize> = Vec::new();
        for start in starts {
            if !std::mem::replace(&mut reached[start], true) {
                waiting.push(start);
            }
        }
        while let Some(node) = waiting.pop() {
            for (edge, to) in &self.out[node] {
                if !reached[*to] && may_pass(*edge, *to) {
                    reached[*to] = true;
                    waiting.push(*to);
                }
            }
        }
        reached
    }
}
