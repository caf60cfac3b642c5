//! Names that others are linked to. Inside a container that was started with `links`, the name of a link means whoever has
//! the name of the container that there was then; when nobody has it any more it means nothing, for good (Engine 20.10,
//! tried). Compose gives a new container the name of the old one. Here the two live side by side, so the name is handed on.

use std::mem::take;

use crate::{
    engine::{Container, Replica},
    plan::{Heir, Operation, Rename, Start, What},
};

/// The operations, with one before each stop that would leave a link without a container; where the new ones start when the
/// old ones have ended, before that start.
pub fn keep(operations: Vec<Operation>, service: &str, containers: &[Container]) -> Vec<Operation> {
    let links = links_to(service, containers);
    if links.is_empty() {
        return operations;
    }
    let stopped: Vec<_> = operations.iter().flat_map(stopped).map(|replica| replica.id.clone()).collect();
    let is_linked = |c: &Container| links.iter().any(|link| link.name == c.first_name());
    let stays =
        |c: &&Container| c.service == service && c.runs() && !stopped.contains(&c.id) && !is_linked(c);
    let heirs = containers.iter().filter(stays).map(|c| Heir::Kept(c.into())).collect();
    let mut keeper = Keeper { links, containers, heirs, ..Keeper::default() };
    operations.into_iter().for_each(|operation| keeper.add(operation));
    keeper.done
}

fn stopped(operation: &Operation) -> &[Replica] {
    match &operation.what {
        What::Stop { containers } => containers,
        _ => &[],
    }
}

/// A name that somebody is linked to.
struct Link<'a> {
    name: &'a str,
    by: &'a str,
}

/// Of all names that an alias stands for Docker takes the last one, so the last ones are the first here.
fn links_to<'a>(service: &str, containers: &'a [Container]) -> Vec<Link<'a>> {
    let others = containers.iter().filter(|c| c.runs() && c.service != service);
    let all = others.flat_map(|c| c.networks.values().flat_map(|on| &on.links).map(move |link| (link, c)));
    let mut found: Vec<Link> = vec![];
    for (link, by) in all {
        let name = link.split(':').next().unwrap_or_default();
        let is_ours = |c: &Container| c.service == service && c.first_name() == name;
        if containers.iter().any(is_ours) {
            found.retain(|link| link.name != name);
            found.push(Link { name, by: &by.service });
        }
    }
    found.reverse();
    found
}

#[derive(Default)]
struct Keeper<'a> {
    /// Of those that have no new container yet.
    links: Vec<Link<'a>>,
    containers: &'a [Container],
    /// New ones so far.
    started: u32,
    /// Who stays and has no such name, new ones first.
    heirs: Vec<Heir>,
    /// The new ones start when these have ended.
    waits: bool,
    /// Those that have stopped before there was an heir.
    late: Vec<Replica>,
    done: Vec<Operation>,
}

impl Keeper<'_> {
    fn add(&mut self, operation: Operation) {
        let batch = operation.batch;
        match &operation.what {
            What::Start { how: Start::Created, .. } => {
                self.waits = false;
                let late = take(&mut self.late);
                self.rename(late, batch);
                self.done.push(operation);
            }
            What::Start { count, .. } | What::Create { count, .. } => {
                self.waits = matches!(operation.what, What::Create { .. });
                let new = self.started + 1..=self.started + count;
                self.started += count;
                self.heirs.splice(0..0, new.map(Heir::New));
                self.done.push(operation);
                let late = take(&mut self.late);
                self.rename(late, batch);
            }
            What::Stop { containers } if self.waits => {
                self.late.extend(containers.iter().cloned());
                self.done.push(operation);
            }
            What::Stop { containers } | What::Remove { containers } => {
                self.rename(containers.clone(), batch);
                self.done.push(operation);
            }
            _ => self.done.push(operation),
        }
    }

    fn rename(&mut self, mut leaving: Vec<Replica>, batch: u32) {
        let (mut names, mut by) = (vec![], vec![]);
        let containers = self.containers;
        let heirs = &mut self.heirs;
        self.links.retain(|link| {
            let somebody_else =
                |from: &Replica| containers.iter().any(|c| c.name == link.name && c.id != from.id);
            let at = leaving.iter().position(|c| c.first_name() == link.name && !somebody_else(c));
            let Some(at) = at.filter(|_| !heirs.is_empty()) else { return true };
            names.push(Rename { name: link.name.to_owned(), from: leaving.remove(at), to: heirs.remove(0) });
            by.push(link.by);
            false
        });
        self.late.extend(leaving);
        by.dedup();
        if !names.is_empty() {
            let cause = format!("{} knows it by that name, by a link", by.join(", "));
            self.done.push(Operation { batch, what: What::Rename { names }, cause });
        }
    }
}
