//! Connections wait, and are served by whoever comes.

use crate::net::{Container, Net, V, VERSIONS};
use crate::process::{Helper, comes_true};
use crate::traffic::{Connection, Server, abort, who, who_by_udp};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A port that the host publishes.
const PUBLISHED: u16 = 8000;

/// A machine with two versions of an app, of which each is there when it is started.
struct Held {
    net: Net,
    old: Container,
    new: Container,
    client: Container,
    helper: Helper,
}

impl Held {
    fn new() -> Option<Self> {
        Self::with("host")
    }

    fn with(arguments: &str) -> Option<Self> {
        let net = Net::new()?;
        let (old, new, client) = (net.container(2), net.container(3), net.container(9));
        let helper = Helper::start(&net.host, arguments);
        Some(Self { net, old, new, client, helper })
    }

    fn hold(&mut self) {
        assert_eq!(self.helper.ok(format!("hold {PUBLISHED}=8080")), "");
    }

    fn target(&mut self, container: &str, v: V) {
        let address = if container == "old" { self.old.address(v) } else { self.new.address(v) };
        assert_eq!(self.helper.ok(format!("target {address}")), "");
    }

    /// Asks the published port in the background.
    fn asks(&self, v: V) -> JoinHandle<String> {
        self.client.namespace.enter(move || ask_patiently(v.address(1)))
    }

    fn comes_to_wait(&mut self, waiting: usize) {
        let expected = format!("waiting={waiting} joined=0");
        assert!(comes_true(20, || self.helper.ok("relayed") == expected), "{}", self.helper.ok("relayed"));
    }
}

fn open(to: IpAddr) -> Connection {
    let connection = Connection::from_here(to, PUBLISHED).expect("it is accepted at once");
    connection.stream().set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    connection
}

fn ask_patiently(to: IpAddr) -> String {
    open(to).who()
}

#[test]
fn connections_wait_until_there_is_a_target() {
    let Some(mut at) = Held::new() else { return };
    at.hold();
    let waiting = VERSIONS.map(|v| at.asks(v));
    // The host's own, and those that a container sends.
    let own = at.net.host.enter(|| ask_patiently("127.0.0.1".parse().unwrap()));
    let by_name = at.net.host.enter(|| ask_patiently("::1".parse().unwrap()));
    at.comes_to_wait(4);
    let _server = Server::start(&at.new, "new");
    at.target("new", V::Four);
    for thread in waiting.into_iter().chain([own, by_name]) {
        assert_eq!(thread.join().unwrap(), "new");
    }
    assert!(comes_true(5, || at.helper.ok("relayed") == "waiting=0 joined=0"));
}

#[test]
fn they_pass_on_to_the_old_one_until_it_stops() {
    let Some(mut at) = Held::new() else { return };
    let old = Server::start(&at.old, "old");
    at.hold();
    at.target("old", V::Six);
    let mut kept = at.client.namespace.run(|| open(V::Four.address(1)));
    assert_eq!(kept.who(), "old");
    assert_eq!(at.helper.ok("wait"), "");
    let waiting = at.asks(V::Four);
    assert!(comes_true(5, || at.helper.ok("relayed") == "waiting=1 joined=1"));
    assert_eq!(kept.who(), "old");
    old.exit();
    // As with any connection to it.
    assert_eq!(kept.line(), "UnexpectedEof");
    let _new = Server::start(&at.new, "new");
    at.target("new", V::Six);
    assert_eq!(waiting.join().unwrap(), "new");
    assert_eq!(at.asks(V::Six).join().unwrap(), "new");
}

#[test]
fn a_target_that_does_not_listen_yet_is_tried_again() {
    let Some(mut at) = Held::new() else { return };
    at.hold();
    let waiting = at.asks(V::Four);
    at.comes_to_wait(1);
    at.target("new", V::Four);
    assert_eq!(at.helper.ok("relayed"), "waiting=1 joined=0");
    let _server = Server::start(&at.new, "new");
    assert_eq!(waiting.join().unwrap(), "new");
}

