//! Who is connected to a container.

use crate::net::{Net, V, VERSIONS};
use crate::process::{Helper, comes_true};
use crate::traffic::{Connection, PORT, Server, who};
use std::net::Shutdown;

#[test]
fn inbound_connections_from_outside_are_counted() {
    let Some(net) = Net::new() else { return };
    let (app, client) = (net.container(2), net.container(9));
    let _server = Server::start(&app, "app");
    let _other = Server::start_at(&client.namespace, "other", 9090);
    let mut helper = Helper::start(&app.namespace, "container");
    assert_eq!(helper.ok("connections"), "established=0 half-closed=0");

    let open = VERSIONS.map(|v| Connection::open(&client.namespace, app.address(v)).unwrap());
    // Neither health checks of its own, be it by its address, nor what it opens itself.
    let own = ["127.0.0.1", "::1", "172.30.0.2", "fd30::2"];
    let own = own.map(|a| Connection::open(&app.namespace, a.parse().unwrap()).unwrap());
    let outbound = Connection::open_at(&app.namespace, client.address(V::Four), 9090).unwrap();
    assert_eq!(helper.ok("connections"), "established=2 half-closed=0");
    let expected =
        format!("established=2 half-closed=0 listening={PORT} peers=172.30.0.9>{PORT}=1,fd30::9>{PORT}=1");
    assert_eq!(helper.ok("connections list"), expected);
    drop((open, own, outbound));
    assert!(comes_true(5, || helper.ok("connections") == "established=0 half-closed=0"));
}

/// The program will be given it, or its client a reset.
#[test]
fn one_that_its_client_has_not_confirmed_counts() {
    let Some(net) = Net::new() else { return };
    let (app, client) = (net.container(2), net.container(9));
    let _server = Server::start(&app, "app");
    let mut helper = Helper::start(&app.namespace, "container");
    // What confirms an answer is lost on its way in.
    let rule = "add rule ip t in tcp flags & (syn | ack) == ack drop";
    app.namespace.nft(&["add", "table", "ip", "t"]);
    app.namespace.nft(&["add chain ip t in { type filter hook input priority 0; }"]);
    app.namespace.nft(&[rule]);
    let address = app.address(V::Four);
    let asking = client.namespace.enter(move || Connection::from_here(address, PORT).map(drop));
    assert!(comes_true(5, || helper.ok("connections") == "established=1 half-closed=0"));
    app.namespace.nft(&["delete", "table", "ip", "t"]);
    asking.join().unwrap().unwrap();
}

#[test]
fn a_half_closed_connection_is_one_that_is_still_at_work() {
    let Some(net) = Net::new() else { return };
    let (app, client) = (net.container(2), net.container(9));
    let listener = app.namespace.run(|| std::net::TcpListener::bind(("::", PORT)).unwrap());
    let open = Connection::open(&client.namespace, app.address(V::Four)).unwrap();
    let accepted = listener.accept().unwrap().0;
    let mut helper = Helper::start(&app.namespace, "container");
    open.stream().shutdown(Shutdown::Write).unwrap();
    assert!(comes_true(5, || helper.ok("connections") == "established=0 half-closed=1"));
    drop(accepted);
    assert!(comes_true(5, || helper.ok("connections") == "established=0 half-closed=0"));
}

/// As programs do that are told to finish.
#[test]
fn connections_count_although_the_program_no_longer_listens() {
    let Some(net) = Net::new() else { return };
    let (app, client) = (net.container(2), net.container(9));
    let server = Server::start(&app, "app");
    let mut open = Connection::open(&client.namespace, app.address(V::Four)).unwrap();
    assert_eq!(open.who(), "app");
    let mut helper = Helper::start(&app.namespace, "container");
    assert_eq!(helper.ok("connections"), "established=1 half-closed=0");
    server.close();
    assert_eq!(who(&client.namespace, app.address(V::Four)), "ConnectionRefused");
    assert_eq!(
        helper.ok("connections list"),
        format!("established=1 half-closed=0 listening= peers=172.30.0.9>{PORT}=1")
    );
}

/// Docker's name server in the container listens at an address of loop-back.
#[test]
fn what_listens_for_the_container_alone_is_not_reachable() {
    let Some(net) = Net::new() else { return };
    let app = net.container(2);
    let _own = app.namespace.run(|| std::net::TcpListener::bind(("127.0.0.11", 5353)).unwrap());
    let mut helper = Helper::start(&app.namespace, "container");
    assert_eq!(helper.ok("connections list"), "established=0 half-closed=0 listening= peers=");
}
