//! HAProxy, asked by its runtime API: old containers are drained in it, new ones are in its pool before that.

pub mod api;
mod check;
mod drain;
mod join;
mod keep_up;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Serialize;

use self::api::{Admin, Server};
pub use self::{
    check::{Heard, Silent, listen},
    drain::recover,
    keep_up::KeepUp,
};
use super::{Lease, Proxy, Scene, program};
use crate::{
    engine::{CallError, Container, Engine, Problem, Replica, State, container::PROJECT_LABEL},
    event::Generation,
    stage::Halt,
};

/// How often HAProxy is asked: it reports nothing by itself.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The containers of HAProxy that a service stands behind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Haproxy {
    pub proxies: Vec<Replica>,
    /// Of the runtime API; read from HAProxy's configuration when it is not written.
    pub socket: Option<String>,
    /// None of the service's containers was among their servers when they were asked.
    #[serde(skip)]
    pub has_none: bool,
}

impl Haproxy {
    /// The running HAProxy containers that can reach the service: those of the named service, or those whose image
    /// or program says so.
    pub fn find(
        service: &str,
        named: Option<&str>,
        socket: Option<&str>,
        containers: &[Container],
    ) -> Option<Haproxy> {
        let mine = containers.iter().filter(|c| c.service == service);
        let own: Vec<&String> = mine.flat_map(|c| c.networks.keys()).collect();
        let shares_network = |c: &Container| c.networks.keys().any(|network| own.contains(&network));
        let is_proxy = |c: &Container| match named {
            Some(name) => c.service == name,
            None => c.service != service && runs_haproxy(c),
        };
        let running = containers.iter().filter(|c| c.state == State::Running);
        let proxies: Vec<_> =
            running.filter(|c| is_proxy(c) && shares_network(c)).map(Replica::from).collect();
        (!proxies.is_empty()).then(|| Haproxy { proxies, socket: socket.map(str::to_owned), has_none: false })
    }

    pub fn names(&self) -> String {
        names(&self.proxies)
    }
}

/// What starts it, and is the first process.
const PROGRAMS: &[&str] = &["haproxy", "dockercloud-haproxy"];

/// An image of it, or one made from it: its entrypoint is a script then, and the image may have any name.
fn runs_haproxy(container: &Container) -> bool {
    let image = container.image.rsplit('/').next().unwrap_or_default();
    image.contains("haproxy") && !image.contains("exporter")
        || PROGRAMS.iter().any(|program| program::runs(&container.command, program))
}

