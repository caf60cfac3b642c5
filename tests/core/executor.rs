//! The executor apart from any platform: who begins when, and what a fault in one service means for the others.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use insta::assert_snapshot;
use zdd::{
    engine::{Container, ContainerRef, Protocol, Published},
    event::{Event, Outcome, Sink},
    execute::{Findings, Journal, Mark, Perform, Performer, execute},
    helper::Presence,
    plan::{Operation, Plan, Request, ServicePlan},
    platform::compose::Observed,
    stage::{Halt, Stage},
    wait::Waiter,
};

use crate::make::{self, current, outdated, planned};

/// A platform on which something goes wrong with one service.
#[derive(Default)]
struct Broken {
    panics: &'static str,
    fails: &'static str,
    /// Each operation.
    takes: Duration,
    under_way: AtomicUsize,
    /// Services at once.
    most: AtomicUsize,
    /// What was done and undone.
    log: Mutex<Vec<String>>,
}

struct Worker<'p> {
    platform: &'p Broken,
    service: &'p str,
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        self.platform.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Worker<'_> {
    fn note(&self, what: &str) {
        self.platform.log.lock().unwrap().push(format!("{} {what}", self.service));
    }
}

impl Perform for Broken {
    type Performer<'p> = Worker<'p>;

    fn performer<'p>(&'p self, plan: &'p ServicePlan, _stage: &'p Stage<'p>) -> Worker<'p> {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Worker { platform: self, service: &plan.service }
    }
}

impl Performer for Worker<'_> {
    type Effect = String;

    fn perform(&mut self, operation: &Operation, journal: &mut Journal<String>) -> Result<(), Halt> {
        assert!(self.service != self.platform.panics, "a fault of ours");
        thread::sleep(self.platform.takes);
        let what = serde_json::to_value(operation).unwrap()["operation"].as_str().unwrap().to_owned();
        self.note(&what);
        journal.enter(what);
        match self.service == self.platform.fails {
            true => Err(Halt::failed("it does not start".to_owned(), None)),
            false => Ok(()),
        }
    }

    fn take_back(&mut self, effect: String, _to: Mark) -> Result<(), String> {
        self.note(&format!("undo {effect}"));
        Ok(())
    }

    fn settle(&mut self, _effects: Vec<String>) -> Result<(), String> {
        Ok(())
    }

    fn pause(&mut self, _journal: &mut Journal<String>) {}

    fn check(&mut self, _journal: &Journal<String>) -> Result<(), Halt> {
        Ok(())
    }

    fn end(&mut self) {}

    fn serving(&self) -> Option<Vec<ContainerRef>> {
        Some(vec![])
    }

    fn left(&self, _journal: &Journal<String>) -> Vec<ContainerRef> {
        vec![]
    }

    fn findings(&self) -> Findings {
        Findings::default()
    }
}

struct Silence;

impl Sink for Silence {
    fn on(&self, _at: Duration, _event: &Event) {}
}

const CHAIN: &str = "services: {db: {image: db}, api: {image: api, depends_on: {db: {}}}}";

fn perform(platform: &Broken, plan: &Plan) -> Vec<(String, Outcome)> {
    let waiter = Waiter::new(Default::default(), Default::default());
    let stage = Stage { waiter, sink: &Silence, began: Instant::now(), watch_alone: Duration::ZERO };
    let results = execute(platform, plan, &stage);
    results.into_iter().map(|result| (result.service, result.outcome)).collect()
}

fn run(panics: &'static str) -> Vec<(String, Outcome)> {
    perform(&Broken { panics, ..Broken::default() }, &planned(CHAIN, &[]))
}

#[test]
fn everybody_has_a_turn() {
    assert_eq!(run(""), [("db".to_owned(), Outcome::Done), ("api".to_owned(), Outcome::Done)]);
}

/// It must end, whatever happens, so that the lock is given back.
#[test]
#[should_panic = "a fault of ours"]
fn nobody_waits_for_a_thread_that_has_panicked() {
    run("db");
}

#[test]
fn ten_are_replaced_at_once() {
    let names: Vec<_> = (0..25).map(|n| format!("s{n}")).collect();
    let services: String = names.iter().map(|name| format!("  {name}: {{image: app}}\n")).collect();
    let most = |containers: &[Container]| {
        let platform = Broken { takes: Duration::from_millis(20), ..Broken::default() };
        let outcomes = perform(&platform, &planned(&format!("services:\n{services}"), containers));
        assert!(outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Done), "{outcomes:?}");
        platform.most.into_inner()
    };
    assert_eq!(most(&names.iter().map(|name| outdated(name, 1)).collect::<Vec<_>>()), 10);
    // Of those that do not run yet none waits for another.
    assert!(most(&[]) > 10);
}

