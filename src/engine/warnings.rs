//! What Compose warns of as it reads its files. It logs that beside what it prints.

use std::collections::BTreeSet;

use serde_json::Value;

/// Warnings that nobody needs at each rollout: of the `version` that old files begin with, and of what holds in Swarm
/// alone, part of which this program carries out (Compose 5.6.1).
fn is_noise(warning: &str) -> bool {
    warning.contains("the attribute `version` is obsolete")
        || warning.starts_with("service ") && warning.contains("Swarm")
}

/// The warnings in what Compose wrote to standard error, each once, and the rest of it. Compose warns in another order
/// each time.
pub fn split(stderr: &str) -> (BTreeSet<String>, String) {
    let mut warnings = BTreeSet::new();
    let mut rest = Vec::new();
    for line in stderr.lines() {
        match logged(line) {
            Some((level, message)) if level == "warning" => drop(warnings.insert(message)),
            Some((level, _)) if matches!(level.as_str(), "info" | "debug" | "trace") => {}
            _ => rest.push(line),
        }
    }
    warnings.retain(|warning| !is_noise(warning));
    (warnings, rest.join("\n"))
}

/// Level and message of a line of the log, which is JSON where `COMPOSE_PROGRESS=json` is set.
fn logged(line: &str) -> Option<(String, String)> {
    let pairs = || logfmt(line).or_else(|| from_json(line));
    let find = |key: &str| pairs()?.into_iter().find(|(name, _)| name == key).map(|(_, value)| value);
    Some((find("level")?, find("msg")?))
}

fn from_json(line: &str) -> Option<Vec<(String, String)>> {
    let value: Value = serde_json::from_str(line).ok()?;
    let pair = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    Some(value.as_object()?.iter().filter_map(pair).collect())
}

/// `time="2026-11-29" level=warning msg="The \"TAG\" variable is not set."`; `None` for a line that is none.
fn logfmt(line: &str) -> Option<Vec<(String, String)>> {
    let mut rest = line.trim();
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let (key, value) = rest.split_once('=')?;
        if key.is_empty() || key.contains([' ', '"']) {
            return None;
        }
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => value.split_once(' ').map_or((value.to_owned(), ""), |(v, rest)| (v.to_owned(), rest)),
        };
        pairs.push((key.to_owned(), value));
        rest = behind.trim_start();
    }
    Some(pairs)
}

/// A string up to its closing quote, and what stands behind that. Quotes, backslashes and control characters are
/// escaped as in Go.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut chars = text.char_indices();
    let mut value = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' | 'r' => '\n',
                't' => '\t',
                other => other,
            }),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn warnings_are_told_from_the_rest() {
        let stderr = "time=\"2026-11-29T15:50:14Z\" level=warning msg=\"The \\\"TAG\\\" variable is not set. Defaulting to a blank string.\"\n\
             time=\"2026-11-29T15:50:14Z\" level=warning msg=\"The \\\"DB\\\" variable is not set. Defaulting to a blank string.\"\n\
             time=\"2026-11-29T15:50:14Z\" level=warning msg=\"The \\\"TAG\\\" variable is not set. Defaulting to a blank string.\"\n\
             time=\"2026-11-29T15:50:14Z\" level=debug msg=plain other=\"a=b\"\n\
             services.web.ports: invalid port: level=warning\n\
             time=\"2026-11-29T15:50:14Z\" level=error msg=\"it is over\"";
        let (warnings, rest) = split(stderr);
        assert_eq!(
            Vec::from_iter(warnings),
            [
                "The \"DB\" variable is not set. Defaulting to a blank string.",
                "The \"TAG\" variable is not set. Defaulting to a blank string."
            ]
        );
        assert_eq!(
            rest,
            "services.web.ports: invalid port: level=warning\n\
             time=\"2026-11-29T15:50:14Z\" level=error msg=\"it is over\""
        );
    }

    #[test]
    fn every_form_of_a_message_is_read() {
        for (line, message) in [
            ("level=warning msg=short", "short"),
            ("msg=\"a\\\\b\\tc\\nd \\\"e\\\"\" level=warning", "a\\b\tc\nd \"e\""),
            (
                "{\"level\":\"warning\",\"msg\":\"The \\\"TAG\\\" variable\",\"time\":\"now\"}",
                "The \"TAG\" variable",
            ),
        ] {
            assert_eq!(Vec::from_iter(split(line).0), [message], "{line}");
        }
        for line in
            ["msg=\"no end level=warning", "yaml: line 3: a level=warning msg=b", "{\"level\": 1}", "{", "="]
        {
            assert_eq!(split(line), (Default::default(), line.to_owned()));
        }
    }

    #[test]
    fn noise_is_left_out() {
        let of = |message: &str| split(&format!("level=warning msg=\"{message}\"")).0.len();
        for noise in [
            "/srv/compose.yaml: the attribute `version` is obsolete, it will be ignored",
            "service \\\"a\\\": deploy.update_config: deploy.update_config only applies to rolling updates in Swarm mode",
            "service \\\"a\\\": deploy.labels: deploy.labels are only applied to Swarm services",
        ] {
            assert_eq!(of(noise), 0, "{noise}");
        }
        assert_eq!(of("The \\\"TAG\\\" variable is not set. Defaulting to a blank string."), 1);
    }
}
