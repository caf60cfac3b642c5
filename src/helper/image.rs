//! The helper's image on the engine, and what its names say.

use super::{
    Presence, Unavailable,
    binary::{Helper, helper},
};
use crate::engine::{CallError, Docker, Kind, Server};

/// Its tag is the hash of the binary.
const REPOSITORY: &str = "zdd-helper";
pub const PROGRAM: &str = "zdd-helper";
/// With its repository, in characters. (A tag may have 128.)
const LONGEST_TAG: usize = 128;

pub fn binary_for(server: &Server) -> Result<&'static Helper, Unavailable> {
    if server.os.is_empty() {
        return Err(Unavailable("the engine does not say what it runs on".to_owned()));
    }
    if server.os != "linux" {
        return Err(Unavailable(format!("the engine runs on {}", server.os)));
    }
    if server.kind == Kind::Podman {
        return Err(Unavailable("the engine is Podman, whose networks are not Docker's".to_owned()));
    }
    helper(&server.arch).ok_or_else(|| Unavailable(format!("this build has no helper for {}", server.arch)))
}

/// A second name of the image says that a helper has worked: with this binary, on this engine and kernel.
pub fn proof(helper: &Helper, server: &Server) -> String {
    let text = format!("{REPOSITORY}:{}-{}-{}", tag(helper), server.version, server.kernel);
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "_.-:".contains(c) { c } else { '_' };
    text.chars().map(allowed).take(LONGEST_TAG).collect()
}

/// What a helper can do, where one has worked.
pub fn worked_on(docker: &Docker) -> Option<Presence> {
    let server = docker.server().ok()?.ok()?;
    let proof = proof(binary_for(&server).ok()?, &server);
    let there = references(docker.tags(REPOSITORY).ok()?.keys());
    there.contains(&proof).then(|| presence(&server))
}

pub fn presence(server: &Server) -> Presence {
    match server.kind {
        Kind::Rootless => Presence::WithinNetworks,
        _ => Presence::Ready,
    }
}

/// Whether one works is known from now on. Where that cannot be kept it is found out again.
pub fn keep_proof(docker: &Docker, image: &str, proof: &str, (is_kept, works): (bool, bool)) {
    let _ = match (is_kept, works) {
        (false, true) => docker.tag(image, proof),
        (true, false) => docker.remove_tags(&[proof.to_owned()]),
        _ => Ok(()),
    };
}

fn tag(helper: &Helper) -> &str {
    &helper.sha256[..12]
}

/// The image, made where it is missing, and whether it has this proof. Those of other versions of this program are removed,
/// unless they are at work.
pub fn provide(docker: &Docker, helper: &Helper, proof: &str) -> Result<(String, bool), CallError> {
    let image = format!("{REPOSITORY}:{}", tag(helper));
    let there = references(docker.tags(REPOSITORY)?.keys());
    if !there.contains(&image) {
        docker.keep_program(&image, PROGRAM, &helper.bytes())?;
    }
    let others: Vec<_> = there.iter().filter(|one| **one != image && *one != proof).cloned().collect();
    // Another version of this program may be at work with it.
    let _ = docker.remove_tags(&others);
    Ok((image, there.iter().any(|one| one == proof)))
}

/// Removes the images, unless they are at work.
pub fn remove_images(docker: &Docker) -> Result<(), CallError> {
    let tags = docker.tags(REPOSITORY)?;
    docker.remove_tags(&references(tags.keys()))
}

fn references<'t>(tags: impl Iterator<Item = &'t String>) -> Vec<String> {
    tags.map(|tag| format!("{REPOSITORY}:{tag}")).collect()
}
