use super::*;
use Side::{Client, Server};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// A connection with the sequence numbers of both sides.
struct Talk {
    flow: Flow,
    next: [u32; 2],
    begin: [u32; 2],
}

impl Talk {
    /// The sequence numbers wrap around soon.
    fn new(last: Option<Side>) -> Self {
        let next = [u32::MAX - 10, u32::MAX - 20];
        Self { flow: Flow::new(last), next, begin: next }
    }

    fn opened() -> Self {
        let mut talk = Self::new(None);
        let [client, server] = talk.next.map(|next| next - 1);
        talk.flow.observe(&Segment::opening(Client, client, 0));
        talk.flow.observe(&Segment::opening(Server, server, client + 1));
        talk
    }

    fn segment<'a>(&self, by: Side, data: &'a str) -> Segment<'a> {
        let [client, server] = self.next;
        let (sequence, acknowledged) = if by == Client { (client, server) } else { (server, client) };
        Segment::example(by, sequence, acknowledged, data)
    }

    fn say(&mut self, by: Side, data: &str) -> &mut Self {
        self.flow.observe(&self.segment(by, data));
        self.miss(by, data)
    }

    fn miss(&mut self, by: Side, data: &str) -> &mut Self {
        let next = &mut self.next[usize::from(by == Server)];
        *next = next.wrapping_add(data.len() as u32);
        self
    }

    /// With what the kernel has counted.
    fn state(&mut self) -> Option<State> {
        let [received, acked] = [0, 1].map(|i| u64::from(self.next[i].wrapping_sub(self.begin[i])));
        self.flow.state(&Times { sent: 2, received: 3, bytes_acked: acked, bytes_received: received })
    }

    /// At the second look, if the first one cannot tell.
    fn settled(&mut self) -> Option<State> {
        self.state();
        self.state()
    }
}

#[test]
fn one_that_is_seen_from_its_beginning_is_known() {
    let mut talk = Talk::opened();
    assert_eq!(talk.state(), Some(State::Unused));
    assert_eq!(talk.say(Client, GET).state(), Some(State::Busy));
    assert_eq!(talk.say(Server, OK).state(), Some(State::Between));
    assert_eq!(talk.say(Client, GET).say(Server, OK).state(), Some(State::Between));
    assert_eq!(talk.say(Client, "G").state(), Some(State::Busy));
}

#[test]
fn what_is_sent_again_counts_once() {
    let mut talk = Talk::opened();
    let (first, second) = GET.split_at(9);
    let part = talk.segment(Client, first);
    talk.say(Client, first);
    talk.flow.observe(&part);
    // All of it once more, with the rest.
    let mut whole = part;
    (whole.data, whole.length) = (GET.as_bytes(), GET.len() as u32);
    talk.flow.observe(&whole);
    talk.miss(Client, second);
    talk.flow.observe(&Segment::opening(Server, talk.begin[1] - 1, talk.begin[0]));
    talk.flow.observe(&Segment::opening(Client, talk.begin[0] - 1, 0));
    assert_eq!(talk.state(), Some(State::Busy));
    assert_eq!(talk.say(Server, OK).state(), Some(State::Between));
}

#[test]
fn one_that_was_there_before_is_known_from_a_request_on() {
    let mut talk = Talk::new(None);
    // What is in flight when it begins to be seen is not known.
    assert_eq!(talk.say(Server, OK).settled(), None);
    talk.say(Client, GET).say(Server, OK);
    assert_eq!(talk.state(), Some(State::Busy));
    assert_eq!(talk.state(), Some(State::Between));
}

#[test]
fn the_response_to_a_request_from_before_is_not_taken_for_another_ones() {
    let mut talk = Talk::new(Some(Client));
    assert_eq!(talk.say(Client, GET).say(Server, OK).settled(), None);
    assert_eq!(talk.say(Client, GET).say(Server, OK).settled(), Some(State::Between));
    // Nor where what the server says crosses the request.
    let mut talk = Talk::new(None);
    let crossing = talk.segment(Client, GET);
    talk.say(Server, OK).flow.observe(&crossing);
    assert_eq!(talk.miss(Client, GET).say(Server, OK).settled(), None);
}

#[test]
fn after_a_gap_it_is_known_again_from_a_request_that_follows_a_response() {
    for counted in [false, true] {
        let mut talk = if counted { Talk::opened() } else { Talk::new(None) };
        talk.say(Client, GET).say(Server, OK).settled();
        assert_eq!(talk.miss(Client, GET).say(Server, OK).settled(), None);
        assert_eq!(talk.say(Client, GET).settled(), None, "a request was missed before it");
        assert_eq!(talk.say(Server, OK).settled(), None);
        assert_eq!(talk.say(Client, GET).say(Server, OK).settled(), Some(State::Between));
    }
}

