//! A queue in which tenants take turns.

use std::collections::{HashMap, VecDeque};

/// First in, first out per tenant; tenants one after the other, so that one
/// with a thousand prompts delays another's first by a single prompt.
#[derive(Debug)]
pub(crate) struct Turns<T> {
    waiting: HashMap<u32, VecDeque<T>>,
    order: VecDeque<u32>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T> Turns<T> {
    pub(crate) fn push(&mut self, tenant: u32, item: T) {
        let queue = self.waiting.entry(tenant).or_default();
        if queue.is_empty() {
            self.order.push_back(tenant);
        }
        queue.push_back(item);
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let tenant = self.order.pop_front()?;
        let queue = self.waiting.get_mut(&tenant)?;
        let item = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&tenant);
        } else {
            self.order.push_back(tenant);
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use super::Turns;

    #[test]
    fn tenants_take_turns() {
        let mut turns = Turns::default();
        for n in 0..3 {
            turns.push(1, (1, n));
        }
        turns.push(2, (2, 0));
        turns.push(3, (3, 0));
        turns.push(2, (2, 1));
        let order: Vec<(u32, u32)> = std::iter::from_fn(|| turns.pop()).collect();
        assert_eq!(order, [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (1, 2)]);
        assert!(turns.waiting.is_empty() && turns.order.is_empty());
    }
}
