//! Configs and secrets: objects of Swarm, named by their content, so that a change of it is an ordinary rollout.

use std::{collections::BTreeSet, fmt};

use serde_json::{Value, json};

use super::{
    Misfit, Options, Stack, StackService, keys, networks::external, service::Draft, text::sha256, walk::Walk,
};
use crate::{engine::config::undollar, project::Document};

/// Digits of the hash in a name.
const DIGITS: usize = 12;
/// The longest name that Swarm takes (`manager/controlapi/common.go` of swarmkit).
const LONGEST_NAME: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Config,
    Secret,
}

impl Kind {
    /// As the Docker CLI calls it: `docker config create`.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Config => "config",
            Kind::Secret => "secret",
        }
    }

    pub fn section(self) -> &'static str {
        match self {
            Kind::Config => "configs",
            Kind::Secret => "secrets",
        }
    }

    /// Swarm takes less than this (`MaxConfigSize`, `MaxSecretSize` of swarmkit).
    pub fn limit(self) -> usize {
        match self {
            Kind::Config => 1000 * 1024,
            Kind::Secret => 500 * 1024,
        }
    }
}

/// What nobody may read in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// A file of this machine.
#[derive(Clone, Debug)]
pub struct SourceFile {
    pub bytes: Bytes,
    /// Somebody may run it.
    pub executable: bool,
}

/// An object to be made, unless it is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub kind: Kind,
    /// `shop_site_0123456789ab`
    pub name: String,
    /// `KEY=VALUE`, those of the stack among them, so that `docker stack rm` finds it.
    pub labels: Vec<(String, String)>,
    pub template_driver: Option<String>,
    pub bytes: Bytes,
}

impl Draft<'_> {
    /// An executable file stays one: under Compose it has its own mode in the container.
    pub(super) fn referring(&mut self) {
        for section in ["configs", "secrets"] {
            let references = self.body.get_mut(section).and_then(Value::as_array_mut);
            for reference in references.into_iter().flatten() {
                if let Some(source) = reference.as_str().map(str::to_owned) {
                    *reference = json!({"source": source});
                }
            }
        }
    }
}

/// Makes out what all services use.
pub(super) fn define(document: &Document, options: &Options, stack: &mut Stack) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    for kind in [Kind::Config, Kind::Secret] {
        let used: BTreeSet<_> =
            stack.services.values().flat_map(|service| service.all_references(kind.section())).collect();
        for key in used {
            let raw = document.resource(kind.section(), &key);
            let mut walk = Walk::new(&keys::FILE, None, &[kind.section(), &key]);
            walk.mapping(raw);
            let reference = match raw["external"] == true {
                true => Value::Object(external(&key, raw)),
                false => {
                    let made = make(kind, &key, raw, options, &stack.name);
                    match made {
                        Ok((kept, executable)) => {
                            if executable {
                                let services = stack.services.values_mut();
                                services.for_each(|service| service.let_run(kind, &key));
                            }
                            let reference = json!({"external": true, "name": kept.name});
                            if !stack.kept.contains(&kept) {
                                stack.kept.push(kept);
                            }
                            reference
                        }
                        Err((message, instead)) => {
                            walk.misfits.push(Misfit {
                                service: None,
                                key: walk.at.clone(),
                                message: format!("{} {key}: {message}", kind.word()),
                                instead: instead.to_owned(),
                            });
                            Value::Null
                        }
                    }
                }
            };
            misfits.extend(walk.misfits);
            match kind {
                Kind::Config => stack.configs.insert(key, reference),
                Kind::Secret => stack.secrets.insert(key, reference),
            };
        }
    }
    misfits
}

type Problem = (String, &'static str);

fn make(
    kind: Kind,
    key: &str,
    raw: &Value,
    options: &Options,
    project: &str,
) -> Result<(Kept, bool), Problem> {
    let (bytes, executable) = content(raw, options)?;
    if bytes.0.is_empty() {
        return Err(("it is empty, and Swarm keeps nothing empty".to_owned(), "write something into it"));
    }
    if bytes.0.len() >= kind.limit() {
        let (kilobytes, most) = (bytes.0.len().div_ceil(1024), kind.limit() / 1024);
        let message = format!("it has {kilobytes} kB, and Swarm takes less than {most}");
        return Err((message, "put it into the image or on a volume"));
    }
    let mut labels: Vec<(String, String)> = labels(raw);
    let template_driver = raw["template_driver"].as_str().filter(|t| !t.is_empty()).map(str::to_owned);
    // Swarm lets nobody change one, so that all there is to it is in its name.
    let mut hashed = bytes.0.clone();
    if !labels.is_empty() || template_driver.is_some() {
        hashed.extend(format!("{labels:?}{template_driver:?}").bytes());
    }
    labels.push(("com.docker.stack.namespace".to_owned(), project.to_owned()));
    labels.push(("com.docker.zdd.project".to_owned(), project.to_owned()));
    let base = raw["name"].as_str().map_or_else(|| format!("{project}_{key}"), undollar);
    let name = name(&base, &sha256(&hashed));
    Ok((Kept { kind, name, labels, template_driver, bytes }, executable))
}

/// Cut where Swarm would find it too long; the hash tells it apart.
fn name(base: &str, hash: &str) -> String {
    let most = LONGEST_NAME - DIGITS - 1;
    let base: String = base.chars().take(most).collect();
    format!("{base}_{}", &hash[..DIGITS])
}

fn labels(raw: &Value) -> Vec<(String, String)> {
    let all = raw["labels"].as_object().into_iter().flatten();
    all.map(|(key, value)| (undollar(key), undollar(value.as_str().unwrap_or_default()))).collect()
}

fn content(raw: &Value, options: &Options) -> Result<(Bytes, bool), Problem> {
    if let Some(path) = raw["file"].as_str() {
        let path = undollar(path);
        let file = options.sources.file(&path);
        let problem = |problem| (format!("{path} cannot be read: {problem}"), "check its file");
        return file.map(|file| (file.bytes, file.executable)).map_err(problem);
    }
    if let Some(text) = raw["content"].as_str() {
        return Ok((Bytes(undollar(text).into_bytes()), false));
    }
    let Some(name) = raw["environment"].as_str().map(undollar) else {
        return Err(("it has no content".to_owned(), "write file, content or environment"));
    };
    match options.sources.variable(&name) {
        Some(value) => Ok((Bytes(value.into_bytes()), false)),
        None => Err((format!("the variable {name} is not set"), "set it")),
    }
}

impl StackService {
    /// Under Compose a file keeps its mode.
    fn let_run(&mut self, kind: Kind, key: &str) {
        self.pre_start.iter_mut().for_each(|hook| hook.let_run(kind, key));
        let references = self.body.get_mut(kind.section()).and_then(Value::as_array_mut);
        for reference in references.into_iter().flatten().filter(|one| one["source"] == key) {
            if reference["mode"].is_null() {
                reference["mode"] = json!(0o555);
            }
        }
    }
}
