//! The order in which the operations of a bulk request are made.
//!
//! It is the order of the request, except that an operation waits for the resources that it refers to (BULK-09), and that
//! what comes after it and touches the same things waits with it, so that the result is that of the order of the request
//! (BULK-12). Only where both can't be had, a creation goes before what it should have waited for. Creations that refer to
//! each other in a circle are one step (BULK-10).
//!
//! The cost is that of the references, whatever their shape.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

/// What is made next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This operation.
    One(usize),
    /// These creations, each of which refers to itself or, by way of others, to all of them; in the order of the request.
    Circle(Vec<usize>),
}

/// What an operation has to do with the others.
#[derive(Debug, Default)]
pub(super) struct Footprint<'a> {
    /// The operations whose resources it refers to.
    pub(super) needs: &'a [usize],
    /// What it must not be moved past a change of.
    pub(super) reads: Vec<Key<'a>>,
    /// What it changes.
    pub(super) changes: Vec<Key<'a>>,
}

/// What operations can meet at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key<'a> {
    /// The unique values of a type: a creation may want one that a change or a deletion sets free. Two creations do not
    /// meet here.
    Type(&'a str),
    /// The resource with this id.
    Resource(&'a str),
    /// The resource that this operation creates.
    Created(usize),
}

/// The steps, in order; each operation is in one of them.
pub(super) fn plan(operations: &[Footprint<'_>]) -> Vec<Step> {
    let is_in_order = |(at, operation): (usize, &Footprint<'_>)| operation.needs.iter().all(|needed| *needed < at);
    if operations.iter().enumerate().all(is_in_order) {
        return (0..operations.len()).map(Step::One).collect();
    }
    Schedule::of(operations).run()
}

/// Operations that are made in one step.
struct Node {
    operations: Vec<usize>,
    /// The nodes whose resources it refers to.
    needs: HashSet<usize>,
    /// The nodes that wait for this one, once for each reason.
    followers: Vec<usize>,
    /// How many reasons to wait are left.
    waits: usize,
    done: bool,
}

struct Schedule<'a> {
    footprints: &'a [Footprint<'a>],
    /// In an order in which each comes after those that it needs.
    nodes: Vec<Node>,
    ready: BinaryHeap<Reverse<(usize, usize)>>,
    steps: Vec<Step>,
}

impl<'a> Schedule<'a> {
    fn of(footprints: &'a [Footprint<'a>]) -> Schedule<'a> {
        let mut nodes: Vec<Node> = circles(footprints)
            .into_iter()
            .map(|operations| Node { operations, needs: HashSet::new(), followers: Vec::new(), waits: 0, done: false })
            .collect();
        let mut node_of = vec![0; footprints.len()];
        for (node, operations) in nodes.iter().map(|node| &node.operations).enumerate() {
            operations.iter().for_each(|at| node_of[*at] = node);
        }
        let needs =
            footprints.iter().enumerate().flat_map(|(at, footprint)| footprint.needs.iter().map(move |n| (*n, at)));
        for (first, second) in needs.clone() {
            let (needed, node) = (node_of[first], node_of[second]);
            if needed != node {
                nodes[node].needs.insert(needed);
            }
        }
        for (first, second) in needs.chain(meetings(footprints)) {
            let (first, second) = (node_of[first], node_of[second]);
            if first != second {
                nodes[first].followers.push(second);
                nodes[second].waits += 1;
            }
        }
        Schedule { footprints, nodes, ready: BinaryHeap::new(), steps: Vec::new() }
    }

    fn run(mut self) -> Vec<Step> {
        let mut in_order: Vec<usize> = (0..self.nodes.len()).collect();
        in_order.sort_unstable_by_key(|node| self.nodes[*node].operations[0]);
        let free = in_order.iter().filter(|node| self.nodes[**node].waits == 0);
        self.ready = free.map(|node| Reverse((self.nodes[*node].operations[0], *node))).collect();
        for first in in_order {
            while let Some(Reverse((_, node))) = self.ready.pop() {
                self.make(node);
            }
            // Whatever is left waits for what waits for it. The first of them goes ahead, after those that it needs.
            for node in self.needed_by(first) {
                self.make(node);
            }
        }
        self.steps
    }

    /// What is not done yet of a node and all that it needs, in an order that can be made.
    fn needed_by(&self, node: usize) -> Vec<usize> {
        let mut found = HashSet::new();
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            if !self.nodes[node].done && found.insert(node) {
                open.extend(self.nodes[node].needs.iter().filter(|needed| !self.nodes[**needed].done));
            }
        }
        let mut found: Vec<usize> = found.into_iter().collect();
        found.sort_unstable();
        found
    }

    fn make(&mut self, node: usize) {
        if std::mem::replace(&mut self.nodes[node].done, true) {
            return;
        }
        for follower in std::mem::take(&mut self.nodes[node].followers) {
            let waiting = &mut self.nodes[follower];
            waiting.waits -= 1;
            if waiting.waits == 0 && !waiting.done {
                self.ready.push(Reverse((waiting.operations[0], follower)));
            }
        }
        let operations = std::mem::take(&mut self.nodes[node].operations);
        let needs_itself = |at: usize| self.footprints[at].needs.contains(&at);
        self.steps.push(match operations.as_slice() {
            [one] if !needs_itself(*one) => Step::One(*one),
            _ => Step::Circle(operations),
        });
    }
}

