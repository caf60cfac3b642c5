//! A request as a line.

use super::{Clause, Malformed, Own, Ports, Result, malformed, unicast};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    Ping,
    Quit,
    Linger(Duration),
    Deadline(Duration),
    /// On the host.
    Change(Vec<Clause>),
    Asked,
    Flows,
    Sweep,
    /// In a container's network.
    Take(Vec<Own>),
    Taken,
    Untake {
        force: bool,
    },
    Connections {
        list: bool,
    },
    Watch,
    /// Connections from these are neither counted nor ended.
    Except(Vec<IpAddr>),
    End {
        quiet: Duration,
        limit: Duration,
        /// None: all.
        ports: Vec<u16>,
    },
    /// Ends the connections that go on only as long as what is for others is taken.
    Part {
        quiet: Duration,
        limit: Duration,
    },
    /// On the host and in a container's network.
    Hold {
        tcp: Vec<Ports>,
        udp: Vec<Ports>,
    },
    Target(IpAddr),
    /// Whom those who wait are joined to when the client is dead.
    Next(IpAddr),
    /// At most so long: then clients are refused, as they would be without us.
    Wait(Option<Duration>),
    Pass,
    Leave {
        quiet: Duration,
        limit: Duration,
    },
    Relayed,
}

fn milliseconds(word: &str) -> Result<Duration> {
    match word.parse::<u32>() {
        Ok(ms) => Ok(Duration::from_millis(ms.into())),
        Err(_) => malformed("a number of milliseconds", word),
    }
}

fn listed<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T], before: &str) -> fmt::Result {
    items.iter().try_for_each(|item| write!(f, " {before}{item}"))
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Ping => f.write_str("ping"),
            Request::Quit => f.write_str("quit"),
            Request::Linger(d) => write!(f, "linger {}", d.as_millis()),
            Request::Deadline(d) => write!(f, "deadline {}", d.as_millis()),
            Request::Change(clauses) => {
                let text: Vec<String> = clauses.iter().map(Clause::to_string).collect();
                write!(f, "change {}", text.join(" ; "))
            }
            Request::Asked => f.write_str("asked"),
            Request::Flows => f.write_str("flows"),
            Request::Sweep => f.write_str("sweep"),
            Request::Take(own) => f.write_str("take").and_then(|()| listed(f, own, "")),
            Request::Taken => f.write_str("taken"),
            Request::Untake { force } => f.write_str(if *force { "untake force" } else { "untake" }),
            Request::Connections { list } => {
                f.write_str(if *list { "connections list" } else { "connections" })
            }
            Request::Watch => f.write_str("watch"),
            Request::Except(peers) => f.write_str("except").and_then(|()| listed(f, peers, "")),
            Request::End { quiet, limit, ports } => {
                write!(f, "end {} {}", quiet.as_millis(), limit.as_millis())?;
                listed(f, ports, "")
            }
            Request::Part { quiet, limit } => write!(f, "part {} {}", quiet.as_millis(), limit.as_millis()),
            Request::Hold { tcp, udp } => {
                f.write_str("hold")?;
                listed(f, tcp, "")?;
                listed(f, udp, "udp:")
            }
            Request::Target(address) => write!(f, "target {address}"),
            Request::Next(address) => write!(f, "next {address}"),
            Request::Wait(None) => f.write_str("wait"),
            Request::Wait(Some(limit)) => write!(f, "wait {}", limit.as_millis()),
            Request::Pass => f.write_str("pass"),
            Request::Leave { quiet, limit } => write!(f, "leave {} {}", quiet.as_millis(), limit.as_millis()),
            Request::Relayed => f.write_str("relayed"),
        }
    }
}

impl FromStr for Request {
    type Err = Malformed;

