//! What a project runs on. Everything beyond this seam is the same for all platforms: the plan, its execution, the
//! reports, the exit codes.

pub mod compose;
pub mod swarm;

use crate::{
    event::Event,
    execute::Perform,
    exit::Stop,
    plan::{Plan, Request},
    project::Project,
    stage::Stage,
};

pub trait Platform {
    /// What is there.
    type Observed;

    /// Performs the operations of its plans.
    type Performers<'a>: Perform
    where
        Self: 'a;

    fn observe(&self, project: &Project) -> Result<Self::Observed, Stop>;

    /// Pure.
    fn plan(&self, project: &Project, observed: &Self::Observed, request: &Request) -> Plan;

    /// Adds a refusal to every service of which more would be touched than was planned. Nothing is touched.
    ///
    /// # Errors
    /// The platform does not answer.
    fn preflight(&self, project: &Project, observed: &Self::Observed, plan: &mut Plan) -> Result<(), Stop>;

    fn performers<'a>(&'a self, project: &'a Project, observed: &'a Self::Observed) -> Self::Performers<'a>;

    /// Sets right what a run that was killed, or that could not finish, has left half done beside the containers
    /// themselves. Returns whether anything was to be done.
    fn recover(&self, project: &Project, observed: &Self::Observed, plan: &Plan, stage: &Stage) -> bool;

    /// After everything went well: what the platform itself would still change, in one sentence.
    fn disagreement(&self, project: &Project, plan: &Plan) -> Option<String>;
}

/// A warning about the whole project.
pub fn warning(message: String) -> Event {
    Event::Warning { service: None, message }
}