#[test]
fn what_the_kernel_has_counted_and_was_not_seen_is_in_flight() {
    let mut talk = Talk::opened();
    assert_eq!(talk.say(Client, GET).say(Server, OK).state(), Some(State::Between));
    assert_eq!(talk.miss(Client, GET).settled(), Some(State::Busy));
    // It arrives only when it is counted.
    let mut talk = Talk::opened();
    talk.say(Client, GET).say(Server, OK).state();
    let seen = talk.segment(Client, "x");
    talk.flow.observe(&seen);
    assert_eq!(talk.settled(), Some(State::Busy));
}

#[test]
fn when_packets_were_dropped_only_counted_ones_are_still_known() {
    let mut talk = Talk::new(None);
    talk.say(Client, GET).say(Server, OK).flow.doubt();
    assert_eq!(talk.settled(), None);
    talk.say(Client, GET).say(Server, OK);
    assert_eq!(talk.say(Client, GET).say(Server, OK).settled(), Some(State::Between));
    talk.flow.doubt();
    assert_eq!(talk.state(), Some(State::Between));
}

#[test]
fn what_cannot_be_said_is_told_from_what_is_under_way() {
    let mut talk = Talk::new(None);
    talk.say(Server, OK).settled();
    assert!(talk.flow.has_missed(), "its beginning was missed");
    talk.say(Client, GET).settled();
    assert!(!talk.flow.has_missed(), "a request is under way");
    let mut upgraded = Talk::opened();
    upgraded.say(Client, GET).say(Server, "HTTP/1.1 101 Switching Protocols\r\n\r\n").settled();
    assert!(!upgraded.flow.has_missed(), "it is another protocol");
}

#[test]
fn what_was_cut_off_is_missed() {
    let mut talk = Talk::opened();
    let mut segment = talk.segment(Client, GET);
    segment.data = &segment.data[..9];
    talk.flow.observe(&segment);
    assert_eq!(talk.miss(Client, GET).state(), None);
}

#[test]
fn two_connections_that_look_alike_are_not_told_apart() {
    let mut talk = Talk::opened();
    talk.say(Client, GET).say(Server, OK);
    let mut other = talk.segment(Client, GET);
    other.local = "172.18.0.3".parse().unwrap();
    talk.flow.observe(&other);
    assert_eq!(talk.say(Client, GET).say(Server, OK).settled(), None);
}

/// A proxy may choose the same port for a connection to another address that leads here. The kernel lets it open none, and
/// the one that is open must not be waited for as long as it is used.
#[test]
fn one_whose_port_is_tried_for_another_address_is_known_again() {
    let mut talk = Talk::opened();
    talk.say(Client, GET).say(Server, OK);
    let other = Segment { local: "172.18.0.3".parse().unwrap(), ..Segment::opening(Client, 7, 0) };
    talk.flow.observe(&other);
    assert_eq!(talk.say(Client, GET).say(Server, OK).settled(), None);
    assert_eq!(talk.say(Client, GET).say(Server, OK).settled(), Some(State::Between));
    // What carries nothing says nothing.
    talk.flow.observe(&Segment { flags: 16, ..other });
    assert_eq!(talk.say(Client, GET).say(Server, OK).settled(), Some(State::Between));
}

#[test]
fn the_response_to_the_only_request_is_known_before_it_leaves() {
    let mut talk = Talk::opened();
    assert!(!talk.flow.is_answered_by(&talk.segment(Server, OK)), "nothing was asked");
    let (begin, end) = GET.split_at(9);
    talk.say(Client, begin);
    assert!(!talk.flow.is_answered_by(&talk.segment(Server, OK)));
    talk.say(Client, end);
    let response = talk.segment(Server, OK);
    assert!(talk.flow.is_answered_by(&response));
    // The server has received more than was seen.
    let late = Segment { acknowledged: response.acknowledged.wrapping_add(1), ..response };
    assert!(!talk.flow.is_answered_by(&late));
    assert!(!talk.say(Server, OK).flow.is_answered_by(&response), "it is sent again");
    talk.say(Client, GET).say(Client, GET);
    assert!(!talk.flow.is_answered_by(&talk.segment(Server, OK)), "another one follows");
}

#[test]
fn an_upgraded_one_is_never_known_again() {
    let mut talk = Talk::opened();
    talk.say(Client, GET).say(Server, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
    assert_eq!(talk.say(Client, GET).say(Server, OK).state(), None);
}