fn names(proxies: &[Replica]) -> String {
    proxies.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The containers of HAProxy in the course of one service's rollout.
pub struct Session {
    planned: Vec<Replica>,
    socket: Option<String>,
    /// As far as is known now: others, perhaps, than when the plan was made.
    proxies: Vec<Replica>,
    /// ID of one of them → whether containers of the service were seen among its servers. They are not where the two
    /// merely share a network.
    has_ours: BTreeMap<String, bool>,
    /// It was said that the HAProxy that is written has nothing to drain.
    said_nothing_to_drain: bool,
    /// A proxy did not take in what the last gate let pass, or a backend of it would be empty without the old.
    absent: bool,
    /// They have not been looked for in this rollout.
    unsought: bool,
}

impl Session {
    pub fn new(found: &Haproxy) -> Session {
        Session {
            planned: found.proxies.clone(),
            socket: found.socket.clone(),
            proxies: found.proxies.clone(),
            has_ours: BTreeMap::new(),
            said_nothing_to_drain: false,
            absent: false,
            unsought: true,
        }
    }

    /// Looks for them again where their service was before this one in the plan.
    fn follow(&mut self, scene: &Scene) {
        let was_before = |name: &String| scene.after.contains(name);
        if std::mem::take(&mut self.unsought) && self.services().into_iter().any(was_before) {
            self.find_again(scene);
        }
    }

    /// Does something with each of them, and where one is gone with what has taken its place. Returns what failed.
    fn each(
        &mut self,
        scene: &Scene,
        mut act: impl FnMut(&mut Self, &Replica) -> Result<(), CallError>,
    ) -> Vec<(Replica, CallError)> {
        let (mut asked, mut failed) = (Vec::new(), Vec::new());
        while let Some(proxy) = self.proxies.iter().find(|proxy| !asked.contains(*proxy)).cloned() {
            asked.push(proxy.clone());
            if let Err(error) = act(self, &proxy)
                && !(is_gone(&error) && self.is_replaced(&proxy, scene))
            {
                failed.push((proxy, error));
            }
        }
        failed
    }

    fn is_replaced(&mut self, gone: &Replica, scene: &Scene) -> bool {
        self.find_again(scene);
        !self.proxies.contains(gone)
    }

    /// Where none is found those that were known stay: whoever asks them hears why.
    fn find_again(&mut self, scene: &Scene) {
        // Of another project nothing else is known.
        let mine =
            |proxy: &&Replica| proxy.labels.get(PROJECT_LABEL).is_none_or(|name| name == scene.project);
        let services: BTreeSet<_> = self.planned.iter().filter(mine).map(|proxy| &proxy.service).collect();
        let services = services.into_iter();
        let found: Result<Vec<_>, _> = services.map(|name| scene.engine.containers(Some(name))).collect();
        let running = found.into_iter().flatten().flatten().filter(|c| c.state == State::Running);
        let running: Vec<_> = running.map(|container| Replica::from(&container)).collect();
        if !running.is_empty() {
            self.proxies = running;
        }
    }

    fn services(&self) -> BTreeSet<&String> {
        self.planned.iter().map(|proxy| &proxy.service).collect()
    }

    fn ask(&self, proxy: &Replica, scene: &Scene) -> Result<Vec<Server>, CallError> {
        ask(scene.engine, proxy, self.socket.as_deref(), api::LOOK)
    }
}

impl Proxy for Session {
    fn join(&mut self, joining: &[Replica], generation: Generation, scene: &Scene) {
        self.follow(scene);
        self.join_all(joining, generation, scene);
    }

    fn may_leave(&mut self, leaving: &[Replica], scene: &Scene) -> Result<(), Halt> {
        self.follow(scene);
        self.wait_for_another_server(leaving, scene)
    }

    fn leave(
        &mut self,
        leaving: &[Replica],
        generation: Generation,
        limit: Duration,
        scene: &Scene,
    ) -> Vec<Box<dyn Lease>> {
        self.follow(scene);
        self.drain_all(leaving, generation, limit, scene)
    }

    fn is_asked(&self) -> bool {
        true
    }
}

/// Sends a command to the runtime API of HAProxy in a container.
fn ask(
    engine: &dyn Engine,
    proxy: &Replica,
    socket: Option<&str>,
    command: &str,
) -> Result<Vec<Server>, CallError> {
    let answer = engine.exec_shell(&proxy.id, api::SCRIPT, &[command, socket.unwrap_or_default()])?;
    match api::is_answer(&answer) {
        true => Ok(api::parse(&answer)),
        // Taken for a HAProxy without servers, it would have the old containers stopped undrained.
        false => Err(CallError {
            call: format!("{command} in {}", proxy.name),
            problem: Problem::Garbage("no table of servers".to_owned()),
        }),
    }
}

/// Sets servers of HAProxy in a container, and returns what is to be seen then.
///
/// # Errors
/// HAProxy has answered, and they are as before.
fn set(
    engine: &dyn Engine,
    proxy: &Replica,
    socket: Option<&str>,
    servers: &[Server],
    state: Admin,
) -> Result<Vec<Server>, CallError> {
    let now = ask(engine, proxy, socket, &api::set_state(servers, state))?;
    match api::refused(&now, servers, state) {
        None => Ok(now),
        Some(server) => Err(CallError {
            call: format!("set server {}/{} in {}", server.backend, server.name, proxy.name),
            problem: Problem::Garbage("HAProxy refused; has its stats socket \"level admin\"?".to_owned()),
        }),
    }
}

fn same(a: &Server, b: &Server) -> bool {
    a.backend == b.backend && a.name == b.name
}

fn slot_names(servers: &[Server]) -> String {
    let names: Vec<_> = servers.iter().map(|s| format!("{}/{}", s.backend, s.name)).collect();
    names.join(", ")
}

/// The container runs no more, and what was set in it went with it.
fn is_gone(error: &CallError) -> bool {
    match &error.problem {
        Problem::Failed { stderr, .. } => {
            let text = stderr.to_ascii_lowercase();
            text.contains("no such container") || text.contains("is not running")
        }
        _ => false,
    }
}
