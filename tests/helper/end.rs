//! Connections that never end by themselves are ended between two requests.

use crate::http::{Kept, serve};
use crate::net::{Container, Net, V, VERSIONS};
use crate::pair::Pair;
use crate::process::{Helper, comes_true};
use crate::traffic::PORT;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub struct Ending {
    pub app: Container,
    pub client: Container,
    pub helper: Helper,
    _net: Net,
}

impl Ending {
    /// With nothing that listens.
    pub fn bare() -> Option<Self> {
        let net = Net::new()?;
        let (app, client) = (net.container(2), net.container(9));
        let helper = Helper::start(&app.namespace, "container");
        Some(Self { app, client, helper, _net: net })
    }

    pub fn new() -> Option<Self> {
        let at = Self::bare()?;
        serve(&at.app, PORT);
        Some(at)
    }

    pub fn connect(&self, v: V) -> Kept {
        Kept::open(&self.client.namespace, self.app.address(v))
    }
}

#[test]
fn quiet_connections_are_ended() {
    let Some(mut at) = Ending::new() else { return };
    at.helper.ok("watch");
    let mut open = VERSIONS.map(|v| at.connect(v));
    assert_eq!(open.each_mut().map(|c| c.get("/")), ["GET ", "GET "]);
    assert_eq!(at.helper.ok("end 15 2000"), "ended=2 asked=0 left=0 unknown=0");
    assert_eq!(open.each_mut().map(|c| c.get("/")), ["ended", "ended"]);
    assert_eq!(at.helper.ok("end 15 2000"), "ended=0 asked=0 left=0 unknown=0");
}

#[test]
fn it_is_known_where_a_response_ends() {
    let Some(mut at) = Ending::new() else { return };
    at.helper.ok("watch");
    let large = "x".repeat(300_000);
    let requests = [
        ("HEAD", "/", "", ""),
        ("GET", "/chunked", "", "GET "),
        ("POST", "/", large.as_str(), &format!("POST {large}")),
        ("POST", "/chunked", large.as_str(), &format!("POST {large}")),
    ];
    let open: Vec<Kept> = requests.map(|_| at.connect(V::Four)).into();
    let kept: Vec<Kept> = open
        .into_iter()
        .zip(requests)
        .map(|(mut open, (method, path, body, said))| {
            assert!(open.ask(method, path, body).unwrap() == said, "{method} {path}");
            assert_eq!(open.get("/"), "GET ");
            open
        })
        .collect();
    assert_eq!(at.helper.ok("end 15 2000"), "ended=4 asked=0 left=0 unknown=0");
    drop(kept);
}

#[test]
fn one_with_a_request_in_flight_is_left_until_it_is_answered() {
    let Some(mut at) = Ending::new() else { return };
    at.helper.ok("watch");
    for v in VERSIONS {
        let mut busy = at.connect(v);
        let asking = thread::spawn(move || (busy.get("/slow"), busy));
        assert!(comes_true(5, || at.helper.number("connections", "established") == 1));
        assert_eq!(at.helper.ok("end 5 300"), "ended=0 asked=0 left=1 unknown=0");
        let begun = Instant::now();
        assert_eq!(at.helper.ok("end 5 5000"), "ended=0 asked=1 left=0 unknown=0");
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(asking.join().unwrap().0, "GET ");
    }
}

#[test]
fn a_connection_that_is_used_ends_with_a_response() {
    let Some(mut at) = Ending::new() else { return };
    at.helper.ok("watch");
    let mut open = VERSIONS.map(|v| at.connect(v));
    assert_eq!(at.helper.ok("end 1000 1"), "ended=0 asked=0 left=2 unknown=0");
    let large = "x".repeat(300_000);
    for kept in &mut open {
        assert_eq!(kept.ask("POST", "/", &large).unwrap(), format!("POST {large}"));
        assert!(!kept.is_open());
    }
    assert_eq!(at.helper.ok("end 15 2000"), "ended=0 asked=2 left=0 unknown=0");
}

