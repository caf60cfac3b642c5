//! HAProxy is told to wait: while connections to a service wait it is told again and again that its servers are up.
//!
//! A check by TCP passes meanwhile, and one by HTTP gets no answer: before long HAProxy takes the server for down, and
//! answers 503 itself. Tried with 2.6 and worse: `disable health`. A server that Docker's DNS puts into a slot meanwhile
//! is never checked again, also after `enable health`, and what a killed run has disabled stays so.

use std::time::Duration;

use super::{Haproxy, Lease, Proxy, Scene, Session, api};
use crate::{
    engine::{Attached, Replica},
    event::Generation,
    stage::Halt,
};

/// How often: no more than one check in a row fails in between.
const AGAIN: f64 = 0.25;

/// The containers of HAProxy in the course of a rollout in which connections wait.
pub struct KeepUp {
    session: Session,
    telling: Vec<Telling>,
}

/// Ends with the value, and with this program.
struct Telling(#[allow(dead_code, reason = "it is kept")] Attached);

impl KeepUp {
    pub fn new(found: &Haproxy) -> KeepUp {
        KeepUp { session: Session::new(found), telling: vec![] }
    }
}

impl Proxy for KeepUp {
    fn leave(&mut self, _: &[Replica], _: Generation, _: Duration, _: &Scene) -> Vec<Box<dyn Lease>> {
        vec![]
    }

    /// One that cannot be told goes on as it does.
    fn hold(&mut self, leaving: &[Replica], scene: &Scene) -> Result<(), Halt> {
        let ours: Vec<_> = leaving.iter().flat_map(|replica| replica.addresses()).collect();
        let longest = scene.service.settings.hand_over.hold + scene.service.settings.drain_timeout;
        let times = (longest.as_secs_f64() / AGAIN) as u64;
        let KeepUp { session, telling } = self;
        session.follow(scene);
        session.each(scene, |session, proxy| {
            let servers = api::checked(&scene.again(|| session.ask(proxy, scene))?, &ours);
            if !servers.is_empty() {
                let (command, socket) =
                    (api::set_up(&servers), session.socket.as_deref().unwrap_or_default());
                let words = [api::SCRIPT, &command, socket, &times.to_string(), &AGAIN.to_string()];
                telling.push(Telling(scene.engine.keep_shell(&proxy.id, api::REPEAT, &words)?));
            }
            Ok(())
        });
        Ok(())
    }

    fn release(&mut self, _: &[Replica], _: &Scene) -> Vec<Box<dyn Lease>> {
        self.telling.drain(..).map(|telling| Box::new(telling) as Box<dyn Lease>).collect()
    }
}

impl Lease for Telling {
    fn give_back(self: Box<Self>, _gone: bool, _: &Scene) {}
}
