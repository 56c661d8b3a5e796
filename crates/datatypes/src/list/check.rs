//! The invariants of a stored list, executed: for tests.

use super::List;
use super::node::{Child, Weight, sum};
use super::tree::Tree;
use crate::kv::Kv;
use crate::record::Record;

/// Panics if what a head record tells is not what is stored. Answers the number of parts.
pub fn check(kv: &mut dyn Kv, record: &Record, head: &[u8]) -> u64 {
    let mut list = List::decode(record, head).expect("a readable list");
    let len = list.len();
    assert!(len > 0, "an empty list is no key");
    let mut elements = 0;
    list.each(kv, 0, super::End::Front, &mut |index, _| {
        assert_eq!(index, elements);
        elements += 1;
        std::ops::ControlFlow::Continue(())
    })
    .expect("readable elements");
    assert_eq!(elements, len);
    let Some(tree) = list.tree() else { return 0 };
    let (height, weight) = (tree.height(), tree.weight());
    let root = tree.root(kv).expect("a root").clone();
    assert_eq!(sum(&root), weight);
    assert!(height == 1 || root.len() > 1, "a root with one child is too many");
    1 + root.iter().map(|&child| check_below(kv, tree, height, child)).sum::<u64>()
}

fn check_below(kv: &mut dyn Kv, tree: &mut Tree, height: u8, child: Child) -> u64 {
    assert!(child.weight.elements > 0);
    if height == 1 {
        let leaf = tree.read_leaf(kv, child.number).expect("a leaf");
        let weight = Weight { elements: leaf.len(), bytes: leaf.entries_bytes() as u64 };
        assert_eq!(weight, child.weight);
        return 1;
    }
    let node = tree.node(kv, child.number).expect("a node").clone();
    assert_eq!(sum(&node), child.weight);
    1 + node.iter().map(|&child| check_below(kv, tree, height - 1, child)).sum::<u64>()
}
