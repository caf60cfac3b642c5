use super::*;

/// What is said on a connection, in order, by the client (`>`) and the server (`<`).
#[derive(Clone, Copy)]
enum Say {
    C(&'static str),
    S(&'static str),
}
use Say::{C, S};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\n\r\n";

/// Where the bytes of a message are split.
type Pieces<'a> = &'a mut dyn FnMut(&[u8]) -> Vec<usize>;

fn follow(said: &[Say], pieces: Pieces) -> Result<Exchange, Lost> {
    let mut exchange = Exchange::new();
    for say in said {
        let (C(text) | S(text)) = say;
        let mut rest = text.as_bytes();
        for length in pieces(rest) {
            let (piece, after) = rest.split_at(length);
            rest = after;
            match say {
                C(_) => exchange.asks(piece)?,
                S(_) => exchange.answers(piece)?,
            }
        }
    }
    Ok(exchange)
}

fn whole(bytes: &[u8]) -> Vec<usize> {
    vec![bytes.len()]
}

fn single(bytes: &[u8]) -> Vec<usize> {
    vec![1; bytes.len()]
}

/// Pieces of random lengths, with a generator that is good enough for that (xorshift).
fn random(seed: &mut u64, bytes: &[u8]) -> Vec<usize> {
    let (mut pieces, mut left) = (Vec::new(), bytes.len());
    while left > 0 {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        let length = (*seed as usize % 40).min(left);
        pieces.push(length);
        left -= length;
    }
    pieces
}

fn state(said: &[Say], pieces: Pieces) -> Result<State, Lost> {
    follow(said, pieces).map(|exchange| exchange.state())
}

/// The state afterwards, which is the same wherever what was said is split.
fn after(said: &[Say]) -> Result<State, Lost> {
    let expected = state(said, &mut whole);
    assert_eq!(state(said, &mut single), expected);
    let longest = said.iter().map(|(C(text) | S(text))| text.len()).max().unwrap();
    if longest < 1000 {
        for at in 0..=longest {
            let mut twice = |bytes: &[u8]| vec![at.min(bytes.len()), bytes.len() - at.min(bytes.len())];
            assert_eq!(state(said, &mut twice), expected, "split at {at}");
        }
    }
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    for round in 0..200 {
        assert_eq!(state(said, &mut |bytes| random(&mut seed, bytes)), expected, "round {round}");
    }
    expected
}

#[track_caller]
fn between(said: &[Say]) {
    assert_eq!(after(said), Ok(State::Between));
    // Also that it is the right boundary: what comes next is read as a request and its response.
    assert_eq!(after(&[said, &[C(GET)]].concat()), Ok(State::Busy));
    assert_eq!(after(&[said, &[C(GET), S(OK)]].concat()), Ok(State::Between));
}

#[track_caller]
fn busy(said: &[Say]) {
    assert_eq!(after(said), Ok(State::Busy));
}

#[track_caller]
fn unknown(said: &[Say]) {
    assert_eq!(after(said), Err(Lost::Unknown));
}

#[track_caller]
fn forever(said: &[Say]) {
    assert_eq!(after(said), Err(Lost::Forever));
}

#[test]
fn a_request_is_over_with_the_last_byte_of_its_response() {
    assert_eq!(Exchange::new().state(), State::Unused);
    busy(&[C("G")]);
    busy(&[C(GET)]);
    busy(&[C(GET), S("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")]);
    busy(&[C(GET), S("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh")]);
    between(&[C(GET), S(OK)]);
    between(&[C(GET), S("HTTP/1.0 200 OK\r\ncontent-length:2\r\ncontent-length: 2\r\n\r\nhi")]);
    between(&[C(GET), S("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n")]);
}

#[test]
fn pipelined_requests_are_all_awaited() {
    busy(&[C(GET), C(GET), S(OK)]);
    between(&[C(GET), C(GET), S(OK), S(OK)]);
    between(&[
        C("GET / HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\n"),
        S(OK),
        S("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
    ]);
}

#[test]
fn the_body_of_a_request_is_awaited() {
    busy(&[C("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhell")]);
    between(&[C("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"), S(OK)]);
    // The response overtakes it.
    busy(&[C("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhell"), S(OK)]);
    between(&[C("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhell"), S(OK), C("o")]);
    // What looks like a request in it is none.
    busy(&[C("POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\nGET / HTTP/1.1\r\n\r\n"), S(OK)]);
    between(&[C("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), S(OK)]);
    // Some clients send a line break after it.
    between(&[C("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello\r\n"), S(OK)]);
}

#[test]
fn an_interim_response_is_none() {
    let expecting = C("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    busy(&[expecting, S("HTTP/1.1 100 Continue\r\n\r\n")]);
    busy(&[expecting, S("HTTP/1.1 100 Continue\r\n\r\n"), C("hello")]);
    between(&[expecting, S("HTTP/1.1 100 Continue\r\n\r\n"), C("hello"), S(OK)]);
    between(&[C(GET), S("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"), S(OK)]);
    // Refused: whether the body comes cannot be known.
    busy(&[expecting, S("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")]);
    unknown(&[expecting, S("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"), C(GET), S(OK)]);
}

#[test]
fn some_responses_have_no_body_whatever_they_say() {
    let head = C("HEAD / HTTP/1.1\r\n\r\n");
    between(&[head, S("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")]);
    between(&[head, S(CHUNKED)]);
    between(&[head, S("HTTP/1.1 200 OK\r\n\r\n")]);
    between(&[C(GET), S("HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\n\r\n")]);
    between(&[C(GET), S("HTTP/1.1 204 No Content\r\n\r\n")]);
}

#[test]
fn chunks_are_followed_to_the_end_of_the_trailer() {
    busy(&[C(GET), S(CHUNKED)]);
    busy(&[C(GET), S(CHUNKED), S("3\r\nabc\r\n")]);
    busy(&[C(GET), S(CHUNKED), S("5;a=\"b;c\"\r\n0\r\n\r\n\r\n")]);
    busy(&[C(GET), S(CHUNKED), S("0\r\n")]);
    busy(&[C(GET), S(CHUNKED), S("0\r\nX-Sum: 1\r\n")]);
    between(&[C(GET), S(CHUNKED), S("0\r\n\r\n")]);
    between(&[
        C(GET),
        S(CHUNKED),
        S("A ;a=b\r\n0123456789\r\n5;x\r\n0\r\n\r\n\r\n000\r\nX-Sum: 1\r\nY: 2\r\n\r\n"),
    ]);
    unknown(&[C(GET), S(CHUNKED), S("3\r\nabcd\r\n")]);
    unknown(&[C(GET), S(CHUNKED), S("\r\n")]);
    unknown(&[C(GET), S(CHUNKED), S("-3\r\n")]);
    unknown(&[C(GET), S(CHUNKED), S("10000000000000000\r\n")]);
}

#[test]
fn what_is_no_longer_http_or_never_ends_is_left_forever() {
    let upgrade = C("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    forever(&[upgrade, S("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")]);
    between(&[upgrade, S(OK)]);
    let connect = C("CONNECT a:443 HTTP/1.1\r\n\r\n");
    forever(&[connect, S("HTTP/1.1 200 OK\r\n\r\n")]);
    between(&[connect, S("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")]);
    forever(&[C(GET), S("HTTP/1.1 200 OK\r\n\r\n")]);
    forever(&[C(GET), S("HTTP/1.0 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n")]);
    forever(&[C(GET), S("HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nhi")]);
}

#[test]
fn what_is_not_clear_is_unknown() {
    unknown(&[S("220 mail.example ESMTP\r\n")]);
    unknown(&[S(OK)]);
    unknown(&[C(GET), S(OK), S(OK)]);
    unknown(&[C(GET), S("+OK\r\n\r\n")]);
    unknown(&[C(GET), S("HTTP/2 200\r\n\r\n")]);
    unknown(&[C(GET), S("HTTP/1.1 20\r\n\r\n")]);
    unknown(&[C(GET), S("HTTP/1.1 2000\r\n\r\n")]);
    unknown(&[C("PRI * HTTP/2.0\r\n\r\n")]);
    unknown(&[C("GET /\r\n\r\n")]);
    unknown(&[C("*1\r\n$4\r\nPING\r\n")]);
    unknown(&[C("GET / HTTP/1.1\nHost: a\n\n")]);
}

/// Where servers and proxies differ in what they read, nobody can say which is right.
#[test]
fn contradictory_framing_is_unknown() {
    for fields in [
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: 2, 2",
        "Content-Length: +2",
        "Content-Length:",
        "Content-Length: 99999999999999999999",
        "Content-Length : 2",
        "X: 1\r\n Content-Length: 2",
        "Content-Length: 2\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "no colon",
        ": 2",
    ] {
        let text = |line: &str| format!("{line}\r\n{fields}\r\n\r\n").leak() as &str;
        unknown(&[C(text("POST / HTTP/1.1"))]);
        unknown(&[C(GET), S(text("HTTP/1.1 200 OK"))]);
    }
    unknown(&[C("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n")]);
}

#[test]
fn long_lines_are_read_and_endless_heads_are_not() {
    let long = "x".repeat(5000);
    let text = |text: String| text.leak() as &str;
    let request = text(format!("GET /{long} HTTP/1.1\r\nCookie: {long}\r\n{long}: {long}\r\n\r\n"));
    between(&[
        C(request),
        S(text(format!("HTTP/1.1 200 {long}\r\nETag: {long}\r\nContent-Length: 0\r\n\r\n"))),
    ]);
    unknown(&[C(text(format!("GET / HTTP/1.1\r\nCookie: {}", "x".repeat(70_000))))]);
    unknown(&[C(text(format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(12_000))))]);
    unknown(&[C(text(format!("GET / HTTP/1.1\r\nTransfer-Encoding: {long}, chunked\r\n\r\n")))]);
}

#[test]
fn garbage_is_never_between_requests() {
    let mut seed = 88_172_645_463_325_252;
    for _ in 0..2000 {
        let bytes: Vec<u8> = (0..200).flat_map(|_| random(&mut seed, &[0; 8])).map(|n| n as u8 * 7).collect();
        let mut exchange = Exchange::new();
        let _ = exchange.asks(&bytes).and_then(|()| exchange.answers(&bytes));
        assert_ne!(exchange.state(), State::Between);
    }
}

#[test]
fn too_many_pipelined_requests_are_unknown() {
    unknown(&[C(GET.repeat(MOST_PIPELINED + 1).leak())]);
}

#[test]
fn a_request_is_told_from_other_protocols_by_its_beginning() {
    for text in ["GET / HTTP/1.1\r\n", "M-SEARCH * ", "VERSION-CONTROL /"] {
        assert!(may_begin_request(text.as_bytes()), "{text}");
    }
    for text in ["", "GET", "get / ", "GO ", "\r\nGET / ", "{\"GET \"", "\u{16}\u{3}\u{1}"] {
        assert!(!may_begin_request(text.as_bytes()), "{text}");
    }
}
