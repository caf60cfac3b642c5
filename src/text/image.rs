//! An image's reference, as short as it still says something.

/// Digits of a digest that people see.
const DIGITS: usize = 12;

/// A digest says nothing beyond its first digits.
pub fn short_image(reference: &str) -> String {
    match reference.split_once("sha256:") {
        Some((name, digits)) if digits.len() > DIGITS => format!("{name}sha256:{}", short_id(digits)),
        _ => reference.to_owned(),
    }
}

/// As `docker images` prints it.
pub fn short_id(id: &str) -> &str {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    digits.get(..DIGITS).unwrap_or(digits)
}

/// Without registry, tag and digest.
pub fn image_name(reference: &str) -> &str {
    let last = reference.rsplit('/').next().unwrap_or_default();
    last.split([':', '@']).next().unwrap_or_default()
}

/// The repository, and what is told apart by: the tag, else the digest. Without one it is `latest`.
pub fn repository_and_version(reference: &str) -> (&str, String) {
    let (name, digest) = match reference.split_once('@') {
        Some((name, digest)) => (name, Some(short_image(digest))),
        None => (reference, None),
    };
    // A colon before the last slash is that of a registry's port.
    let tagged = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
    let (repository, tag) = tagged.map_or((name, None), |(name, tag)| (name, Some(tag.to_owned())));
    (repository, tag.or(digest).unwrap_or("latest".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_cut_and_a_tag_is_not() {
        let digits = "0123456789abcdef".repeat(4);
        assert_eq!(short_image(&format!("web@sha256:{digits}")), "web@sha256:0123456789ab");
        assert_eq!(short_image("web:1.2"), "web:1.2");
        assert_eq!(short_id(&format!("sha256:{digits}")), "0123456789ab");
        assert_eq!(short_id("0123456789aé"), "0123456789aé", "a letter is not cut");
    }

    #[test]
    fn a_reference_has_a_repository_and_a_version() {
        let digits = "0123456789abcdef".repeat(4);
        for (reference, repository, version) in [
            ("web", "web", "latest"),
            ("web:v1", "web", "v1"),
            ("shop.example:5000/team/web", "shop.example:5000/team/web", "latest"),
            ("shop.example:5000/team/web:v2", "shop.example:5000/team/web", "v2"),
            (&format!("web@sha256:{digits}"), "web", "sha256:0123456789ab"),
            (&format!("web:v3@sha256:{digits}"), "web", "v3"),
            ("", "", "latest"),
        ] {
            assert_eq!(repository_and_version(reference), (repository, version.to_owned()), "{reference}");
        }
    }
}
