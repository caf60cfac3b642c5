//! What holds of every plan, whatever is there and whatever is wanted.

use std::fmt;

use proptest::{prelude::*, sample::Index};
use zdd::{
    engine::{Container, State},
    event::{Outcome, Verdict},
    plan::{Operation, Plan, Request, ServicePlan, What},
    project::{Project, Service},
};

use crate::{
    make::{Turned, cases, current, observed, outdated, plan, project},
    world::{Trouble, World, running},
};

/// A service, what there is of it, and where runs are cut off.
#[derive(Clone)]
struct Scenario {
    file: String,
    containers: Vec<Container>,
    request: Request,
    kills: Vec<Index>,
    /// Connections are handed over.
    networked: bool,
}

impl Scenario {
    fn world<'p>(&self, project: &'p Project) -> World<'p> {
        let world = World::new(project, self.containers.clone());
        if self.networked { world.on_a_network() } else { world }
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { force, allow_downtime, .. } = self.request;
        let (containers, kills, networked) = (states(&self.containers), &self.kills, self.networked);
        write!(
            f,
            "{}{containers:#?}\nforce: {force}, {allow_downtime}, kills: {kills:?}, networked: {networked}",
            self.file
        )
    }
}

fn containers(service: &'static str) -> impl Strategy<Value = Vec<Container>> {
    let version = 0..3_u8;
    let look = prop_oneof![6 => Just(0), 3 => Just(1), 2 => Just(2), 2 => 3..8_u8];
    let one = move |(index, (version, look)): (usize, (u8, u8))| {
        let number = index as u32 + 1;
        let container = match version {
            0 => current(service, number),
            1 => outdated(service, number),
            _ => current(service, number).of_image("sha256:old"),
        };
        // Some crashed long ago.
        let container = Container { restart_count: u64::from(look == 1), ..container };
        match look {
            0 => container,
            1 => container.healthy(),
            2 => container.starting(),
            3 => container.unhealthy(),
            4 => container.restarting(),
            5 => container.exited(i64::from(version)),
            6 => container.created(),
            _ => container.state(State::Dead),
        }
    };
    let all = prop_oneof![
        prop::collection::vec((version.clone(), look.clone()), 0..3),
        prop::collection::vec((version, look), 0..7),
    ];
    (all, any::<bool>()).prop_map(move |(all, newest_first)| {
        let mut all: Vec<_> = all.into_iter().enumerate().map(one).collect();
        if newest_first {
            all.reverse();
        }
        all
    })
}

prop_compose! {
    fn settings()(
        parallelism in 0..6_u32,
        delay in 0..2_u8,
        settle in 0..2_u8,
        stop_first in prop::bool::weighted(0.25),
        strategy in prop::sample::select(vec!["auto", "auto", "auto", "rolling", "held", "recreate"]),
    ) -> String {
        let order = if stop_first { "stop-first" } else { "start-first" };
        let pace = format!("parallelism: {parallelism}, delay: {delay}s, settle: {settle}s");
        format!("{pace}, order: {order}, strategy: {strategy}")
    }
}

/// What only one container can have at a time.
const EXCLUSIVE: &[&str] = &[
    "ports: [{target: 80, published: \"80\"}]",
    "container_name: web",
    "networks: {default: {ipv4_address: 10.0.0.9}}",
    "network_mode: host",
];

prop_compose! {
    fn scenarios()(
        settings in settings(),
        replicas in 0..6_u32,
        exclusive in prop::bool::weighted(0.2),
        exclusive_by in prop::sample::select(EXCLUSIVE),
        injected in prop::bool::weighted(0.2),
        hooked in any::<bool>(),
        force in prop::bool::weighted(0.1),
        allow_downtime in any::<bool>(),
        containers in containers("web"),
        kills in prop::collection::vec(any::<Index>(), 0..4),
        networked in any::<bool>(),
    ) -> Scenario {
        let replicas = if exclusive { replicas.min(1) } else { replicas };
        let mut file = format!("services:\n  web:\n    image: app\n    scale: {replicas}\n");
        file += &format!("    x-zdd: {{{settings}}}\n");
        if exclusive {
            file += &format!("    {exclusive_by}\n");
        }
        if hooked {
            file += "    pre_start: [{command: [migrate]}]\n";
        }
        if injected {
            file += "    configs: [{source: c}]\nconfigs: {c: {content: hello}}\n";
        }
        let request = Request { force, allow_downtime, ..Request::default() };
        Scenario { file, containers, request, kills, networked }
    }
}