/// All wait for the one that takes their ports over.
#[test]
fn whoever_waits_for_another_keeps_nobody_from_beginning() {
    let names: Vec<_> = (0..12).map(|n| format!("s{n}")).collect();
    let behind: String = names.iter().map(|name| format!("  {name}: {{image: app}}\n")).collect();
    let ports: Vec<_> =
        (0..12).map(|n| format!("{{target: {}, published: '{}'}}", 80 + n, 8080 + n)).collect();
    let after: Vec<_> = names.iter().map(|name| format!("{name}: {{}}")).collect();
    let (ports, after) = (ports.join(", "), after.join(", "));
    let file =
        format!("services:\n{behind}  front: {{image: front, ports: [{ports}], depends_on: {{{after}}}}}\n");
    let before: Vec<_> = names.iter().zip(8080..).map(|(name, n)| with_port(outdated(name, 1), n)).collect();
    let project = make::project(&file);
    let observed = Observed { helper: Presence::Ready, ..make::observed(&project, &before) };
    let plan = make::plan(&project, &observed, &Request::default());
    assert_eq!(plan.to_string().matches("let front take over").count(), 12, "{plan}");
    let outcomes = perform(&Broken::default(), &plan);
    assert!(outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Done), "{outcomes:?}");
}

/// Two services give their ports to a proxy that stands before them; one depends on the other, and one more on that.
const FRONT: &str = "services:
  api: {image: api}
  jobs: {image: jobs, depends_on: {api: {}}}
  web: {image: web, depends_on: {api: {}}}
  front:
    image: front
    ports: [{target: 80, published: '80'}, {target: 81, published: '8080', host_ip: 127.0.0.1}]
    depends_on: {api: {}, web: {}}
";

fn with_port(container: Container, port: u16) -> Container {
    let on = (port == 8080).then(|| "127.0.0.1".parse().unwrap());
    let published = vec![Published { on, port, target: 8000, protocol: Protocol::Tcp }];
    Container { published, ..container }
}

fn front(helper: Presence, containers: &[Container]) -> Plan {
    let project = make::project(FRONT);
    let observed = Observed { helper, ..make::observed(&project, containers) };
    make::plan(&project, &observed, &Request::default())
}

fn all() -> [Container; 3] {
    [with_port(outdated("api", 1), 8080), outdated("jobs", 1), with_port(outdated("web", 1), 80)]
}

#[test]
fn ports_go_to_another_service() {
    assert_snapshot!(front(Presence::Ready, &all()));
}

#[test]
fn without_a_helper_they_are_refused_until_then() {
    let plan = front(Presence::Off, &all()).to_string();
    assert_eq!(plan.matches("let front take over").count(), 2, "{plan}");
    assert_eq!(plan.matches("where connections are refused until then").count(), 2, "{plan}");
    assert!(!plan.contains("wait from the stop"), "{plan}");
}

/// A service that keeps its port, has another one's number, or goes to one that does not start gives nothing away.
#[test]
fn what_stays_is_not_passed_on() {
    let plans = [
        front(Presence::Ready, &[with_port(outdated("web", 1), 443)]),
        front(Presence::Ready, &[with_port(outdated("web", 1), 80), current("front", 1)]),
        front(Presence::Ready, &[with_port(current("web", 1), 80)]),
    ];
    for plan in plans {
        assert!(!plan.to_string().contains("take over"), "{plan}");
    }
}

/// It would have to be done before the service that has its port.
#[test]
fn two_that_wait_for_each_other_pass_nothing_on() {
    let file = "services: {web: {image: web, depends_on: {front: {}}}, front: {image: front, ports: [{target: 80, published: '80'}]}}";
    let plan = planned(file, &[with_port(outdated("web", 1), 80)]);
    assert!(!plan.to_string().contains("take over"), "{plan}");
}

#[test]
fn whoever_takes_ports_over_begins_when_they_are_free() {
    let platform = Broken::default();
    let outcomes = perform(&platform, &front(Presence::Ready, &all()));
    assert!(outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Done), "{outcomes:?}");
    let log = platform.log.into_inner().unwrap();
    let at =
        |what: &str| log.iter().position(|line| line == what).unwrap_or_else(|| panic!("{what}: {log:?}"));
    assert!(at("api stop") < at("web start") && at("web stop") < at("front start"), "{log:?}");
    assert!(at("front gate") < at("api pass_ports").min(at("web pass_ports")), "{log:?}");
    assert!(at("api remove") < at("jobs start"), "{log:?}");
}

/// Those that had the ports get them back, and nobody else has begun.
#[test]
fn when_it_fails_they_have_their_ports_back() {
    let platform = Broken { fails: "front", ..Broken::default() };
    let outcomes = perform(&platform, &front(Presence::Ready, &all()));
    let outcome =
        |name: &str| outcomes.iter().find(|(service, _)| service == name).map(|(_, outcome)| *outcome);
    for name in ["api", "web", "front"] {
        assert_eq!(outcome(name), Some(Outcome::RolledBack), "{name}");
    }
    assert_eq!(outcome("jobs"), Some(Outcome::Skipped));
    let log = platform.log.into_inner().unwrap();
    for name in ["api", "web"] {
        let own: Vec<_> = log.iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).collect();
        let undone = ["undo stop", "undo drain", "undo hold_ports", "undo gate", "undo start"];
        assert!(own.ends_with(&undone) && !own.contains(&"pass_ports"), "{own:?}");
        let at = |what: &str| log.iter().position(|line| line == what);
        assert!(at("front undo start") < at(&format!("{name} undo stop")), "{log:?}");
    }
}
