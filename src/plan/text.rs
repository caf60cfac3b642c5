//! A plan in words.

use std::fmt;

use super::{Means, Plan, Refusal, ServicePlan, Start, Step, service::count};
use crate::{duration, event::ContainerRef};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Project {}", self.project)?;
        let width = self.services.iter().map(|s| s.service.len()).max().unwrap_or(0);
        for service in &self.services {
            write_service(f, service, width)?;
        }
        if !self.orphans.is_empty() {
            let names = names(&self.orphans);
            match self.remove_orphans {
                true => writeln!(f, "  remove orphans: {names}")?,
                false => writeln!(f, "  orphans, left as they are: {names} (--remove-orphans removes them)")?,
            }
        }
        Ok(())
    }
}

/// The plan with every setting and its source below each service that changes.
pub struct Verbose<'a>(pub &'a Plan);

impl fmt::Display for Verbose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        for service in self.0.services.iter().filter(|service| !service.steps.is_empty()) {
            writeln!(f, "Settings of {}", service.service)?;
            for (key, value, source) in service.settings.explained() {
                writeln!(f, "  {key:17}  {value:20}  {source}")?;
            }
        }
        Ok(())
    }
}

fn write_service(f: &mut fmt::Formatter<'_>, plan: &ServicePlan, width: usize) -> fmt::Result {
    writeln!(f, "  {:width$}  {:9}  {}", plan.service, plan.verdict.word(), plan.reason)?;
    let indent = " ".repeat(width + 4);
    for (number, step) in plan.steps.iter().enumerate() {
        writeln!(f, "{indent}{:>3}. {}", number + 1, Described { step, plan })?;
    }
    for refusal in &plan.refusals {
        writeln!(f, "{indent}refused: {refusal}")?;
    }
    for note in &plan.notes {
        writeln!(f, "{indent}note: {note}")?;
    }
    Ok(())
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = self.key {
            write!(f, "{key}: ")?;
        }
        write!(f, "{}; {}", self.problem, self.remedy)
    }
}

struct Described<'a> {
    step: &'a Step,
    plan: &'a ServicePlan,
}

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Step::Clear { containers } => write!(f, "remove stopped {}", names(containers)),
            Step::PreStart => {
                f.write_str("run pre_start hooks once, from the new image (undo: none, nothing was touched)")
            }
            Step::Delay { seconds } => write!(f, "wait {}", time(*seconds)),
            Step::Start { count: n, scale, how, .. } => write_start(f, *n, *scale, *how),
            Step::Gate { also, .. } => self.write_gate(f, also),
            Step::Settle { seconds } => write!(f, "give the proxy {} to pick them up", time(*seconds)),
            Step::Drain { containers, .. } => self.write_drain(f, containers),
            Step::Stop { containers, .. } => write!(f, "stop {} (undo: start again)", names(containers)),
            Step::Remove { containers } => write!(f, "remove {}", names(containers)),
            Step::Await { containers } => write!(f, "wait until {} has ended", names(containers)),
            Step::Revive { down, .. } => {
                write!(f, "let Compose start {}, or what takes its place (undo: stop again)", names(down))
            }
            Step::Recreate { old } => {
                write!(f, "let Compose stop {} and start the new version (no undo)", names(old))
            }
        }
    }
}

impl Described<'_> {
    fn write_drain(&self, f: &mut fmt::Formatter<'_>, containers: &[ContainerRef]) -> fmt::Result {
        write!(f, "drain {}", names(containers))?;
        match &self.plan.means {
            Means::Nothing => {}
            Means::Unhealthy => f.write_str(" until Docker calls it unhealthy")?,
            Means::Haproxy { proxies, .. } => write!(f, " through HAProxy in {}", names(proxies))?,
        }
        let plus = self.plan.settings.drain.plus;
        if plus.is_zero() { Ok(()) } else { write!(f, ", then {}", duration::show(plus)) }
    }

    fn write_gate(&self, f: &mut fmt::Formatter<'_>, also: &[ContainerRef]) -> fmt::Result {
        let settings = &self.plan.settings;
        match self.plan.one_shot {
            true => f.write_str("wait until it ends with exit code 0")?,
            false => {
                let monitor = duration::show(settings.monitor);
                write!(f, "wait until healthy, or running {monitor} without a healthcheck")?;
            }
        }
        if let Some(limit) = settings.wait_timeout {
            write!(f, ", at most {}", duration::show(limit))?;
        }
        match also {
            [] => Ok(()),
            also => write!(f, ", with {}", names(also)),
        }
    }
}

fn write_start(f: &mut fmt::Formatter<'_>, n: u32, scale: u32, how: Start) -> fmt::Result {
    let beside = match how {
        Start::Up => "",
        Start::CreateThenStart => ", leaving the stopped ones stopped",
    };
    write!(f, "start {} (scale {scale}{beside}; undo: remove)", count(n as usize, "new container"))
}

fn names(containers: &[ContainerRef]) -> String {
    containers.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn time(seconds: f64) -> String {
    duration::show(std::time::Duration::from_secs_f64(seconds))
}
