//! The life of a helper: it serves as long as it hears from its client, then lingers, then leaves nothing behind.
//!
//! | what happens | what follows |
//! |---|---|
//! | stdin ends, or no line for the deadline | all stays as it is for most of the linger time, as what was stopped may be gone; then only connections that were begun |
//! | SIGTERM, SIGINT, SIGHUP | only connections that were begun go on, for 3 s at most; a second one: at once |
//! | `quit` | everything is removed at once |
//! | SIGKILL | tables end with the process (Linux 5.12), else their gates close within 20 s |
//! | frozen | the gates close within 20 s |
//!
//! A request that takes its time is a job: it is done in small steps, in between all else goes on, but the next line is
//! not answered before it.

use crate::agent::{Agent, Job, Side};
use crate::answer::{Refusal, Result, Tried};
use crate::line::{self, Line, Lines};
use crate::sys::{self, Interest};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

const HEARTBEAT: Duration = Duration::from_secs(5);
/// How often it is looked whether an address was taken by somebody else.
const WATCH: Duration = Duration::from_millis(20);
/// How often it is looked whether what lingers is still needed.
const LINGER_CHECK: Duration = Duration::from_millis(200);
/// From one step of a job to the next, or from one look at connections that begin to the next.
const STEP: Duration = Duration::from_millis(1);
const DEFAULT_LINGER: Duration = Duration::from_secs(12);
const MAX_LINGER: Duration = Duration::from_secs(30);
const SIGNAL_LINGER: Duration = Duration::from_secs(3);
/// At the end of the linger time no new connections are steered any more: those who take them must not end before.
const BEGUN_ALONE: Duration = Duration::from_secs(2);
/// And then those who took them part with them between two requests.
const PARTS_WITHIN: Duration = Duration::from_millis(1700);
const PART_QUIET: Duration = Duration::from_millis(15);
/// With the default linger, all is over 27 s after the client's last sign of life.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(15);
const DEADLINES: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Serving,
    Lingering {
        until: Instant,
        /// Everything goes on, not only what was begun.
        whole: bool,
    },
    Over,
}

pub struct Life {
    phase: Phase,
    last_heard: Instant,
    deadline: Duration,
    linger: Duration,
    next_beat: Instant,
    next_check: Instant,
}

impl Life {
    pub fn new() -> Self {
        let now = Instant::now();
        let (deadline, linger) = (DEFAULT_DEADLINE, DEFAULT_LINGER);
        Self {
            phase: Phase::Serving,
            last_heard: now,
            deadline,
            linger,
            next_beat: now + HEARTBEAT,
            next_check: now,
        }
    }

    pub fn heard(&mut self) {
        self.last_heard = Instant::now();
    }

    /// What is to be watched may have changed.
    pub fn check_soon(&mut self) {
        self.next_check = self.next_check.min(Instant::now() + WATCH);
    }

    pub fn end(&mut self) {
        self.phase = Phase::Over;
    }

    pub fn set_linger(&mut self, time: Duration) -> Result<()> {
        if time > MAX_LINGER {
            return Err(Refusal::Limit(format!("at most {} ms", MAX_LINGER.as_millis())));
        }
        self.linger = time;
        Ok(())
    }

    pub fn set_deadline(&mut self, time: Duration) -> Result<()> {
        if !DEADLINES.contains(&time) {
            let [least, most] = [DEADLINES.start(), DEADLINES.end()].map(Duration::as_millis);
            return Err(Refusal::Limit(format!("between {least} and {most} ms")));
        }
        self.deadline = time;
        Ok(())
    }

    fn next_event(&self) -> Instant {
        let own = match self.phase {
            Phase::Serving => self.last_heard + self.deadline,
            Phase::Lingering { until, .. } => until,
            Phase::Over => Instant::now(),
        };
        own.min(self.next_beat).min(self.next_check)
    }
}

/// What the client has sent.
#[derive(Default)]
struct Input {
    lines: Lines,
    /// Not yet answered.
    waiting: VecDeque<Line>,
}

/// Serves until the end.
pub fn live(mut agent: Agent) -> Result<()> {
    let signals = sys::signals(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP]).tried("catching signals")?;
    let mut input = Input::default();
    if line::write(&agent.ready).is_ok() {
        while agent.life.phase != Phase::Over {
            turn(&mut agent, &signals, &mut input).tried("waiting")?;
        }
    }
    agent.clear();
    Ok(())
}

/// Waits for the next event and reacts to it.
fn turn(agent: &mut Agent, signals: &OwnedFd, input: &mut Input) -> io::Result<()> {
    let happened = wait(agent, signals)?;
    agent.relay.serve();
    match &mut agent.side {
        Side::Host(host) if happened.others => host.respond(),
        Side::Container(container) if happened.others => container.serve(),
        _ => {}
    }
    if happened.signal {
        signal(agent, signals);
    } else if happened.input {
        listen(agent, input);
    }
    if let Some(answer) = agent.work()
        && agent.life.phase == Phase::Serving
    {
        say(agent, &answer);
    }
    respond(agent, input);
    on_time(agent);
    Ok(())
}

struct Happened {
    signal: bool,
    input: bool,
    others: bool,
}