/// What it was asked for is another address than its own.
#[test]
fn one_that_was_steered_here_ends_with_a_response_too() {
    let Some(mut pair) = Pair::new() else { return };
    serve(&pair.new, 9090);
    pair.change("steer");
    pair.take.ok("watch");
    pair.take.ok("end 1000 1");
    for v in VERSIONS {
        let mut open = Kept::open_at(&pair.client.namespace, pair.old.address(v), 9090);
        assert_eq!(open.get("/"), "GET ");
        assert!(!open.is_open());
    }
    assert_eq!(pair.take.ok("end 15 2000"), "ended=0 asked=2 left=0 unknown=0");
}

/// Connections are watched from the middle of a request on: `hello` is what it lacks.
fn watch_amid_a_request(kept: &mut Kept, helper: &mut Helper) {
    assert_eq!(kept.get("/"), "GET ");
    // The kernel's clock tells the response from the next request.
    thread::sleep(Duration::from_millis(100));
    kept.send("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n");
    assert!(comes_true(5, || helper.number("connections", "established") == 1));
    thread::sleep(Duration::from_millis(100));
    helper.ok("watch");
}

/// Its request was under way when the helper came.
#[test]
fn one_that_was_steered_here_before_it_was_watched_ends_with_a_later_response() {
    for v in VERSIONS {
        let Some(mut pair) = Pair::new() else { return };
        serve(&pair.new, 9090);
        pair.change("steer");
        let mut open = Kept::open_at(&pair.client.namespace, pair.old.address(v), 9090);
        watch_amid_a_request(&mut open, &mut pair.take);
        pair.take.ok("end 1000 1");
        open.send("hello");
        assert_eq!(open.response("POST").unwrap(), "POST hello");
        assert_eq!(open.get("/"), "GET ");
        assert!(!open.is_open());
    }
}

/// They cannot go on when others have the address again, so that an idle one is ended whatever it speaks.
#[test]
fn only_what_was_steered_here_is_parted_with() {
    let Some(mut pair) = Pair::new() else { return };
    serve(&pair.new, 9090);
    pair.change("steer");
    for v in VERSIONS {
        let mut open = [pair.new.address(v), pair.old.address(v)]
            .map(|to| Kept::open_at(&pair.client.namespace, to, 9090));
        assert_eq!(open.each_mut().map(|kept| kept.get("/")), ["GET ", "GET "]);
    }
    let mut own = Kept::open_at(&pair.client.namespace, pair.new.address(V::Four), 9090);
    let mut steered = Kept::open_at(&pair.client.namespace, pair.old.address(V::Four), 9090);
    assert_eq!((own.get("/"), steered.get("/")), ("GET ".to_owned(), "GET ".to_owned()));
    let (mut talk, who) = pair.connect(V::Four);
    assert_eq!(who, "new");
    pair.take.ok("watch");
    pair.take.ok("part 1000 1");
    assert_eq!((own.get("/"), steered.get("/")), ("GET ".to_owned(), "GET ".to_owned()));
    assert!(own.is_open() && !steered.is_open());
    assert_eq!(pair.take.ok("part 15 5000"), "ended=1 asked=1 left=0 unknown=0");
    assert!(talk.ask().is_err());
    assert_eq!(own.get("/"), "GET ");
}

/// One other helper has what packets wait in.
#[test]
fn where_packets_cannot_wait_only_quiet_connections_are_ended() {
    let Some(mut at) = Ending::new() else { return };
    let mut other = Helper::start(&at.app.namespace, "container");
    other.ok("end 1 1 9");
    at.helper.ok("watch");
    let mut open = at.connect(V::Four);
    assert_eq!(at.helper.ok("end 1000 1"), "ended=0 asked=0 left=1 unknown=0");
    assert_eq!(open.get("/"), "GET ");
    assert!(open.is_open());
    assert_eq!(at.helper.ok("end 15 400"), "ended=1 asked=0 left=0 unknown=0");
    assert!(!open.is_open());
}

