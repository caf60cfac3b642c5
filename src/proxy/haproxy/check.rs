//! Whether HAProxy can be asked to drain a service, found out before a plan promises it.

use super::{
    Haproxy,
    api::{self, Server},
};
use crate::engine::{CallError, Container, Engine, Problem, Replica};

/// What a container of HAProxy has answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    pub proxy: Replica,
    socket: Option<String>,
    /// Or why it cannot be asked.
    servers: Result<Vec<Server>, String>,
}

/// One that cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    pub proxy: String,
    /// A clause about it.
    pub why: String,
}

/// Asks all of them, side by side.
pub fn listen<'a>(found: impl Iterator<Item = &'a Haproxy>, engine: &dyn Engine) -> Vec<Heard> {
    let mut asked: Vec<(&Replica, Option<&str>)> = Vec::new();
    for one in found.flat_map(|found| found.proxies.iter().map(|proxy| (proxy, found.socket.as_deref()))) {
        if !asked.contains(&one) {
            asked.push(one);
        }
    }
    std::thread::scope(|scope| {
        let ask = |(proxy, socket): (&'a Replica, Option<&'a str>)| {
            scope.spawn(move || Heard {
                proxy: proxy.clone(),
                socket: socket.map(str::to_owned),
                servers: servers(proxy, socket, engine),
            })
        };
        let running: Vec<_> = asked.into_iter().map(ask).collect();
        let heard = running.into_iter().map(|one| one.join());
        heard.map(|one| one.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

fn servers(proxy: &Replica, socket: Option<&str>, engine: &dyn Engine) -> Result<Vec<Server>, String> {
    let args = [api::CHECK, socket.unwrap_or_default()];
    let answer = engine.exec_shell(&proxy.id, api::SCRIPT, &args).map_err(|error| why(&error))?;
    if !api::is_answer(&answer) {
        return Err("what answers at its stats socket is not HAProxy".to_owned());
    }
    match api::may_set(&answer) {
        true => Ok(api::parse(&answer)),
        false => Err("its stats socket has no \"level admin\"".to_owned()),
    }
}

fn why(error: &CallError) -> String {
    let said = error.problem.said();
    match &error.problem {
        Problem::Failed { stderr, .. } if stderr.contains("executable file not found") => {
            "its image has no shell to ask it by".to_owned()
        }
        Problem::Failed { stderr, .. } if stderr.contains(api::NO_SOCKET) => {
            "no stats socket of its configuration answers".to_owned()
        }
        _ => said.lines().next().unwrap_or_default().to_owned(),
    }
}

impl Haproxy {
    /// Without those that cannot be asked; `None` where no other is left. One that has none of the service's containers
    /// among its servers may merely stand on the same network, or look their names up before long.
    pub fn that_answer(self, service: &str, containers: &[Container], heard: &[Heard]) -> Option<Haproxy> {
        let addresses: Vec<_> =
            containers.iter().filter(|c| c.service == service).flat_map(Container::addresses).collect();
        let (mut proxies, mut seen) = (vec![], false);
        for proxy in &self.proxies {
            match answer(proxy, self.socket.as_deref(), heard) {
                Some(Err(_)) => continue,
                Some(Ok(servers)) => {
                    seen |=
                        servers.iter().any(|server| server.address.is_some_and(|a| addresses.contains(&a)));
                }
                None => seen = true,
            }
            proxies.push(proxy.clone());
        }
        (!proxies.is_empty()).then_some(Haproxy { proxies, has_none: !seen, ..self })
    }

    /// Those of them that cannot be asked.
    pub fn silent(&self, heard: &[Heard]) -> Vec<Silent> {
        let one = |proxy: &Replica| {
            let why = answer(proxy, self.socket.as_deref(), heard)?.as_ref().err()?.clone();
            Some(Silent { proxy: proxy.name.clone(), why })
        };
        self.proxies.iter().filter_map(one).collect()
    }
}

/// `None` where it was not asked.
pub(super) fn answer<'h>(
    proxy: &Replica,
    socket: Option<&str>,
    heard: &'h [Heard],
) -> Option<&'h Result<Vec<Server>, String>> {
    let found = heard.iter().find(|heard| heard.proxy == *proxy && heard.socket.as_deref() == socket)?;
    Some(&found.servers)
}
