//! One connection, put together from its segments.

#[cfg(test)]
mod tests;

use super::packet::{Segment, Side};
use crate::diag::Times;
use crate::http::{Exchange, Lost, State, may_begin_request};
use std::cmp::Ordering;
use std::net::IpAddr;

/// A connection on which so long ago something happened is not just being counted.
const SETTLED_MS: u32 = 2;

enum Speech {
    /// Not HTTP/1.x as far as is known, or a part of it was missed. The next request is a known point, if the server has
    /// spoken last before it.
    Unknown,
    Http(Box<Exchange>),
    /// No request will follow on it, or none that could be told from other data.
    Forever,
}

/// The sequence numbers of the client's and the server's next byte, less what the kernel has counted up to it.
type Offsets = [u32; 2];

/// Sequence numbers wrap around; those of one connection at one time are less than 2 GiB apart.
pub struct Flow {
    /// The address that was asked for, as packets show it. The kernel's list shows the container's own instead.
    local: Option<IpAddr>,
    /// The sequence number of the next byte that the client says.
    client: Option<u32>,
    server: Option<u32>,
    offsets: Option<Offsets>,
    /// The offsets are those of the whole connection, however much of it is missed.
    is_counted: bool,
    last: Option<Side>,
    /// How far it is could not be said when it was asked for.
    missed: bool,
    speech: Speech,
}

impl Flow {
    /// One that was there before it was watched. `last` is who has spoken last, where that is known.
    pub fn new(last: Option<Side>) -> Self {
        Self {
            local: None,
            client: None,
            server: None,
            offsets: None,
            is_counted: false,
            last,
            missed: false,
            speech: Speech::Unknown,
        }
    }

    pub fn observe(&mut self, segment: &Segment) {
        if segment.is_first() {
            self.open(segment);
        } else if segment.length > 0 {
            if *self.local.get_or_insert(segment.local) != segment.local {
                // Another connection from the same port, that asks for another address: to the kernel they are one, so
                // that only one of them is open. That may be the one from before, of which nothing is known any more.
                *self = Self { local: Some(segment.local), ..Self::new(Some(Side::Client)) };
            }
            self.add(segment);
        }
    }

    /// Whether the response to the only request that is under way begins with this segment, which is about to leave, and
    /// all that the server has received is known.
    pub fn is_answered_by(&self, segment: &Segment) -> bool {
        let awaits = matches!(&self.speech, Speech::Http(exchange) if exchange.awaits_last());
        awaits && self.server == Some(segment.sequence) && self.client == Some(segment.acknowledged)
    }

    /// Whether its client has asked for another address than the server's own, from which this segment leaves.
    pub fn is_taken_by(&self, segment: &Segment) -> bool {
        self.local.is_some_and(|asked| asked != segment.local)
    }

    /// It may be HTTP/1.x, but how far it is cannot be said.
    pub fn has_missed(&self) -> bool {
        self.missed
    }

    fn open(&mut self, segment: &Segment) {
        let next = segment.sequence.wrapping_add(1);
        let begin =
            self.offsets.filter(|_| self.is_counted).map(|of| of[usize::from(segment.by == Side::Server)]);
        if begin == Some(next) && Some(segment.local) == self.local {
            // It was sent again.
            return;
        }
        *self = Self { local: Some(segment.local), ..Self::new(None) };
        match segment.by {
            Side::Client => self.client = Some(next),
            Side::Server => {
                (self.client, self.server) = (Some(segment.acknowledged), Some(next));
                self.offsets = Some([segment.acknowledged, next]);
                self.is_counted = true;
                self.speech = Speech::Http(Box::new(Exchange::new()));
            }
        }
    }

    fn add(&mut self, segment: &Segment) {
        let end = segment.sequence.wrapping_add(segment.length);
        let next = match segment.by {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        };
        let expected = next.unwrap_or(segment.sequence);
        if ahead(end, expected) != Ordering::Greater {
            // It was seen before.
            return;
        }
        *next = Some(end);
        let seen = expected.wrapping_sub(segment.sequence) as usize;
        let is_gap = ahead(segment.sequence, expected) == Ordering::Greater;
        match segment.data.get(seen..).filter(|_| !is_gap && segment.is_whole()) {
            Some(data) => self.hear(segment, data),
            None => self.lose(Lost::Unknown),
        }
        self.last = Some(segment.by);
    }

    fn hear(&mut self, segment: &Segment, data: &[u8]) {
        if matches!(self.speech, Speech::Unknown) && self.is_known_point(segment, data) {
            self.server = Some(segment.acknowledged);
            self.speech = Speech::Http(Box::new(Exchange::new()));
        }
        let Speech::Http(exchange) = &mut self.speech else { return };
        let result = match segment.by {
            Side::Client => exchange.asks(data),
            Side::Server => exchange.answers(data),
        };
        if let Err(lost) = result {
            self.lose(lost);
        }
    }

    /// Whether a request begins here, and the client has had all that the server has said before it.
    fn is_known_point(&self, segment: &Segment, data: &[u8]) -> bool {
        let has_all = self.server.is_none_or(|next| ahead(segment.acknowledged, next) != Ordering::Less);
        let is_turn = segment.by == Side::Client && self.last != Some(Side::Client);
        is_turn && has_all && data.len() == segment.data.len() && may_begin_request(data)
    }

    fn lose(&mut self, lost: Lost) {
        match (&self.speech, lost) {
            (Speech::Forever, _) | (_, Lost::Forever) => self.speech = Speech::Forever,
            (_, Lost::Unknown) => self.speech = Speech::Unknown,
        }
    }

    /// Packets were dropped, of whatever connections. A gap is noticed where others follow; where none do, the kernel's
    /// counts tell, if it is known what they count from.
    pub fn doubt(&mut self) {
        if !self.is_counted {
            (self.last, self.offsets) = (Some(Side::Client), None);
            self.lose(Lost::Unknown);
        }
    }

    /// How far it is, when the kernel has counted the same: what was counted must have been read before the last segments
    /// were.
    pub fn state(&mut self, times: &Times) -> Option<State> {
        let Speech::Http(exchange) = &self.speech else {
            self.missed = matches!(self.speech, Speech::Unknown);
            return None;
        };
        let state = exchange.state();
        let counts = [times.bytes_received as u32, times.bytes_acked as u32];
        let (Some(client), Some(server)) = (self.client, self.server) else { return Some(State::Busy) };
        let offsets = [client.wrapping_sub(counts[0]), server.wrapping_sub(counts[1])];
        let agrees = self.offsets == Some(offsets);
        if !self.is_counted && times.sent.min(times.received) >= SETTLED_MS {
            // Twice the same is no coincidence.
            (self.is_counted, self.offsets) = (agrees, Some(offsets));
        }
        self.missed = !agrees;
        Some(if agrees { state } else { State::Busy })
    }
}

/// How a sequence number relates to another one (RFC 9293, 3.4).
fn ahead(number: u32, other: u32) -> Ordering {
    (number.wrapping_sub(other) as i32).cmp(&0)
}
