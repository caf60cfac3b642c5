//! Where the requests go: this machine, or nowhere.

use std::io::{Error, ErrorKind, Result as IoResult};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail, ensure};
use hyper::Uri;
use tokio::net::{TcpStream, lookup_host};

/// A URL that has been found to be on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    place: Place,
    /// For the `Host` header, as written in the URL.
    pub host: String,
    /// What follows the host: path and query.
    pub path: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Place {
    Fixed(SocketAddr),
    /// A container's name and a port.
    Named(String, u16),
}

impl Target {
    /// Refuses anything but plain HTTP to a loopback address. A name is never looked up, so nothing but the
    /// text of the URL decides: `localhost` is 127.0.0.1.
    pub fn parse(url: &str) -> Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url:?} is not a URL"))?;
        ensure!(uri.scheme_str() == Some("http"), "{url:?}: want a URL that starts with http://");
        let host = uri.host().unwrap_or_default();
        let place = Place::Fixed(SocketAddr::new(loopback(host)?, uri.port_u16().unwrap_or(80)));
        Ok(Self::at(place, &uri))
    }

    /// For a client in a container: a bare name without a dot, which the engine's name server alone can know. It is
    /// looked up for every connection, and its address must be one of a private network.
    pub fn neighbour(url: &str) -> Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url:?} is not a URL"))?;
        ensure!(uri.scheme_str() == Some("http"), "{url:?}: want a URL that starts with http://");
        let host = uri.host().unwrap_or_default();
        let is_bare = !host.is_empty() && !host.contains(['.', ':']);
        ensure!(is_bare, "refused: {host:?} is no bare name of a container");
        Ok(Self::at(Place::Named(host.to_owned(), uri.port_u16().unwrap_or(80)), &uri))
    }

    fn at(place: Place, uri: &Uri) -> Self {
        let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Self { place, host: text(uri.authority().map(|it| it.as_str())), path: path.to_owned() }
    }

    pub async fn connect(&self) -> IoResult<TcpStream> {
        match &self.place {
            Place::Fixed(address) => TcpStream::connect(address).await,
            Place::Named(name, port) => {
                let address = private(name, *port).await?;
                let at = |error: Error| Error::new(error.kind(), format!("{error} at {address}"));
                TcpStream::connect(address).await.map_err(at)
            }
        }
    }
}

async fn private(name: &str, port: u16) -> IoResult<SocketAddr> {
    let found = lookup_host((name, port)).await?;
    let is_private = |address: &SocketAddr| matches!(address.ip(), IpAddr::V4(ip) if ip.is_private());
    let refused = || Error::new(ErrorKind::PermissionDenied, format!("{name} has no private address"));
    found.into_iter().find(is_private).ok_or_else(refused)
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
            assert_eq!(target.place, Place::Fixed(address.parse().unwrap()), "{url}");
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
    fn a_neighbour_has_a_bare_name() {
        let target = Target::neighbour("http://web:8080/a").unwrap();
        assert_eq!(target.place, Place::Named("web".into(), 8080));
        assert_eq!((target.host.as_str(), target.path.as_str()), ("web:8080", "/a"));
        for url in ["http://example.com/", "http://192.0.2.1/", "http://[::1]/", "https://web/", "http://"] {
            assert!(Target::neighbour(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_host_header_is_what_the_url_says() {
        let target = Target::parse("http://localhost:8080/").unwrap();
        assert_eq!(target.host, "localhost:8080");
    }
}