/// A port goes to another service, which listens elsewhere.
#[test]
fn those_who_wait_are_joined_where_the_port_leads_by_then() {
    let Some(mut at) = Held::new() else { return };
    at.hold();
    at.target("old", V::Four);
    assert_eq!(at.helper.ok("wait 60000"), "");
    let waiting = VERSIONS.map(|v| at.asks(v));
    at.comes_to_wait(2);
    let _server = Server::start_at(&at.new.namespace, "new", 9090);
    assert_eq!(at.helper.ok(format!("hold {PUBLISHED}=9090")), "");
    at.target("new", V::Four);
    for thread in waiting {
        assert_eq!(thread.join().unwrap(), "new");
    }
    assert_eq!(at.helper.ok("leave 15 2000"), "waiting=0 joined=0");
}

#[test]
fn after_leaving_new_connections_go_where_they_did_before() {
    let Some(mut at) = Held::new() else { return };
    let _published = Server::start_at(&at.net.host, "docker", PUBLISHED);
    let _server = Server::start(&at.new, "new");
    at.hold();
    let waiting = at.asks(V::Four);
    at.comes_to_wait(1);
    assert!(at.helper.ask("leave 15 2000").starts_with("error busy "));
    at.target("new", V::Four);
    assert_eq!(waiting.join().unwrap(), "new");
    let mut kept = at.client.namespace.run(|| open(V::Six.address(1)));
    assert_eq!(kept.who(), "new");
    at.helper.send("leave 15 4000");
    assert!(comes_true(3, || who_at(&at.client, V::Six.address(1)) == "docker"));
    assert_eq!(at.helper.line(), "ok waiting=0 joined=0");
    // It was quiet: it was ended in good order.
    assert_eq!(kept.line(), "UnexpectedEof");
}

fn who_at(client: &Container, to: IpAddr) -> String {
    let opened = Connection::open_at(&client.namespace, to, PUBLISHED);
    opened.map_or_else(|e| format!("{:?}", e.kind()), |mut c| c.who())
}

#[test]
fn whoever_is_at_work_is_waited_for_but_not_for_ever() {
    let Some(mut at) = Held::new() else { return };
    let listener = at.new.namespace.run(|| TcpListener::bind(("::", 8080)).unwrap());
    at.hold();
    at.target("new", V::Four);
    let mut busy = at.client.namespace.run(|| open(V::Four.address(1)));
    busy.stream().write_all(b"who\n").unwrap();
    let mut server = listener.accept().unwrap().0;
    assert_eq!(at.helper.ok("leave 1 500"), "waiting=0 joined=1");
    server.write_all(b"new\n").unwrap();
    assert_eq!(busy.line(), "new");
    assert_eq!(at.helper.ok("leave 1 5000"), "waiting=0 joined=0");
}

