//! Configs and secrets: written once, by whoever creates them first, and the same on every manager at once.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{is_missing, read::decoded};
use crate::engine::{Call, CallError, Docker, garbage};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeptKind {
    Config,
    Secret,
}

impl KeptKind {
    pub fn word(self) -> &'static str {
        match self {
            KeptKind::Config => "config",
            KeptKind::Secret => "secret",
        }
    }
}

/// One without its data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub id: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

/// One to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewKept<'a> {
    pub kind: KeptKind,
    pub name: &'a str,
    /// `KEY=VALUE`
    pub labels: &'a [String],
    pub template_driver: Option<&'a str>,
    pub data: &'a [u8],
}

impl<'a> NewKept<'a> {
    pub fn config(name: &'a str, labels: &'a [String], data: &'a [u8]) -> NewKept<'a> {
        NewKept { kind: KeptKind::Config, name, labels, template_driver: None, data }
    }
}

impl Docker {
    /// Creates it; one of this name that is there already stays as it is, which `false` says.
    pub fn create_kept(&self, new: &NewKept) -> Result<bool, CallError> {
        let labels = new.labels.iter().flat_map(|label| ["--label", label]);
        let driver = new.template_driver.into_iter().flat_map(|driver| ["--template-driver", driver]);
        let args = [new.kind.word(), "create"].into_iter().chain(labels).chain(driver).chain([new.name, "-"]);
        let mut call = self.call(args, self.quick());
        // Neither what a secret holds nor labels of 100 kB are for a message.
        call.shown = Some(format!("docker {} create {}", new.kind.word(), new.name));
        call.stdin = Some(Arc::new(new.data.to_vec()));
        let answer = self.runner.answer(&call)?;
        match answer.code {
            0 => Ok(true),
            _ if answer.stderr.contains("already exists") || answer.stderr.contains("AlreadyExists") => {
                Ok(false)
            }
            _ => Err(self.runner.failed(&call, &answer)),
        }
    }

    /// `at_the_end`: also after a second interrupt has ended everything else.
    pub fn kept(&self, kind: KeptKind, name: &str, at_the_end: bool) -> Result<Option<Kept>, CallError> {
        let call = self.kept_call(&[kind.word(), "inspect", name], at_the_end);
        let answer = self.runner.answer(&call)?;
        if answer.code != 0 && is_missing(&answer.stderr) {
            return Ok(None);
        }
        if answer.code != 0 {
            return Err(self.runner.failed(&call, &answer));
        }
        let all: Vec<Value> = serde_json::from_str(&answer.stdout).map_err(|error| garbage(&call, error))?;
        Ok(all.first().map(read))
    }

    /// All that have this label (`KEY`, or `KEY=VALUE`), without their data.
    pub fn all_kept(&self, kind: KeptKind, label: &str) -> Result<Vec<Kept>, CallError> {
        let filter = format!("label={label}");
        let call = self.call([kind.word(), "ls", "--quiet", "--filter", &filter], self.quick());
        let ids: Vec<_> = self.runner.run(&call)?.lines().map(str::to_owned).collect();
        let read = |text: &str| {
            let all: Vec<Value> = serde_json::from_str(text)?;
            Ok(all.iter().map(read).collect())
        };
        self.inspect_all(&[kind.word(), "inspect"], &ids, read)
    }

    /// What a config holds; `None` when it is not there.
    pub fn config_data(&self, name: &str) -> Result<Option<Vec<u8>>, CallError> {
        let call = self.call(["config", "inspect", "--format", "{{json .Spec.Data}}", name], self.quick());
        let answer = self.runner.answer(&call)?;
        if answer.code != 0 && is_missing(&answer.stderr) {
            return Ok(None);
        }
        if answer.code != 0 {
            return Err(self.runner.failed(&call, &answer));
        }
        let data = decoded(answer.stdout.trim().trim_matches('"'));
        data.map(Some).ok_or_else(|| garbage(&call, "no data of a config"))
    }

    /// Removes those that are there, by ID: one that has taken the name meanwhile stays.
    pub fn remove_kept(&self, kind: KeptKind, ids: &[&str], at_the_end: bool) -> Result<(), CallError> {
        if ids.is_empty() {
            return Ok(());
        }
        let args: Vec<_> = [kind.word(), "rm"].into_iter().chain(ids.iter().copied()).collect();
        let call = self.kept_call(&args, at_the_end);
        let answer = self.runner.answer(&call)?;
        match answer.code == 0 || is_missing(&answer.stderr) {
            true => Ok(()),
            false => Err(self.runner.failed(&call, &answer)),
        }
    }

    fn kept_call(&self, args: &[&str], at_the_end: bool) -> Call {
        let args = args.iter().copied();
        if at_the_end { self.last_call(args) } else { self.call(args, self.quick()) }
    }
}

fn read(value: &Value) -> Kept {
    let spec = &value["Spec"];
    let labels = spec["Labels"].as_object().into_iter().flatten();
    Kept {
        id: value["ID"].as_str().unwrap_or_default().to_owned(),
        name: spec["Name"].as_str().unwrap_or_default().to_owned(),
        labels: labels.filter_map(|(key, label)| Some((key.clone(), label.as_str()?.to_owned()))).collect(),
    }
}
