//! Programs that look a name up once, when they start: they go on sending to an address that nobody has any more, for
//! ever. Those that can be are told to look again; for the others the old containers stay.
//!
//! Tried with nginx 1.22, Apache httpd 2.4 and HAProxy 2.6: no connection is lost by these signals.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    time::{Duration, Instant},
};

use super::END_QUIET;
use crate::{
    engine::{Container, ContainerRef, Member, Network, Process},
    event::Event,
    helper::{Asked, protocol::Request},
    proxy::{Scene, program},
    stage::Halt,
    text::join,
};

/// One that watches Docker, or asks its name server every second, has noticed by now.
const NOTICES_WITHIN: Duration = Duration::from_millis(1500);
/// A client that has not used its connection by then does not soon.
const CLIENTS_GO_WITHIN: Duration = Duration::from_millis(1500);

struct Program {
    /// Names of its first process.
    names: &'static [&'static str],
    /// Lets it read its configuration again, and look up what is named there.
    signal: &'static str,
    /// What its command must have, as it ends by the signal otherwise.
    needs: &'static [&'static str],
    /// Where its configuration is, in the usual images.
    folders: &'static [&'static str],
    /// Whether it looks the name up once, as far as the lines tell that have this name or the word `resolvers`.
    once: fn(&[&str], &str) -> bool,
}

const PROGRAMS: [Program; 3] = [
    Program {
        names: &["nginx", "openresty"],
        signal: "HUP",
        needs: &[],
        folders: &["/etc/nginx", "/usr/local/openresty/nginx/conf", "/opt/bitnami/nginx/conf"],
        once: nginx_looks_up_once,
    },
    Program {
        names: &["httpd", "apache2", "httpd-foreground", "apache2-foreground"],
        signal: "USR1",
        needs: &[],
        folders: &["/usr/local/apache2/conf", "/etc/apache2", "/etc/httpd", "/opt/bitnami/apache/conf"],
        once: is_named,
    },
    Program {
        names: &["haproxy"],
        signal: "USR2",
        needs: &["-W", "-Ws"],
        folders: &["/usr/local/etc/haproxy", "/etc/haproxy"],
        // It looks names up again and again only where it is told whom to ask.
        once: |lines, name| is_named(lines, name) && !lines.iter().any(|line| line.contains("resolvers")),
    },
];
/// They hand signals on to the program that they start.
const HANDS_ON: &[&str] = &["tini", "dumb-init", "docker-init", "catatonit"];
/// It starts HAProxy anew a second after a container has ended. The old process goes on for the clients that it has, with the
/// servers that it has.
const RENEWS: &str = "dockercloud-haproxy";
const RENEWS_WITHIN: Duration = Duration::from_secs(2);

fn is_named(lines: &[&str], name: &str) -> bool {
    lines.iter().any(|line| line.contains(name))
}

/// nginx looks a name up by its `resolver` where a variable leads to it, or where a server of an `upstream` has
/// `resolve` (nginx 1.27.3); a name that stands in a directive as it is, it looks up once. Where this is not seen, it is
/// told later than others, as somebody who goes on asking.
fn nginx_looks_up_once(lines: &[&str], name: &str) -> bool {
    let mut statements = lines.iter().flat_map(|line| line.split(['{', '}', ';'])).map(str::trim);
    statements.any(|statement| {
        let mut words = statement.split_whitespace();
        let directive = words.next().unwrap_or_default();
        (directive == "server" || directive.ends_with("_pass"))
            && statement.contains(name)
            && !statement.contains('$')
            && !words.any(|word| word == "resolve")
    })
}

/// Makes a call.
type Beside<'b> = dyn FnMut(&(dyn Fn() + Sync)) + 'b;

/// Who is told to look again, for addresses whose owners have ended.
pub struct Lookups<'a> {
    networks: &'a [Network],
    addresses: BTreeSet<IpAddr>,
    ended: Instant,
    /// The silent ones were looked for.
    sought: bool,
    /// What was counted when everybody should have noticed.
    noticed: Option<Asked>,
    /// IDs of containers that were dealt with.
    seen: BTreeSet<String>,
    /// Names of those that cannot be told.
    deaf: Vec<String>,
    /// Those whose own clients are asked to close their connections.
    closing: Vec<ContainerRef>,
    /// Those whose clients are to be asked as soon as they have started anew.
    renewing: Vec<ContainerRef>,
}

