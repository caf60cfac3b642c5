//! Swarm takes values of the environment, the hostname and mounts for templates of Go; Compose takes none for one.

use serde_json::{Value, json};

/// What Swarm knows (`template/context.go` of swarmkit). Nobody means anything else by it.
const OF_SWARM: &[&str] = &[".Service.", ".Node.", ".Task."];

/// Keeps a value what it is: `{{.Message}}` would be an error of each container. Returns whether something in it is
/// meant for Swarm, and stays a template.
pub(super) fn literal(value: &mut Value) -> bool {
    let Some(text) = value.as_str().filter(|text| text.contains("{{")) else { return false };
    let (text, meant) = escaped(text);
    *value = json!(text);
    meant
}

fn escaped(text: &str) -> (String, bool) {
    let mut parts = text.split("{{");
    let mut result = parts.next().unwrap_or_default().to_owned();
    let mut meant = false;
    for part in parts {
        let inner = part.split("}}").next().unwrap_or_default();
        let is_meant = part.contains("}}") && OF_SWARM.iter().any(|known| inner.contains(known));
        meant |= is_meant;
        result += if is_meant { "{{" } else { "{{\"{{\"}}" };
        result += part;
    }
    (result, meant)
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn what_is_meant_for_swarm_stays_and_the_rest_is_a_text() {
        for (text, result, meant) in [
            ("a{{.Node.Hostname}}b", "a{{.Node.Hostname}}b", true),
            ("{{index .Service.Labels \"a\"}}", "{{index .Service.Labels \"a\"}}", true),
            ("{{.Message}}", "{{\"{{\"}}.Message}}", false),
            ("{{.Task.Slot", "{{\"{{\"}}.Task.Slot", false),
            ("{{.X}} {{.Task.Slot}}", "{{\"{{\"}}.X}} {{.Task.Slot}}", true),
            ("{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}", false),
        ] {
            assert_eq!(escaped(text), (result.to_owned(), meant), "{text}");
        }
    }
}
