//! What an override file has to say so that a service that is held is rolled. Pure: from the project to a document.
//!
//! Only a service of which every obstacle can be ended here is changed: a port is taken over by a proxy, a container's
//! name becomes an alias. Nobody but its author knows whether two may write to a volume, so such a service stays as it is.

mod file;
mod front;
mod image;
mod proxy;

use std::{collections::BTreeMap, fmt};

pub use self::front::Front;
pub use self::{
    file::{Made, made, text},
    proxy::Kind,
};
use crate::{
    engine::config,
    project::{Hazard, Project, Service, Strategy, fixed_port, hazards, keeper_of_data, own_check},
};

/// What is wanted.
pub struct Wish<'a> {
    /// Without what an earlier run has written.
    pub project: &'a Project,
    /// Some services are only changed when they are named.
    pub named: &'a [String],
    /// The others stay as they are.
    pub only_named: bool,
    pub proxy: Kind,
    /// Service → where its containers have a volume without a name.
    pub anonymous: &'a BTreeMap<String, String>,
}

/// What it comes to.
#[derive(Default)]
pub struct Draft {
    pub changes: Vec<Change>,
    /// Services that stay as they are, and why.
    pub left: Vec<Note>,
}

/// What the file says of one service.
#[derive(Debug, Default)]
pub struct Change {
    pub service: String,
    /// The ports that a proxy takes over.
    pub fronts: Vec<Front>,
    /// Places in its list of ports that it keeps.
    pub kept: Vec<usize>,
    pub drops_name: bool,
    pub alias: Option<Alias>,
    /// A command of the image's own.
    pub check: Option<&'static [&'static str]>,
    /// Its owner agrees that its clients lose their connections.
    pub held: bool,
}

/// What its containers were called, on the networks that they have.
#[derive(Debug)]
pub struct Alias {
    pub name: String,
    pub networks: Vec<String>,
}

/// A sentence about a service.
#[derive(Debug, PartialEq, Eq)]
pub struct Note {
    pub service: String,
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.service, self.text)
    }
}

impl Draft {
    /// The services that it changes.
    pub fn services(&self) -> Vec<&str> {
        self.changes.iter().map(|change| change.service.as_str()).collect()
    }

    pub fn fronts(&self) -> impl Iterator<Item = &Front> {
        self.changes.iter().flat_map(|change| &change.fronts)
    }

    /// What becomes of each service, in words.
    pub fn notes(&self) -> impl Iterator<Item = Note> {
        let changed = self
            .changes
            .iter()
            .map(|change| Note { service: change.service.clone(), text: change.clauses().join("; ") });
        let left =
            self.left.iter().map(|note| Note { service: note.service.clone(), text: note.text.clone() });
        changed.chain(left)
    }
}

impl Change {
    fn clauses(&self) -> Vec<String> {
        let mut all: Vec<_> = self.fronts.iter().map(ToString::to_string).collect();
        if self.drops_name {
            all.push(match &self.alias {
                Some(alias) => format!("\"{}\" becomes a name on its networks", alias.name),
                None => "its containers get names of their own".to_owned(),
            });
        }
        all.extend(self.check.map(|_| "it gets a healthcheck by its image's own tool".to_owned()));
        let agreed = "you agree that it is replaced: new connections wait, those that it has end";
        all.extend(self.held.then(|| agreed.to_owned()));
        all
    }
}

/// Decides what is done to which service.
pub fn draft(wish: &Wish) -> Draft {
    let mut draft = Draft::default();
    let mut taken = wish.proxy.reserved().to_vec();
    for service in wish.project.services.values() {
        let Some(case) = Case::of(wish, service) else { continue };
        if wish.only_named && !case.named {
            continue;
        }
        match case.decide(&mut taken) {
            Ok(change) => draft.changes.push(change),
            Err(Some(text)) => draft.left.push(Note { service: service.name.clone(), text }),
            Err(None) => {}
        }
    }
    draft
}

/// One service that is looked at.
struct Case<'a> {
    wish: &'a Wish<'a>,
    service: &'a Service,
    raw: &'a config::Service,
    named: bool,
    hazards: Vec<Hazard>,
}

/// Why a service stays as it is; nothing where nobody would ask.
type Left = Option<String>;