/// Breaks runs off where the scenario says, then lets one come to its end. `None`: refused, and then idle.
fn carry_out<'p>(project: &'p Project, scenario: &Scenario) -> Result<Option<World<'p>>, String> {
    let world = scenario.world(project);
    for kill in &scenario.kills {
        let plan = world.plan(&scenario.request);
        let length = perform(&world.copy(), &plan, None)?;
        perform(&world, &plan, Some((kill.index(length + 1), Trouble::Power)))?;
    }
    let plan = world.plan(&scenario.request);
    if plan.refused() {
        return if plan.changes() { Err(format!("refused, and yet: {plan:?}")) } else { Ok(None) };
    }
    perform(&world, &plan, None)?;
    Ok(Some(world))
}

/// How many changes it takes.
fn perform(world: &World, plan: &Plan, trouble: Option<(usize, Trouble)>) -> Result<usize, String> {
    pre_start_has_its_place(world, &plan.services[0])?;
    let before = states(&world.containers());
    let ran = world.perform(plan, trouble).map_err(|broken| explain(&broken, &before, plan))?;
    let outcome = ran.results[0].outcome;
    match trouble.is_some() || outcome.is_good() {
        true => Ok(ran.changes),
        false => Err(explain(&format!("{outcome:?}: {:?}", ran.results[0].failure), &before, plan)),
    }
}

fn explain(problem: &str, before: &[String], plan: &Plan) -> String {
    format!("{problem}\nwith {before:?}\n{:#?}", plan.services[0].operations)
}

/// Once, before anything of the new version is started; left to Compose where Compose runs it.
fn pre_start_has_its_place(world: &World, plan: &ServicePlan) -> Result<(), String> {
    let position = |wanted: &dyn Fn(&Operation) -> bool| plan.operations.iter().position(wanted);
    let is_hook = |op: &Operation| op.what == What::PreStart;
    let hook = position(&is_hook);
    let start = position(&|op| matches!(op.what, What::Start { .. }));
    let twice = plan.operations.iter().filter(|op| is_hook(op)).count() > 1;
    let containers = world.containers();
    let by_compose = !containers.iter().any(running);
    if twice || hook.is_some_and(|hook| start.is_none_or(|start| hook > start)) {
        return Err(format!("pre_start out of place: {:?}", plan.operations));
    }
    if by_compose && hook.is_some() && containers.is_empty() {
        return Err("pre_start twice: Compose runs it too".to_owned());
    }
    Ok(())
}

fn is_settled(service: &Service, containers: &[Container]) -> bool {
    containers.len() == service.replicas as usize
        && containers.iter().all(|c| running(c) && c.config_hash == "new" && c.image_id == crate::make::IMAGE)
}

fn states(containers: &[Container]) -> Vec<String> {
    containers
        .iter()
        .map(|c| format!("{} {} {} {:?} {:?}", c.name, c.config_hash, c.image_id, c.state, c.health_status()))
        .collect()
}

/// What serves, or would serve when it has booted, each with its restart policy.
fn serving(containers: &[Container]) -> Vec<(String, String)> {
    let mut running: Vec<_> =
        containers.iter().filter(|c| running(c)).map(|c| (c.id.clone(), c.restart.name.clone())).collect();
    running.sort();
    running
}

