//! What a rollout has done so far: every effect is entered before it happens, so that whatever ends the rollout, the
//! journal walked backwards is its undo.

/// How far back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// To the end of the last batch that was done.
    Batch,
    /// To the beginning of the rollout.
    Start,
}

#[derive(Debug)]
enum Entry<E> {
    /// A batch is done.
    Mark,
    Effect(E),
}

#[derive(Debug)]
pub struct Journal<E>(Vec<Entry<E>>);

impl<E> Default for Journal<E> {
    fn default() -> Journal<E> {
        Journal(vec![])
    }
}

impl<E> Journal<E> {
    /// A batch is done: an interruption from now on leaves it so.
    pub fn mark(&mut self) {
        self.0.push(Entry::Mark);
    }

    /// Enters what is about to happen. What becomes known of it meanwhile may be added to it.
    pub fn enter(&mut self, effect: E) -> &mut E {
        self.0.push(Entry::Effect(effect));
        match self.0.last_mut() {
            Some(Entry::Effect(effect)) => effect,
            _ => unreachable!("an effect was entered"),
        }
    }

    /// Takes the last effect out, the one that is to be undone next.
    pub fn pop(&mut self, to: Mark) -> Option<E> {
        loop {
            match self.0.pop()? {
                Entry::Effect(effect) => return Some(effect),
                Entry::Mark if to == Mark::Batch => {
                    self.mark();
                    return None;
                }
                Entry::Mark => {}
            }
        }
    }

    /// In the order in which they happened.
    pub fn effects(&self) -> impl DoubleEndedIterator<Item = &E> {
        self.0.iter().filter_map(|entry| match entry {
            Entry::Effect(effect) => Some(effect),
            Entry::Mark => None,
        })
    }

    pub fn effects_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut E> {
        self.0.iter_mut().filter_map(|entry| match entry {
            Entry::Effect(effect) => Some(effect),
            Entry::Mark => None,
        })
    }

    /// What was done stands, and will not be undone.
    pub fn close(&mut self) -> Vec<E> {
        let effect = |entry| match entry {
            Entry::Effect(effect) => Some(effect),
            Entry::Mark => None,
        };
        self.0.drain(..).filter_map(effect).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two batches are done, the third has begun.
    fn journal() -> Journal<&'static str> {
        let mut journal = Journal::default();
        for effects in [&["clear", "start", "stop"][..], &["start"]] {
            for effect in effects {
                journal.enter(*effect);
            }
            journal.mark();
        }
        journal.enter("drain");
        journal
    }

    fn back(journal: &mut Journal<&'static str>, to: Mark) -> Vec<&'static str> {
        std::iter::from_fn(|| journal.pop(to)).collect()
    }

    #[test]
    fn a_batch_is_walked_back_and_what_was_before_it_stays() {
        let mut journal = journal();
        assert_eq!(back(&mut journal, Mark::Batch), ["drain"]);
        assert_eq!(back(&mut journal, Mark::Batch), [""; 0]);
        assert_eq!(back(&mut journal, Mark::Start), ["start", "stop", "start", "clear"]);
    }

    #[test]
    fn what_stands_is_in_order_and_is_not_taken_back() {
        let mut journal = journal();
        assert_eq!(journal.close(), ["clear", "start", "stop", "start", "drain"]);
        assert_eq!(back(&mut journal, Mark::Start), [""; 0]);
    }
}
