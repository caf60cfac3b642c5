//! What a project's revisions are called on the engine. Pure.

use crate::event::KEPT;

/// The label of a revision's volume that holds it as JSON.
pub const LABEL: &str = "io.zdd.revision";
/// The label of a revision's volume by which a project's revisions are found.
pub const PROJECT_LABEL: &str = "io.zdd.revision.project";
/// The volume of a revision. Apart from the lock's names whatever the project is called.
pub fn volume(project: &str, number: u32) -> String {
    format!("zdd-revision-{project}-{number}")
}

/// The container that a revision is read through.
pub fn holder(project: &str, number: u32) -> String {
    format!("zdd-revision-reading-{project}-{number}")
}

/// Whether a container's name is one of the project's holders. The name of another project may begin with it.
pub fn is_holder(name: &str, project: &str) -> bool {
    let number = name.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
    number.is_some_and(|number| name == holder(project, number))
}

/// The image of a revision's document, as a tag of the project's repository.
pub fn document_tag(number: u32) -> String {
    format!("r{number}")
}

/// The revision whose document has this tag.
pub fn document_number(tag: &str) -> Option<u32> {
    tag.strip_prefix('r')?.parse().ok()
}

/// The tag that keeps an image, by its ID: an image that several services and revisions run has one.
pub fn image_tag(id: &str) -> String {
    id.trim_start_matches("sha256:").chars().take(12).collect()
}

/// The repository of a project's documents and kept images. A project's name may be what no repository's may
/// (`shop-`, `a___b`); such a name is written in hexadecimal.
pub fn repository(project: &str) -> String {
    match is_repository_name(project) {
        true => format!("{KEPT}{project}"),
        false => {
            let hex: String = project.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("{KEPT}hex/{hex}")
        }
    }
}

/// Lower-case words with `_`, `__` or any number of `-` between them (distribution's reference grammar).
fn is_repository_name(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = |separator: &str| {
        separator.is_empty()
            || separator == "_"
            || separator == "__"
            || separator.bytes().all(|byte| byte == b'-')
    };
    name.starts_with(is_word) && name.ends_with(is_word) && name.split(is_word).all(good)
}
