//! Asks a client not to use a connection again: `Connection: close` in a response that is about to leave, in the place of
//! a field that says nothing about what it carries. Its length stays what it is.

use std::ops::Range;

const CLOSE: &[u8] = b"Connection: close";
/// In the order in which one is done without: proxies and clients set their own `Date` where there is none.
const DISPENSABLE: [&[u8]; 4] = [b"keep-alive", b"server", b"x-powered-by", b"date"];

/// Whether the response that begins here asks to close now. Its head must be whole.
pub fn ask_to_close(response: &mut [u8]) -> bool {
    let line = dispensable(response);
    if let Some(line) = line.clone() {
        let (close, rest) = response[line].split_at_mut(CLOSE.len());
        close.copy_from_slice(CLOSE);
        // White space after a value means nothing (RFC 9112, 5).
        rest.fill(b' ');
    }
    line.is_some()
}

/// The line that can be replaced, without its end.
fn dispensable(response: &[u8]) -> Option<Range<usize>> {
    let is_final = response.starts_with(b"HTTP/1.1 ") && (b'2'..=b'5').contains(response.get(9)?);
    let mut best: Option<(usize, Range<usize>)> = None;
    let mut begin = 0;
    loop {
        let length = response.get(begin..)?.windows(2).position(|two| two == b"\r\n")?;
        let line = begin..begin + length;
        if length == 0 {
            return best.filter(|_| is_final).map(|(_, line)| line);
        }
        let found = rank(&response[line.clone()])?;
        if found < best.as_ref().map_or(UNFIT, |(rank, _)| *rank) {
            best = Some((found, line));
        }
        begin += length + 2;
    }
}

const UNFIT: usize = usize::MAX;

/// The lower, the better; `None` when the response says something of its connection that is not to be overwritten.
fn rank(line: &[u8]) -> Option<usize> {
    let colon = line.iter().position(|byte| *byte == b':').unwrap_or(0);
    let (name, value) = (&line[..colon], line[colon..].trim_ascii_start());
    if name.eq_ignore_ascii_case(b"connection") {
        return value[1..].trim_ascii().eq_ignore_ascii_case(b"keep-alive").then_some(0);
    }
    let at = DISPENSABLE.iter().position(|dispensable| name.eq_ignore_ascii_case(dispensable));
    Some(at.filter(|_| line.len() >= CLOSE.len()).map_or(UNFIT, |at| at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(response: &str) -> Option<String> {
        let mut bytes = response.as_bytes().to_vec();
        let asked = ask_to_close(&mut bytes).then(|| String::from_utf8(bytes.clone()).unwrap());
        assert_eq!(bytes.len(), response.len());
        assert!(asked.is_some() || bytes == response.as_bytes());
        asked
    }

    #[test]
    fn the_least_important_field_makes_room() {
        let date = "Date: Sun, 29 Nov 2026 10:05:00 GMT";
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{date}\r\nETag: x\r\n\r\nhi");
        let expected = format!("{:35}", "Connection: close");
        assert_eq!(asked(&response), Some(response.replace(date, &expected)));
        let response = format!("HTTP/1.1 404 No\r\n{date}\r\nserver: a long name indeed\r\n\r\n");
        assert_eq!(
            asked(&response).unwrap(),
            response.replace("server: a long name indeed", &expected[..26])
        );
        let response = format!("HTTP/1.1 200 OK\r\n{date}\r\nconnection:keep-Alive\r\n\r\n");
        assert_eq!(asked(&response).unwrap(), response.replace("connection:keep-Alive", &expected[..21]));
    }

    #[test]
    fn nothing_is_changed_where_there_is_no_room_or_it_is_said_otherwise() {
        let date = "Date: Sun, 29 Nov 2026 10:05:00 GMT";
        for response in [
            "",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n",
            &format!("HTTP/1.1 200 OK\r\n{date}\r\n"),
            &format!("HTTP/1.1 100 Continue\r\n{date}\r\n\r\n"),
            &format!("HTTP/1.1 101 Switching\r\n{date}\r\n\r\n"),
            &format!("HTTP/1.0 200 OK\r\n{date}\r\n\r\n"),
            &format!("HTTP/1.1 426 No\r\nConnection: upgrade\r\n{date}\r\n\r\n"),
            &format!("HTTP/1.1 200 OK\r\n{date}\r\nConnection: close\r\n\r\n"),
            // In the body.
            &format!("HTTP/1.1 200 OK\r\n\r\n{date}\r\n\r\n"),
        ] {
            assert_eq!(asked(response), None, "{response}");
        }
    }
}