    fn from_str(line: &str) -> Result<Self> {
        let line = line.trim();
        if let Some(clauses) = line.strip_prefix("change ") {
            return Ok(Request::Change(clauses.split(';').map(str::parse).collect::<Result<_>>()?));
        }
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        Ok(match words.as_slice() {
            ["ping"] => Request::Ping,
            ["quit"] => Request::Quit,
            ["linger", ms] => Request::Linger(milliseconds(ms)?),
            ["deadline", ms] => Request::Deadline(milliseconds(ms)?),
            ["asked"] => Request::Asked,
            ["flows"] => Request::Flows,
            ["sweep"] => Request::Sweep,
            ["take", own @ ..] if !own.is_empty() => Request::Take(parsed(own)?),
            ["taken"] => Request::Taken,
            ["untake"] => Request::Untake { force: false },
            ["untake", "force"] => Request::Untake { force: true },
            ["connections"] => Request::Connections { list: false },
            ["connections", "list"] => Request::Connections { list: true },
            ["watch"] => Request::Watch,
            ["except", peers @ ..] => {
                Request::Except(peers.iter().map(|peer| unicast(peer)).collect::<Result<_>>()?)
            }
            ["end", quiet, limit, ports @ ..] => Request::End {
                quiet: milliseconds(quiet)?,
                limit: milliseconds(limit)?,
                ports: numbers(ports)?,
            },
            ["part", quiet, limit] => {
                Request::Part { quiet: milliseconds(quiet)?, limit: milliseconds(limit)? }
            }
            ["hold", ports @ ..] if !ports.is_empty() => hold(ports)?,
            ["target", address] => Request::Target(unicast(address)?),
            ["next", address] => Request::Next(unicast(address)?),
            ["wait"] => Request::Wait(None),
            ["wait", ms] => Request::Wait(Some(milliseconds(ms)?)),
            ["pass"] => Request::Pass,
            ["leave", quiet, limit] => {
                Request::Leave { quiet: milliseconds(quiet)?, limit: milliseconds(limit)? }
            }
            ["relayed"] => Request::Relayed,
            _ => return malformed("a request", line),
        })
    }
}

fn parsed<T: FromStr<Err = Malformed>>(words: &[&str]) -> Result<Vec<T>> {
    words.iter().map(|word| word.parse()).collect()
}

fn hold(words: &[&str]) -> Result<Request> {
    let (udp, tcp): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with("udp:"));
    let udp: Vec<&str> = udp.iter().map(|word| &word[4..]).collect();
    Ok(Request::Hold { tcp: parsed(&tcp)?, udp: parsed(&udp)? })
}

pub(super) fn numbers(words: &[&str]) -> Result<Vec<u16>> {
    words.iter().map(|word| word.parse().or_else(|_| malformed("a port", word))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_side_writes_the_other_reads() {
        let from = "172.18.0.2@02:42:ac:12:00:02";
        let to = "172.18.0.3@02:42:ac:12:00:03";
        let lines = [
            "ping",
            "quit",
            "linger 1000",
            "deadline 1000",
            "asked",
            "flows",
            "sweep",
            "taken",
            "untake",
            "untake force",
            "connections",
            "connections list",
            "watch",
            "except",
            "except 172.18.0.4 fd00::4",
            "end 15 2000",
            "end 15 2000 80 8080",
            "part 15 2000",
            "target 172.18.0.3",
            "next 172.18.0.3",
            "wait",
            "wait 30000",
            "pass",
            "leave 15 2000",
            "relayed",
            "take 172.18.0.0/16=172.18.0.3",
            "hold 80-80=80",
            "hold 80-81=8080 udp:53-53=53",
            "hold 127.0.0.1@80-80=80 ::1@80-81=8080 0.0.0.0@90-90=90",
        ];
        let clauses = [
            format!("guard br-1 {from} {to}"),
            format!("steer br-1 {from} {to}"),
            format!("switch br-1 {from} {to}"),
            format!("blink br-1 172.18.0.0/16 {to} {from}"),
            format!("blink br-1 172.18.0.0/16 {to} {from} 80 8080"),
            "finish fd00::2".into(),
            "release 172.18.0.2".into(),
            "gone 02:42:ac:12:00:02".into(),
            "exempt 02:42:ac:12:00:02".into(),
            "include 02:42:ac:12:00:02".into(),
            "unblink".into(),
        ];
        let change = format!("change {}", clauses.join(" ; "));
        for line in lines.into_iter().chain([change.as_str()]) {
            assert_eq!(line.parse::<Request>().unwrap().to_string(), line);
        }
    }

    #[test]
    fn short_forms_are_read_too() {
        assert_eq!("hold 80 90-91".parse::<Request>().unwrap().to_string(), "hold 80-80=80 90-91=90");
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "",
            "pong",
            "ping now",
            "linger",
            "linger -1",
            "end 15",
            "end 15 2000 http",
            "hold",
            "hold 0",
            "hold 9-8",
            "hold app@80",
            "hold 1-65535=2",
            "target 127.0.0.1",
            "target app",
            "take 172.18.0.0/16=10.0.0.1",
            "change",
            "change ",
            "change steer br-1 172.18.0.2@02:42:ac:12:00:02 fd00::3@02:42:ac:12:00:03",
            "change gone ff:ff:ff:ff:ff:ff",
        ] {
            assert!(line.parse::<Request>().is_err(), "{line}");
        }
    }
}
