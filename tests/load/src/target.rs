//! Where the requests go: this machine, or nowhere.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail, ensure};
use hyper::Uri;

/// A URL that has been found to be on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub address: SocketAddr,
    /// For the `Host` header, as written in the URL.
    pub host: String,
    /// What follows the host: path and query.
    pub path: String,
}

impl Target {
    /// Refuses anything but plain HTTP to a loopback address. A name is never looked up, so nothing but the
    /// text of the URL decides: `localhost` is 127.0.0.1.
    pub fn parse(url: &str) -> Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url:?} is not a URL"))?;
        ensure!(uri.scheme_str() == Some("http"), "{url:?}: want a URL that starts with http://");
        let host = uri.host().unwrap_or_default();
        let address = SocketAddr::new(loopback(host)?, uri.port_u16().unwrap_or(80));
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            address,
            host: uri.authority().map_or(host, |it| it.as_str()).to_owned(),
            path: path.to_owned(),
        })
    }
}

fn loopback(host: &str) -> Result<IpAddr> {
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() => Ok(address),
        _ => bail!(
            "refused: this load client only sends to the machine it runs on, and the host {host:?} is not \
             127.0.0.0/8, localhost or [::1]"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_accepted_in_all_its_spellings() {
        let accepted = [
            ("http://127.0.0.1", "127.0.0.1:80", "/"),
            ("http://127.8.9.10:81/a?b=c", "127.8.9.10:81", "/a?b=c"),
            ("http://localhost:8080/", "127.0.0.1:8080", "/"),
            ("http://LOCALHOST/x", "127.0.0.1:80", "/x"),
            ("http://[::1]:8080/", "[::1]:8080", "/"),
        ];
        for (url, address, path) in accepted {
            let target = Target::parse(url).unwrap();
            assert_eq!(target.address, address.parse().unwrap(), "{url}");
            assert_eq!(target.path, path, "{url}");
        }
    }

    #[test]
    fn any_other_machine_is_refused() {
        let refused = [
            "http://192.0.2.1/",
            "http://example.com/",
            "http://127.0.0.1.example.com/",
            "http://127.0.0.1@example.com/",
            "http://localhost.example.com:80/",
            "http://0.0.0.0/",
            "http://[::]/",
            "http://[::ffff:192.0.2.1]/",
            "http://128.0.0.1/",
        ];
        for url in refused {
            let sentence = Target::parse(url).unwrap_err().to_string();
            assert!(sentence.starts_with("refused: "), "{url}: {sentence}");
        }
    }

    #[test]
    fn what_is_not_plain_http_is_refused() {
        for url in ["https://127.0.0.1/", "127.0.0.1:80", "/path", "http://", ""] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_host_header_is_what_the_url_says() {
        let target = Target::parse("http://localhost:8080/").unwrap();
        assert_eq!(target.host, "localhost:8080");
    }
}
