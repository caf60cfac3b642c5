//! Asks an HTTP/1.1 client not to use its connection again, by a header in the answer. That is better than ending the
//! connection when it is quiet: no request can cross it.

const VERSION: &[u8] = b"HTTP/1.1 ";
const CLOSE: &[u8] = b"Connection: close\r\n";

/// The beginning of an answer with the header, when it is one of HTTP/1.1 that is final.
pub fn closing(begin: &[u8]) -> Option<Vec<u8>> {
    let status = begin.strip_prefix(VERSION)?;
    // 1xx: another answer follows, or another protocol.
    if !matches!(status.first(), Some(b'2'..=b'5')) {
        return None;
    }
    let line = begin.windows(2).position(|two| two == b"\r\n")? + 2;
    Some([&begin[..line], CLOSE, &begin[line..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_gets_the_header() {
        let answer = closing(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
        assert_eq!(answer, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
    }

    #[test]
    fn all_else_is_left_as_it_is() {
        for begin in [
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n",
            "HTTP/1.0 200 OK\r\n",
            "HTTP/1.1 200 O",
            "HTTP/1.1 ",
            "220 mail\r\n",
            "",
        ] {
            assert_eq!(closing(begin.as_bytes()), None, "{begin}");
        }
    }
}
