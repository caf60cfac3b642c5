//! Names that others are linked to. Inside a container that was started with `links`, the name of a link means whoever has
//! the name of the container that there was then; when nobody has it any more it means nothing, for good (Engine 20.10,
//! tried). Compose gives a new container the name of the old one. Here the two live side by side, so the name is handed on.

use std::mem::take;

use crate::{
    engine::{Container, Replica},
    plan::{Heir, Operation, Rename, Start, What},
};

/// The operations, with one before each stop that would leave a link without a container.
pub fn keep(operations: Vec<Operation>, service: &str, containers: &[Container]) -> Vec<Operation> {
    let mut keeper = Keeper { links: links_to(service, containers), containers, ..Keeper::default() };
    if keeper.links.is_empty() {
        return operations;
    }
    operations.into_iter().for_each(|operation| keeper.add(operation));
    keeper.done
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
    links: Vec<Link<'a>>,
    containers: &'a [Container],
    /// New ones so far.
    started: u32,
    /// Who stays and has no such name.
    heirs: Vec<Heir>,
    /// Those that stop before there is an heir.
    late: Vec<Replica>,
    done: Vec<Operation>,
}

impl Keeper<'_> {
    fn add(&mut self, operation: Operation) {
        let batch = operation.batch;
        match &operation.what {
            What::Start { how: Start::Created, .. } => self.done.push(operation),
            What::Start { count, .. } | What::Create { count, .. } => {
                let new = self.started + 1..=self.started + count;
                self.started += count;
                // New ones have no name yet that anybody knows.
                self.heirs.splice(0..0, new.map(Heir::New));
                self.done.push(operation);
                let late = take(&mut self.late);
                self.rename(late, batch);
            }
            What::Drain { heirs, .. } => {
                for heir in heirs {
                    if matches!(heir, Heir::Kept(one) if !self.is_linked(one)) && !self.heirs.contains(heir) {
                        self.heirs.push(heir.clone());
                    }
                }
                self.done.push(operation);
            }
            What::Stop { containers } => {
                self.rename(containers.clone(), batch);
                self.done.push(operation);
            }
            _ => self.done.push(operation),
        }
    }

    fn is_linked(&self, replica: &Replica) -> bool {
        self.links.iter().any(|link| link.name == replica.first_name())
    }

    fn rename(&mut self, mut leaving: Vec<Replica>, batch: u32) {
        let mut names = vec![];
        let mut by = vec![];
        for link in &self.links {
            let somebody_else =
                |from: &Replica| self.containers.iter().any(|c| c.name == link.name && c.id != from.id);
            let at = leaving.iter().position(|c| c.first_name() == link.name && !somebody_else(c));
            let Some(at) = at.filter(|_| !self.heirs.is_empty()) else { continue };
            names.push(Rename {
                name: link.name.to_owned(),
                from: leaving.remove(at),
                to: self.heirs.remove(0),
            });
            if !by.contains(&link.by) {
                by.push(link.by);
            }
        }
        self.late.extend(leaving);
        if !names.is_empty() {
            let cause = format!("{} knows it by that name, by a link", by.join(", "));
            self.done.push(Operation { batch, what: What::Rename { names }, cause });
        }
    }
}