impl<'a> Case<'a> {
    fn of(wish: &'a Wish, service: &'a Service) -> Option<Case<'a>> {
        let raw = wish.project.file.services.get(&service.name)?;
        let mut hazards = hazards(&service.name, wish.project);
        hazards.extend(wish.anonymous.get(&service.name).cloned().map(Hazard::AnonymousVolume));
        if service.settings.strategy == Strategy::Rolling {
            // Its owner has said that two may run, and the machine has still no room for them.
            hazards.retain(|hazard| hazard.limit().is_some() || hazard.is_beyond_holding());
        }
        Some(Case { wish, service, raw, named: wish.named.contains(&service.name), hazards })
    }

    fn when_named(&self, why: &str) -> Left {
        self.named.then(|| why.to_owned())
    }

    fn decide(&self, taken: &mut Vec<u16>) -> Result<Change, Left> {
        if self.service.is_provider() || self.service.may_end() {
            return Err(self.when_named("it does not serve, so there is nothing to roll"));
        }
        if self.hazards.is_empty() {
            return Err(self.when_named("it is rolled as it is"));
        }
        match (self.service.settings.strategy, keeper_of_data(self.raw)) {
            (Strategy::Held | Strategy::Recreate, _) => {
                Err(self.when_named("x-zdd says how it is replaced, and that stays"))
            }
            (Strategy::Auto, Some(what)) => self.agree(what),
            (Strategy::Auto, None) | (Strategy::Rolling, _) => self.ease(taken),
        }
    }

    /// For what keeps data a second one beside it is never right.
    fn agree(&self, what: &str) -> Result<Change, Left> {
        if !self.named {
            let name = &self.service.name;
            return Err(Some(format!(
                "it is {what}, and is not replaced before you agree; \"docker zdd init {name}\" writes that"
            )));
        }
        let beyond = self.hazards.iter().find(|hazard| hazard.is_beyond_holding());
        match beyond {
            Some(hazard) => Err(Some(stays(hazard))),
            None => Ok(Change { held: true, check: self.check(), ..Change::of(&self.service.name) }),
        }
    }

    fn ease(&self, taken: &mut Vec<u16>) -> Result<Change, Left> {
        let ends = |hazard: &&Hazard| matches!(hazard, Hazard::FixedPort { .. } | Hazard::ContainerName(_));
        if let Some(hazard) = self.hazards.iter().find(|hazard| !ends(hazard)) {
            return Err(Some(stays(hazard)));
        }
        if image::is_proxy(self.raw) && !self.named {
            return Err(Some(
                "it is a proxy itself, and behind another one it would not see its visitors' addresses"
                    .to_owned(),
            ));
        }
        if let Some(other) = self.raw.container_name.as_deref().and_then(|name| self.who_links(name)) {
            return Err(Some(format!("{other} refers to its container by the name that it has")));
        }
        let mut change = Change { check: self.check(), ..Change::of(&self.service.name) };
        self.take_ports(&mut change, taken).map_err(Some)?;
        if let Some(name) = &self.raw.container_name {
            change.drops_name = true;
            change.alias = self.alias(name);
        }
        Ok(change)
    }

    fn take_ports(&self, change: &mut Change, taken: &mut Vec<u16>) -> Result<(), String> {
        for (place, port) in self.raw.ports.iter().enumerate() {
            match fixed_port(port, self.service.replicas) {
                None => change.kept.push(place),
                Some(_) => change.fronts.push(front::front(self.wish, self.service, port, taken)?),
            }
        }
        Ok(())
    }

    fn check(&self) -> Option<&'static [&'static str]> {
        let reference = &self.service.image.reference;
        image::of_its_makers(reference).and_then(own_check).filter(|_| self.raw.healthcheck.is_none())
    }

    /// The name of a service is known on its networks anyway.
    fn alias(&self, name: &str) -> Option<Alias> {
        let networks: Vec<_> = self.raw.networks.keys().cloned().collect();
        (name != self.service.name && !networks.is_empty()).then(|| Alias { name: name.to_owned(), networks })
    }

    /// A service that is linked to the container with this name. What lives in it is an obstacle of its own.
    fn who_links(&self, name: &str) -> Option<&'a str> {
        let links = |other: &config::Service| {
            other.external_links.iter().any(|link| link.split(':').next() == Some(name))
        };
        let services = &self.wish.project.file.services;
        services.iter().find(|(_, other)| links(other)).map(|(name, _)| name.as_str())
    }
}

impl Change {
    fn of(service: &str) -> Change {
        Change { service: service.to_owned(), ..Change::default() }
    }
}

fn stays(hazard: &Hazard) -> String {
    let how = if hazard.is_beyond_holding() { "it still needs your consent" } else { "it stays held" };
    format!("{how}: {hazard}; {}", hazard.remedy())
}