impl<'a> Lookups<'a> {
    pub fn new(networks: &'a [Network], addresses: BTreeSet<IpAddr>, ended: Instant) -> Lookups<'a> {
        let (seen, deaf, closing, renewing) = Default::default();
        Lookups { networks, addresses, ended, sought: false, noticed: None, seen, deaf, closing, renewing }
    }

    /// Tells those whose configuration names the service at once, and anybody else who still asks. What takes its time is
    /// done `beside` something else.
    pub fn tell(&mut self, scene: &Scene, beside: &mut Beside) {
        self.leave(scene);
        if !std::mem::replace(&mut self.sought, true) {
            let all = inspect(self.members(|_| true), scene);
            let renew =
                all.iter().filter(|c| program::runs(&c.command, RENEWS) && c.service != scene.service.name);
            self.renewing = renew.map(Container::reference).collect();
            for container in all.into_iter().filter(|c| names_service(c, scene)) {
                self.tell_one(&container, scene, beside);
            }
        }
        let since = scene.waiter.clock.now().saturating_duration_since(self.ended);
        if since > RENEWS_WITHIN {
            for proxy in std::mem::take(&mut self.renewing) {
                self.let_clients_go(proxy, scene, beside);
            }
        }
        if since > NOTICES_WITHIN {
            let sources = self.sources(scene);
            let asking = self.members(|member| member.addresses.iter().any(|a| sources.contains(a)));
            for container in inspect(asking, scene) {
                self.tell_one(&container, scene, beside);
            }
        }
    }

    /// The clients of those that were told are not asked to close their connections any more.
    pub fn leave(&mut self, scene: &Scene) {
        let told = self.closing.drain(..);
        told.for_each(|proxy| scene.help.into_iter().for_each(|help| help.leave(&proxy)));
    }

    /// Nobody is left who will ask although nobody does now.
    pub fn is_over(&self) -> bool {
        self.renewing.is_empty() && self.closing.is_empty()
    }

    fn members(&self, chosen: impl Fn(&Member) -> bool) -> Vec<String> {
        let members = self.networks.iter().flat_map(|network| &network.members);
        let ids: BTreeSet<_> =
            members.filter(|member| chosen(member)).map(|member| member.id.clone()).collect();
        ids.into_iter().filter(|id| !self.seen.contains(id)).collect()
    }

    /// Who still asks for the addresses, although it should have noticed.
    fn sources(&mut self, scene: &Scene) -> BTreeSet<IpAddr> {
        let asked = scene.help.and_then(|help| help.asked().ok()).unwrap_or_default();
        let before = self.noticed.get_or_insert_with(|| asked.clone());
        let still = |(pair, number): &(&(IpAddr, IpAddr), &u64)| {
            self.addresses.contains(&pair.0) && before.get(pair).is_none_or(|before| before < number)
        };
        asked.iter().filter(still).map(|((_, from), _)| *from).collect()
    }

    fn tell_one(&mut self, container: &Container, scene: &Scene, beside: &mut Beside) {
        if !self.seen.insert(container.id.clone()) || container.service == scene.service.name {
            return;
        }
        let told = first_program(container, scene).is_some_and(|program| {
            self.let_clients_go(container.reference(), scene, beside);
            scene.engine.signal(&container.id, program.signal).is_ok()
        });
        match told {
            true => scene
                .reporter
                .emit(Event::Reloaded { service: scene.service.name.clone(), proxy: container.reference() }),
            false => self.deaf.push(container.name.clone()),
        }
    }

    /// A program that reads its configuration again closes the connections that its clients keep for their next request,
    /// and loses one that crosses this (1 in 1,100 requests behind nginx and httpd). They are asked to close them before.
    fn let_clients_go(&mut self, proxy: ContainerRef, scene: &Scene, beside: &mut Beside) {
        let Some(help) = scene.help else { return };
        let end = Request::End { quiet: END_QUIET, limit: CLIENTS_GO_WITHIN, ports: vec![] };
        beside(&|| drop(help.inside(&proxy, &end)));
        self.closing.push(proxy);
    }

    /// Somebody still asks.
    ///
    /// # Errors
    /// When it is a container that cannot be told.
    pub fn fail(&self, scene: &Scene) -> Result<(), Halt> {
        if self.deaf.is_empty() {
            scene
                .reporter
                .warn("connections to the addresses of stopped containers were still made; they fail now");
            return Ok(());
        }
        let names = join(&self.deaf);
        Err(Halt::failed(
            format!(
                "{names} still connects to the old containers' addresses and cannot be told to look the name \"{0}\" \
                 up again; let it do so by itself, or write \"x-zdd: {{drain: none}}\" to stop them all the same",
                scene.service.name
            ),
            None,
        ))
    }
}

fn inspect(ids: Vec<String>, scene: &Scene) -> Vec<Container> {
    scene.again(|| scene.engine.inspect(&ids)).unwrap_or_default()
}

fn by_command(container: &Container) -> Option<&'static Program> {
    PROGRAMS.iter().find(|one| one.names.iter().any(|name| program::runs(&container.command, name)))
}

