//! What is planned for a service: also which version of it runs, and which one is to, in the words by which people tell
//! them apart.

use serde::Serialize;

use super::{Generation, Verdict};
use crate::engine::ContainerRef;
use crate::text::{join, repository_and_version, short_id, short_image};

/// Where the images are kept that an earlier revision runs: its tags are no names that anybody gave.
pub const KEPT: &str = "zdd-revision/";

/// One line of the plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedService {
    pub service: String,
    pub verdict: Verdict,
    pub reason: String,
    pub replicas: u32,
    pub versions: Versions,
    /// The containers that serve before anything is touched.
    pub serving: Vec<ContainerRef>,
}

impl PlannedService {
    /// ` (v1 → v2)`, to stand behind what is done with the service.
    pub fn change(&self) -> String {
        self.versions.behind(self.verdict)
    }
}

/// An image as people name it, and its ID. The ID is empty where the image is not there yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Version {
    pub image: String,
    pub id: String,
}

/// The versions of which containers run, and the one that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Versions {
    pub from: Vec<Version>,
    pub to: Version,
}

impl Versions {
    /// Something else runs than what is wanted.
    pub fn differ(&self) -> bool {
        self.from.iter().any(|from| *from != self.to)
    }

    /// What runs: the tag where that says it, else the image, else the ID.
    pub fn running(&self) -> String {
        // Some may have been replaced before.
        let others = self.from.iter().filter(|version| !self.differ() || **version != self.to);
        let mut all: Vec<_> = others.map(|version| self.label(version)).collect();
        all.dedup();
        join(&all)
    }

    pub fn wanted(&self) -> String {
        self.label(&self.to)
    }

    /// `v1 → v2`, or `web:v1` where nothing runs yet; nothing where it stays the same.
    pub fn change(&self) -> Option<String> {
        match self.from.is_empty() {
            true => Some(self.wanted()).filter(|new| !new.is_empty()),
            false => self.differ().then(|| format!("{} → {}", self.running(), self.wanted())),
        }
    }

    /// ` (v1 → v2)`, to stand behind what is done; nothing where nothing is.
    pub fn behind(&self, verdict: Verdict) -> String {
        let idle = matches!(verdict, Verdict::Unchanged | Verdict::Blocked);
        let change = self.change().filter(|_| !idle);
        change.map(|change| format!(" ({change})")).unwrap_or_default()
    }

    /// The version of a container of the old generation, or of the new; `None` where it is not to be told apart.
    pub fn of(&self, generation: Generation) -> Option<String> {
        let known = self.differ() && (generation == Generation::New || self.from.len() == 1);
        known.then(|| if generation == Generation::New { self.wanted() } else { self.running() })
    }

    /// One of them, as it is told apart from the others.
    pub fn label(&self, version: &Version) -> String {
        let same = |of: fn(&Version) -> &str| self.from.iter().all(|from| of(from) == of(&self.to));
        let is_kept = |version: &Version| version.image.starts_with(KEPT);
        if (self.from.iter().any(is_kept) || is_kept(&self.to)) && !version.id.is_empty() {
            short_id(&version.id).to_owned()
        } else if self.from.is_empty() || !same(|v| repository_and_version(&v.image).0) {
            short_image(&version.image)
        } else if same(|v| &v.image) && self.differ() && !version.id.is_empty() {
            short_id(&version.id).to_owned()
        } else if self.differ() {
            repository_and_version(&version.image).1
        } else {
            short_image(&version.image)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(from: &[(&str, &str)], to: (&str, &str)) -> Versions {
        let version = |(image, id): &(&str, &str)| Version {
            image: (*image).to_owned(),
            id: format!("sha256:{}", id.repeat(64)),
        };
        Versions { from: from.iter().map(version).collect(), to: version(&to) }
    }

    #[test]
    fn versions_are_told_apart_by_what_differs() {
        let change = |from: &[(&str, &str)], to| versions(from, to).change().unwrap_or_default();
        assert_eq!(change(&[("web:v1", "a")], ("web:v2", "b")), "v1 → v2");
        assert_eq!(change(&[("web", "a")], ("web:v2", "b")), "latest → v2");
        assert_eq!(change(&[("web:v1", "a")], ("web:v2", "a")), "v1 → v2", "one image, two names");
        assert_eq!(change(&[("nginx:1", "a")], ("caddy:1", "b")), "nginx:1 → caddy:1");
        assert_eq!(change(&[("web:latest", "a")], ("web:latest", "b")), "aaaaaaaaaaaa → bbbbbbbbbbbb");
        assert_eq!(change(&[("web:v1", "a"), ("web:v2", "b")], ("web:v3", "c")), "v1 and v2 → v3");
        assert_eq!(change(&[("web:v1", "a"), ("web:v1", "a")], ("web:v2", "c")), "v1 → v2");
        assert_eq!(change(&[("web:v1", "a"), ("web:v2", "b")], ("web:v2", "b")), "v1 → v2", "half is done");
        assert_eq!(change(&[("web:v1", "a")], ("web:v1", "a")), "");
        assert_eq!(change(&[], ("team/web:v1", "a")), "team/web:v1");
        assert_eq!(change(&[], ("", "a")), "", "a provider's");
        assert_eq!(
            change(&[("web:v2", "b")], ("zdd-revision/shop:aaaa", "a")),
            "bbbbbbbbbbbb → aaaaaaaaaaaa"
        );
    }

    #[test]
    fn what_stays_has_its_whole_name() {
        let same = versions(&[("team/web:v1", "a")], ("team/web:v1", "a"));
        assert_eq!((same.running(), same.wanted()), ("team/web:v1".to_owned(), "team/web:v1".to_owned()));
    }

    /// Nobody can say of an old container which of two versions it has.
    #[test]
    fn a_version_that_is_not_known_is_not_told() {
        let one = versions(&[("web:v1", "a")], ("web:v2", "b"));
        assert_eq!(one.of(Generation::Old).as_deref(), Some("v1"));
        let two = versions(&[("web:v1", "a"), ("web:v2", "b")], ("web:v2", "b"));
        assert_eq!((two.of(Generation::Old), two.of(Generation::New).as_deref()), (None, Some("v2")));
        assert_eq!(versions(&[("web:v1", "a")], ("web:v1", "a")).of(Generation::New), None);
    }

    /// A dry run before the build: the tag is all that is known.
    #[test]
    fn an_image_that_is_not_there_yet_has_no_id() {
        let mut pending = versions(&[("web:v1", "a")], ("web:v1", "b"));
        pending.to.id = String::new();
        assert_eq!(pending.change().as_deref(), Some("aaaaaaaaaaaa → v1"));
    }
}
