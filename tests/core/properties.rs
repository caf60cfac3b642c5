//! What holds of every plan, whatever is there and whatever is wanted.

use proptest::{prelude::*, sample::Index};
use zdd::{
    event::Verdict,
    model::{Model, Service},
    observed::{Container, State},
    plan::{Plan, Request, ServicePlan, Step, plan},
};

use crate::{
    make::{Turned, cases, fresh, model, observed, stale},
    world::{World, running},
};

/// A service, what there is of it, and where runs are broken off.
#[derive(Clone, Debug)]
struct Scenario {
    file: String,
    containers: Vec<Container>,
    request: Request,
    kills: Vec<Index>,
}

fn containers(service: &'static str) -> impl Strategy<Value = Vec<Container>> {
    let version = 0..3_u8;
    let look = prop_oneof![6 => Just(0), 3 => Just(1), 2 => Just(2), 2 => 3..8_u8];
    let one = move |(index, (version, look)): (usize, (u8, u8))| {
        let number = index as u32 + 1;
        let container = match version {
            0 => fresh(service, number),
            1 => stale(service, number),
            _ => fresh(service, number).of_image("sha256:old"),
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
        strategy in prop::sample::select(vec!["auto", "auto", "auto", "rolling", "recreate"]),
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
        Scenario { file, containers, request, kills }
    }
}

fn one(model: &Model, world: &World, request: &Request) -> ServicePlan {
    plan(model, &observed(model, &world.containers), request).services.remove(0)
}

/// Breaks runs off where the scenario says, then lets one come to its end. `None`: refused, and then idle.
fn carry_out<'m>(model: &'m Model, scenario: &Scenario) -> Result<Option<World<'m>>, String> {
    let mut world = World::new(&model.services["web"], scenario.containers.clone());
    for kill in &scenario.kills {
        let plan = one(model, &world, &scenario.request);
        let limit = kill.index(world.length(&plan) + 1);
        check_and_perform(&mut world, &plan, limit)?;
    }
    let plan = one(model, &world, &scenario.request);
    if !plan.refusals.is_empty() {
        return if plan.steps.is_empty() { Ok(None) } else { Err(format!("refused, and yet: {plan:?}")) };
    }
    check_and_perform(&mut world, &plan, usize::MAX)?;
    Ok(Some(world))
}

fn check_and_perform(world: &mut World, plan: &ServicePlan, limit: usize) -> Result<(), String> {
    pre_start_has_its_place(world, plan)?;
    let before: Vec<_> = world.containers.iter().map(|c| format!("{} {:?}", c.name, c.state)).collect();
    world.perform(plan, limit).map_err(|problem| format!("{problem}\nwith {before:?}\n{:#?}", plan.steps))
}

/// Once, before anything of the new version is started; left to Compose where Compose runs it.
fn pre_start_has_its_place(world: &World, plan: &ServicePlan) -> Result<(), String> {
    let position = |wanted: &dyn Fn(&Step) -> bool| plan.steps.iter().position(wanted);
    let hook = position(&|step| *step == Step::PreStart);
    let start = position(&|step| matches!(step, Step::Start { .. }));
    let twice = plan.steps.iter().filter(|step| **step == Step::PreStart).count() > 1;
    let by_compose = !world.containers.iter().any(running);
    if twice || hook.is_some_and(|hook| start.is_none_or(|start| hook > start)) {
        return Err(format!("pre_start out of place: {:?}", plan.steps));
    }
    if by_compose && hook.is_some() && world.containers.is_empty() {
        return Err("pre_start twice: Compose runs it too".to_owned());
    }
    Ok(())
}

fn is_settled(service: &Service, containers: &[Container]) -> bool {
    containers.len() == service.replicas as usize
        && containers.iter().all(|c| running(c) && c.config_hash == "new" && c.image_id == crate::make::IMAGE)
}

fn names(containers: &[Container]) -> Vec<String> {
    containers.iter().map(|c| format!("{} {} {:?}", c.name, c.config_hash, c.state)).collect()
}

proptest! {
    #![proptest_config(cases(2000))]

    /// Serving never falls below the promise, nothing is stopped before its successor is proven, nothing is
    /// touched twice or unseen, nothing starts beside what it cannot live with (`World` watches all of it); and
    /// wherever earlier runs were broken off, the last one reaches the wanted state and leaves nothing to do.
    #[test]
    fn every_plan_keeps_its_promises_and_arrives(scenario in scenarios()) {
        let model = model(&scenario.file);
        let world = carry_out(&model, &scenario).map_err(TestCaseError::fail)?;
        if let Some(mut world) = world {
            prop_assert!(is_settled(&model.services["web"], &world.containers), "{:?}", names(&world.containers));
            world.let_boot();
            let again = one(&model, &world, &Request { force: false, ..scenario.request });
            prop_assert_eq!(again.verdict, Verdict::Unchanged, "{:?}", again);
            prop_assert!(again.steps.is_empty());
        }
    }

    #[test]
    fn nothing_that_boots_is_left_unwatched(scenario in scenarios()) {
        let model = model(&scenario.file);
        let world = carry_out(&model, &scenario).map_err(TestCaseError::fail)?;
        let boots = |world: World| world.containers.iter().any(Container::is_starting);
        prop_assert!(!world.is_some_and(boots));
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn nothing_to_do_is_nothing_done(replicas in 0..6_u32, settings in settings()) {
        let model = model(&format!("services: {{web: {{image: app, scale: {replicas}, x-zdd: {{{settings}}}}}}}"));
        let containers: Vec<_> = (1..=replicas).map(|n| fresh("web", n)).collect();
        let world = World::new(&model.services["web"], containers);
        let plan = one(&model, &world, &Request::default());
        prop_assert_eq!((plan.verdict, plan.steps.len()), (Verdict::Unchanged, 0));
    }

    #[test]
    fn text_and_json_of_every_plan(scenario in scenarios()) {
        let model = model(&scenario.file);
        let plan = plan(&model, &observed(&model, &scenario.containers), &scenario.request);
        let steps = plan.services[0].steps.len();
        let refusals = plan.services[0].refusals.len();
        let notes = plan.services[0].notes.len();
        prop_assert_eq!(plan.to_string().lines().count(), 2 + steps + refusals + notes);
        prop_assert!(serde_json::to_string(&plan).is_ok());
        prop_assert_eq!(plan.changes(), steps > 0);
    }

    /// Blocked and refused services have no step: nothing can be carried out by mistake.
    #[test]
    fn a_paused_container_blocks(mut scenario in scenarios(), at in any::<Index>()) {
        let at = at.index(scenario.containers.len() + 1);
        scenario.containers.insert(at, fresh("web", 9).paused());
        let model = model(&scenario.file);
        let plan = plan(&model, &observed(&model, &scenario.containers), &scenario.request);
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
        let model = model(&file);
        let services: Vec<_> = asked.iter().map(|name| (*name).to_owned()).collect();
        let request = Request { services, no_deps, ..Request::default() };
        let plan = plan(&model, &observed(&model, &containers), &request);
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
            let stops = service.steps.iter().any(|step| matches!(step, Step::Stop { .. } | Step::Recreate { .. }));
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
    let model = model(file);
    let services: Vec<_> = asked.iter().map(|name| (*name).to_owned()).collect();
    let request = Request { services, ..Request::default() };
    let plans = plan(&model, &observed(&model, containers), &request).services;
    plans
        .into_iter()
        .filter(|service| !asked.is_empty() && !asked.contains(&service.service.as_str()))
        .collect()
}