/// Whether its configuration has the name of the service where it is looked up once.
fn names_service(container: &Container, scene: &Scene) -> bool {
    let name = scene.service.name.as_str();
    let Some(program) = by_command(container).filter(|_| container.service != name) else { return false };
    let script = "name=$1; shift; grep -rhwF -e \"$name\" -e resolvers \"$@\" 2>/dev/null; true";
    let args: Vec<_> = [name].into_iter().chain(program.folders.iter().copied()).collect();
    match scene.engine.exec_shell(&container.id, script, &args) {
        Ok(text) => {
            let written = text.lines().filter(|line| !line.trim_start().starts_with('#'));
            (program.once)(&written.collect::<Vec<_>>(), name)
        }
        // There is no shell to ask. To read a configuration once more does no harm, but to a HAProxy, which loses what
        // it has learned.
        Err(_) => program.signal != "USR2",
    }
}

/// The program that a signal to the container reaches.
fn first_program(container: &Container, scene: &Scene) -> Option<&'static Program> {
    let processes = scene.engine.processes(&container.id).ok()?;
    let program = reached(&processes)?;
    let able = program.needs.is_empty()
        || program.needs.iter().any(|flag| container.command.iter().any(|a| a == flag));
    able.then_some(program)
}

fn reached(processes: &[Process]) -> Option<&'static Program> {
    let is_first = |process: &&Process| processes.iter().all(|other| other.pid != process.parent);
    let first = processes.iter().find(is_first)?;
    let mut all = vec![first];
    if HANDS_ON.contains(&first.name.as_str()) {
        all.extend(processes.iter().filter(|process| process.parent == first.pid));
    }
    let named = |program: &&Program| all.iter().any(|process| program.names.contains(&process.name.as_str()));
    PROGRAMS.iter().find(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(processes: &[(u32, u32, &str)]) -> Option<&'static str> {
        let process = |(pid, parent, name): &(u32, u32, &str)| Process {
            pid: *pid,
            parent: *parent,
            name: (*name).to_owned(),
        };
        reached(&processes.iter().map(process).collect::<Vec<_>>()).map(|program| program.signal)
    }

    #[test]
    fn the_first_process_gets_the_signal() {
        assert_eq!(signal(&[(70, 50, "nginx"), (71, 70, "nginx")]), Some("HUP"));
        assert_eq!(signal(&[(71, 70, "httpd"), (70, 50, "httpd")]), Some("USR1"));
        assert_eq!(signal(&[(70, 50, "tini"), (71, 70, "haproxy")]), Some("USR2"));
        // A shell ends by it.
        assert_eq!(signal(&[(70, 50, "sh"), (71, 70, "nginx")]), None);
        assert_eq!(signal(&[]), None);
    }

    #[test]
    fn nginx_is_told_where_it_looks_a_name_up_once() {
        let told = |line: &str| nginx_looks_up_once(&[line], "app");
        for line in [
            "proxy_pass http://app;",
            "  location / { proxy_pass http://app:8000/; }",
            "fastcgi_pass app:9000;",
            "upstream web { server app:80 max_fails=0; }",
        ] {
            assert!(told(line), "{line}");
        }
        for line in [
            "set $app app;",
            "proxy_pass http://app$request_uri;",
            "server { listen 80; server_name app; }",
            "server app:80 resolve;",
            "map $host $to { default app; }",
            "resolvers",
        ] {
            assert!(!told(line), "{line}");
        }
    }

    #[test]
    fn haproxy_is_told_unless_it_knows_whom_to_ask() {
        let told = |lines: &[&str]| (PROGRAMS[2].once)(lines, "app");
        assert!(told(&["server one app:80 check"]));
        assert!(!told(&["server one app:80 check resolvers docker"]));
        assert!(!told(&["default-server resolvers docker", "server-template app 4 app:80"]));
        assert!(!told(&[]));
    }
}
