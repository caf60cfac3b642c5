//! What becomes of every key that Compose knows: the one table of this room, of docs/swarm.md, and of what may be waived.
//!
//! Sources: the schema 3.13 of the Docker CLI and its conversion (cli/compose of docker/cli 28 and 29), and the schema of
//! the Compose specification. What the CLI only warns of, and what it drops without a word, is refused here.

mod service;

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on as it is, with all that stands in it.
    Same,
    /// It goes on; what stands in it has rows of its own.
    Inside,
    /// The same in another form, and why.
    Form(Form, &'static str),
    /// Something else, by code of its own.
    Becomes(&'static str),
    /// Left out, and nothing is lost: why.
    Dropped(&'static str),
    /// Left out, and the plan says so: in general, and as a note behind the key.
    Noted(&'static str, &'static str),
    Refused {
        why: &'static str,
        instead: &'static str,
    },
    /// Refused unless it has one of these values, which may go on or mean what Swarm does anyway.
    Unless {
        fine: &'static [&'static str],
        kept: bool,
        why: &'static str,
        instead: &'static str,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Number,
    /// `"0440"`
    Octal,
    /// A port of the host.
    Port,
}

/// Keys that share a fate. Below a list stands `ports[].mode`, below any name `networks.*.aliases`.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub keys: &'static [&'static str],
    pub fate: Fate,
}

/// The keys of one part of the file.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// `services.*`
    pub of: &'static str,
    pub rows: &'static [Row],
}

const fn row(keys: &'static [&'static str], fate: Fate) -> Row {
    Row { keys, fate }
}

const fn no(keys: &'static [&'static str], why: &'static str, instead: &'static str) -> Row {
    Row { keys, fate: Fate::Refused { why, instead } }
}

use Fate::{Becomes, Dropped, Inside, Same, Unless};

pub use self::service::SERVICE;

const REMOVE: &str = "remove it";

pub const NETWORK: Table = Table {
    of: "networks.*",
    rows: &[
        row(&["name", "attachable", "internal", "labels", "external"], Same),
        row(
            &["driver"],
            Unless {
                fine: &["overlay", "bridge", "default"],
                kept: false,
                why: "a network of a stack is an overlay, as its containers are on several nodes",
                instead: "remove the driver, or make the network yourself (docker network create --scope swarm) and write external: true",
            },
        ),
        row(&["driver_opts"], Inside),
        row(
            &[
                "driver_opts.encrypted",
                "driver_opts.com.docker.network.driver.mtu",
                "driver_opts.com.docker.network.driver.overlay.vxlanid_list",
            ],
            Same,
        ),
        row(
            &["enable_ipv4"],
            Unless { fine: &["true"], kept: false, why: "an overlay has IPv4", instead: REMOVE },
        ),
        row(
            &["enable_ipv6"],
            Unless {
                fine: &["false"],
                kept: false,
                why: "the Docker CLI makes no such network",
                instead: "make it yourself (docker network create --driver overlay --ipv6), and write external: true",
            },
        ),
        row(&["ipam", "ipam.config"], Inside),
        row(&["ipam.driver", "ipam.config[].subnet"], Same),
        no(
            &[
                "ipam.config[].gateway",
                "ipam.config[].ip_range",
                "ipam.config[].aux_addresses",
                "ipam.options",
            ],
            "the Docker CLI makes no such network",
            "make it yourself (docker network create --driver overlay), and write external: true",
        ),
    ],
};

pub const VOLUME: Table =
    Table { of: "volumes.*", rows: &[row(&["name", "driver", "driver_opts", "external", "labels"], Same)] };

pub const FILE: Table = Table {
    of: "configs.* and secrets.*",
    rows: &[
        row(
            &["file", "content", "environment"],
            Becomes("an object in Swarm, named by its content: a change of it is a rollout"),
        ),
        row(&["name", "labels", "template_driver"], Becomes("the object's")),
        row(&["external"], Same),
        no(
            &["driver", "driver_opts"],
            "docker zdd makes objects of contents alone",
            "make it yourself (docker secret create --driver), and write external: true",
        ),
    ],
};

pub const TOP: Table = Table {
    of: "the file",
    rows: &[
        row(&["name"], Becomes("the stack's name")),
        row(&["services", "networks", "volumes", "configs", "secrets"], Inside),
        row(&["version", "include"], Dropped("Compose has resolved it")),
        row(&["models"], Dropped("a service that uses one is refused")),
    ],
};

pub const TABLES: &[Table] = &[TOP, SERVICE, NETWORK, VOLUME, FILE];