proptest! {
    #![proptest_config(cases(500))]

    /// Serving never falls below the promise, nothing is stopped before its successor is proven, nothing is
    /// touched twice or unseen, nothing starts beside what it cannot live with (`World` watches all of it); and
    /// wherever earlier runs were cut off, the last one reaches the wanted state and leaves nothing to do.
    #[test]
    fn every_plan_keeps_its_promises_and_arrives(scenario in scenarios()) {
        let project = project(&scenario.file);
        let world = carry_out(&project, &scenario).map_err(TestCaseError::fail)?;
        if let Some(world) = world {
            let containers = world.containers();
            prop_assert!(is_settled(&project.services["web"], &containers), "{:?}", states(&containers));
            prop_assert!(!containers.iter().any(Container::is_starting), "nobody watches what boots");
            let again = world.plan(&Request { force: false, ..scenario.request });
            prop_assert_eq!(again.services[0].verdict, Verdict::Unchanged, "{:?}", again);
            prop_assert!(!again.changes());
        }
    }

    /// Whatever fails, and whenever: what is said to be rolled back is as it was before.
    #[test]
    fn a_rollback_restores_what_ran_before(scenario in scenarios(), at in any::<Index>(), bad in any::<bool>()) {
        let project = project(&scenario.file);
        let world = scenario.world(&project);
        let plan = world.plan(&scenario.request);
        let length = perform(&world.copy(), &plan, None).map_err(TestCaseError::fail)?;
        if bad {
            world.spoil_new_ones();
        }
        let trouble = (!bad).then(|| (at.index(length + 1), Trouble::Failure));
        let before = serving(&world.containers());
        let ran = world.perform(&plan, trouble).map_err(TestCaseError::fail)?;
        let after = serving(&world.containers());
        let result = &ran.results[0];
        match result.outcome {
            Outcome::RolledBack => prop_assert_eq!(after, before, "{:?}", result.failure),
            Outcome::Unchanged | Outcome::Done => {}
            // Where Compose itself has removed the old ones, nothing can bring them back.
            Outcome::RollbackFailed => {
                let recreates = |op: &Operation| matches!(op.what, What::Recreate { .. });
                prop_assert!(plan.services[0].operations.iter().any(recreates), "{:?}", result.failure);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    /// An interruption undoes the batch that is under way and leaves whole batches: whatever it leaves serves, boots
    /// no more, and is where the next run can go on.
    #[test]
    fn an_interruption_leaves_whole_batches(scenario in scenarios(), at in any::<Index>()) {
        let project = project(&scenario.file);
        let world = scenario.world(&project);
        let plan = world.plan(&scenario.request);
        let length = perform(&world.copy(), &plan, None).map_err(TestCaseError::fail)?;
        let trouble = (at.index(length + 1), Trouble::Interrupt);
        let ran = world.perform(&plan, Some(trouble)).map_err(TestCaseError::fail)?;
        let outcome = ran.results[0].outcome;
        prop_assert!(matches!(outcome, Outcome::Unchanged | Outcome::Done | Outcome::Interrupted), "{:?}", outcome);
        if plan.services[0].verdict == Verdict::Roll {
            let left = world.containers();
            let half_done = left.iter().find(|c| c.restart.name == "no" && !running(c));
            prop_assert!(half_done.is_none(), "{:?}", states(&left));
        }
        if !plan.refused() {
            let last = world.plan(&scenario.request);
            perform(&world, &last, None).map_err(TestCaseError::fail)?;
            prop_assert!(is_settled(&project.services["web"], &world.containers()));
        }
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn nothing_to_do_is_nothing_done(replicas in 0..6_u32, settings in settings()) {
        let project = project(&format!("services: {{web: {{image: app, scale: {replicas}, x-zdd: {{{settings}}}}}}}"));
        let containers: Vec<_> = (1..=replicas).map(|n| current("web", n)).collect();
        let plan = World::new(&project, containers).plan(&Request::default());
        prop_assert_eq!(plan.services[0].verdict, Verdict::Unchanged);
        prop_assert!(!plan.changes());
    }

    #[test]
    fn text_and_json_of_every_plan(scenario in scenarios()) {
        let project = project(&scenario.file);
        let plan = plan(&project, &observed(&project, &scenario.containers), &scenario.request);
        let operations = plan.services[0].operations.len();
        let refusals = plan.services[0].refusals.len();
        let notes = plan.services[0].notes.len();
        prop_assert_eq!(plan.to_string().lines().count(), 2 + operations + refusals + notes);
        prop_assert!(serde_json::to_string(&plan).is_ok());
        prop_assert_eq!(plan.changes(), operations > 0);
    }

    /// Blocked and refused services have no operation: nothing can be carried out by mistake.
    #[test]
    fn a_paused_container_blocks(mut scenario in scenarios(), at in any::<Index>()) {
        let at = at.index(scenario.containers.len() + 1);
        scenario.containers.insert(at, current("web", 9).paused());
        let project = project(&scenario.file);
        let plan = plan(&project, &observed(&project, &scenario.containers), &scenario.request);
        prop_assert_eq!(plan.services[0].verdict, Verdict::Blocked);
        prop_assert!(plan.refused() && !plan.changes());
    }
}

/// Several services, each depending on some of those before it.
fn projects() -> impl Strategy<Value = (String, Vec<Container>, Vec<&'static str>, bool)> {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let edges = prop::collection::vec(prop::bool::weighted(0.4), 6);
    let containers = [containers("a"), containers("b"), containers("c"), containers("d")];
    let asked = prop::sample::subsequence(&NAMES, 0..=4);
    (edges, containers, asked, any::<bool>()).prop_map(|(edges, containers, asked, no_deps)| {
        let pairs = [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)];
        let on = |index: usize| -> String {
            let chosen = pairs.iter().zip(&edges).filter(|((from, _), edge)| *from == index && **edge);
            chosen.map(|((_, to), _)| format!("{}: {{}}, ", NAMES[*to])).collect()
        };
        let service =
            |index: usize| format!("{}: {{image: app, depends_on: {{{}}}}}", NAMES[index], on(index));
        let file = format!("services: {{{}}}", (0..4).map(service).collect::<Vec<_>>().join(", "));
        (file, containers.concat(), asked, no_deps)
    })
}

fn place(plan: &Plan, name: &str) -> Option<usize> {
    plan.services.iter().position(|service| service.service == name)
}

proptest! {
    #![proptest_config(cases(1000))]

    /// No service waits for one that is not in the plan, or stands behind it: that wait would never end.
    #[test]
    fn no_wait_is_for_ever((file, containers, asked, no_deps) in projects()) {
        let project = project(&file);
        let services: Vec<_> = asked.iter().map(|name| (*name).to_owned()).collect();
        let request = Request { services, no_deps, ..Request::default() };
        let plan = plan(&project, &observed(&project, &containers), &request);
        for (at, service) in plan.services.iter().enumerate() {
            for before in &service.after {
                let place = place(&plan, before);
                prop_assert!(place.is_some_and(|place| place < at), "{} after {before}", service.service);
            }
        }
        for name in &request.services {
            prop_assert!(place(&plan, name).is_some());
        }
        if no_deps && !asked.is_empty() {
            prop_assert_eq!(plan.services.len(), asked.len());
        }
    }

    /// What nobody named is never replaced, stopped or scaled.
    #[test]
    fn a_dependency_is_only_ever_started((file, containers, asked, _) in projects()) {
        for service in dependencies(&file, &containers, &asked) {
            let stops = service.operations.iter().any(|op| matches!(op.what, What::Stop { .. } | What::Recreate { .. }));
            prop_assert!(!stops);
            prop_assert!(matches!(service.verdict, Verdict::Create | Verdict::Unchanged));
        }
    }
}

proptest! {
    #![proptest_config(cases(3000))]

    #[test]
    fn a_dependency_is_started_where_nothing_of_it_runs((file, containers, asked, _) in projects()) {
        for service in dependencies(&file, &containers, &asked) {
            let runs = containers.iter().any(|c| c.service == service.service && running(c));
            prop_assert_eq!(service.verdict == Verdict::Unchanged, runs);
        }
    }
}

/// The plans of what nobody named.
fn dependencies(file: &str, containers: &[Container], asked: &[&str]) -> Vec<ServicePlan> {
    let project = project(file);
    let services: Vec<_> = asked.iter().map(|name| (*name).to_owned()).collect();
    let request = Request { services, ..Request::default() };
    let plans = plan(&project, &observed(&project, containers), &request).services;
    plans
        .into_iter()
        .filter(|service| !asked.is_empty() && !asked.contains(&service.service.as_str()))
        .collect()
}

/// That the engine cannot be asked before the last step is no reason to go back.
#[test]
fn the_last_look_cannot_be_taken() {
    let project = project("services: {web: {image: app}}");
    let world = World::new(&project, vec![outdated("web", 1)]);
    let plan = world.plan(&Request::default());
    let ran = world.perform(&plan, Some((3, Trouble::Silence))).expect("no promise is broken");
    assert_eq!((ran.results[0].outcome, ran.results[0].serving.as_ref()), (Outcome::Done, None));
    assert!(is_settled(&project.services["web"], &world.containers()));
}
