//! An engine's machine in miniature: a network namespace with a bridge, and one for each container on it.

use crate::process::comes_true;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

pub const BRIDGE: &str = "br0";
pub const SUBNET4: &str = "172.30.0.0/24";
pub const SUBNET6: &str = "fd30::/64";

/// Why the tests cannot run here, if they cannot.
static OBSTACLE: LazyLock<Option<String>> = LazyLock::new(|| {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can make network namespaces".into());
    }
    let runs = |command: &str| Command::new(command).arg("-V").output().is_ok_and(|o| o.status.success());
    if let Some(missing) = ["ip", "nft"].into_iter().find(|command| !runs(command)) {
        return Some(format!("there is no command {missing} (packages iproute2 and nftables)"));
    }
    if zdd::helper::binary::helper(std::env::consts::ARCH).is_none() {
        return Some("this build has no helper for this machine".into());
    }
    let name = format!("zdd-test-{}", std::process::id());
    let made = Command::new("ip").args(["netns", "add", &name]).output().expect("it runs");
    let _ = Command::new("ip").args(["netns", "del", &name]).output();
    (!made.status.success()).then(|| String::from_utf8_lossy(&made.stderr).trim().to_owned())
});

/// Says so in the output of the run, whether the test's output is captured or not.
pub fn skipped(why: &str) {
    let line = format!("skipped: {}: {why}\n", thread::current().name().unwrap_or_default());
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// A network namespace. It is removed when this is dropped, as soon as nothing uses it any more.
pub struct Namespace {
    pub name: String,
    file: File,
}

impl Namespace {
    fn new(what: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("zdd-test-{}-{n}-{what}", std::process::id());
        ip(&["netns", "add", &name]);
        let file = File::open(format!("/run/netns/{name}")).expect("the namespace was made");
        Self { name, file }
    }

    /// Runs in a thread that is in the namespace; sockets that it makes stay there.
    pub fn enter<T: Send + 'static>(&self, run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let file = self.file.try_clone().expect("a descriptor can be cloned");
        thread::spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root can enter it");
            run()
        })
    }

    pub fn run<T: Send + 'static>(&self, run: impl FnOnce() -> T + Send + 'static) -> T {
        self.enter(run).join().expect("it does not panic")
    }

    /// `ip` in the namespace; what it prints.
    pub fn ip(&self, arguments: &[&str]) -> String {
        ip(&[&["-n", &self.name], arguments].concat())
    }

    /// `nft` in the namespace; what it prints.
    pub fn nft(&self, arguments: &[&str]) -> String {
        ip(&[&["netns", "exec", &self.name, "nft"], arguments].concat())
    }

    /// Rules and answers for other machines, of anybody; empty when there are none.
    pub fn leftovers(&self) -> String {
        self.nft(&["list", "ruleset"]) + &self.ip(&["neigh", "show", "proxy"])
    }

    pub fn sysctl(&self, key: &str, value: &str) {
        let path = format!("/proc/sys/net/{key}");
        let value = value.to_owned();
        // What a thread sees there is of its own namespace.
        self.run(move || std::fs::write(&path, value).unwrap_or_else(|e| panic!("{path}: {e}")));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn ip(arguments: &[&str]) -> String {
    let output = Command::new("ip").args(arguments).output().expect("ip was found");
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum V {
    Four,
    Six,
}

pub const VERSIONS: [V; 2] = [V::Four, V::Six];

impl V {
    pub fn address(self, n: u8) -> IpAddr {
        match self {
            V::Four => Ipv4Addr::new(172, 30, 0, n).into(),
            V::Six => Ipv6Addr::new(0xfd30, 0, 0, 0, 0, 0, 0, n.into()).into(),
        }
    }

    pub fn subnet(self) -> &'static str {
        match self {
            V::Four => SUBNET4,
            V::Six => SUBNET6,
        }
    }
}

/// A container: its number is the last byte of its addresses and of its MAC.
pub struct Container {
    pub namespace: Namespace,
    number: u8,
    mac: String,
}

impl Container {
    pub fn address(&self, v: V) -> IpAddr {
        v.address(self.number)
    }

    /// `ADDRESS@MAC`
    pub fn end(&self, v: V) -> String {
        format!("{}@{}", self.address(v), self.mac)
    }

    pub fn mac(&self) -> &str {
        &self.mac
    }

    /// Says to all neighbors which MAC it has, as newer engines do for a container that starts.
    pub fn announce(&self) {
        self.namespace.ip(&["link", "set", "eth0", "address", &self.mac]);
    }

    /// What `take` wants to know.
    pub fn own(&self, v: V) -> String {
        format!("{}={}", v.subnet(), self.address(v))
    }
}

/// The machine, with its bridge and the namespaces of containers.
pub struct Net {
    pub host: Namespace,
}

impl Net {
    /// None, and a line that says why, where network namespaces are not to be had.
    pub fn new() -> Option<Self> {
        if let Some(why) = OBSTACLE.as_deref() {
            skipped(why);
            return None;
        }
        let host = Namespace::new("host");
        host.sysctl("ipv4/ip_forward", "1");
        host.sysctl("ipv6/conf/default/accept_dad", "0");
        let batch = format!(
            "link set lo up\nlink add {BRIDGE} type bridge\naddr add 172.30.0.1/24 dev {BRIDGE}\n\
             addr add fd30::1/64 dev {BRIDGE} nodad\nlink set {BRIDGE} up\n"
        );
        batched(&host, &batch);
        Some(Self { host })
    }

    /// A container, with the MAC that older engines derive from the address.
    pub fn container(&self, number: u8) -> Container {
        self.container_with(number, &format!("02:42:ac:1e:00:{number:02x}"))
    }

    pub fn container_with(&self, number: u8, mac: &str) -> Container {
        let namespace = Namespace::new(&number.to_string());
        namespace.sysctl("ipv6/conf/default/accept_dad", "0");
        // Used by `announce`.
        namespace.sysctl("ipv4/conf/default/arp_notify", "1");
        namespace.sysctl("ipv6/conf/default/ndisc_notify", "1");
        let name = &namespace.name;
        let port = format!("v{number}");
        let batch = format!(
            "link add {port} type veth peer name eth0 address {mac} netns {name}\n\
             link set {port} master {BRIDGE} up\n"
        );
        batched(&self.host, &batch);
        let batch = format!(
            "link set lo up\naddr add 172.30.0.{number}/24 dev eth0\naddr add fd30::{number:x}/64 dev eth0 nodad\n\
             link set eth0 up\nroute add default via 172.30.0.1\n"
        );
        batched(&namespace, &batch);
        let forwards =
            || self.host.ip(&["-d", "link", "show", &port]).contains("bridge_slave state forwarding");
        assert!(comes_true(5, forwards), "{}", self.host.ip(&["-d", "link", "show", &port]));
        Container { namespace, number, mac: mac.to_owned() }
    }

    /// Takes a container off the network, as the engine does when it has stopped.
    pub fn unplug(&self, container: &Container) {
        self.host.ip(&["link", "del", &format!("v{}", container.number)]);
    }
}

fn batched(namespace: &Namespace, lines: &str) {
    let mut ip = Command::new("ip")
        .args(["-n", &namespace.name, "-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("ip was found");
    ip.stdin.take().expect("it is piped").write_all(lines.as_bytes()).expect("ip reads");
    assert!(ip.wait().expect("ip ends").success(), "{lines}");
}
