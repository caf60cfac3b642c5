//! Passwords in URLs are shown as `***`, wherever the text comes from: a user's own flag, a message of the engine,
//! a build's output, a container's last words.

/// Stands in place of a password.
const HIDDEN: &str = "***";

/// Replaces the password in every `scheme://user:password@host`, and the whole user part in `scheme://token@host`
/// of a web address, where it is one.
pub fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        masked += head;
        // As browsers and curl read it: an unescaped @ in a password belongs to the password.
        let authority = tail.find(ends_authority).unwrap_or(tail.len());
        let user = tail[..authority].rfind('@').unwrap_or(0);
        masked += &hide(head, &tail[..user]);
        rest = &tail[user..];
    }
    masked + rest
}

fn ends_authority(c: char) -> bool {
    c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>' | '`' | '\\')
}

fn hide(head: &str, user: &str) -> String {
    let web = head.ends_with("http://") || head.ends_with("https://");
    match user.split_once(':') {
        Some((name, _)) => format!("{name}:{HIDDEN}"),
        None if web && !user.is_empty() => HIDDEN.to_owned(),
        None => user.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hidden() {
        for (text, shown) in [
            ("tcp://anna:geheim@prod:2375", "tcp://anna:***@prod:2375"),
            ("-H tcp://anna:ge:h@eim@prod zdd", "-H tcp://anna:***@prod zdd"),
            ("Get \"http://:geheim@prod/v1\": EOF", "Get \"http://:***@prod/v1\": EOF"),
            ("clone https://ghp_123@host/a.git", "clone https://***@host/a.git"),
            ("a://b:c@d and e://f:g@h", "a://b:***@d and e://f:***@h"),
            ("postgres://app:geheim@db/shop?x=y@z", "postgres://app:***@db/shop?x=y@z"),
        ] {
            assert_eq!(mask(text), shown);
        }
    }

    #[test]
    fn anything_else_stays() {
        for text in [
            "",
            "ssh://anna@prod",
            "http://prod:2375/v1",
            "a: b@c",
            "unix:///var/run/docker.sock",
            "://",
            "mail anna@example.org: see http://prod/",
        ] {
            assert_eq!(mask(text), text);
        }
    }
}
