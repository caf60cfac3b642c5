//! Images: their IDs, their tags, and images that are nothing but one file.

pub mod archive;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{Answer, Call, CallError, Docker, Problem, garbage, only_missing};

/// An image that is on the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Local {
    pub id: String,
    /// Of one that is kept as an index (by containerd, from Engine 28 on): the platform that the engine shows of it,
    /// `linux/amd64`.
    pub index_for: Option<String>,
}

/// On a container that a file is read through. It has no label of Compose, so nothing takes it for a replica.
const HOLDER_LABEL: &str = "io.zdd.revision.reading=true";

/// So often two runs may come into each other's way when they read the same file.
const ATTEMPTS: u32 = 3;

impl Docker {
    /// Reference → the image, for those that exist.
    pub fn local_images(&self, references: &[String]) -> Result<BTreeMap<String, Local>, CallError> {
        let (images, said) = self.images(references)?;
        // Those that there are come in the order in which they were asked for, and the others are named.
        let there: Vec<_> = references.iter().filter(|reference| !is_missed(&said, reference)).collect();
        if images.len() == there.len() {
            return Ok(there.into_iter().cloned().zip(images).collect());
        }
        // By other names, perhaps, so each is asked alone.
        let mut found = BTreeMap::new();
        for reference in references {
            let image = self.images(std::slice::from_ref(reference))?.0.pop();
            found.extend(image.map(|image| (reference.clone(), image)));
        }
        Ok(found)
    }

    /// Reference → digest of the manifest for this platform, for those that have one. The digest of an index changes with
    /// each build, as BuildKit's attestations are in it; Compose from 5.4 on goes by the manifest.
    ///
    /// # Errors
    /// As of any call; a docker before 28.1 does not have the flag.
    pub fn manifests(
        &self,
        platform: &str,
        references: &[String],
    ) -> Result<BTreeMap<String, String>, CallError> {
        let flags = ["image", "inspect", "--platform", platform, "--format", "{{.Id}}"];
        let args = flags.into_iter().chain(references.iter().map(String::as_str));
        let answer = self.runner.answer(&self.call(args, self.quick()))?;
        let found: Vec<_> = answer.stdout.lines().map(str::to_owned).collect();
        match references {
            _ if answer.code == 0 => Ok(references.iter().cloned().zip(found).collect()),
            [] | [_] => Ok(BTreeMap::new()),
            // One of them is not for that platform.
            several => several.iter().try_fold(BTreeMap::new(), |mut all, one| {
                all.extend(self.manifests(platform, std::slice::from_ref(one))?);
                Ok(all)
            }),
        }
    }

    /// Those that exist, in order, and what is said of the others.
    fn images(&self, references: &[String]) -> Result<(Vec<Local>, String), CallError> {
        if references.is_empty() {
            return Ok((vec![], String::new()));
        }
        let args = ["image", "inspect"].into_iter().chain(references.iter().map(String::as_str));
        let call = self.call(args, self.quick());
        let answer = self.runner.answer(&call)?;
        if answer.code != 0 && !only_missing(&answer.stderr, "No such image") {
            return Err(self.runner.failed(&call, &answer));
        }
        let images: Vec<Value> =
            serde_json::from_str(&answer.stdout).map_err(|error| garbage(&call, error))?;
        let images: Option<_> = images.iter().map(Local::read).collect();
        let images = images.ok_or_else(|| garbage(&call, "an image without an ID"))?;
        Ok((images, answer.stderr))
    }

    /// Tag → image ID, in one repository.
    pub fn tags(&self, repository: &str) -> Result<BTreeMap<String, String>, CallError> {
        let args = ["image", "ls", "--no-trunc", "--format", "{{.Tag}} {{.ID}}", repository];
        let text = self.runner.run(&self.call(args, self.quick()))?;
        let pair = |line: &str| line.split_once(' ').map(|(tag, id)| (tag.to_owned(), id.to_owned()));
        Ok(text.lines().filter_map(pair).collect())
    }

    pub fn tag(&self, image: &str, reference: &str) -> Result<(), CallError> {
        self.runner.run(&self.call(["tag", image, reference], self.quick())).map(drop)
    }

    /// Removes the tags, and the images that have no other. What a container still runs stays.
    pub fn remove_tags(&self, references: &[String]) -> Result<(), CallError> {
        if references.is_empty() {
            return Ok(());
        }
        let args = ["image", "rm"].into_iter().chain(references.iter().map(String::as_str));
        let call = self.call(args, self.quick());
        let answer = self.runner.answer(&call)?;
        let harmless =
            |line: &str| line.contains("No such image") || line.contains("is using its referenced");
        match answer.code == 0 || answer.stderr.lines().filter(|l| !l.trim().is_empty()).all(harmless) {
            true => Ok(()),
            false => Err(self.runner.failed(&call, &answer)),
        }
    }

    /// Makes an image that is nothing but one file. Its text travels by standard input: it may hold secrets, and an
    /// argument list can be read by every user of the machine.
    pub fn keep_file(&self, reference: &str, name: &str, text: &str) -> Result<(), CallError> {
        let mut call = self.call(["import", "-", reference], self.quick());
        let packed = archive::pack(name, text.as_bytes(), 0o600).map_err(|error| garbage(&call, error))?;
        call.stdin = Some(Arc::new(packed));
        self.runner.run(&call).map(drop)
    }

