//! The commit of the checkout that a folder lies in. Silence where there is none, or no git.

use std::{path::Path, time::Duration};

use crate::{
    engine::{Runner, process::Call},
    keep::Commit,
};

/// A repository may be large; nobody waits for its status at the end of a rollout.
const LONGEST: Duration = Duration::from_secs(5);

pub fn commit(folder: &Path) -> Option<Commit> {
    let runner = Runner::new(which::which("git").ok()?);
    let ask = |words: &[&str]| {
        let args = ["-C".into(), folder.into()].into_iter().chain(words.iter().map(Into::into)).collect();
        // The user's own git may be at work in the same checkout.
        let env = vec![("GIT_OPTIONAL_LOCKS".to_owned(), "0".to_owned())];
        let call = Call { env, ..Call::new(args, LONGEST) };
        runner.run(&call).ok()
    };
    let id = ask(&["rev-parse", "HEAD"])?.trim().to_owned();
    let dirty = !ask(&["status", "--porcelain", "--untracked-files=no"])?.trim().is_empty();
    Some(Commit { id, dirty })
}
