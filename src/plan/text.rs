//! A plan in words.

use std::{fmt, time::Duration};

use super::{Change, Operation, Plan, Refusal, ServicePlan, Start, What};
use crate::{
    engine::Replica,
    event::Verdict,
    text::{self, count, duration},
};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Text { plan: self, verbose: false, paint: &|_, text| text.to_owned() }.fmt(f)
    }
}

/// A plan as it is shown.
pub struct Text<'a> {
    pub plan: &'a Plan,
    /// With the cause of every operation, and with every setting and its source for each service that changes.
    pub verbose: bool,
    /// Gives a text a style, and changes nothing else.
    pub paint: &'a dyn Fn(&str, &str) -> String,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_plan(f)?;
        let changing = self.plan.services.iter().filter(|service| !service.operations.is_empty());
        for service in changing.filter(|_| self.verbose) {
            writeln!(f, "Settings of {}", service.service)?;
            for (key, value, source) in service.settings().explained() {
                writeln!(f, "  {key:17}  {value:20}  {source}")?;
            }
        }
        Ok(())
    }
}

impl Text<'_> {
    fn write_plan(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.plan;
        writeln!(f, "Project {}", plan.project)?;
        let width = plan.services.iter().map(|s| s.service.len()).max().unwrap_or(0);
        for service in &plan.services {
            self.write_service(f, service, width)?;
        }
        if !plan.orphans.is_empty() {
            let names = names(&plan.orphans);
            match plan.remove_orphans {
                true => writeln!(f, "  remove orphans: {names}")?,
                false => writeln!(f, "  orphans, left as they are: {names} (--remove-orphans removes them)")?,
            }
        }
        Ok(())
    }

    fn write_service(&self, f: &mut fmt::Formatter<'_>, plan: &ServicePlan, width: usize) -> fmt::Result {
        let name = (self.paint)("bold", &format!("{:width$}", plan.service));
        let verdict = (self.paint)(style(plan.verdict), &format!("{:9}", plan.verdict.word()));
        let change = self.plan.versions(plan).behind(plan.verdict);
        writeln!(f, "  {name}  {verdict}  {}{change}", plan.reason)?;
        let indent = " ".repeat(width + 4);
        for (number, operation) in plan.operations.iter().enumerate() {
            write!(f, "{indent}{:>3}. {}", number + 1, describe(operation, plan))?;
            writeln!(f, "{}", if self.verbose { format!(" [{}]", operation.cause) } else { String::new() })?;
        }
        for refusal in &plan.refusals {
            writeln!(f, "{indent}{} {refusal}", (self.paint)("red", "refused:"))?;
        }
        for note in &plan.notes {
            writeln!(f, "{indent}{} {note}", (self.paint)("cyan", "note:"))?;
        }
        Ok(())
    }
}

fn style(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Unchanged => "dim",
        Verdict::Create | Verdict::Scale | Verdict::Settings | Verdict::Roll => "green",
        Verdict::Hold | Verdict::Recreate => "yellow",
        Verdict::Blocked => "red",
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = self.key {
            write!(f, "{key}: ")?;
        }
        write!(f, "{}; {}", self.problem, self.remedy)
    }
}

