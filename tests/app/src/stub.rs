//! Stands in for the image of a real stack: it listens where that one would, and does nothing else of what it does.

use std::process::ExitCode;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::config::Config;
use crate::server;

/// The image says which version it is. No stack has this name in its environment, as it may have `APP_VERSION`.
const VERSION: &str = "STUB_VERSION";

pub fn ports(text: &str) -> Result<Vec<u16>, String> {
    let words = text.split(',').filter(|word| !word.is_empty());
    words.map(|word| word.parse().map_err(|_| format!("{word:?} is no port"))).collect()
}

/// As most programs do, it takes a while until it listens.
const BOOT: Duration = Duration::from_secs(1);

/// Serves on all of them until a signal ends it. Fails when one of them cannot be had.
pub async fn serve(ports: Vec<u16>) -> ExitCode {
    let version = std::env::var(VERSION).unwrap_or_else(|_| "1".into());
    let mut all = JoinSet::new();
    for port in ports {
        all.spawn(server::serve(Config { boot: BOOT, ..Config::plain(port, version.clone()) }));
    }
    while let Some(ended) = all.join_next().await {
        match ended {
            Ok(code) if code == ExitCode::SUCCESS => {}
            _ => return ExitCode::FAILURE,
        }
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_numbers_between_commas() {
        assert_eq!(ports("80,443"), Ok(vec![80, 443]));
        assert_eq!(ports(""), Ok(vec![]));
        assert!(ports("80,http").is_err());
    }
}