#[test]
fn when_the_helper_goes_connections_are_kept_again() {
    let Some(mut at) = Ending::new() else { return };
    at.helper.ok("end 1000 1");
    let mut open = at.connect(V::Four);
    assert_eq!(open.get("/"), "GET ");
    assert!(!open.is_open());
    at.helper.ok("quit");
    assert!(at.helper.ends_within(5));
    assert_eq!(at.app.namespace.leftovers(), "");
    let mut open = at.connect(V::Four);
    assert_eq!([open.get("/"), open.get("/")], ["GET ", "GET "]);
}

/// The body of a request comes in pieces, which takes its time.
#[test]
fn one_whose_request_is_still_coming_is_left() {
    let Some(mut at) = Ending::new() else { return };
    at.helper.ok("watch");
    let mut sending = at.connect(V::Four);
    assert_eq!(sending.get("/"), "GET ");
    sending.send("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nhello");
    assert_eq!(at.helper.ok("end 1 1000"), "ended=0 asked=0 left=1 unknown=0");
    sending.send("world");
    assert_eq!(sending.response("POST").unwrap(), "POST helloworld");
}

#[test]
fn one_that_was_opened_in_advance_is_ended_when_it_is_quiet_for_long() {
    let Some(mut at) = Ending::new() else { return };
    let mut before = at.connect(V::Four);
    at.helper.ok("watch");
    let mut after = at.connect(V::Six);
    assert_eq!(at.helper.ok("end 1000 100"), "ended=0 asked=0 left=2 unknown=0");
    assert_eq!(at.helper.ok("end 100 5000"), "ended=2 asked=0 left=0 unknown=0");
    assert_eq!([before.get("/"), after.get("/")], ["ended", "ended"]);
}

