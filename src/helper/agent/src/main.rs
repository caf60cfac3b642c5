//! The helper of `docker zdd`: the only part of it that has privileges.
//!
//! It runs in a container of its own for the time of a rollout, in the network namespace of the engine's host
//! (`zdd-helper host`) or of a container (`zdd-helper container`), with the capabilities NET_ADMIN and NET_RAW.
//! It is steered by lines on stdin, each answered by one line on stdout, in order.
//!
//! # Protocol
//!
//! The first line is `ready VERSION host|container NAME=ok|ERROR…`, with what the kernel can do: `bridge` (host),
//! `packet`, `nat4`, `nat6`, `hold` (both), `destroy`, `close` (container), `owner` (tables end with the process). Then each line is a request, and
//! each has one answer: `ok KEY=VALUE…` or `error CODE WORDS`. A request is done whole or not at all. CODE is `syntax`,
//! `role` (not here), `limit`, `busy` (not now), or the name of the kernel's error.
//! `protocol` has the syntax of the requests; times are in milliseconds.
//!
//! | anywhere | |
//! |---|---|
//! | `ping` | A sign of life. Answers what has happened since the last one: on the host `claimed=ADDRESS,…` (somebody else has it now, see below), and in both `lost=TIMES` (somebody removed our tables; they have been made again, what packets had added to them is lost). |
//! | `deadline MS` | Without a request for so long the client is dead. 15,000 at first. |
//! | `linger MS` | When the client is dead, what was begun goes on for at most so long. 12,000 at first, at most 30,000. |
//! | `quit` | Removes everything and ends. |
//! | `sweep` | Removes what helpers left that were killed, where tables do not end with their process: `tables=N`. |
//!
//! | on the host | |
//! |---|---|
//! | `change CLAUSE ; …` | All clauses become true at once. Answers `unanswered=ERROR` when nobody can answer for addresses that were switched (no NET_RAW). |
//! | `asked` | New connections, and after a switch datagrams, to steered addresses since the last time: `ADDRESS<SOURCE=N…`. |
//! | `flows` | TCP flows that are steered: `open=N closing=N`, the latter for the 10 s after their end. |
//!
//! | clause | |
//! |---|---|
//! | `guard BRIDGE FROM TO` | New connections to FROM go to TO. FROM is alive and not ready. |
//! | `steer BRIDGE FROM TO` | The same, until somebody else than FROM uses its address. FROM is alive and about to go. |
//! | `switch BRIDGE FROM TO` | Everything to FROM goes to TO, until somebody else uses its address. FROM is gone. Flows begun with FROM's MAC fall back to where they are addressed to. |
//! | `finish ADDRESS` | Ends the three for new flows. Those that were begun stay where they are. |
//! | `release ADDRESS` | The address is somebody else's: nothing is rewritten for it any more. |
//! | `gone MAC` | Nothing is delivered to it any more, flows that were begun included. |
//! | `exempt MAC`, `include MAC` | New flows from it are left alone; or no longer so. |
//! | `blink BRIDGE SUBNET TO KNOWN… PORT…` | New connections from those known to an address that is unknown at a MAC that is unknown go to TO, those to these ports or to all: a container that starts. For the short time until it is known; adds up. |
//! | `unblink` | Ends all of them. |
//!
//! | in a container's network | |
//! |---|---|
//! | `take OWN…` | The container is delivered what reaches it by its MAC although it is addressed to others of the subnets, in the place of those taken before. |
//! | `taken` | TCP connections that go on only with these rules: `connections=N`. |
//! | `untake`, `untake force` | Removes the rules; `busy` while connections need them, unless forced. |
//! | `connections` | Inbound ones, from outside the container: `established=N half-closed=N` (the client has said all it will). |
//! | `watch` | From now on HTTP/1.x is followed on connections to all ports that are listened on. The earlier it begins, the more of them are known. `EPERM` without NET_RAW. |
//! | `except ADDRESS…` | Connections from these alone are neither counted nor ended from now on. |
//! | `end QUIET LIMIT PORT…` | Ends the established connections to these ports, or to all, that are between two requests of HTTP/1.x or were never used; see `container::ending`. With `close=ok` the client is asked to end it in its next response, also after this request; without, or when it is not used any more, it is ended when it has been quiet. When none is left or the time LIMIT has passed: `ended=N asked=N left=N unknown=N`. |
//! | `part QUIET LIMIT` | The same for those connections alone that are taken, which cannot go on: one that is not known to be under way is ended too when nothing happens on it. |
//! | `connections list` | Also `listening=PORT,…` and `peers=ADDRESS>PORT=N,…`. |
//!
//! | on the host and in a container's network | |
//! |---|---|
//! | `hold PORTS… udp:PORTS…` | New connections to these ports, with `ADDRESS@PORTS` only those to that address (`0.0.0.0`, `::`: to any of that version), are accepted and wait, in the place of those that were given before. On the host: ports of its own addresses, as published ones are. In a container's network: whatever comes in. Datagrams to the `udp:` ports are dropped while connections wait. Answers `filtered=1` where a firewall decides about published ports: those from outside are left alone, and while others wait they are dropped, so that they come again. |
//! | `target ADDRESS` | Connections are joined to it from now on, those that wait included; one that does not listen is tried again for 60 s. |
//! | `next ADDRESS` | Whom connections are joined to when the client is dead; else to the target. |
//! | `wait`, `wait LIMIT`, `pass` | New connections wait, at most so long: then clients are refused, as if nobody held them; or they are joined to the target again. |
//! | `relayed` | `waiting=N joined=N` |
//! | `leave QUIET LIMIT` | New connections go where they did before `hold`, those that wait are joined. HTTP clients are asked to close theirs; others are ended when they are quiet, as by `end`. When none is left or the time LIMIT has passed: `waiting=N joined=N`. Those go on until `quit`. |
//!
//! `end` and `leave` take their time; the next request is answered after them.
//!
//! Of the connections that `end` has left, `unknown` are those on which nothing has happened for the second or more that
//! they were watched: a pool may keep them, or a session is idle. Nobody needs to wait for these; they end with the
//! container, as ever. On the others a request is under way, or something is said that is no HTTP/1.x: the client waits
//! for them as long as it lets a container drain, and asks again, as they are ended as soon as they may be.
#![deny(unsafe_code)]

mod agent;
mod answer;
mod conntrack;
mod container;
mod diag;
mod host;
mod http;
mod ip;
mod life;
mod line;
mod link;
mod netlink;
mod nft;
mod probe;
#[path = "../../protocol/mod.rs"]
mod protocol;
mod queue;
mod quiet;
mod relay;
mod ruleset;
mod sys;

use agent::{Agent, Role};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (role, rest) = match arguments.as_slice() {
        ["host", rest @ ..] => (Role::Host, rest),
        ["container", rest @ ..] => (Role::Container, rest),
        ["--version"] => {
            println!("zdd-helper {} protocol {}", env!("CARGO_PKG_VERSION"), protocol::VERSION);
            return ExitCode::SUCCESS;
        }
        _ => return usage(),
    };
    let may_own = match rest {
        [] => true,
        ["unowned"] => false,
        _ => return usage(),
    };
    match Agent::start(role, may_own).and_then(life::live) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            println!("error {refusal}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: zdd-helper host|container [unowned]");
    ExitCode::from(2)
}
