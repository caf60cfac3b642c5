//! A network of simulated containers, and a helper on its host that remembers what is handed over.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use zdd::{
    engine::{Container, ContainerRef, Endpoint, Member, Network},
    helper::{
        Answer, Asked, Help, StandIn, Trouble,
        protocol::{Clause, Pair, Request},
    },
};

const NAME: &str = "app_default";
/// Of the same project.
pub const PROXY: &str = "proxy";
const STAND_IN: &str = "stand-in-";
const STARTS_WITHIN: Duration = Duration::from_secs(1);

/// What the helper has been told so far, and has not been told to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rules {
    /// Address → its clause, and who gets its connections.
    entries: BTreeMap<IpAddr, (&'static str, IpAddr)>,
    blinks: usize,
}

#[derive(Default)]
pub struct Host {
    rules: Mutex<Rules>,
    log: Mutex<Vec<String>>,
    /// Who is reached in the place of containers, by ID.
    stand_ins: Mutex<BTreeMap<String, Member>>,
    /// No proxy is on the network.
    is_deserted: bool,
}

impl Host {
    pub fn deserted() -> Host {
        Host { is_deserted: true, ..Host::default() }
    }

    fn rules(&self) -> Rules {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is left, in words.
    pub fn left(&self) -> Option<String> {
        let (rules, stand_ins) = (self.rules(), self.stand_ins());
        let any = rules != Rules::default() || !stand_ins.is_empty();
        any.then(|| format!("left on the host: {rules:?} {stand_ins:?}"))
    }

    fn stand_ins(&self) -> Vec<Member> {
        self.stand_ins.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn note(&self, what: impl IntoIterator<Item = String>) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).extend(what);
    }

    /// What it was told, in order.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Connections to somebody else go to this address.
    pub fn sends_to(&self, address: IpAddr) -> bool {
        self.rules().entries.values().any(|(_, to)| *to == address)
    }

    /// The address is kept for somebody who has ended.
    pub fn keeps(&self, address: IpAddr) -> bool {
        self.rules().entries.get(&address).is_some_and(|(clause, _)| *clause == "switch")
    }
}

impl Rules {
    fn enter(&mut self, clause: &'static str, pair: &Pair) {
        self.entries.insert(pair.from.address, (clause, pair.to.address));
    }

    fn apply(&mut self, clause: &Clause) {
        match clause {
            Clause::Guard(pair) => self.enter("guard", pair),
            Clause::Steer(pair) => self.enter("steer", pair),
            Clause::Switch(pair) => self.enter("switch", pair),
            Clause::Finish(address) | Clause::Release(address) => drop(self.entries.remove(address)),
            Clause::Blink(_) => self.blinks += 1,
            Clause::Unblink => self.blinks = 0,
            Clause::Gone(_) | Clause::Exempt(_) | Clause::Include(_) => {}
        }
    }
}

impl Help for Host {
    fn on_host(&self, request: &Request) -> Result<Answer, Trouble> {
        if let Request::Change(clauses) = request {
            let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
            clauses.iter().for_each(|clause| rules.apply(clause));
            // Which of them go together is a matter of time.
            self.note(clauses.iter().map(Clause::to_string));
        }
        Ok(Answer::default())
    }

    fn prepare(&self, _container: &ContainerRef) {}

    fn inside(&self, container: &ContainerRef, request: &Request) -> Result<Answer, Trouble> {
        if container.id.starts_with(STAND_IN) && !matches!(request, Request::Relayed) {
            self.note([format!("{}: {request}", container.id)]);
        }
        Answer::parse(if matches!(request, Request::Connections { list: true }) {
            "ok listening=80"
        } else {
            "ok"
        })
    }

    fn stand_in(&self, wanted: &StandIn, made: &dyn Fn(&str)) -> Result<ContainerRef, Trouble> {
        let n = 200 + self.stand_ins().len() as u8;
        let id =
            if wanted.networks.is_empty() { format!("{STAND_IN}on-host") } else { format!("{STAND_IN}{n}") };
        let addresses = if wanted.networks.is_empty() { vec![] } else { vec![IpAddr::from([10, 0, 0, n])] };
        let member = Member { id: id.clone(), addresses, mac: format!("02:42:0a:00:00:{n:02x}") };
        made(&id);
        let address = member.addresses.first().copied();
        self.stand_ins.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), member);
        // It has its name, and does not answer yet.
        if let Some(address) = address {
            let begun = Instant::now();
            while !self.rules().entries.contains_key(&address) && begun.elapsed() < STARTS_WITHIN {
                thread::sleep(Duration::from_millis(1));
            }
            self.note([format!("{id}: started")]);
        }
        Ok(ContainerRef { id: id.clone(), name: id })
    }

    fn dismiss(&self, stand_in: &ContainerRef) {
        self.stand_ins.lock().unwrap_or_else(PoisonError::into_inner).remove(&stand_in.id);
    }

    fn asked(&self) -> Result<Asked, Trouble> {
        Ok(Asked::default())
    }

    fn leave(&self, _container: &ContainerRef) {}
}

/// With the lowest address that nobody has, as Docker gives it away.
pub fn connect(container: &mut Container, others: &[Container]) -> IpAddr {
    let taken: Vec<_> = others.iter().flat_map(Container::addresses).collect();
    let address = (2..255).map(|n| IpAddr::V4(Ipv4Addr::new(10, 0, 0, n))).find(|a| !taken.contains(a));
    let address = address.expect("a free address");
    let IpAddr::V4(v4) = address else { unreachable!("an IPv4 address") };
    let [a, b, c, d] = v4.octets();
    let endpoint = Endpoint {
        network: NAME.to_owned(),
        addresses: vec![address],
        mac: format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}"),
        ..Endpoint::default()
    };
    container.networks.insert(NAME.to_owned(), endpoint);
    address
}

pub fn disconnect(container: &mut Container) {
    container.networks.insert(NAME.to_owned(), Endpoint { network: NAME.to_owned(), ..Endpoint::default() });
}

/// A proxy is on it, unless it is deserted, and whoever stands in for containers.
pub fn network(containers: &[Container], host: Option<&Host>) -> Network {
    let proxy = Member {
        id: PROXY.to_owned(),
        addresses: vec![IpAddr::from([10, 0, 0, 254])],
        mac: "02:42:0a:00:00:fe".to_owned(),
    };
    let member = |c: &Container| {
        let endpoint = c.networks.get(NAME).filter(|endpoint| !endpoint.addresses.is_empty())?;
        Some(Member { id: c.id.clone(), addresses: endpoint.addresses.clone(), mac: endpoint.mac.clone() })
    };
    Network {
        id: NAME.to_owned(),
        name: NAME.to_owned(),
        driver: "bridge".to_owned(),
        bridge: "br0".to_owned(),
        subnets: vec!["10.0.0.0/24".to_owned()],
        gateways: vec![],
        project: Some("app".to_owned()),
        members: containers
            .iter()
            .filter_map(member)
            .chain(host.into_iter().flat_map(Host::stand_ins))
            .chain((!host.is_some_and(|host| host.is_deserted)).then_some(proxy))
            .collect(),
        free: None,
    }
}
