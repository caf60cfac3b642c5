//! What `docker zdd doctor` asks: versions, plugins, what images say of their containers.

use std::time::Duration;

use serde::Deserialize;

use super::{CallError, Docker, Explained, Problem, garbage};
use crate::{
    doctor::{Check, Image, Plugin},
    mask::mask,
};

impl Docker {
    /// The engine's version, or why it does not answer.
    ///
    /// # Errors
    /// The docker CLI itself does not answer.
    pub fn engine_version(&self) -> Result<Result<String, String>, CallError> {
        let call = self.call(["version", "--format", "{{json .}}"], self.quick());
        let answer = self.runner.answer(&call)?;
        Ok(match read_version(&answer.stdout) {
            Some(version) => Ok(version),
            None => Err(Explained::call(&self.runner.failed(&call, &answer)).message),
        })
    }

    /// The plugins of this name that docker found.
    pub fn plugins(&self, name: &str) -> Result<Vec<Plugin>, CallError> {
        let call = self.call(["info", "--format", "{{json .ClientInfo.Plugins}}"], self.quick());
        let answer = self.runner.answer(&call)?;
        read_plugins(&answer.stdout, name).map_err(|error| garbage(&call, error))
    }

    /// What the image says of its containers, if it is on the engine.
    pub fn image(&self, reference: &str) -> Result<Option<Image>, CallError> {
        let call = self.call(["image", "inspect", reference], self.quick());
        let answer = self.runner.answer(&call)?;
        if answer.code != 0 {
            let failed = self.runner.failed(&call, &answer);
            let missing =
                matches!(&failed.problem, Problem::Failed { stderr, .. } if stderr.contains("No such image"));
            return if missing { Ok(None) } else { Err(failed) };
        }
        read_image(&answer.stdout).map_err(|error| garbage(&call, error))
    }
}

/// The engine's version in `docker version`, which without an engine prints the client's half all the same.
pub fn read_version(text: &str) -> Option<String> {
    let versions: Versions = serde_json::from_str(text).unwrap_or_default();
    versions.server.map(|server| server.version)
}

/// The plugins of this name in `docker info`.
pub fn read_plugins(text: &str, name: &str) -> serde_json::Result<Vec<Plugin>> {
    let plugins: Option<Vec<RawPlugin>> = serde_json::from_str(text)?;
    let named = plugins.unwrap_or_default().into_iter().filter(|plugin| plugin.name == name);
    Ok(named.map(RawPlugin::plain).collect())
}

/// The first image in `docker image inspect`.
pub fn read_image(text: &str) -> serde_json::Result<Option<Image>> {
    let images: Vec<RawImage> = serde_json::from_str(text)?;
    Ok(images.into_iter().next().map(|image| image.config.unwrap_or_default().plain()))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Versions {
    server: Option<Server>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Server {
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawPlugin {
    #[serde(default)]
    name: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    version: String,
    shadowed_paths: Option<Vec<String>>,
    err: Option<serde_json::Value>,
}

impl RawPlugin {
    fn plain(self) -> Plugin {
        let error = self.err.map(|error| error.as_str().map_or_else(|| error.to_string(), mask));
        Plugin {
            path: self.path,
            version: self.version,
            shadowed: self.shadowed_paths.unwrap_or_default(),
            error: error.unwrap_or_default(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawImage {
    config: Option<RawConfig>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawConfig {
    healthcheck: Option<RawCheck>,
    stop_signal: Option<String>,
}

impl RawConfig {
    fn plain(self) -> Image {
        let healthcheck = self.healthcheck.and_then(RawCheck::plain);
        Image { healthcheck, stop_signal: self.stop_signal.filter(|signal| !signal.is_empty()) }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawCheck {
    test: Option<Vec<String>>,
    /// Nanoseconds, 0 for what is not written.
    interval: u64,
    timeout: u64,
    retries: u32,
    start_period: u64,
    start_interval: u64,
}

impl RawCheck {
    fn plain(self) -> Option<Check> {
        let test = self.test.unwrap_or_default();
        let time = |nanos: u64| Some(Duration::from_nanos(nanos)).filter(|time| !time.is_zero());
        test.first().filter(|first| *first != "NONE").map(|_| Check {
            interval: time(self.interval),
            timeout: time(self.timeout),
            retries: Some(self.retries).filter(|n| *n > 0),
            start_period: time(self.start_period),
            start_interval: time(self.start_interval),
        })
    }
}