/// It would send a request after the reset, too.
#[test]
fn where_clients_notice_late_an_idle_connection_gets_more_time() {
    let Some(mut at) = Ending::new() else { return };
    at.helper.ok("watch");
    let [mut late, mut idle] = [(); 2].map(|()| at.connect(V::Four));
    assert_eq!([late.get("/"), idle.get("/")], ["GET ", "GET "]);
    assert_eq!(at.helper.ok("end 15 100"), "ended=0 asked=0 left=2 unknown=0");
    late.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n");
    thread::sleep(Duration::from_millis(200));
    assert_eq!(late.response("GET").unwrap(), "GET ");
    let begun = Instant::now();
    assert_eq!(at.helper.ok("end 15 20000"), "ended=1 asked=1 left=0 unknown=0");
    assert!(begun.elapsed() > Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(idle.get("/"), "ended");
}

#[test]
fn one_from_before_is_unknown_until_it_is_used() {
    let Some(mut at) = Ending::new() else { return };
    let mut open = VERSIONS.map(|v| at.connect(v));
    assert_eq!(open.each_mut().map(|c| c.get("/")), ["GET ", "GET "]);
    at.helper.ok("watch");
    assert_eq!(at.helper.ok("end 15 1500"), "ended=0 asked=0 left=2 unknown=2");
    assert_eq!(open[0].get("/"), "GET ");
    assert_eq!(at.helper.ok("end 15 2000"), "ended=0 asked=1 left=1 unknown=1");
    assert_eq!(open.each_mut().map(|c| c.get("/")), ["ended", "GET "]);
    assert_eq!(at.helper.ok("end 15 2000"), "ended=0 asked=1 left=0 unknown=0");
}

/// Whoever asks waits for its answer.
#[test]
fn one_with_a_request_in_flight_from_before_is_not_an_unknown_one() {
    let Some(mut at) = Ending::new() else { return };
    let mut busy = at.connect(V::Four);
    watch_amid_a_request(&mut busy, &mut at.helper);
    assert_eq!(at.helper.ok("end 15 1500"), "ended=0 asked=0 left=1 unknown=0");
    busy.send("hello");
    assert_eq!(busy.response("POST").unwrap(), "POST hello");
}

#[test]
fn only_connections_to_the_given_ports_are_ended() {
    let Some(mut at) = Ending::new() else { return };
    serve(&at.app, 9090);
    let address: IpAddr = at.app.address(V::Four);
    at.helper.ok("watch");
    let mut open = [PORT, 9090].map(|port| Kept::open_at(&at.client.namespace, address, port));
    assert_eq!(open.each_mut().map(|c| c.get("/")), ["GET ", "GET "]);
    assert_eq!(at.helper.ok("end 15 2000 9090"), "ended=1 asked=0 left=0 unknown=0");
    assert_eq!(open.each_mut().map(|c| c.get("/")), ["GET ", "ended"]);
}

#[test]
fn connections_of_the_container_itself_are_left() {
    let Some(mut at) = Ending::new() else { return };
    serve(&at.client, 9090);
    at.helper.ok("watch");
    let own = Kept::open(&at.app.namespace, at.app.address(V::Four));
    let outbound = Kept::open_at(&at.app.namespace, at.client.address(V::Four), 9090);
    let mut open = [own, outbound];
    assert_eq!(open.each_mut().map(|c| c.get("/")), ["GET ", "GET "]);
    assert_eq!(at.helper.ok("end 1 300"), "ended=0 asked=0 left=0 unknown=0");
    assert_eq!(open.each_mut().map(|c| c.get("/")), ["GET ", "GET "]);
}

/// A server that stops listening finishes its requests.
#[test]
fn what_begins_to_listen_later_is_watched_too() {
    let Some(mut at) = Ending::new() else { return };
    at.helper.ok("watch");
    serve(&at.app, 9090);
    at.helper.ok("watch");
    let mut late = Kept::open_at(&at.client.namespace, at.app.address(V::Four), 9090);
    assert_eq!(late.get("/"), "GET ");
    assert_eq!(at.helper.ok("end 15 2000"), "ended=1 asked=0 left=0 unknown=0");
}

#[test]
fn the_next_request_waits_until_the_end_is_done() {
    let Some(mut at) = Ending::new() else { return };
    at.helper.ok("deadline 1000");
    let mut busy = at.connect(V::Four);
    busy.send("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n");
    at.helper.send("end 15 2000");
    assert_eq!(at.helper.ask("connections"), "ok ended=0 asked=0 left=1 unknown=0");
    assert_eq!(at.helper.line(), "ok established=1 half-closed=0");
    // It has not taken its client for dead meanwhile. That it is dead it notices.
    at.helper.send("end 15 60000");
    at.helper.hang_up();
    assert!(at.helper.ends_within(5));
    assert_eq!(at.app.namespace.leftovers(), "");
}

#[test]
fn a_pool_under_load_loses_no_request() {
    let thinks = [0, 1, 3, 10, 30, 100].map(Duration::from_millis);
    let Some(mut at) = Ending::new() else { return };
    at.helper.ok("watch");
    let stop = Arc::new(AtomicBool::new(false));
    let clients = thinks.map(|thinks| post_until(&at, &stop, thinks));
    let mut ended = 0;
    assert!(comes_true(60, || {
        ended += at.helper.number("end 15 300", "asked");
        ended > 100
    }));
    stop.store(true, Relaxed);
    for client in clients {
        client.join().unwrap().unwrap();
    }
}

/// As proxies do: a connection that is kept is looked at before it is used, and a request that is lost is not repeated.
fn post_until(at: &Ending, stop: &Arc<AtomicBool>, thinks: Duration) -> JoinHandle<io::Result<()>> {
    let (stop, to) = (stop.clone(), at.app.address(V::Four));
    at.client.namespace.enter(move || {
        let mut kept = Kept::from_here(to, PORT)?;
        while !stop.load(Relaxed) {
            if !kept.is_open() {
                kept = Kept::from_here(to, PORT)?;
            }
            assert_eq!(kept.ask("POST", "/", "hello")?, "POST hello");
            thread::sleep(thinks);
        }
        Ok(())
    })
}
