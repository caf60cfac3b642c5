//! What may be shown of a compose file: never a value that could be a secret. In doubt it is one.

use serde_json::Value;

use crate::text::mask::mask;

/// Maps whose values are never shown, whatever their keys are called.
const CLOSED: &[&str] = &["environment", "args", "content", "driver_opts"];
/// Parts of names that credentials have.
const CREDENTIAL: &str = "pass pwd secret token credential auth private apikey api_key api-key key dsn salt \
    cookie session jwt cert users license";

/// Whether the value at this path may be shown at all.
pub fn is_open(path: &[String]) -> bool {
    let closed = |key: &String| CLOSED.contains(&key.as_str());
    let kinds: &[&str] = &["secrets", "configs"];
    // The names of secrets are no secrets: their references may be shown.
    let named = |key: &String| is_credential(key) && !kinds.contains(&key.as_str());
    !path.iter().any(|key| closed(key) || named(key))
}

/// The value as text, or `None` where it could be a secret.
pub fn shown(path: &[String], value: &Value) -> Option<String> {
    if !is_open(path) {
        return None;
    }
    match value {
        Value::String(text) => word(text),
        Value::Array(values) => {
            let words: Option<Vec<_>> = values.iter().map(|value| shown(path, value)).collect();
            Some(words?.join(" "))
        }
        Value::Object(map) => {
            let pair = |(key, value): (&String, &Value)| {
                let path: Vec<_> = path.iter().cloned().chain([key.clone()]).collect();
                Some(format!("{key}={}", shown(&path, value)?))
            };
            Some(map.iter().map(pair).collect::<Option<Vec<_>>>()?.join(" "))
        }
        other => Some(other.to_string()),
    }
}

fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    CREDENTIAL.split_whitespace().any(|part| name.contains(part))
}

/// A text without a word that names a credential, the passwords of its URLs masked.
fn word(text: &str) -> Option<String> {
    (!is_credential(text)).then(|| mask(text).replace('\n', "\\n").replace("$$", "$"))
}
