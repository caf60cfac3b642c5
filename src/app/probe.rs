//! The probe of a rollout: asked for in the file or by flags, begun when nothing is touched yet.

use super::Context;
use crate::{
    cli::ProbeArgs,
    event::{Event, Verdict},
    exit::Stop,
    plan::Plan,
    probe::{Counting, Prober},
    project::{Probe, ProbeLayer},
};

impl Context {
    /// Asks the address a few times, then goes on asking until the rollout is over. An interrupt ends the first
    /// requests; the caller looks for it.
    ///
    /// # Errors
    /// The address does not answer now. Nothing was touched.
    pub fn begin_probe(&self, plan: &Plan, probe: Option<Probe>) -> Result<Option<Prober>, Stop> {
        let Some(probe) = probe.filter(|_| plan.changes()) else { return Ok(None) };
        let probe = self.without_limit_in_downtime(probe, plan);
        let counting = counting(plan);
        let begun = Prober::begin(&probe, counting, self.began, &self.waiter, self.sink.clone());
        let prober = begun.map_err(|error| silent(&probe, &error))?;
        if let Some(prober) = &prober {
            self.sink.add(prober.follower());
        }
        Ok(prober)
    }

    /// A downtime that was asked for makes requests fail, and what Compose recreates cannot be rolled back.
    fn without_limit_in_downtime(&self, probe: Probe, plan: &Plan) -> Probe {
        let down = plan.services.iter().find(|service| service.verdict == Verdict::Recreate);
        let Some(service) = down.filter(|_| probe.max_failures.is_some()) else { return probe };
        let message = "it is recreated with downtime, so failed requests of the probe are only reported";
        self.emit(Event::Warning { service: Some(service.service.clone()), message: message.to_owned() });
        Probe { max_failures: None, ..probe }
    }
}

/// What flags and file ask for together.
///
/// # Errors
/// Flags that contradict each other, or have no address. Nothing was touched.
pub fn wanted(args: &ProbeArgs, file: &ProbeLayer) -> Result<Option<Probe>, Stop> {
    match (args.no_probe, &args.probe) {
        (true, None) => return Ok(None),
        (true, Some(_)) => return Err(Stop::error("--probe and --no-probe are incompatible")),
        _ => {}
    }
    match args.layer().over(file) {
        None if args.any() => {
            let stop = Stop::error("no address to probe; nothing was touched");
            Err(stop.hint("set one with --probe, or write x-zdd: {probe: {url: …}} at the top of the file"))
        }
        probe => Ok(probe),
    }
}

/// Before a first start nobody can answer.
fn counting(plan: &Plan) -> Counting {
    match plan.services.iter().any(|service| service.verdict == Verdict::Create) {
        true => Counting::SinceFirstAnswer,
        false => Counting::All,
    }
}

fn silent(probe: &Probe, error: &str) -> Stop {
    let message = format!("{} does not answer before the rollout ({error}); nothing was touched", probe.url);
    Stop::error(message).hint("fix that first, or skip the probe with --no-probe")
}
