//! One request at a time, as a visitor sends it: a new connection each, straight to the address, no redirect
//! followed, the answer read to its end. The only user of `ureq`.

use std::{
    io::{self, ErrorKind, Read},
    time::Duration,
};

use ureq::{
    Agent, Error,
    tls::{RootCerts, TlsConfig},
};

use crate::{project::Probe, text::duration};

/// An answer longer than this is good when so much of it came.
const LONGEST_BODY: u64 = 4 << 20;

pub struct Client {
    agent: Agent,
    probe: Probe,
}

impl Client {
    pub fn new(probe: &Probe) -> Client {
        // What the machine trusts, as every other client on it does: internal authorities too.
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(probe.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .proxy(None)
            .user_agent(concat!("docker-zdd/", env!("CARGO_PKG_VERSION"), " (probe)"))
            .build();
        Client { agent: config.into(), probe: probe.clone() }
    }

    /// # Errors
    /// Why it was no answer as it should be, in a few words that hold nothing of the address.
    pub fn ask(&self) -> Result<(), String> {
        let answer = self.agent.get(self.probe.url.secret()).call();
        let mut answer = answer.map_err(|error| words(&error, self.probe.timeout))?;
        let status = answer.status().as_u16();
        if !self.probe.expect.holds(status) {
            return Err(format!("status {status}"));
        }
        let body = answer.body_mut().as_reader();
        match io::copy(&mut body.take(LONGEST_BODY), &mut io::sink()) {
            Ok(_) => Ok(()),
            Err(error) => Err(words(&Error::from(error), self.probe.timeout)),
        }
    }
}

fn words(error: &Error, timeout: Duration) -> String {
    match error {
        Error::Timeout(_) => format!("no answer within {}", duration::show(timeout)),
        Error::Io(error) => match error.kind() {
            ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            ErrorKind::ConnectionReset => "connection reset".to_owned(),
            ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => "the answer was cut".to_owned(),
            _ => error.to_string(),
        },
        Error::HostNotFound => "host not found".to_owned(),
        // Its text is the address.
        Error::BadUri(_) => "bad address".to_owned(),
        Error::Protocol(_) => format!("no proper answer ({error})"),
        _ => error.to_string(),
    }
}
