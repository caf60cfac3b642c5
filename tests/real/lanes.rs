//! Several stacks at a time, but never two of which one changes what an image means that the other one runs, nor more than a
//! small machine can bear.

use std::{collections::BTreeSet, sync::Mutex, thread, time::Duration};

/// Services at a time; a stack that has more is alone.
const AT_ONCE: usize = 10;

/// What a stack has, and the references of its images.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    pub services: usize,
    pub all: BTreeSet<String>,
    pub changed: BTreeSet<String>,
}

impl Needs {
    fn disturbs(&self, other: &Needs) -> bool {
        !self.changed.is_disjoint(&other.all) || !other.changed.is_disjoint(&self.all)
    }
}

struct State<T> {
    waiting: Vec<(Needs, T)>,
    running: Vec<Needs>,
}

/// Does all of them, `lanes` at a time.
pub fn each<T: Send>(lanes: usize, all: Vec<(Needs, T)>, work: impl Fn(T) + Sync) {
    let state = Mutex::new(State { waiting: all, running: vec![] });
    // Each takes the lock for a moment, and not while it works.
    let next = || state.lock().expect("a lock").next();
    let done = |needs: &Needs| state.lock().expect("a lock").is_done(needs);
    let lane = || {
        while let Some(turn) = next() {
            match turn {
                Some((needs, one)) => {
                    work(one);
                    done(&needs);
                }
                None => thread::sleep(Duration::from_millis(100)),
            }
        }
    };
    thread::scope(|scope| (0..lanes).for_each(|_| drop(scope.spawn(lane))));
}

impl<T> State<T> {
    /// `Some(None)`: not yet.
    fn next(&mut self) -> Option<Option<(Needs, T)>> {
        if self.waiting.is_empty() {
            return None;
        }
        let busy: usize = self.running.iter().map(|needs| needs.services).sum();
        let fits = |needs: &Needs| busy == 0 || busy + needs.services <= AT_ONCE;
        let free = |needs: &Needs| fits(needs) && !self.running.iter().any(|other| other.disturbs(needs));
        let Some(at) = self.waiting.iter().position(|(needs, _)| free(needs)) else { return Some(None) };
        let next = self.waiting.remove(at);
        self.running.push(next.0.clone());
        Some(Some(next))
    }

    fn is_done(&mut self, needs: &Needs) {
        let at = self.running.iter().position(|other| other.all == needs.all);
        at.map(|at| self.running.remove(at));
    }
}

#[test]
fn two_that_disturb_each_other_never_run_at_once() {
    let needs = |all: &[&str], changed: &[&str]| {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Needs { services: 1, all: set(all), changed: set(changed) }
    };
    let (a, b) = (needs(&["db", "web"], &["web"]), needs(&["db", "api"], &["api"]));
    assert!(!a.disturbs(&b), "both only run the database");
    assert!(a.disturbs(&needs(&["web"], &[])) && needs(&["web"], &[]).disturbs(&a));
    let mut state = State { waiting: vec![(a.clone(), 1), (a.clone(), 2), (b, 3)], running: vec![] };
    let mut next = || state.next().map(|next| next.map(|(_, number)| number));
    assert_eq!([next(), next(), next()], [Some(Some(1)), Some(Some(3)), Some(None)]);
    state.is_done(&a);
    assert_eq!(state.next().map(|next| next.map(|(_, number)| number)), Some(Some(2)));
    assert!(state.next().is_none());
}

#[test]
fn a_large_one_is_alone() {
    let stack = |services: usize| {
        let all = [format!("image-{services}")].into();
        (Needs { services, all, ..Needs::default() }, services)
    };
    let mut state = State { waiting: [2, 7, 40].map(stack).into(), running: vec![] };
    let mut next = || state.next().map(|next| next.map(|(_, services)| services));
    assert_eq!([next(), next(), next()], [Some(Some(2)), Some(Some(7)), Some(None)]);
    [2, 7].into_iter().for_each(|services| state.is_done(&stack(services).0));
    assert_eq!(state.next().map(|next| next.map(|(_, services)| services)), Some(Some(40)));
}
