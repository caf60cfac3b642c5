//! Connections that look quiet and are not between two requests are left.

use crate::end::Ending;
use crate::http::{EVENTS, PAUSE, serve_with};
use crate::net::{V, VERSIONS};
use crate::traffic::PORT;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;

const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn echo(stream: TcpStream, greeting: &[u8]) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    writer.write_all(greeting)?;
    io::copy(&mut &stream, &mut writer).map(drop)
}

#[test]
fn a_response_that_comes_in_pieces_is_not_cut_off() {
    let Some(mut at) = Ending::new() else { return };
    at.helper.ok("watch");
    for v in VERSIONS {
        let mut open = at.connect(v);
        let client = thread::spawn(move || (open.get("/events"), open));
        thread::sleep(PAUSE / 2);
        assert_eq!(at.helper.number("end 3 500", "left"), 1);
        assert_eq!(at.helper.number("end 3 9000", "left"), 0);
        let (body, mut open) = client.join().unwrap();
        assert_eq!(body, "event".repeat(EVENTS));
        assert_eq!(open.get("/"), "ended");
    }
}

#[test]
fn an_upgraded_connection_is_left() {
    let Some(mut at) = Ending::new() else { return };
    at.helper.ok("watch");
    let mut open = at.connect(V::Four);
    assert_eq!(open.get("/"), "GET ");
    open.send("GET /upgrade HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    assert_eq!(open.response("GET").unwrap(), "");
    for said in ["hello", "GET / HTTP/1.1\r\n\r\n"] {
        open.send(said);
        assert_eq!(open.receive(said.len()), said);
        assert_eq!(at.helper.ok("end 3 300"), "ended=0 asked=0 left=1 unknown=0");
    }
}

/// As databases, mail servers and SSH do.
#[test]
fn one_on_which_the_server_speaks_first_is_left() {
    let Some(mut at) = Ending::bare() else { return };
    serve_with(&at.app, PORT, |stream| echo(stream, b"+READY\r\n"));
    let mut before = at.connect(V::Four);
    assert_eq!(before.receive(8), "+READY\r\n");
    at.helper.ok("watch");
    let mut after = at.connect(V::Six);
    assert_eq!(after.receive(8), "+READY\r\n");
    assert_eq!(at.helper.ok("end 3 1500"), "ended=0 asked=0 left=2 unknown=1");
    for open in [&mut before, &mut after] {
        open.send("SELECT 1;");
        assert_eq!(open.receive(9), "SELECT 1;");
    }
    assert_eq!(at.helper.ok("end 3 300"), "ended=0 asked=0 left=2 unknown=0");
}

/// Requests are in flight although another one was answered last.
#[test]
fn one_of_http_2_is_left() {
    let Some(mut at) = Ending::bare() else { return };
    serve_with(&at.app, PORT, |mut stream| {
        stream.read_exact(&mut [0; PREFACE.len()])?;
        echo(stream, SETTINGS)
    });
    at.helper.ok("watch");
    let mut open = at.connect(V::Four);
    open.send(PREFACE);
    assert_eq!(open.receive(SETTINGS.len()).as_bytes(), SETTINGS);
    assert_eq!(at.helper.ok("end 3 300"), "ended=0 asked=0 left=1 unknown=0");
    open.send("ping");
    assert_eq!(open.receive(4), "ping");
}

/// A response without a length is over when its connection is.
#[test]
fn one_whose_response_has_no_end_is_left() {
    let Some(mut at) = Ending::bare() else { return };
    serve_with(&at.app, PORT, |mut stream| {
        stream.read_exact(&mut [0; 18])?;
        echo(stream, b"HTTP/1.1 200 OK\r\n\r\n")
    });
    at.helper.ok("watch");
    let mut open = at.connect(V::Four);
    open.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(open.response("GET").unwrap(), "");
    assert_eq!(at.helper.ok("end 3 300"), "ended=0 asked=0 left=1 unknown=0");
    open.send("ping");
    assert_eq!(open.receive(4), "ping");
}

/// Somebody reads slowly: the server is done, and its response is still on its way.
#[test]
fn one_whose_response_is_not_yet_acknowledged_is_left() {
    let Some(mut at) = Ending::bare() else { return };
    const LENGTH: usize = 8 << 20;
    serve_with(&at.app, PORT, |mut stream| {
        stream.read_exact(&mut [0; 18])?;
        stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").as_bytes())?;
        stream.write_all(&vec![b'x'; LENGTH])?;
        stream.read(&mut [0]).map(drop)
    });
    at.helper.ok("watch");
    let mut open = at.connect(V::Four);
    open.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(at.helper.ok("end 3 300"), "ended=0 asked=0 left=1 unknown=0");
    assert_eq!(open.response("GET").unwrap().len(), LENGTH);
    assert_eq!(at.helper.ok("end 3 5000"), "ended=1 asked=0 left=0 unknown=0");
}