/// That its client has spoken last does not mean that anything is owed to it.
#[test]
fn one_that_was_answered_before_all_was_asked_is_not_waited_for() {
    let Some(mut at) = Held::new() else { return };
    let listener = at.new.namespace.run(|| TcpListener::bind(("::", 8080)).unwrap());
    at.hold();
    at.target("new", V::Four);
    let client = at.client.namespace.run(|| open(V::Four.address(1)));
    client.stream().write_all(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n").unwrap();
    let mut server = listener.accept().unwrap().0;
    let mut room = [0; 1000];
    assert!(server.read(&mut room).unwrap() > 0);
    server.write_all(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert!(client.stream().read(&mut room).unwrap() > 0);
    client.stream().write_all(b"late").unwrap();
    server.read_exact(&mut room[..4]).unwrap();
    assert_eq!(at.helper.ok("leave 15 3000"), "waiting=0 joined=0");
}

/// Nor does it mean that all is said, that its server has.
#[test]
fn an_answer_that_pauses_is_not_cut_off() {
    let Some(mut at) = Held::new() else { return };
    let listener = at.new.namespace.run(|| TcpListener::bind(("::", 8080)).unwrap());
    at.hold();
    at.target("new", V::Four);
    let mut client = at.client.namespace.run(|| open(V::Four.address(1)));
    client.stream().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut server = listener.accept().unwrap().0;
    assert!(server.read(&mut [0; 1000]).unwrap() > 0);
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nne").unwrap();
    assert_eq!(at.helper.ok("leave 15 1000"), "waiting=0 joined=1");
    server.write_all(b"w\n").unwrap();
    let mut lines = std::iter::from_fn(|| Some(client.line()));
    assert!(lines.by_ref().take(4).any(|line| line == "new"));
}

/// A client that is asked not to use its connection again ends it itself.
#[test]
fn http_clients_are_asked_to_open_another_connection() {
    let Some(mut at) = Held::new() else { return };
    let listener = at.new.namespace.run(|| TcpListener::bind(("::", 8080)).unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut room = [0; 1000];
            while stream.read(&mut room).is_ok_and(|n| n > 0) {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew").unwrap();
            }
        }
    });
    at.hold();
    at.target("new", V::Four);
    let client = at.client.namespace.run(|| open(V::Four.address(1)));
    let answer = |request: &[u8]| {
        let mut room = [0; 1000];
        client.stream().write_all(request).unwrap();
        let length = client.stream().read(&mut room).unwrap();
        String::from_utf8_lossy(&room[..length]).into_owned()
    };
    assert_eq!(answer(b"GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew");
    at.helper.send("leave 15 10000");
    let asks_to_close = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nnew";
    assert!(comes_true(5, || answer(b"GET / HTTP/1.1\r\n\r\n") == asks_to_close));
    client.stream().shutdown(Shutdown::Both).unwrap();
    assert_eq!(at.helper.line(), "ok waiting=0 joined=0");
}

#[test]
fn a_thousand_wait_at_once() {
    let Some(mut at) = Held::new() else { return };
    at.hold();
    let open_all = || (0..1000).map(|_| open(V::Four.address(1))).collect::<Vec<_>>();
    let all = at.client.namespace.run(open_all);
    all.iter().for_each(|c| c.stream().write_all(b"who\n").unwrap());
    at.comes_to_wait(1000);
    let _server = Server::start(&at.new, "new");
    at.target("new", V::Four);
    for mut connection in all {
        assert_eq!(connection.line(), "new");
    }
    assert!(comes_true(10, || at.helper.ok("relayed") == "waiting=0 joined=0"));
}

/// What a helper keeps of each does not grow with what its client sends.
#[test]
fn ten_thousand_wait_in_little_memory() {
    let Some(mut at) = Held::new() else { return };
    // Each side of each connection is a file of this process.
    let most = raise_file_limit() as usize;
    let many = ((most - 2_000) / 2).min(9_900); // other tests have files open, too
    at.hold();
    let before = at.helper.memory();
    let connect = |_| TcpStream::connect((V::Four.address(1), PUBLISHED)).unwrap();
    let mut all = at.client.namespace.run(move || (0..many).map(connect).collect::<Vec<_>>());
    all.iter_mut().for_each(|client| client.write_all(&[b'x'; 4000]).unwrap());
    at.comes_to_wait(many);
    let waiting = at.helper.memory();
    let listener = at.new.namespace.run(|| TcpListener::bind(("::", 8080)).unwrap());
    at.target("new", V::Four);
    let mut served = Vec::new();
    for stream in listener.incoming().take(many) {
        let mut stream = stream.unwrap();
        stream.read_exact(&mut [0; 4000]).unwrap();
        stream.write_all(b"new\n").unwrap();
        served.push(stream);
    }
    for mut client in all {
        client.read_exact(&mut [0; 4]).unwrap();
    }
    let joined = at.helper.memory();
    println!("{many} wait: {before} bytes before, {waiting} waiting, {joined} joined");
    assert!(waiting - before < many * 1000, "{before} {waiting}");
    assert!(joined - before < many * 2000, "{before} {joined}");
}

/// How many files it may open.
fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(1 << 20);
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum }).unwrap();
    most
}