fn describe(operation: &Operation, plan: &ServicePlan) -> String {
    match &operation.what {
        What::Clear { containers } => format!("remove stopped {}", names(containers)),
        What::PreStart => {
            "run pre_start hooks once, from the new image (rollback: none, nothing was touched)".to_owned()
        }
        What::Delay { seconds } => format!("wait {}", time(*seconds)),
        What::Create { count, scale } => {
            let new = text::count(*count as usize, "new container");
            format!("create {new} (scale {scale}; rollback: remove)")
        }
        What::Hold { containers } => {
            format!("let new connections to {} wait from its stop on", names(containers))
        }
        What::Release => "let those who wait through to the new version".to_owned(),
        What::HoldPorts { containers, ports, .. } => {
            format!("let new connections to {} wait from the stop of {} on", host(ports), names(containers))
        }
        What::PassPorts { to, ports, .. } => pass(plan, to, ports),
        What::Start { count, scale, how } => start(*count, *scale, *how),
        What::Gate { also } => gate(plan, also),
        What::Settle { seconds } => format!("wait {} for the proxy to pick them up", time(*seconds)),
        What::Drain { containers, .. } => {
            let ways: String = plan.ways.iter().map(ToString::to_string).collect();
            format!("drain {}{ways}", names(containers))
        }
        What::Rename { names } => {
            let names: Vec<_> = names.iter().map(|one| one.name.as_str()).collect();
            format!("give the name {} to who stays (rollback: give it back)", names.join(", "))
        }
        What::Stop { containers } => format!("stop {} (rollback: start again)", names(containers)),
        What::Remove { containers } => format!("remove {}", names(containers)),
        What::Deploy { change, tasks } => deploy(*change, *tasks as usize),
        What::RunOnce { name } => {
            format!("run it once as {name}, wait until it ends with exit code 0, remove it")
        }
        What::Await { containers } => format!("wait until {} has ended", names(containers)),
        What::Revive { down, .. } => {
            format!("let Compose start {}, or what takes its place (rollback: stop again)", names(down))
        }
        What::Recreate { old, can_undo } => {
            let rollback = if *can_undo { "rollback: deploy what runs now again" } else { "no rollback" };
            format!("let Compose remove {} and start the new version ({rollback})", names(old))
        }
    }
}

fn start(n: u32, scale: u32, how: Start) -> String {
    let beside = match how {
        Start::Created => return format!("start {} (rollback: remove)", count(n as usize, "new container")),
        Start::Up => "",
        Start::CreateThenStart => ", leaving the stopped ones stopped",
    };
    format!("start {} (scale {scale}{beside}; rollback: remove)", count(n as usize, "new container"))
}

fn gate(plan: &ServicePlan, also: &[Replica]) -> String {
    let settings = plan.settings();
    let wait = match plan.wanted.is_job() {
        true => "wait until it ends with exit code 0".to_owned(),
        false => {
            let monitor = duration::show(settings.monitor);
            format!("wait until healthy, or running {monitor} without a healthcheck")
        }
    };
    let limit = settings.wait_timeout.map(|limit| format!(", at most {}", duration::show(limit)));
    let also = Some(also).filter(|also| !also.is_empty()).map(|also| format!(", with {}", names(also)));
    format!("{wait}{}{}", limit.unwrap_or_default(), also.unwrap_or_default())
}

fn deploy(change: Change, tasks: usize) -> String {
    let all = count(tasks, "task");
    match change {
        Change::Create => {
            format!("create the service with {all} (when it fails, it is left to be looked at)")
        }
        Change::Scale => format!("set the count to {all} (rollback: as before)"),
        Change::Settings => "send the settings; no task is replaced (rollback: as before)".to_owned(),
        Change::StartFirst => {
            format!("send it to Swarm: {all}, new ones before old ones (rollback: by Swarm)")
        }
        Change::StopFirst => {
            format!("send it to Swarm: {all}, old ones before new ones, in batches (rollback: by Swarm)")
        }
        Change::Down => {
            format!("send it to Swarm: {all}, old ones before new ones, with downtime (rollback: by Swarm)")
        }
        Change::Restart => format!("let Swarm replace {all} (rollback: by Swarm)"),
    }
}

fn pass(plan: &ServicePlan, to: &str, ports: &[String]) -> String {
    let waits = |op: &Operation| matches!(&op.what, What::HoldPorts { to: other, .. } if other == to);
    let how = match plan.operations.iter().any(waits) {
        true => "with those who wait",
        false => "where connections are refused until then",
    };
    format!("let {to} take over {}, {how}", host(ports))
}

fn host(ports: &[String]) -> String {
    format!("host port{} {}", if ports.len() == 1 { "" } else { "s" }, ports.join(", "))
}

fn names(replicas: &[Replica]) -> String {
    replicas.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn time(seconds: f64) -> String {
    duration::show(Duration::from_secs_f64(seconds))
}
