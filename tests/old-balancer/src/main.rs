//! Does what dockercloud/haproxy 1.6.7 does in a Compose project, as its source has it: it is told of Docker's events by
//! the engine's socket, finds the services that its own container is linked to, writes `/haproxy.cfg` with a server for each
//! of their containers, and starts HAProxy anew beside the old process, which ends when its connections have.
//!
//! Its habits are kept, the bad ones too: it knows a linked service only by the name that docker-compose 1 gives a container
//! (`PROJECT_SERVICE_1`), or by `ADDITIONAL_SERVICES` (`PROJECT:SERVICE,…`); it waits a second after an event; a container
//! is a server as soon as it starts, whatever its health; and a configuration that HAProxy does not take is not tried again
//! before it changes.

mod engine;

use std::{
    collections::BTreeSet,
    env, fs,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::Value;

const CONFIGURATION: &str = "/haproxy.cfg";
/// From the first event on, and after each one that comes meanwhile.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(100));
const LOOKS_AFTER_IT: Duration = Duration::from_secs(5);

/// A project and a service of it.
type Service = (String, String);

fn main() -> Result<()> {
    let (tasks, todo) = channel();
    tasks.send(())?;
    let mut balancer = Balancer::default();
    let wanted = balancer.wanted.clone();
    thread::spawn(move || listen(&tasks, &wanted));
    loop {
        match todo.recv_timeout(LOOKS_AFTER_IT) {
            Ok(()) => balancer.update_after(&todo),
            Err(RecvTimeoutError::Timeout) if balancer.has_died() => balancer.update_after(&todo),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

fn listen(tasks: &Sender<()>, wanted: &Mutex<BTreeSet<Service>>) {
    loop {
        let heard = engine::events(|event| {
            let of_wanted =
                wanted.lock().is_ok_and(|wanted| wanted.contains(&service_of(&event["Actor"]["Attributes"])));
            if of_wanted && matches!(event["Action"].as_str(), Some("start" | "die")) {
                let _ = tasks.send(());
            }
        });
        println!("the engine's events have ended: {heard:?}");
        thread::sleep(Duration::from_secs(1));
        let _ = tasks.send(());
    }
}

#[derive(Default)]
struct Balancer {
    /// The services that it is linked to.
    wanted: Arc<Mutex<BTreeSet<Service>>>,
    written: String,
    haproxy: Option<Child>,
}

impl Balancer {
    fn update_after(&mut self, todo: &Receiver<()>) {
        thread::sleep(WAITS.0);
        while todo.try_recv().is_ok() {
            thread::sleep(WAITS.1);
        }
        match self.servers() {
            Ok(servers) => self.write(configuration(&servers)),
            Err(error) => println!("the engine does not say which containers there are: {error:#}"),
        }
    }

    fn write(&mut self, text: String) {
        if self.written == text {
            return;
        }
        println!("HAProxy configuration:\n{text}");
        self.written = text;
        if let Err(error) =
            fs::write(CONFIGURATION, &self.written).context(CONFIGURATION).and_then(|()| self.reload())
        {
            println!("{error:#}");
        }
    }

    fn reload(&mut self) -> Result<()> {
        let Some(mut old) = self.haproxy.take() else {
            self.haproxy = Some(haproxy(&["-db", "-q"]).spawn()?);
            return Ok(());
        };
        if !haproxy(&["-c"]).stdout(Stdio::null()).status()?.success() {
            println!("HAProxy does not take it, so it goes on as it is");
            self.haproxy = Some(old);
            return Ok(());
        }
        self.haproxy = Some(haproxy(&["-db", "-q", "-sf", &old.id().to_string()]).spawn()?);
        thread::spawn(move || old.wait());
        Ok(())
    }

    fn has_died(&mut self) -> bool {
        let died = self.haproxy.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None)));
        if died {
            (self.haproxy, self.written) = (None, String::new());
        }
        died
    }

    /// `NAME ADDRESS:PORT` of each port that a container of a linked service exposes.
    fn servers(&self) -> Result<BTreeSet<String>> {
        let own = engine::get(&format!("/containers/{}/json", env::var("HOSTNAME")?))?;
        let project = own["Config"]["Labels"][PROJECT].as_str().context("started without Compose")?;
        let mut wanted = linked(&own, project);
        wanted.extend(additional(&env::var("ADDITIONAL_SERVICES").unwrap_or_default()));
        let mut found = BTreeSet::new();
        for container in list(&engine::get("/containers/json")?) {
            // One that has ended meanwhile is none.
            let Ok(container) = engine::get(&format!("/containers/{}/json", text(&container["Id"]))) else {
                continue;
            };
            if wanted.contains(&service_of(&container["Config"]["Labels"])) {
                let name = text(&container["Name"]).trim_start_matches('/').to_owned();
                let ports = container["Config"]["ExposedPorts"].as_object().into_iter().flatten();
                found
                    .extend(ports.map(|(port, _)| {
                        format!("{name} {name}:{}", port.split('/').next().unwrap_or(port))
                    }));
            }
        }
        if let Ok(mut known) = self.wanted.lock() {
            *known = wanted;
        }
        Ok(found)
    }
}

fn haproxy(more: &[&str]) -> Command {
    let mut command = Command::new("/usr/sbin/haproxy");
    command.args(["-f", CONFIGURATION]).args(more);
    command
}

const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";

fn service_of(labels: &Value) -> Service {
    (text(&labels[PROJECT]), text(&labels[SERVICE]))
}

/// `PROJECT_SERVICE_1:ALIAS` in the links of its networks. Compose 2 and later give `PROJECT-SERVICE-1`, which is nothing.
fn linked(own: &Value, project: &str) -> BTreeSet<Service> {
    let networks = own["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
    let links = networks.flat_map(|(_, network)| list(&network["Links"])).map(text);
    let service = |link: String| {
        let rest = link.split(':').next()?.strip_prefix(&format!("{project}_"))?.to_owned();
        Some((
            project.to_owned(),
            rest.rsplit_once('_').map_or(rest.clone(), |(service, _)| service.to_owned()),
        ))
    };
    links.filter_map(service).collect()
}

fn additional(services: &str) -> BTreeSet<Service> {
    let pair = |one: &str| {
        one.trim().split_once(':').map(|(project, service)| (project.to_owned(), service.to_owned()))
    };
    services.split(',').filter_map(pair).collect()
}

/// Its defaults. Without servers there is nothing at port 80. `idle-close-on-response` is what HAProxy 1.7, which it has,
/// always does: an old process keeps the connections that its clients keep, and serves one more request on each.
fn configuration(servers: &BTreeSet<String>) -> String {
    let mut text = String::from(
        "global
  log 127.0.0.1 local0
  log 127.0.0.1 local1 notice
  log-send-hostname
  maxconn 4096
  pidfile /var/run/haproxy.pid
  user haproxy
  group haproxy
  daemon
  stats socket /var/run/haproxy.stats level admin
defaults
  balance roundrobin
  log global
  mode http
  option redispatch
  option httplog
  option dontlognull
  option forwardfor
  option idle-close-on-response
  timeout connect 5000
  timeout client 50000
  timeout server 50000
listen stats
  bind :1936
  mode http
  stats enable
  timeout connect 10s
  timeout client 1m
  timeout server 1m
  stats hide-version
  stats realm Haproxy\\ Statistics
  stats uri /
  stats auth stats:stats
",
    );
    if !servers.is_empty() {
        text += "frontend default_port_80
  bind :80
  http-request set-header X-Forwarded-Proto http if !{ ssl_fc }
  maxconn 4096
  default_backend default_service
backend default_service
";
        servers
            .iter()
            .for_each(|server| text += &format!("  server {server} check inter 2000 rise 2 fall 3\n"));
    }
    text
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn own(links: &[&str]) -> Value {
        json!({"NetworkSettings": {"Networks": {"docker_default": {"Links": links}, "other": {"Links": null}}}})
    }

    fn pairs(pairs: &[(&str, &str)]) -> BTreeSet<Service> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn it_knows_linked_services_by_the_names_of_docker_compose_1() {
        let links = own(&["docker_app_1:app", "docker_app_1:app_1", "docker_my_api_2:api", "other_app_1:x"]);
        assert_eq!(linked(&links, "docker"), pairs(&[("docker", "app"), ("docker", "my_api")]));
        assert_eq!(linked(&own(&["docker-app-1:app"]), "docker"), pairs(&[]));
    }

    #[test]
    fn services_may_be_named() {
        assert_eq!(additional("docker:app, docker:api"), pairs(&[("docker", "app"), ("docker", "api")]));
        assert_eq!(additional(""), pairs(&[]));
    }

    #[test]
    fn a_container_is_a_server() {
        let servers = BTreeSet::from(["docker_app_1 docker_app_1:80".to_owned()]);
        assert!(
            configuration(&servers)
                .ends_with("  server docker_app_1 docker_app_1:80 check inter 2000 rise 2 fall 3\n")
        );
        assert!(!configuration(&BTreeSet::new()).contains("bind :80\n"));
    }
}