#[test]
fn large_bodies_come_through_whole_in_both_directions() {
    let Some(mut at) = Held::new() else { return };
    // On a busy machine so much takes longer than its client may be silent.
    at.helper.ok("deadline 120000");
    const LENGTH: usize = 32 << 20;
    let listener = at.new.namespace.run(|| TcpListener::bind(("::", 8080)).unwrap());
    at.hold();
    // What is sent before there is a target is kept.
    let sending = at.client.namespace.enter(|| {
        let stream = open(V::Six.address(1)).stream().try_clone().unwrap();
        send(&stream, LENGTH);
        receive(&stream)
    });
    at.comes_to_wait(1);
    at.target("new", V::Six);
    let server = listener.accept().unwrap().0;
    // The end of what the client says comes through too, and the server can still answer.
    assert_eq!(receive(&server), LENGTH);
    send(&server, LENGTH);
    assert_eq!(sending.join().unwrap(), LENGTH);
    assert!(comes_true(5, || at.helper.ok("relayed") == "waiting=0 joined=0"));
}

fn send(mut stream: &TcpStream, length: usize) {
    let bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
    stream.write_all(&bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
}

/// How much came, until it ended.
fn receive(mut stream: &TcpStream) -> usize {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert!(bytes.iter().enumerate().all(|(i, byte)| *byte == (i % 251) as u8));
    bytes.len()
}

/// Nothing is kept for it but what is in flight, and others are served meanwhile.
#[test]
fn a_slow_reader_slows_only_its_server() {
    let Some(mut at) = Held::new() else { return };
    let listener = at.new.namespace.run(|| TcpListener::bind(("::", 8080)).unwrap());
    at.hold();
    at.target("new", V::Four);
    let slow = at.client.namespace.run(|| open(V::Four.address(1)));
    let mut server = listener.accept().unwrap().0;
    server.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let block = vec![7; 1 << 20];
    let mut sent = 0;
    while let Ok(n) = server.write(&block) {
        sent += n;
        assert!(sent < 64 << 20, "it would take everything");
    }
    assert!(at.helper.memory() < 8 << 20, "{}", at.helper.memory());
    let mut other = at.client.namespace.run(|| open(V::Four.address(1)));
    let mut served = listener.accept().unwrap().0;
    served.write_all(b"new\n").unwrap();
    assert_eq!(other.line(), "new");
    drop(server);
    assert_eq!(slow.stream().try_clone().map(|mut s| s.read_to_end(&mut Vec::new()).unwrap()).unwrap(), sent);
}

#[test]
fn a_reset_is_passed_on() {
    let Some(mut at) = Held::new() else { return };
    let listener = at.new.namespace.run(|| TcpListener::bind(("::", 8080)).unwrap());
    at.hold();
    at.target("new", V::Four);
    let mut client = at.client.namespace.run(|| open(V::Four.address(1)));
    client.stream().write_all(b"who\n").unwrap();
    let mut server = listener.accept().unwrap().0;
    server.read_exact(&mut [0; 4]).unwrap();
    abort(&server);
    assert_eq!(client.line(), "ConnectionReset");
    let client = at.client.namespace.run(|| open(V::Four.address(1)));
    let mut server = listener.accept().unwrap().0;
    abort(client.stream());
    assert_eq!(server.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    // One that waits and goes is forgotten.
    at.helper.ok("wait");
    let client = at.client.namespace.run(|| open(V::Four.address(1)));
    at.comes_to_wait(1);
    abort(client.stream());
    at.comes_to_wait(0);
}

#[test]
fn datagrams_are_dropped_while_connections_wait() {
    let Some(mut at) = Held::new() else { return };
    let _published = Server::start(&at.new, "new");
    let asks = |at: &Held| who_by_udp(&at.client.namespace, at.new.address(V::Four));
    let _host = Server::start_at(&at.net.host, "host", 8080);
    let to_host = |at: &Held| who_by_udp(&at.client.namespace, V::Four.address(1));
    assert_eq!((asks(&at).as_str(), to_host(&at).as_str()), ("new", "host"));
    assert_eq!(at.helper.ok("hold 8000 udp:8080"), "");
    // Only what is for the host itself.
    assert_eq!((asks(&at).as_str(), to_host(&at).as_str()), ("new", "WouldBlock"));
    at.target("new", V::Four);
    assert_eq!(to_host(&at), "host");
    at.helper.ok("wait");
    assert_eq!(to_host(&at), "WouldBlock");
    assert_eq!(at.helper.ok("leave 1 100"), "waiting=0 joined=0");
    assert_eq!(to_host(&at), "host");
}

#[test]
fn only_the_given_ports_of_the_host_are_held() {
    let Some(mut at) = Held::new() else { return };
    let _others =
        [Server::start_at(&at.net.host, "host", 7999), Server::start_at(&at.net.host, "host", 8002)];
    let _new = Server::start_at(&at.new.namespace, "new", 8000);
    assert_eq!(at.helper.ok("hold 8000-8001=9000"), "");
    for port in [7999, 8002] {
        let mut connection = Connection::open_at(&at.client.namespace, V::Four.address(1), port).unwrap();
        assert_eq!(connection.who(), "host");
    }
    assert_eq!(who_at(&at.client, at.new.address(V::Four)), "new");
    let _second = Server::start_at(&at.new.namespace, "second", 9001);
    let mut waiting = Connection::open_at(&at.client.namespace, V::Four.address(1), 8001).unwrap();
    at.target("new", V::Four);
    assert_eq!(waiting.who(), "second");
}

/// The relay's own container: everything that reaches it is held, whatever the address.
#[test]
fn in_a_containers_network_too() {
    let Some(net) = Net::new() else { return };
    let (relay, new, client) = (net.container(2), net.container(3), net.container(9));
    client.namespace.ip(&["route", "add", "10.99.0.0/24", "via", "172.30.0.2"]);
    let mut helper = Helper::start(&relay.namespace, "container");
    assert_eq!(helper.ok("hold 8080"), "");
    let mut waiting = ["172.30.0.2", "fd30::2", "10.99.0.7"].map(|address| {
        let connection = Connection::open(&client.namespace, address.parse().unwrap()).unwrap();
        connection.stream().write_all(b"who\n").unwrap();
        connection
    });
    let _server = Server::start(&new, "new");
    helper.ok(format!("target {}", new.address(V::Four)));
    assert_eq!(waiting.each_mut().map(|c| c.line()), ["new", "new", "new"]);
    assert_eq!(who(&client.namespace, relay.address(V::Six)), "new");
}

#[test]
fn when_the_client_dies_what_waits_is_joined_and_what_is_joined_goes_on() {
    let Some(mut at) = Held::new() else { return };
    let _published = Server::start_at(&at.net.host, "docker", PUBLISHED);
    let _server = Server::start(&at.new, "new");
    at.hold();
    at.target("new", V::Four);
    let mut joined = at.client.namespace.run(|| open(V::Four.address(1)));
    assert_eq!(joined.who(), "new");
    at.helper.ok("wait");
    let waiting = at.asks(V::Four);
    assert!(comes_true(5, || at.helper.ok("relayed") == "waiting=1 joined=1"));
    at.helper.hang_up();
    assert_eq!(waiting.join().unwrap(), "new");
    assert!(comes_true(2, || who_at(&at.client, V::Four.address(1)) == "docker"));
    // It waits no longer than until these are quiet.
    assert!(at.helper.ends_within(5));
    assert_eq!(at.net.host.leftovers(), "");
}

#[test]
fn when_the_client_dies_and_there_is_no_target_those_that_wait_are_let_go() {
    let Some(mut at) = Held::new() else { return };
    at.hold();
    let waiting = at.asks(V::Four);
    at.comes_to_wait(1);
    at.helper.hang_up();
    assert_eq!(waiting.join().unwrap(), "ConnectionReset");
    assert!(at.helper.ends_within(5));
    assert_eq!(at.net.host.leftovers(), "");
}

#[test]
fn a_frozen_relay_holds_nothing_new_after_a_while() {
    let Some(mut at) = Held::with("host unowned") else { return };
    let _published = Server::start_at(&at.net.host, "docker", PUBLISHED);
    at.hold();
    at.helper.signal(Signal::STOP);
    assert!(comes_true(25, || who_at(&at.client, V::Four.address(1)) == "docker"));
    at.helper.signal(Signal::KILL);
}

#[test]
fn nothing_is_held_without_a_request() {
    let Some(mut at) = Held::new() else { return };
    for request in ["wait", "pass", "target 172.30.0.3"] {
        assert_eq!(at.helper.ask(request), "error busy nothing is held");
    }
    assert_eq!(at.helper.ok("relayed"), "waiting=0 joined=0");
    assert_eq!(at.helper.ok("leave 1 1000"), "waiting=0 joined=0");
    assert!(at.helper.ask(format!("hold {}", "1 ".repeat(65))).starts_with("error limit "));
    at.hold();
    assert_eq!(at.helper.ask("pass"), "error busy there is no target");
}

/// A port of the loop-back address alone is not opened to others.
#[test]
fn only_connections_to_the_given_address_are_held() {
    let Some(mut at) = Held::new() else { return };
    let _others = Server::start_at(&at.net.host, "host", PUBLISHED);
    assert_eq!(at.helper.ok(format!("hold 127.0.0.1@{PUBLISHED}=8080 ::1@{PUBLISHED}=8080")), "");
    for v in VERSIONS {
        assert_eq!(who_at(&at.client, v.address(1)), "host");
    }
    let own = ["127.0.0.1", "::1"].map(|to| at.net.host.enter(move || ask_patiently(to.parse().unwrap())));
    at.comes_to_wait(2);
    let _server = Server::start(&at.new, "new");
    at.target("new", V::Four);
    for thread in own {
        assert_eq!(thread.join().unwrap(), "new");
    }
}

#[test]
fn nobody_waits_longer_than_the_limit() {
    let Some(mut at) = Held::new() else { return };
    at.hold();
    assert_eq!(at.helper.ok("wait 1000"), "");
    let mut waiting = at.client.namespace.run(|| open(V::Four.address(1)));
    at.comes_to_wait(1);
    assert_eq!(waiting.line(), "ConnectionReset");
    // As if nobody held them.
    assert!(comes_true(3, || who_at(&at.client, V::Four.address(1)) == "ConnectionRefused"));
    let _published = Server::start_at(&at.net.host, "docker", PUBLISHED);
    assert_eq!(who_at(&at.client, V::Six.address(1)), "docker");
}

#[test]
fn those_who_wait_go_to_the_next_one_when_the_client_is_dead() {
    let Some(mut at) = Held::new() else { return };
    at.hold();
    assert_eq!(at.helper.ok("wait 60000"), "");
    let waiting = VERSIONS.map(|v| at.asks(v));
    at.comes_to_wait(2);
    assert_eq!(at.helper.ok(format!("next {}", at.new.address(V::Four))), "");
    assert_eq!(at.helper.ok("relayed"), "waiting=2 joined=0");
    at.helper.hang_up();
    let _server = Server::start(&at.new, "new");
    for thread in waiting {
        assert_eq!(thread.join().unwrap(), "new");
    }
    // Whoever comes now is still steered here, perhaps.
    assert_eq!(at.asks(V::Four).join().unwrap(), "new");
}

/// Where a firewall decides who may reach published ports, nobody is let in past it: who comes from outside comes again.
#[test]
fn a_firewall_is_not_gone_round() {
    let Some(mut at) = Held::new() else { return };
    let rule = |at: &Held, rule: &str| {
        at.net.host.nft(&["add", "rule", "ip", "filter", "DOCKER-USER", rule]);
    };
    at.net.host.nft(&["add", "table", "ip", "filter"]);
    at.net.host.nft(&["add", "chain", "ip", "filter", "DOCKER-USER"]);
    rule(&at, "counter return");
    at.hold();
    let waiting = at.asks(V::Four);
    at.comes_to_wait(1);
    let _server = Server::start(&at.new, "new");
    at.target("new", V::Four);
    assert_eq!(waiting.join().unwrap(), "new");

    rule(&at, "ip saddr 10.0.0.0/8 drop");
    assert_eq!(at.helper.ok(format!("hold {PUBLISHED}=8080")), "filtered=1");
    assert_eq!(who_at(&at.client, V::Four.address(1)), "TimedOut");
    let own = at.net.host.enter(|| ask_patiently("127.0.0.1".parse().unwrap()));
    at.comes_to_wait(1);
    at.target("new", V::Four);
    assert_eq!(own.join().unwrap(), "new");
    let _published = Server::start_at(&at.net.host, "docker", PUBLISHED);
    assert_eq!(who_at(&at.client, V::Four.address(1)), "docker");
}
