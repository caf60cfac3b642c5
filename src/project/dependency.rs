//! What must be there before a service begins. Pure.

use crate::engine::config;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    pub service: String,
    pub condition: Condition,
    pub required: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Started,
    Healthy,
    Completed,
}

pub(super) fn of(raw: &config::Service) -> Vec<Dependency> {
    let one = |(service, on): (&String, &config::DependsOn)| Dependency {
        service: service.clone(),
        condition: match on.condition.as_str() {
            "service_healthy" => Condition::Healthy,
            "service_completed_successfully" => Condition::Completed,
            _ => Condition::Started,
        },
        required: on.required,
    };
    raw.depends_on.iter().map(one).collect()
}
