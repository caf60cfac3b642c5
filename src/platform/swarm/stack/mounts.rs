//! Volumes, folders of the nodes, and what lies in memory.

use serde_json::{Value, json};

use super::service::Draft;

impl Draft<'_> {
    pub(super) fn mounting(&mut self) {
        let mut mounts = self.body.get("volumes").and_then(Value::as_array).cloned().unwrap_or_default();
        for mount in &mut mounts {
            self.prepare(mount);
        }
        let more = self.raw["tmpfs"].clone();
        for text in more.as_array().into_iter().flatten().filter_map(Value::as_str) {
            mounts.extend(self.tmpfs(text));
        }
        mounts.extend(self.shared_memory(&mounts));
        if !mounts.is_empty() {
            self.body.insert("volumes".to_owned(), Value::Array(mounts));
        }
    }

    fn prepare(&mut self, mount: &mut Value) {
        let (source, target) = (text(&mount["source"]), text(&mount["target"]));
        match mount["type"].as_str() {
            Some("bind") => {
                self.walk.note(format!(
                    "{source} must be on every node where it runs: Swarm neither makes nor copies a folder"
                ));
            }
            Some("volume") if source.is_empty() => self
                .walk
                .note(format!("the volume at {target} has no name: in each new container it begins empty")),
            _ => {}
        }
        // The Docker CLI refuses a section of another type, be it empty.
        if let Some(mount) = mount.as_object_mut() {
            mount.retain(|key, value| {
                !(matches!(key.as_str(), "bind" | "volume" | "tmpfs")
                    && value.as_object().is_none_or(|map| map.is_empty()))
            });
        }
    }

    /// `/run:size=64m`
    fn tmpfs(&mut self, text: &str) -> Option<Value> {
        let (target, options) = text.split_once(':').unwrap_or((text, ""));
        let mut mount = json!({"type": "tmpfs", "target": target});
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("size", size)) if bytes(size).is_some() => {
                    mount["tmpfs"] = json!({"size": bytes(size)})
                }
                // What it is anyway.
                None if ["rw", "noexec", "nosuid", "nodev"].contains(&option) => {}
                Some(("mode", "1777" | "01777")) => {}
                None if option == "ro" => mount["read_only"] = json!(true),
                _ => {
                    let message =
                        format!("tmpfs \"{text}\": of the options Swarm knows size alone, not {option}");
                    self.walk.misfit("tmpfs", &message, "remove the option");
                    return None;
                }
            }
        }
        Some(mount)
    }

    fn shared_memory(&mut self, mounts: &[Value]) -> Option<Value> {
        const PLACE: &str = "/dev/shm";
        let size = &self.raw["shm_size"];
        let size = size.as_u64().or_else(|| bytes(size.as_str()?)).filter(|size| *size > 0)?;
        let taken = mounts.iter().any(|mount| mount["target"] == PLACE);
        (!taken).then(|| json!({"type": "tmpfs", "target": PLACE, "tmpfs": {"size": size}}))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace("$$", "$")
}

/// `64m` in bytes; `None` for what is no size, like a share of the memory.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].trim_end_matches(['i', 'b']).chars().next() {
        None => 1,
        Some('k') => 1 << 10,
        Some('m') => 1 << 20,
        Some('g') => 1 << 30,
        Some(_) => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes() {
        for (text, n) in [
            ("64m", Some(64 << 20)),
            ("1g", Some(1 << 30)),
            ("1GiB", Some(1 << 30)),
            ("512kb", Some(512 << 10)),
            ("100", Some(100)),
            ("10%", None),
            ("", None),
            ("m", None),
            ("99999999999g", None),
        ] {
            assert_eq!(bytes(text), n, "{text}");
        }
    }
}