/// The operations, those that need each other together, each after those that it needs.
fn circles(operations: &[Footprint<'_>]) -> Vec<Vec<usize>> {
    let mut graph = DiGraph::<(), (), usize>::with_capacity(operations.len(), 0);
    let nodes: Vec<NodeIndex<usize>> = operations.iter().map(|_| graph.add_node(())).collect();
    for (at, operation) in operations.iter().enumerate() {
        for needed in operation.needs {
            graph.add_edge(nodes[at], nodes[*needed], ());
        }
    }
    let in_order = |circle: Vec<NodeIndex<usize>>| {
        let mut operations: Vec<usize> = circle.into_iter().map(NodeIndex::index).collect();
        operations.sort_unstable();
        operations
    };
    kosaraju_scc(&graph).into_iter().map(in_order).collect()
}

/// Pairs of operations whose order matters although neither needs the other, the earlier one first.
fn meetings(operations: &[Footprint<'_>]) -> Vec<(usize, usize)> {
    #[derive(Default)]
    struct Since {
        change: Option<usize>,
        reads: Vec<usize>,
    }
    let mut since: HashMap<Key<'_>, Since> = HashMap::new();
    let mut pairs = Vec::new();
    for (at, operation) in operations.iter().enumerate() {
        for key in &operation.reads {
            let since = since.entry(*key).or_default();
            pairs.extend(since.change.map(|change| (change, at)));
            since.reads.push(at);
        }
        for key in &operation.changes {
            let since = since.entry(*key).or_default();
            pairs.extend(since.change.map(|change| (change, at)));
            pairs.extend(since.reads.drain(..).map(|read| (read, at)));
            since.change = Some(at);
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps(operations: &[Footprint<'_>]) -> Vec<Step> {
        plan(operations)
    }

    fn creates<'a>(needs: &'a [usize]) -> Footprint<'a> {
        Footprint { needs, reads: vec![Key::Type("/Users")], changes: Vec::new() }
    }

    fn changes<'a>(endpoint: &'a str, id: &'a str, needs: &'a [usize]) -> Footprint<'a> {
        Footprint { needs, reads: Vec::new(), changes: vec![Key::Type(endpoint), Key::Resource(id)] }
    }

    fn one(order: &[usize]) -> Vec<Step> {
        order.iter().copied().map(Step::One).collect()
    }

    #[test]
    fn bulk_12_without_forward_references_the_order_stays() {
        assert_eq!(steps(&[creates(&[]), creates(&[0]), changes("/Users", "a", &[1])]), one(&[0, 1, 2]));
    }

    #[test]
    fn bulk_09_an_operation_waits_for_what_it_refers_to() {
        assert_eq!(steps(&[creates(&[2]), creates(&[]), creates(&[1])]), one(&[1, 2, 0]));
    }

    #[test]
    fn bulk_12_changes_of_one_resource_keep_their_order() {
        let waiting = [changes("/Groups", "g", &[2]), changes("/Groups", "g", &[]), creates(&[])];
        assert_eq!(steps(&waiting), one(&[2, 0, 1]));
    }

    #[test]
    fn bulk_12_a_creation_waits_for_the_deletion_that_frees_its_name() {
        let waiting = [changes("/Groups", "g", &[2]), changes("/Users", "old", &[]), creates(&[])];
        assert_eq!(steps(&waiting), one(&[1, 2, 0]));
    }

    #[test]
    fn bulk_12_a_deletion_waits_for_the_operation_that_names_its_resource() {
        let naming = Footprint { needs: &[2], reads: vec![Key::Resource("u")], changes: vec![Key::Type("/Groups")] };
        assert_eq!(steps(&[naming, changes("/Users", "u", &[]), creates(&[])]), one(&[2, 0, 1]));
    }

    #[test]
    fn bulk_09_12_a_reference_goes_before_the_order_of_the_request() {
        let of_one_type = [changes("/Users", "a", &[2]), changes("/Users", "b", &[]), creates(&[])];
        assert_eq!(steps(&of_one_type), one(&[2, 0, 1]));
    }

    #[test]
    fn bulk_10_a_circle_is_one_step() {
        let circle = [creates(&[1]), creates(&[0]), creates(&[2]), creates(&[4]), creates(&[0])];
        assert_eq!(steps(&circle), [Step::Circle(vec![0, 1]), Step::Circle(vec![2]), Step::One(4), Step::One(3)]);
    }

    #[test]
    fn bulk_12_a_thousand_operations_that_all_need_each_other_are_one_step() {
        let everybody: Vec<usize> = (0..1000).collect();
        let operations: Vec<Footprint<'_>> = everybody.iter().map(|_| creates(&everybody)).collect();
        assert_eq!(steps(&operations), [Step::Circle(everybody.clone())]);
    }

    #[test]
    fn bulk_12_a_long_chain_is_made_from_its_end() {
        let needs: Vec<Vec<usize>> = (1..1000).map(|next| vec![next]).chain([Vec::new()]).collect();
        let operations: Vec<Footprint<'_>> = needs.iter().map(|needs| creates(needs)).collect();
        let backwards: Vec<usize> = (0..1000).rev().collect();
        assert_eq!(steps(&operations), one(&backwards));
    }

    const IDS: [&str; 3] = ["a", "b", "c"];
    const ENDPOINTS: [&str; 2] = ["/Users", "/Groups"];

    /// Creations at even places, changes at odd ones, each with some needs among the creations.
    fn random() -> impl Strategy<Value = Vec<(Vec<usize>, usize, usize)>> {
        let operation = (prop::collection::vec(0..12_usize, 0..3), 0..2_usize, 0..3_usize);
        prop::collection::vec(operation, 1..24).prop_map(|mut operations| {
            let creations = operations.len().div_ceil(2);
            for (needs, _, _) in &mut operations {
                *needs = needs.iter().map(|need| need % creations * 2).collect();
                needs.sort_unstable();
                needs.dedup();
            }
            operations
        })
    }

    proptest! {
        #[test]
        fn bulk_09_10_12_every_operation_is_made_once_and_after_what_it_needs(operations in random()) {
            let mut footprints: Vec<Footprint<'_>> = Vec::new();
            for (at, (needs, endpoint, id)) in operations.iter().enumerate() {
                footprints.push(match at % 2 {
                    0 => Footprint { reads: vec![Key::Type(ENDPOINTS[*endpoint])], ..creates(needs) },
                    _ => changes(ENDPOINTS[*endpoint], IDS[*id], needs),
                });
            }
            let mut made = HashSet::new();
            for step in steps(&footprints) {
                let together = match step {
                    Step::One(one) => {
                        prop_assert!(!footprints[one].needs.contains(&one));
                        vec![one]
                    }
                    Step::Circle(circle) => circle,
                };
                for at in &together {
                    for needed in footprints[*at].needs {
                        prop_assert!(made.contains(needed) || together.contains(needed), "{at} before {needed}");
                    }
                }
                for at in together {
                    prop_assert!(made.insert(at), "{at} twice");
                }
            }
            prop_assert_eq!(made.len(), operations.len());
        }
    }
}
