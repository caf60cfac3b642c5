//! The one place where the program waits: for something to be so, for a deadline, an interruption, or an alarm.

use std::{
    panic::resume_unwind,
    sync::{Arc, Condvar, Mutex, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::interrupt::{Interrupt, Urgency};

/// What comes of two calls that need not wait for each other. The other one has a thread of its own.
pub fn beside<A, B: Send>(call: impl FnOnce() -> A, other: impl FnOnce() -> B + Send) -> (A, B) {
    thread::scope(|scope| {
        let other = scope.spawn(other);
        let result = call();
        (result, other.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Wakes whoever waits. Counts its calls, so that one between two looks is never lost.
#[derive(Debug, Default)]
pub struct Waker {
    calls: Mutex<u64>,
    called: Condvar,
}

impl Waker {
    pub fn wake(&self) {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.called.notify_all();
    }

    /// The count so far.
    fn heard(&self) -> u64 {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until a call after `heard`, or for at most `limit`.
    fn sleep(&self, heard: u64, limit: Duration) {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let asleep = |calls: &mut u64| *calls == heard;
        drop(self.called.wait_timeout_while(calls, limit, asleep).unwrap_or_else(PoisonError::into_inner));
    }
}

/// Time, as a wait sees it. Tests have one in which an hour passes at once.
pub trait Clock: Send + Sync {
    fn now(&self) -> Instant;

    /// Returns after `limit`, or earlier when the waker is called after `heard`.
    fn sleep(&self, waker: &Waker, heard: u64, limit: Duration);
}

/// The machine's own.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, waker: &Waker, heard: u64, limit: Duration) {
        waker.sleep(heard, limit);
    }
}

/// Raised once, with the reason why the rollout may not go on.
#[derive(Clone, Debug, Default)]
pub struct Alarm(Arc<OnceLock<String>>);

impl Alarm {
    pub fn raise(&self, reason: String) {
        let _ = self.0.set(reason);
    }

    pub fn reason(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

/// What ends a wait before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heed {
    /// An interruption, and the alarm.
    All,
    /// An interruption only.
    Interrupt,
    /// The user interrupted twice and waits for nothing more.
    Urgent,
}

/// What a look has found.
pub enum Look<T> {
    Done(T),
    /// Look again when the waker is called, or at the latest after this time.
    Again(Duration),
}

/// How a wait ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended<T> {
    Done(T),
    Deadline,
    Interrupted,
    Alarm(String),
}

impl<T> Ended<T> {
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Ended::Interrupted)
    }
}

/// Whoever waits has one.
#[derive(Clone)]
pub struct Waiter {
    pub waker: Arc<Waker>,
    pub interrupt: Arc<Interrupt>,
    pub alarm: Alarm,
    pub clock: Arc<dyn Clock>,
}

impl Waiter {
    pub fn new(waker: Arc<Waker>, interrupt: Arc<Interrupt>) -> Waiter {
        Waiter { waker, interrupt, alarm: Alarm::default(), clock: Arc::new(SystemClock) }
    }

    /// With a waker of its own: nobody else looks again when this one is woken, nor this one when others are. A look that
    /// waits itself does so apart, or the end of what it waits for would end the next sleep too.
    pub fn apart(&self) -> Waiter {
        Waiter { waker: Arc::default(), ..self.clone() }
    }

    /// Looks again and again until it is done. `limit` is counted from now; `None` is no limit.
    ///
    /// # Errors
    /// Those of a look, at once.
    pub fn until<T, E>(
        &self,
        limit: Option<Duration>,
        heed: Heed,
        mut look: impl FnMut() -> Result<Look<T>, E>,
    ) -> Result<Ended<T>, E> {
        let end = limit.and_then(|limit| self.clock.now().checked_add(limit));
        loop {
            let heard = self.waker.heard();
            let again = match look()? {
                Look::Done(found) => return Ok(Ended::Done(found)),
                Look::Again(time) => time,
            };
            if let Some(ended) = self.ended_early(heed) {
                return Ok(ended);
            }
            let left = end.map_or(LONGEST, |end| end.saturating_duration_since(self.clock.now()));
            if left.is_zero() {
                return Ok(Ended::Deadline);
            }
            self.clock.sleep(&self.waker, heard, again.min(left).min(LONGEST));
        }
    }

    /// Waits for the time to pass; `Deadline` is the good end.
    pub fn pause(&self, time: Duration, heed: Heed) -> Ended<()> {
        let looked = self.until(Some(time), heed, || Ok::<_, ()>(Look::Again(LONGEST)));
        looked.unwrap_or(Ended::Deadline)
    }

    /// Looks again and again while a call goes on, at least so often, and once more when it has ended. It is waited for
    /// whatever the user does.
    pub fn meanwhile<T: Send>(
        &self,
        every: Duration,
        call: impl FnOnce() -> T + Send,
        mut look: impl FnMut(),
    ) -> T {
        thread::scope(|scope| {
            let call = scope.spawn(|| {
                let result = call();
                self.waker.wake();
                result
            });
            let _ = self.until(None, Heed::Urgent, || {
                let is_last = call.is_finished();
                look();
                Ok::<_, ()>(if is_last { Look::Done(()) } else { Look::Again(every) })
            });
            call.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Makes a call that may fail for a moment up to three times.
    ///
    /// # Errors
    /// Of the last call, or one that is `final`.
    pub fn again<T, E>(
        &self,
        mut call: impl FnMut() -> Result<T, E>,
        is_final: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        const TRIES: u32 = 3;
        const TRY_AGAIN: Duration = Duration::from_millis(300);
        for _ in 1..TRIES {
            match call() {
                Err(error) if !is_final(&error) => drop(self.pause(TRY_AGAIN, Heed::Urgent)),
                result => return result,
            }
        }
        call()
    }

    pub fn is_interrupted(&self) -> bool {
        self.interrupt.requested()
    }

    /// The user interrupted twice: nothing more is done.
    pub fn is_abandoned(&self) -> bool {
        self.interrupt.urgency() == Urgency::Twice
    }

    fn ended_early<T>(&self, heed: Heed) -> Option<Ended<T>> {
        let interrupted = match heed {
            Heed::All | Heed::Interrupt => self.is_interrupted(),
            Heed::Urgent => self.is_abandoned(),
        };
        let alarm = self.alarm.reason().filter(|_| heed == Heed::All);
        match (interrupted, alarm) {
            (true, _) => Some(Ended::Interrupted),
            (false, reason) => reason.map(|reason| Ended::Alarm(reason.to_owned())),
        }
    }
}

/// A wait without a limit goes in slices that a clock can hold.
const LONGEST: Duration = Duration::from_secs(3600);

#[cfg(test)]
pub mod fake {
    //! A clock that does not wait.

    use super::*;

    /// Each sleep passes at once. `on_sleep` is called before, with the time since the clock was made.
    pub struct FakeClock {
        began: Instant,
        passed: Mutex<Duration>,
        on_sleep: Box<dyn Fn(Duration) + Send + Sync>,
    }

    impl FakeClock {
        pub fn new(on_sleep: impl Fn(Duration) + Send + Sync + 'static) -> FakeClock {
            FakeClock { began: Instant::now(), passed: Mutex::default(), on_sleep: Box::new(on_sleep) }
        }
    }

    impl Clock for FakeClock {
        fn now(&self) -> Instant {
            self.began + *self.passed.lock().unwrap()
        }

        fn sleep(&self, waker: &Waker, heard: u64, limit: Duration) {
            if waker.heard() == heard {
                *self.passed.lock().unwrap() += limit;
                let passed = *self.passed.lock().unwrap();
                (self.on_sleep)(passed);
            }
        }
    }

    pub fn waiter(on_sleep: impl Fn(Duration) + Send + Sync + 'static) -> Waiter {
        let clock = Arc::new(FakeClock::new(on_sleep));
        Waiter { clock, ..Waiter::new(Arc::default(), Arc::default()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn count_to(n: u32) -> impl FnMut() -> Result<Look<u32>, ()> {
        let mut count = 0;
        move || {
            count += 1;
            Ok(if count == n { Look::Done(n) } else { Look::Again(SECOND) })
        }
    }

    #[test]
    fn it_ends_when_it_is_done_or_at_the_deadline() {
        let waiter = fake::waiter(|_| {});
        assert_eq!(waiter.until(None, Heed::All, count_to(10_000)), Ok(Ended::Done(10_000)));
        assert_eq!(waiter.until(Some(3 * SECOND), Heed::All, count_to(4)), Ok(Ended::Done(4)));
        assert_eq!(waiter.until(Some(3 * SECOND), Heed::All, count_to(5)), Ok(Ended::Deadline));
        assert_eq!(waiter.until(None, Heed::All, || Err::<Look<()>, _>("broken")), Err("broken"));
    }

    #[test]
    fn what_is_done_counts_although_it_was_interrupted() {
        let waiter = fake::waiter(|_| {});
        waiter.interrupt.interrupt();
        assert_eq!(waiter.until(None, Heed::All, count_to(1)), Ok(Ended::Done(1)));
        assert_eq!(waiter.until(None, Heed::All, count_to(2)), Ok(Ended::Interrupted));
        assert_eq!(waiter.until(None, Heed::Urgent, count_to(2)), Ok(Ended::Done(2)));
        waiter.interrupt.interrupt();
        assert_eq!(waiter.until(None, Heed::Urgent, count_to(2)), Ok(Ended::Interrupted));
    }

    #[test]
    fn the_alarm_ends_what_heeds_it() {
        let waiter = fake::waiter(|_| {});
        waiter.alarm.raise("too much".to_owned());
        waiter.alarm.raise("again".to_owned());
        assert_eq!(waiter.pause(SECOND, Heed::All), Ended::Alarm("too much".to_owned()));
        assert_eq!(waiter.pause(SECOND, Heed::Interrupt), Ended::Deadline);
    }

    #[test]
    fn what_happens_apart_wakes_nobody_else() {
        let waiter = fake::waiter(|_| {});
        waiter.apart().meanwhile(SECOND, || {}, || {});
        assert_eq!(waiter.waker.heard(), 0);
        waiter.meanwhile(SECOND, || {}, || {});
        assert_eq!(waiter.waker.heard(), 1);
    }

    #[test]
    fn a_call_between_two_looks_is_not_lost() {
        let slept = Arc::new(AtomicU32::new(0));
        let count = slept.clone();
        let waiter = fake::waiter(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        });
        let mut looks = 0;
        let found = waiter.until(None, Heed::All, || {
            looks += 1;
            waiter.waker.wake();
            Ok::<_, ()>(if looks == 3 { Look::Done(()) } else { Look::Again(SECOND) })
        });
        assert_eq!((found, slept.load(Ordering::SeqCst)), (Ok(Ended::Done(())), 0));
    }
}
