//! What `docker zdd doctor` asks: versions, plugins, what images say of their containers.

use serde_json::Value;

use super::{CallError, Docker, Explained, Healthcheck, Problem, garbage, mask};

/// One plugin as `docker info` lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plugin {
    pub path: String,
    pub version: String,
    /// Files of the same name in places that docker looks at later.
    pub shadowed: Vec<String>,
    /// Why docker does not take it; empty when it does.
    pub error: String,
}

/// The engine's side of `docker version`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    pub version: String,
    /// `linux`
    pub os: String,
    /// `amd64`
    pub arch: String,
}

/// What an image says of its containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    pub healthcheck: Option<Healthcheck>,
    pub stop_signal: Option<String>,
}

impl Docker {
    /// The engine, or why it does not answer.
    ///
    /// # Errors
    /// The docker CLI itself does not answer.
    pub fn server(&self) -> Result<Result<Server, String>, CallError> {
        let call = self.call(["version", "--format", "{{json .}}"], self.quick());
        let answer = self.runner.answer(&call)?;
        let why = || Explained::call(&self.runner.failed(&call, &answer)).message;
        Ok(read_server(&answer.stdout).ok_or_else(why))
    }

    /// The name of the machine that the engine runs on.
    pub fn engine_name(&self) -> Result<String, CallError> {
        let name = self.runner.run(&self.call(["info", "--format", "{{.Name}}"], self.quick()))?;
        Ok(name.trim().to_owned())
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

/// The engine in `docker version`, which without an engine prints the client's half all the same.
pub fn read_server(text: &str) -> Option<Server> {
    let versions: Value = serde_json::from_str(text).ok()?;
    let word = |key: &str| versions["Server"][key].as_str().map(str::to_owned);
    Some(Server {
        version: word("Version")?,
        os: word("Os").unwrap_or_default(),
        arch: word("Arch").unwrap_or_default(),
    })
}

/// The plugins of this name in `docker info`.
pub fn read_plugins(text: &str, name: &str) -> serde_json::Result<Vec<Plugin>> {
    let plugins: Option<Vec<Value>> = serde_json::from_str(text)?;
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let plugin = |value: &Value| Plugin {
        path: word(&value["Path"]),
        version: word(&value["Version"]),
        shadowed: value["ShadowedPaths"].as_array().into_iter().flatten().map(word).collect(),
        error: match &value["Err"] {
            Value::Null => String::new(),
            error => error.as_str().map_or_else(|| error.to_string(), mask),
        },
    };
    Ok(plugins.iter().flatten().filter(|value| value["Name"] == name).map(plugin).collect())
}

/// The first image in `docker image inspect`.
pub fn read_image(text: &str) -> serde_json::Result<Option<Image>> {
    let images: Vec<Value> = serde_json::from_str(text)?;
    Ok(images.first().map(|image| Image {
        healthcheck: Healthcheck::from_inspect(&image["Config"]["Healthcheck"]),
        stop_signal: image["Config"]["StopSignal"].as_str().filter(|s| !s.is_empty()).map(str::to_owned),
    }))
}