fn wait(agent: &Agent, signals: &OwnedFd) -> io::Result<Happened> {
    let stdin = io::stdin();
    let mut interests = vec![Interest { fd: signals.as_fd(), events: libc::POLLIN }];
    let mut next = agent.life.next_event().saturating_duration_since(Instant::now());
    match &agent.side {
        Side::Host(host) => {
            interests.extend(host.fds().into_iter().map(|fd| Interest { fd, events: libc::POLLIN }));
        }
        Side::Container(container) => {
            interests.extend(container.fds().map(|fd| Interest { fd, events: libc::POLLIN }));
            next = container.follower.rest().map_or(next, |rest| next.min(rest));
        }
    }
    next = agent.relay.rest().map_or(next, |rest| next.min(rest));
    interests.extend(agent.relay.fd().map(|fd| Interest { fd, events: libc::POLLIN }));
    let others = interests.len();
    if agent.life.phase == Phase::Serving {
        // During a job only its end is of interest, which is always reported.
        let events = if agent.job.is_some() { 0 } else { libc::POLLIN };
        interests.push(Interest { fd: stdin.as_fd(), events });
    }
    let is_busy = agent.job.is_some() || agent.relay.is_busy();
    let ready = sys::poll(&interests, if is_busy { next.min(STEP) } else { next })?;
    let any = |ready: &[libc::c_short]| ready.iter().any(|events| *events != 0);
    Ok(Happened { signal: any(&ready[..1]), others: any(&ready[1..others]), input: any(&ready[others..]) })
}

fn signal(agent: &mut Agent, signals: &OwnedFd) {
    let mut info = [0; 128];
    let _ = sys::read(signals, &mut info);
    match agent.life.phase {
        Phase::Serving | Phase::Lingering { whole: true, .. } => agent.leave(false),
        _ => agent.life.end(),
    }
}

fn listen(agent: &mut Agent, input: &mut Input) {
    if agent.job.is_some() {
        return agent.leave(true);
    }
    match input.lines.read(io::stdin()) {
        Ok(Some(read)) => input.waiting.extend(read),
        _ => agent.leave(true),
    }
}

/// Answers what has been read, up to a request that takes its time.
fn respond(agent: &mut Agent, input: &mut Input) {
    while agent.life.phase == Phase::Serving && agent.job.is_none() {
        let Some(line) = input.waiting.pop_front() else { return };
        agent.life.heard();
        if let Some(answer) = agent.answer(&line) {
            say(agent, &answer);
        }
    }
}

fn say(agent: &mut Agent, answer: &str) {
    if line::write(answer).is_err() {
        agent.leave(true);
    }
}

/// What is due by the clock.
fn on_time(agent: &mut Agent) {
    let now = Instant::now();
    if agent.life.next_beat <= now {
        agent.life.next_beat = now + HEARTBEAT;
        // The gates close when this goes on failing; the client hears of it with its next change.
        let _ = agent.heartbeat();
    }
    match agent.life.phase {
        Phase::Serving if agent.job.is_none() && now >= agent.life.last_heard + agent.life.deadline => {
            agent.leave(true);
        }
        Phase::Lingering { until, .. } if now >= until => agent.life.end(),
        _ if agent.life.next_check <= now => agent.check(now),
        _ => {}
    }
}

impl Agent {
    /// Begins nothing by itself; lingers for what was begun, and where the `whole` stays for what it steers.
    fn leave(&mut self, whole: bool) {
        self.job = None;
        let now = Instant::now();
        let linger = if whole { self.life.linger } else { self.life.linger.min(SIGNAL_LINGER) };
        let relays = self.relay.linger(whole).is_ok() && self.relay.is_needed();
        let needed = match &mut self.side {
            Side::Host(host) if whole => host.is_needed(),
            Side::Host(host) => host.linger(),
            Side::Container(container) => container.is_needed(whole),
        };
        self.life.phase = match relays || needed.unwrap_or(false) {
            true => Phase::Lingering { until: now + linger, whole },
            false => Phase::Over,
        };
        self.life.next_check = now + LINGER_CHECK;
    }

    /// Of the whole only what was begun stays, when it is time.
    fn let_go(&mut self, now: Instant) {
        let Phase::Lingering { until, whole: whole @ true } = &mut self.life.phase else { return };
        if now + BEGUN_ALONE >= *until {
            let _ = self.relay.linger(false);
        }
        match &mut self.side {
            Side::Host(host) if now + BEGUN_ALONE >= *until => {
                *whole = false;
                let _ = host.linger();
            }
            Side::Container(container) if now + PARTS_WITHIN >= *until => {
                *whole = false;
                self.job =
                    container.begin_part(PART_QUIET, PARTS_WITHIN).ok().map(|ending| Job::End(ending.last()));
            }
            _ => {}
        }
    }

    fn check(&mut self, now: Instant) {
        self.let_go(now);
        let lingering = self.life.phase != Phase::Serving;
        let whole = matches!(self.life.phase, Phase::Lingering { whole: true, .. });
        let relays = lingering && self.relay.is_needed();
        let (needed, watching) = match &mut self.side {
            Side::Host(host) => {
                let watching = host.is_watching();
                let noticed = if watching { host.notice_claims() } else { Ok(()) };
                host.ask_for_claims();
                (!lingering || noticed.and_then(|()| host.is_needed()).unwrap_or(false), watching)
            }
            Side::Container(container) => (!lingering || container.is_needed(whole).unwrap_or(false), false),
        };
        if !needed && !relays {
            self.life.end();
        }
        self.life.next_check = now
            + if watching {
                WATCH
            } else if lingering {
                LINGER_CHECK
            } else {
                HEARTBEAT
            };
    }

    fn heartbeat(&mut self) -> Result<()> {
        let relay = self.relay.heartbeat();
        match &mut self.side {
            Side::Host(host) => host.heartbeat().and(relay),
            Side::Container(container) => container.heartbeat().and(relay),
        }
    }
}
