//! The proxies that can stand in front of a port, each with the shortest configuration that loses nothing.
//!
//! What they have in common: a name is looked up again and again, so that nobody has to tell them of a rollout; a
//! connection that is not taken goes to another container; none is kept that a stopping container may have closed; and
//! no time-out ends what would not have ended without a proxy.

mod caddy;
mod haproxy;
mod traefik;

use clap::ValueEnum;

use super::Front;

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Haproxy,
    Traefik,
    Caddy,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Haproxy, Kind::Traefik, Kind::Caddy];

    /// As it is typed.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Haproxy => "haproxy",
            Kind::Traefik => "traefik",
            Kind::Caddy => "caddy",
        }
    }

    pub fn of_word(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The image of its makers, in a version that does not change.
    pub(super) fn image(self) -> &'static str {
        match self {
            Kind::Haproxy => "haproxy:3.2.22",
            Kind::Traefik => "traefik:v3.7.13",
            Kind::Caddy => "caddy:2.11.4",
        }
    }

    /// Ports of its own container that it needs itself.
    pub(super) fn reserved(self) -> &'static [u16] {
        match self {
            Kind::Haproxy => &[haproxy::ALIVE],
            Kind::Traefik => &[traefik::ALIVE],
            Kind::Caddy => &[caddy::ADMIN],
        }
    }

    /// Where its image looks for its configuration.
    pub(super) fn place(self) -> &'static str {
        match self {
            Kind::Haproxy => "/usr/local/etc/haproxy/haproxy.cfg",
            Kind::Traefik => traefik::PLACE,
            Kind::Caddy => "/etc/caddy/Caddyfile",
        }
    }

    pub(super) fn configuration(self, fronts: &[&Front]) -> String {
        match self {
            Kind::Haproxy => haproxy::configuration(fronts),
            Kind::Traefik => traefik::configuration(fronts),
            Kind::Caddy => caddy::configuration(fronts),
        }
    }

    /// What it is started with, where that is more than its image has.
    pub(super) fn command(self, fronts: &[&Front]) -> Vec<String> {
        match self {
            Kind::Traefik => traefik::command(fronts),
            Kind::Haproxy | Kind::Caddy => vec![],
        }
    }

    /// The `test` of its healthcheck, by what its image has.
    pub(super) fn check(self) -> Vec<String> {
        match self {
            Kind::Haproxy => haproxy::check(),
            Kind::Traefik => traefik::check(),
            Kind::Caddy => caddy::check(),
        }
    }
}

/// How it stands in a sentence.
impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Haproxy => "HAProxy",
            Kind::Traefik => "Traefik",
            Kind::Caddy => "Caddy",
        })
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
