//! Follows HTTP/1.x on a connection that others speak on: whether every request has its complete response. Nothing is
//! kept of what they say, and nothing is guessed: what is not clear is unknown.

mod body;
mod close;
mod head;
#[cfg(test)]
mod tests;

use body::Body;
pub use close::ask_to_close;
use head::{Framing, Head, Reply};
use std::collections::VecDeque;

/// Requests that are sent before the first of them is answered. No client is known to send more.
const MOST_PIPELINED: usize = 100;

/// Why a connection is no longer followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// It may be HTTP/1.x, or not.
    Unknown,
    /// No request follows on it, or none that is HTTP/1.x: it was upgraded, is a tunnel, or ends with its response.
    Forever,
}

/// Of a request, as far as the length of its response depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    Head,
    Connect,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// No request has come.
    Unused,
    /// A request or its response is not complete.
    Busy,
    /// Every request has its response.
    Between,
}

enum Part {
    Head(Head),
    Body(Body),
}

/// What both sides have said, from a moment on in which no request was on its way.
pub struct Exchange {
    request: Part,
    response: Part,
    /// Not yet answered, in order.
    asked: VecDeque<Method>,
    is_used: bool,
}

impl Method {
    fn of(line: &[u8]) -> Method {
        match line {
            [b'H', b'E', b'A', b'D', b' ', ..] => Method::Head,
            [b'C', b'O', b'N', b'N', b'E', b'C', b'T', b' ', ..] => Method::Connect,
            _ => Method::Other,
        }
    }
}

/// Whether these bytes can be the first ones of a request: a method, and a space.
pub fn may_begin_request(bytes: &[u8]) -> bool {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-').count();
    (3..=32).contains(&length) && bytes.get(length) == Some(&b' ')
}

impl Part {
    const NEXT: Part = Part::Head(Head::NEW);

    fn is_next(&self) -> bool {
        matches!(self, Part::Head(head) if head.is_empty())
    }

    fn after_head(framing: Framing) -> Part {
        Body::new(framing).map_or(Part::NEXT, Part::Body)
    }

    /// Reads up to the end of this part: how many bytes, and whether it was reached.
    fn read(&mut self, bytes: &[u8]) -> Result<(usize, bool), Lost> {
        match self {
            Part::Head(head) => head.read(bytes),
            Part::Body(body) => body.read(bytes),
        }
    }
}

impl Exchange {
    pub fn new() -> Self {
        Self { request: Part::NEXT, response: Part::NEXT, asked: VecDeque::new(), is_used: false }
    }

    pub fn state(&self) -> State {
        match (self.request.is_next(), self.response.is_next(), self.asked.is_empty()) {
            (true, true, true) if self.is_used => State::Between,
            (true, true, true) => State::Unused,
            _ => State::Busy,
        }
    }

    /// Whether what the server says next is the response to the only request that is under way.
    pub fn awaits_last(&self) -> bool {
        self.request.is_next() && self.response.is_next() && self.asked == [Method::Other]
    }

    /// The client has said this.
    pub fn asks(&mut self, mut bytes: &[u8]) -> Result<(), Lost> {
        self.is_used |= !bytes.is_empty();
        while !bytes.is_empty() {
            let (used, is_over) = self.request.read(bytes)?;
            bytes = &bytes[used..];
            if is_over {
                self.request = self.after_request()?;
            }
        }
        Ok(())
    }

    fn after_request(&mut self) -> Result<Part, Lost> {
        let Part::Head(head) = &self.request else { return Ok(Part::NEXT) };
        let (method, framing) = head.request()?;
        if self.asked.len() >= MOST_PIPELINED {
            return Err(Lost::Unknown);
        }
        self.asked.push_back(method);
        Ok(Part::after_head(framing))
    }

    /// The server has said this.
    pub fn answers(&mut self, mut bytes: &[u8]) -> Result<(), Lost> {
        while !bytes.is_empty() {
            if self.response.is_next() && self.asked.is_empty() {
                return Err(Lost::Unknown);
            }
            let (used, is_over) = self.response.read(bytes)?;
            bytes = &bytes[used..];
            if is_over {
                self.response = self.after_response()?;
            }
        }
        Ok(())
    }

    fn after_response(&mut self) -> Result<Part, Lost> {
        if let Part::Head(head) = &self.response {
            let method = *self.asked.front().ok_or(Lost::Unknown)?;
            match head.response(method)? {
                Reply::Interim => return Ok(Part::NEXT),
                Reply::Final(Framing::Endless) => return Err(Lost::Forever),
                Reply::Final(framing) => {
                    if let Some(body) = Body::new(framing) {
                        return Ok(Part::Body(body));
                    }
                }
            }
        }
        self.asked.pop_front();
        Ok(Part::NEXT)
    }
}