    /// Makes an image that is nothing but a program, which its containers run.
    pub fn keep_program(&self, reference: &str, name: &str, bytes: &[u8]) -> Result<(), CallError> {
        let entrypoint = format!("ENTRYPOINT [\"/{name}\"]");
        let mut call = self.call(["import", "--change", &entrypoint, "-", reference], self.slow());
        let packed = archive::pack(name, bytes, 0o755).map_err(|error| garbage(&call, error))?;
        call.stdin = Some(Arc::new(packed));
        self.runner.run(&call).map(drop)
    }

    /// Reads such a file, by way of a container that never runs; `None` when there is no such image. The container
    /// has the name `holder`: what a run that was killed has left stands in the way of the next one, which removes it.
    pub fn kept_file(&self, reference: &str, name: &str, holder: &str) -> Result<Option<String>, CallError> {
        for attempt in 1.. {
            let Some(id) = self.hold(reference, name, holder)? else { break };
            let copy = self.call(["cp", &format!("{id}:/{name}"), "-"], self.quick());
            let copied = self.runner.answer(&copy);
            self.let_go(&id)?;
            let copied = copied?;
            match copied.code {
                0 => {
                    let text = archive::unpack(copied.stdout.as_bytes());
                    return text.map(Some).map_err(|error| garbage(&copy, error));
                }
                // Another run that reads the same has taken the container for a leftover.
                _ if attempt < ATTEMPTS && is_missing(&copied) => {}
                _ => return Err(self.runner.failed(&copy, &copied)),
            }
        }
        Ok(None)
    }

    /// Makes the container.
    fn hold(&self, reference: &str, name: &str, holder: &str) -> Result<Option<String>, CallError> {
        // An image without a command needs one to be named. A registry is not asked for it: it knows no such image.
        let options = ["--pull", "never", "--network", "none", "--label", HOLDER_LABEL, "--name", holder];
        let create = self.call(["create"].into_iter().chain(options).chain([reference, name]), self.quick());
        let mut answer = self.make(&create, holder)?;
        if answer.code != 0 && answer.stderr.contains("is already in use by container") {
            self.let_go(holder)?;
            answer = self.make(&create, holder)?;
        }
        match answer.code {
            0 => Ok(Some(answer.stdout.trim().to_owned())),
            _ if answer.stderr.to_ascii_lowercase().contains("no such image") => Ok(None),
            _ => Err(self.runner.failed(&create, &answer)),
        }
    }

    /// The engine may carry out a call that is given up: whatever becomes of it, no container must stay.
    fn make(&self, create: &Call, holder: &str) -> Result<Answer, CallError> {
        self.runner.answer(create).inspect_err(|error| {
            if !matches!(error.problem, Problem::NotStarted(_)) {
                // What went wrong first is what is reported; the next reading removes what is left.
                let _ = self.let_go(holder);
            }
        })
    }

    /// Removes what killed runs have left of reading files through containers that `is_mine` knows by name: an image
    /// that a container was made of cannot be removed. Another run that reads at this moment tries again.
    pub fn remove_holders(&self, is_mine: impl Fn(&str) -> bool) -> Result<(), CallError> {
        let filter = format!("label={HOLDER_LABEL}");
        let args = ["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"];
        let names = self.runner.run(&self.call(args, self.quick()))?;
        names.lines().filter(|name| is_mine(name)).try_for_each(|name| self.let_go(name))
    }

    /// Removes the container. Another run that reads at this moment may have done so.
    fn let_go(&self, container: &str) -> Result<(), CallError> {
        // A second interrupt is to leave nothing behind.
        let call = self.last_call(["rm", "-v", container]);
        let answer = self.runner.answer(&call)?;
        match answer.code == 0 || is_missing(&answer) {
            true => Ok(()),
            false => Err(self.runner.failed(&call, &answer)),
        }
    }
}

impl Local {
    fn read(image: &Value) -> Option<Local> {
        // `application/vnd.oci.image.index.v1+json`, `application/vnd.docker.distribution.manifest.list.v2+json`
        let kind = image["Descriptor"]["mediaType"].as_str().unwrap_or_default();
        let is_index = kind.contains(".index.") || kind.contains(".list.");
        let words = ["Os", "Architecture", "Variant"].map(|key| image[key].as_str().unwrap_or_default());
        let platform = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("/");
        Some(Local { id: image["Id"].as_str()?.to_owned(), index_for: is_index.then_some(platform) })
    }
}

fn is_missing(answer: &Answer) -> bool {
    answer.stderr.to_ascii_lowercase().contains("no such container")
}

/// `No such image: app:latest`, also for `app`.
fn is_missed(said: &str, reference: &str) -> bool {
    said.lines().filter_map(|line| line.rsplit_once("No such image: ")).any(|(_, name)| {
        let name = name.trim();
        name == reference || name.strip_suffix(":latest") == Some(reference)
    })
}
