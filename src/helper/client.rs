//! One helper that runs, and is asked.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Answer, StandIn, Trouble,
    image::PROGRAM,
    protocol::{Request, VERSION},
};
use crate::engine::{Attached, CallError, ContainerRef, Docker};

/// A container on a slow machine, and an engine that is busy with the rollout.
const STARTS_WITHIN: Duration = Duration::from_secs(20);
/// What is not asked to wait is answered in less than a millisecond.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const ENDS_WITHIN: Duration = Duration::from_secs(3);

/// In whose network it runs.
#[derive(Clone, Copy, Debug)]
pub enum Where<'a> {
    Host,
    /// A container's ID.
    Container(&'a str),
}

pub struct Client {
    attached: Attached,
    /// Name → `ok`, or the kernel's error.
    abilities: BTreeMap<String, String>,
}

/// Name of the label; its value is the project.
pub const LABEL: &str = "io.zdd.helper";

impl Client {
    /// # Errors
    /// Why it does not run there.
    pub fn start(docker: &Docker, image: &str, place: Where) -> Result<Client, Trouble> {
        let (network, role) = match place {
            Where::Host => ("host".to_owned(), "host"),
            Where::Container(id) => (format!("container:{id}"), "container"),
        };
        let label = label(docker);
        let words = words(&label).map(str::to_owned);
        let run = ["run".to_owned()].into_iter().chain(words);
        let run = run.chain(["--network", &network, image, role].map(str::to_owned));
        Client::attach(docker, &Vec::from_iter(run))
    }

    /// Starts one that is reached like a container. Proxies read the addresses of a container when it starts, so it is
    /// on all networks by then.
    ///
    /// # Errors
    /// As [`Client::start`].
    pub fn stand_in(
        docker: &Docker,
        image: &str,
        wanted: &StandIn,
        made: &dyn Fn(&str),
    ) -> Result<(Client, ContainerRef), Trouble> {
        let label = label(docker);
        let labels =
            wanted.labels.iter().flat_map(|(key, value)| ["--label".into(), format!("{key}={value}")]);
        let exposed = wanted.exposed.iter().flat_map(|port| ["--expose".into(), port.clone()]);
        let env = wanted.env.iter().flat_map(|entry| ["--env".into(), entry.clone()]);
        let (host, role): (&[&str], _) = match wanted.networks.is_empty() {
            true => (&["--network", "host"], "host"),
            false => (&[], "container"),
        };
        let fixed = words(&label).chain(host.iter().copied()).map(str::to_owned);
        let all = fixed.chain(labels).chain(exposed).chain(env).chain([image.to_owned(), role.to_owned()]);
        let id = docker.create(&Vec::from_iter(all), &wanted.networks).map_err(gone)?;
        made(&id);
        let client = Client::attach(docker, &["start", "-a", "-i", &id].map(str::to_owned))?;
        let name = format!("{PROGRAM} {}", &id[..12]);
        Ok((client, ContainerRef { id, name }))
    }

    fn attach(docker: &Docker, words: &[String]) -> Result<Client, Trouble> {
        let attached = docker.attach(words).map_err(gone)?;
        let mut client = Client { attached, abilities: BTreeMap::new() };
        let ready = client.first_line().inspect_err(|_| client.attached.kill())?;
        let mut words = ready.split(' ').skip(1);
        match words.next().and_then(|version| version.parse::<u32>().ok()) {
            Some(VERSION) => {
                let pairs = words.filter_map(|word| word.split_once('='));
                client.abilities = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
                Ok(client)
            }
            _ => Err(Trouble::Gone(format!("it is of another version: {ready}"))),
        }
    }

    /// The engine may have something to say before it, and where it fails that is the reason.
    fn first_line(&mut self) -> Result<String, Trouble> {
        let mut said = Vec::new();
        loop {
            match self.attached.next(STARTS_WITHIN) {
                Ok(line) if line.starts_with("ready ") => return Ok(line),
                Ok(line) if line.starts_with("error ") => Answer::parse(&line).map(drop)?,
                Ok(line) => said.push(line),
                Err(error) if said.is_empty() => return Err(gone(error)),
                Err(_) => return Err(Trouble::Gone(reason(&said))),
            }
        }
    }

    /// The kernel's error, where it cannot do this.
    pub fn cannot(&self, ability: &str) -> Option<&str> {
        self.abilities.get(ability).map(String::as_str).filter(|answer| *answer != "ok")
    }

    /// # Errors
    /// It refuses, or does not answer.
    pub fn ask(&mut self, request: &Request) -> Result<Answer, Trouble> {
        let limit = match request {
            Request::End { limit, .. } | Request::Part { limit, .. } | Request::Leave { limit, .. } => {
                *limit + ANSWERS_WITHIN
            }
            _ => ANSWERS_WITHIN,
        };
        Answer::parse(&self.attached.ask(&request.to_string(), limit).map_err(gone)?)
    }

    /// Removes all that it has done, and waits until it is gone.
    pub fn quit(mut self) {
        let _ = self.ask(&Request::Quit);
        self.attached.end(ENDS_WITHIN);
    }
}

/// With the name and the value.
pub fn label(docker: &Docker) -> String {
    format!("{LABEL}={}", docker.project())
}

/// The least that it needs: no user, no file, no capability but those for the network.
fn words(label: &str) -> impl Iterator<Item = &str> {
    let fixed =
        ["--rm", "-i", "--pull", "never", "--log-driver", "none", "--userns", "host", "--label", label];
    let locked = ["--read-only", "--security-opt", "no-new-privileges", "--user", "0", "--cap-drop", "ALL"];
    fixed.into_iter().chain(locked).chain(["--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW"])
}

/// Docker's words, without what it says with any of them.
fn reason(said: &[String]) -> String {
    let is_help = |line: &&String| {
        line.is_empty() || line.contains("docker run --help") || line.contains("docker start --help")
    };
    let own = |line: &String| {
        let line = line.strip_prefix("docker: ").unwrap_or(line);
        line.strip_prefix("Error response from daemon: ").unwrap_or(line).trim_end_matches('.').to_owned()
    };
    said.iter().filter(|line| !is_help(line)).map(own).collect::<Vec<_>>().join("; ")
}

fn gone(error: CallError) -> Trouble {
    Trouble::Gone(error.problem.said())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_what_docker_says() {
        let said = [
            "docker: Error response from daemon: authorization denied by plugin opa: no NET_ADMIN.",
            "See 'docker run --help'.",
        ];
        let said = said.map(str::to_owned);
        assert_eq!(reason(&said), "authorization denied by plugin opa: no NET_ADMIN");
    }
}
