//! `docker zdd doctor` on Swarm: what Swarm has nothing for, and what would hurt there.

use super::super::Context;
use crate::{
    advice::{Cluster, Facts, FileError, Scene},
    cli::DoctorArgs,
    exit::{Exit, Stop},
    platform::swarm::{
        observe::active,
        stack::{Options, convert},
    },
    project::Project,
};

/// Prints what was found. Exit code 2 when `up` would not get far.
pub fn doctor(context: &mut Context, args: &DoctorArgs) -> Result<Exit, Stop> {
    let (mut facts, project) = context.examine()?;
    let mut cluster = Cluster { nodes: 1 };
    if let Some(project) = &project {
        match context.nodes(project) {
            Ok(nodes) => cluster.nodes = nodes,
            Err(stop) => facts.file.push(whole(stop.message)),
        }
        context.transformed(project, &mut facts);
    }
    let scene =
        Scene { project: project.as_ref(), facts: Some(&facts), swarm: Some(&cluster), ..Scene::default() };
    Ok(context.show_findings(&scene, args))
}

fn whole(problem: String) -> FileError {
    FileError { path: vec![], problem, absent: false }
}

impl Context {
    /// How many can run tasks.
    fn nodes(&self, project: &Project) -> Result<usize, Stop> {
        let managers = self.managers(&project.swarm.contexts)?;
        Ok(active(&managers.read(|docker| docker.nodes())?).len())
    }

    /// What Swarm has nothing for is an error of the file.
    fn transformed(&self, project: &Project, facts: &mut Facts) {
        let sources = self.sources(project);
        let misfits = convert(&project.document, &Options::of(project, &sources)).err().unwrap_or_default();
        let error = |misfit: crate::platform::swarm::stack::Misfit| FileError {
            problem: misfit.to_string(),
            path: misfit.key,
            absent: false,
        };
        facts.file.extend(misfits.into_iter().map(error));
    }
}
