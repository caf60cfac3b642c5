//! Whether a text can name an image: the grammar of references, as registries and the engine have it. Pure.

use super::{BadSetting, settings::bad};

/// The engine takes no longer name.
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// Checks what a service names its image by. The engine refuses what is none in words that name neither file nor
/// service, and a variable that is not set makes one easily: `app:${TAG}`.
///
/// # Errors
/// It is no reference: why not, and what to write instead.
pub(super) fn check(reference: &str, path: &[&str]) -> Result<(), BadSetting> {
    let problem = |why| format!("\"{reference}\" is not an image: {why}; write one like \"app:1.0\"");
    fault(reference).map_or(Ok(()), |why| Err(bad(path, &problem(why))))
}

/// Why it is none. Of an image's ID, which may stand there too, nothing is said.
fn fault(reference: &str) -> Option<String> {
    if reference.is_empty() {
        return Some("it is empty".to_owned());
    }
    let (tagged, digest) = split(reference, '@');
    // A colon before a slash belongs to the port of the registry.
    let (name, tag) = match split(tagged, ':') {
        (name, Some(tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (tagged, None),
    };
    fault_of_name(name).or_else(|| fault_of_tag(tag?)).or_else(|| fault_of_digest(digest?))
}

/// At the last mark.
fn split(text: &str, mark: char) -> (&str, Option<&str>) {
    text.rsplit_once(mark).map_or((text, None), |(before, behind)| (before, Some(behind)))
}

fn fault_of_name(name: &str) -> Option<String> {
    let mut parts: Vec<_> = name.split('/').collect();
    let part = |part: &&&str| !is_part(part);
    if name.is_empty() {
        return Some("there is no name".to_owned());
    }
    if name.len() > LONGEST_NAME {
        return Some(format!("the name is longer than {LONGEST_NAME} characters"));
    }
    if parts.len() > 1 && is_registry(parts[0]) {
        let registry = parts.remove(0);
        if !is_host(registry) {
            return Some(format!("\"{registry}\" is not a registry"));
        }
    }
    parts.iter().find(part).map(|part| match *part {
        "" if name.starts_with('/') => "there is nothing before the slash".to_owned(),
        "" if name.ends_with('/') => "there is nothing after the slash".to_owned(),
        "" => "there is nothing between two slashes".to_owned(),
        part if is_part(&part.to_ascii_lowercase()) => format!("\"{part}\" has capital letters"),
        part => format!("\"{part}\" cannot be a name"),
    })
}

/// What stands before the first slash is a registry when it looks like a host, else a part of the name.
fn is_registry(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost" || part.bytes().any(|b| b.is_ascii_uppercase())
}

fn is_host(registry: &str) -> bool {
    let (host, port) = match registry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) if rest.is_empty() || rest.starts_with(':') => {
            (address, rest.strip_prefix(':'))
        }
        _ => split(registry, ':'),
    };
    let is_v6 = registry.starts_with('[') && host.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
    let label = |label: &str| {
        let word = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        word && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    let port = port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    port && (is_v6 || host.split('.').all(label))
}

/// Words of small letters and digits, joined by a dot, one or two underscores, or any number of dashes.
fn is_part(part: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let joint = |joint: &str| matches!(joint, "." | "_" | "__") || joint.bytes().all(|b| b == b'-');
    // Between two letters that stand side by side there is the empty joint.
    part.starts_with(word) && part.ends_with(word) && part.split(word).all(joint)
}

fn fault_of_tag(tag: &str) -> Option<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match tag {
        "" => Some("there is no tag after the colon".to_owned()),
        _ if tag.len() > LONGEST_TAG => Some(format!("the tag is longer than {LONGEST_TAG} characters")),
        _ if tag.starts_with(word) && tag.chars().all(|c| word(c) || c == '.' || c == '-') => None,
        _ => Some(format!("\"{tag}\" cannot be a tag")),
    }
}

fn fault_of_digest(digest: &str) -> Option<String> {
    let good = digest.split_once(':').is_some_and(|(algorithm, hex)| {
        let starts = algorithm.starts_with(|c: char| c.is_ascii_alphabetic());
        starts && hex.len() >= 32 && hex.bytes().all(|b| b.is_ascii_hexdigit())
    });
    match digest {
        "" => Some("there is no digest after the @".to_owned()),
        _ if good => None,
        _ => Some(format!("\"{digest}\" cannot be a digest")),
    }
}

#[cfg(test)]
mod tests {
    use super::fault;

    #[test]
    fn what_names_an_image() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for good in [
            "app",
            "app:1.0",
            "f/a.b_c__d---e:v1_2-3.4",
            "registry.example:5000/team/app",
            "localhost/app:latest",
            "Registry/app",
            "[2001:db8::1]:5000/app:1",
            "127.0.0.1:5000/app",
            &format!("app@{digest}"),
            &format!("ghcr.io/team/app:1@{digest}"),
            &digest,
        ] {
            assert_eq!(fault(good), None, "{good}");
        }
    }

    #[test]
    fn what_names_none() {
        for (bad, why) in [
            ("", "it is empty"),
            ("app:", "there is no tag after the colon"),
            ("registry.example:5000/app:", "there is no tag after the colon"),
            (":1.0", "there is no name"),
            ("@", "there is no name"),
            ("/app:1", "there is nothing before the slash"),
            ("registry.example/:1", "there is nothing after the slash"),
            ("registry.example//app", "there is nothing between two slashes"),
            ("registry.example:/app", "\"registry.example:\" is not a registry"),
            ("registry..example/app", "\"registry..example\" is not a registry"),
            ("App", "\"App\" has capital letters"),
            ("team/App:1", "\"App\" has capital letters"),
            ("-x", "\"-x\" cannot be a name"),
            ("a b", "\"a b\" cannot be a name"),
            ("a..b", "\"a..b\" cannot be a name"),
            ("app:1:2", "\"app:1\" cannot be a name"),
            ("app:a b", "\"a b\" cannot be a tag"),
            ("app:-1", "\"-1\" cannot be a tag"),
            ("app:$$TAG", "\"$$TAG\" cannot be a tag"),
            ("app@", "there is no digest after the @"),
            ("app@sha256:12", "\"sha256:12\" cannot be a digest"),
        ] {
            assert_eq!(fault(bad).as_deref(), Some(why), "{bad}");
        }
        assert_eq!(fault(&"a".repeat(256)).unwrap(), "the name is longer than 255 characters");
        assert_eq!(
            fault(&format!("a:{}", "1".repeat(129))).unwrap(),
            "the tag is longer than 128 characters"
        );
    }
}
