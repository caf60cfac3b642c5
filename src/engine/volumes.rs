//! Volumes that are nothing but their labels: written once, by whoever creates the volume first.

use std::collections::BTreeMap;

use super::{Call, CallError, Docker, garbage};

impl Docker {
    /// Creates a volume with these labels; one that is there already stays as it is.
    pub fn create_volume(&self, name: &str, labels: &[String]) -> Result<(), CallError> {
        let mut args = vec!["volume", "create"];
        labels.iter().for_each(|label| args.extend(["--label", label]));
        args.push(name);
        self.runner.run(&self.call(args, self.quick())).map(drop)
    }

    /// The labels of a volume, if it exists. `at_the_end`: also after a second interrupt has ended everything else.
    pub fn volume_labels(
        &self,
        name: &str,
        at_the_end: bool,
    ) -> Result<Option<BTreeMap<String, String>>, CallError> {
        let call = self.may_be_last(["volume", "inspect", "--format", "{{json .Labels}}", name], at_the_end);
        let answer = self.runner.answer(&call)?;
        if answer.code != 0 && is_missing(&answer.stderr) {
            return Ok(None);
        }
        if answer.code != 0 {
            return Err(self.runner.failed(&call, &answer));
        }
        let labels: Option<_> =
            serde_json::from_str(&answer.stdout).map_err(|error| garbage(&call, error))?;
        Ok(Some(labels.unwrap_or_default()))
    }

    /// Removes volumes one after the other by one call, those of them that exist.
    pub fn remove_volumes(&self, names: &[&str], at_the_end: bool) -> Result<(), CallError> {
        if names.is_empty() {
            return Ok(());
        }
        let args = ["volume", "rm"].into_iter().chain(names.iter().copied());
        let call = self.may_be_last(args, at_the_end);
        let answer = self.runner.answer(&call)?;
        // What the client warns of, as of its own configuration, is no error.
        let mut errors = answer.stderr.lines().filter(|line| line.starts_with("Error"));
        match answer.code == 0 || is_missing(&answer.stderr) && errors.all(is_missing) {
            true => Ok(()),
            false => Err(self.runner.failed(&call, &answer)),
        }
    }

    /// One label of each volume that has another one (`KEY`, or `KEY=VALUE`), in no order.
    pub fn labels_of_volumes(&self, label: &str, with: &str) -> Result<Vec<String>, CallError> {
        let filter = format!("label={with}");
        let format = format!("{{{{.Label \"{label}\"}}}}");
        let call = self.call(["volume", "ls", "--filter", &filter, "--format", &format], self.quick());
        Ok(self.runner.run(&call)?.lines().map(str::to_owned).collect())
    }

    fn may_be_last<'s>(&self, args: impl IntoIterator<Item = &'s str>, last: bool) -> Call {
        if last { self.last_call(args) } else { self.call(args, self.quick()) }
    }
}

fn is_missing(stderr: &str) -> bool {
    stderr.to_ascii_lowercase().contains("no such volume")
}
