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
    /// The version of the machine's kernel.
    pub kernel: String,
    pub kind: Kind,
}

/// How an engine is connected with the network of its machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Docker,
    /// It runs as an ordinary user, by way of rootlesskit.
    Rootless,
    /// It speaks Docker's language on its socket.
    Podman,
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
        kernel: word("KernelVersion").unwrap_or_default(),
        kind: kind(&versions["Server"]["Components"]),
    })
}

fn kind(components: &Value) -> Kind {
    let has = |name: &str| list(components).any(|part| part["Name"] == name);
    match () {
        () if has("Podman Engine") => Kind::Podman,
        () if has("rootlesskit") => Kind::Rootless,
        () => Kind::Docker,
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The plugins of this name in `docker info`.
pub fn read_plugins(text: &str, name: &str) -> serde_json::Result<Vec<Plugin>> {
    let plugins: Option<Vec<Value>> = serde_json::from_str(text)?;
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let plugin = |value: &Value| Plugin {
        path: word(&value["Path"]),
        version: word(&value["Version"]),
        shadowed: list(&value["ShadowedPaths"]).map(word).collect(),
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

#[cfg(test)]
mod tests {
    use super::{Kind, read_server};

    /// As Docker 28.5, the same by rootlesskit, and Podman 5.8 answer.
    #[test]
    fn engines_by_their_parts() {
        let kind = |parts: &[&str]| {
            let parts: Vec<_> = parts.iter().map(|name| serde_json::json!({ "Name": name })).collect();
            let version = serde_json::json!({ "Server": { "Version": "28.5.2", "Components": parts } });
            read_server(&version.to_string()).unwrap().kind
        };
        assert_eq!(kind(&["Engine", "containerd", "runc", "docker-init"]), Kind::Docker);
        assert_eq!(kind(&["Engine", "containerd", "rootlesskit", "slirp4netns"]), Kind::Rootless);
        assert_eq!(kind(&["Podman Engine", "Conmon", "OCI Runtime (runc)", "Engine"]), Kind::Podman);
    }
}
