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
        masked += &without_port(head);
        let user = user(tail);
        masked += &hide(head, &tail[..user]);
        rest = &tail[user..];
    }
    masked + &without_port(rest)
}

/// Where the user part ends, at an `@`; 0 when there is none.
fn user(tail: &str) -> usize {
    let authority = tail.find(ends_authority).unwrap_or(tail.len());
    // As browsers and curl read it: an unescaped @ in a password belongs to the password.
    let user = tail[..authority].rfind('@');
    user.or_else(|| broken_user(tail, authority)).unwrap_or(0)
}

/// The same where the password holds what ends an authority: nobody can read such an address, and whoever says so
/// shows it. What stands behind the colon must not be a port.
fn broken_user(tail: &str, authority: usize) -> Option<usize> {
    let host = &tail[..authority];
    let name = host.find(']').filter(|_| host.starts_with('[')).unwrap_or(0);
    let (_, port) = host[name..].split_once(':')?;
    let end = tail.find(ends_address).unwrap_or(tail.len());
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    tail[authority..end.max(authority)].rfind('@').filter(|_| !is_port).map(|at| authority + at)
}

fn ends_authority(c: char) -> bool {
    ends_address(c) || matches!(c, '/' | '?' | '#')
}

fn ends_address(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '\\')
}

fn hide(head: &str, user: &str) -> String {
    let web = head.ends_with("http://") || head.ends_with("https://");
    match user.split_once(':') {
        Some((name, _)) => format!("{name}:{HIDDEN}"),
        None if web && !user.is_empty() => HIDDEN.to_owned(),
        None => user.to_owned(),
    }
}

/// Go takes a password that it cannot read for a port: `invalid port ":s3c" after host`.
fn without_port(text: &str) -> String {
    const BEFORE: &str = "invalid port \":";
    const AFTER: &str = "\" after host";
    let mut parts = text.split(BEFORE);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| {
        let hidden = part.find(AFTER).map(|end| format!("{HIDDEN}{}", &part[end..]));
        shown + BEFORE + &hidden.unwrap_or_else(|| part.to_owned())
    })
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
    fn a_password_that_ends_the_authority_is_hidden() {
        for (text, shown) in [
            ("postgres://app:ge/heim@db:5432/shop", "postgres://app:***@db:5432/shop"),
            ("postgres://app:ge?he@im@db and a@b", "postgres://app:***@db and a@b"),
            ("redis://:#geheim@db/0", "redis://:***@db/0"),
            (
                "parse \"postgres://app:ge/heim@db:5432/shop\": invalid port \":ge\" after host",
                "parse \"postgres://app:***@db:5432/shop\": invalid port \":***\" after host",
            ),
            (
                "invalid port \":ge\"\": invalid port \":he\" after host",
                "invalid port \":ge\"\": invalid port \":***\" after host",
            ),
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
            "http://prod:80/a@b",
            "http://prod/x:y@z",
            "http://prod?to=a:b@c",
            "http://[::1]/a@b",
            "http://[::1]:80/a@b",
            "http://prod:web/a and b@c",
            "\"http://prod:web\", \"b@c\"",
            "invalid port \":",
        ] {
            assert_eq!(mask(text), text);
        }
    }
}
