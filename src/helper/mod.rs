//! The helper's two sides: the program that runs in a container on the engine's machine (`agent/`, a crate of its own,
//! embedded as a binary), and its client.

pub mod binary;
mod client;
mod helpers;
mod image;
pub mod protocol;

use std::{collections::BTreeMap, fmt, net::IpAddr};

use serde::Serialize;

use self::protocol::Request;
pub use self::{
    helpers::{Helpers, Purpose, Starting, Unavailable},
    image::remove_images,
};
use crate::engine::{ContainerRef, Joined};

/// Whether a run has helpers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Nobody wants one.
    #[default]
    Off,
    Ready,
    /// On the networks of containers. Ports of the machine are passed on by rootlesskit, which closes one as soon as its
    /// container stops.
    WithinNetworks,
    /// There can be none, and why.
    Unavailable(String),
}

impl Presence {
    /// Connections can be handed over.
    pub fn is_there(&self) -> bool {
        matches!(self, Presence::Ready | Presence::WithinNetworks)
    }
}

/// New connections so far: (address asked for, source) → how many.
pub type Asked = BTreeMap<(IpAddr, IpAddr), u64>;

/// Asks helpers; a trait, so that a hand-over can be tested without any.
pub trait Help: Sync {
    /// In the network of the engine's host.
    ///
    /// # Errors
    /// The helper refuses, or is gone.
    fn on_host(&self, request: &Request) -> Result<Answer, Trouble>;

    /// Begins to start the helper in a container's network, which takes a while.
    fn prepare(&self, container: &ContainerRef);

    /// In the network of a container. The first request of a container starts its helper.
    ///
    /// # Errors
    /// As [`Help::on_host`].
    fn inside(&self, container: &ContainerRef, request: &Request) -> Result<Answer, Trouble>;

    /// New connections to steered addresses since the run began.
    ///
    /// # Errors
    /// As [`Help::on_host`].
    fn asked(&self) -> Result<Asked, Trouble>;

    /// The container is about to go: its helper is not needed any more.
    fn leave(&self, container: &ContainerRef);

    /// Starts a helper that is reached like a container; it is asked as if it were inside one. `made` hears its ID before it
    /// is reached.
    ///
    /// # Errors
    /// It does not start.
    fn stand_in(&self, wanted: &StandIn, made: &dyn Fn(&str)) -> Result<ContainerRef, Trouble>;

    /// Ends it, and waits until it is gone.
    fn dismiss(&self, stand_in: &ContainerRef);
}

/// What is reached in the place of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StandIn {
    /// None: in the network of the engine's host.
    pub networks: Vec<Joined>,
    pub labels: BTreeMap<String, String>,
    /// `80/tcp`
    pub exposed: Vec<String>,
    /// `KEY=VALUE`
    pub env: Vec<String>,
}

/// What a helper says when it has done something: `KEY=VALUE` words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer(Vec<(String, String)>);

/// Why it has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It has refused, in its words.
    Refused(String),
    /// It does not answer any more.
    Gone(String),
}

impl Answer {
    /// # Errors
    /// It is a refusal, or no answer at all.
    pub fn parse(line: &str) -> Result<Answer, Trouble> {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("ok", rest) => {
                let pairs = rest.split(' ').filter_map(|word| word.rsplit_once('='));
                Ok(Answer(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()))
            }
            ("error", words) => Err(Trouble::Refused(words.to_owned())),
            _ => Err(Trouble::Gone(format!("it answered \"{line}\""))),
        }
    }

    pub fn words(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        self.words().find(|(name, _)| *name == key)?.1.parse().ok()
    }

    /// `ADDRESS<SOURCE=NUMBER …`
    fn add_to(&self, asked: &mut Asked) {
        let one = |(key, value): (&str, &str)| {
            let (address, source) = key.split_once('<')?;
            Some(((address.parse().ok()?, source.parse().ok()?), value.parse::<u64>().ok()?))
        };
        for (pair, number) in self.words().filter_map(one) {
            *asked.entry(pair).or_default() += number;
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Refused(words) => write!(f, "the helper refuses: {words}"),
            Trouble::Gone(why) => write!(f, "the helper is gone: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_words() {
        let answer = Answer::parse("ok established=12 half-closed=0").unwrap();
        assert_eq!((answer.number("established"), answer.number("none")), (Some(12), None));
        assert_eq!(Answer::parse("ok").unwrap(), Answer::default());
        assert_eq!(
            Answer::parse("error busy 3 connections"),
            Err(Trouble::Refused("busy 3 connections".into()))
        );
        assert!(matches!(Answer::parse("what"), Err(Trouble::Gone(_))));
    }

    #[test]
    fn counts_add_up() {
        let mut asked = Asked::new();
        for line in ["ok 172.18.0.2<172.18.0.9=3 fd00::2<fd00::9=1", "ok 172.18.0.2<172.18.0.9=2 nonsense=4"]
        {
            Answer::parse(line).unwrap().add_to(&mut asked);
        }
        let pair = |to: &str, from: &str| (to.parse().unwrap(), from.parse().unwrap());
        assert_eq!(asked[&pair("172.18.0.2", "172.18.0.9")], 5);
        assert_eq!(asked[&pair("fd00::2", "fd00::9")], 1);
        assert_eq!(asked.len(), 2);
    }
}
