//! The helpers of one run: one on the engine's host, one in each container's network that is asked about.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use super::{
    Answer, Asked, Help, Presence, StandIn, Trouble,
    client::{Client, Where, label},
    image::{binary_for, keep_proof, presence, proof, provide, worked_on},
    protocol::Request,
};
use crate::engine::{CallError, ContainerRef, Docker};

/// Helpers leave when they hear nothing for 15 s. One that somebody has killed is missed sooner than that.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// Why there are none, in a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(pub String);

/// What helpers are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To say what a rollout would do: none is started where one has worked on this engine and kernel before.
    Plan,
    /// To find out whether one works.
    Probe,
    /// Nobody else rolls out the project, so those that are there were left by a run that was killed.
    Rollout,
}

/// Helpers that are started while something else is done.
#[derive(Clone)]
pub struct Starting(Arc<Found>);

struct Found {
    docker: Docker,
    purpose: Purpose,
    /// What one could do before on this engine and kernel, if it worked; known before they are there.
    before: OnceLock<Option<Presence>>,
    result: OnceLock<Result<Helpers, Unavailable>>,
}

impl Starting {
    pub fn begin(docker: &Docker, purpose: Purpose) -> Starting {
        let docker = docker.clone();
        let found = Found { docker, purpose, before: OnceLock::new(), result: OnceLock::new() };
        let starting = Starting(Arc::new(found));
        let begun = starting.clone();
        thread::spawn(move || {
            let before = (purpose == Purpose::Plan).then(|| worked_on(&begun.0.docker)).flatten();
            match before {
                Some(before) => drop(begun.0.before.set(Some(before))),
                None => drop(begun.get()),
            }
        });
        starting
    }

    /// What a plan can rest on, long before they are there.
    ///
    /// # Errors
    /// Why there can be none.
    pub fn is_there(&self) -> Result<Presence, &Unavailable> {
        let Found { before, result, .. } = &*self.0;
        let before = if result.get().is_none() { before.wait().clone() } else { None };
        match before {
            Some(before) => Ok(before),
            None => self.get().map(|helpers| helpers.presence.clone()),
        }
    }

    /// Waits until they are there.
    ///
    /// # Errors
    /// Why there can be none.
    pub fn get(&self) -> Result<&Helpers, &Unavailable> {
        let Found { docker, purpose, before, result } = &*self.0;
        let result = result.get_or_init(|| Helpers::start(docker, *purpose, before));
        // Nobody is to wait for it any more.
        let _ = before.set(None);
        result.as_ref()
    }

    /// Ends them, where there are any.
    pub fn quit(&self) {
        if let Some(Ok(helpers)) = self.0.result.get() {
            helpers.quit();
        }
    }
}

/// A helper, and what it was told to do.
struct Live {
    client: Client,
    made: Vec<Request>,
    /// It stands in for a container, so another one cannot take its place.
    is_alone: bool,
}

impl Live {
    fn new(client: Client) -> Live {
        Live { client, made: vec![], is_alone: false }
    }
}

/// `None` before it is started.
type Slot = Arc<Mutex<Option<Live>>>;

pub struct Helpers {
    all: Arc<All>,
    asked: Mutex<Asked>,
    /// What they can do.
    pub presence: Presence,
    /// Ends the signs of life when it is dropped.
    _alive: Sender<()>,
}

struct All {
    docker: Docker,
    image: String,
    host: Slot,
    inside: Mutex<BTreeMap<String, Slot>>,
}

impl Helpers {
    /// Starts the one on the host, and finds out what the kernel there can do.
    ///
    /// # Errors
    /// Why there can be none.
    fn start(
        docker: &Docker,
        purpose: Purpose,
        before: &OnceLock<Option<Presence>>,
    ) -> Result<Helpers, Unavailable> {
        let said = |error: CallError| Unavailable(error.problem.said());
        if purpose == Purpose::Rollout {
            // What they steer would be steered twice. Connections that they have begun go on for three seconds.
            docker.signal_labelled(&label(docker), "TERM").map_err(said)?;
            docker.remove_unstarted(&label(docker)).map_err(said)?;
        }
        let server = docker.server().map_err(said)?.map_err(Unavailable)?;
        let helper = binary_for(&server)?;
        let proof = proof(helper, &server);
        let (image, is_kept) = provide(docker, helper, &proof).map_err(said)?;
        if purpose == Purpose::Rollout {
            let _ = before.set(is_kept.then(|| presence(&server)));
        }
        let host = start_on_host(docker, &image);
        keep_proof(docker, &image, &proof, (is_kept, host.is_ok()));
        let mut host = host?;
        if host.cannot("owner").is_some() {
            // On such kernels the tables of a helper that was killed have not ended with it.
            let _ = host.ask(&Request::Sweep);
        }
        let host = Arc::new(Mutex::new(Some(Live::new(host))));
        let all = Arc::new(All { docker: docker.clone(), image, host, inside: Mutex::default() });
        let alive = keep_alive(Arc::downgrade(&all));
        Ok(Helpers { all, asked: Mutex::default(), presence: presence(&server), _alive: alive })
    }

    /// Removes all that they have done, and waits until they are gone.
    pub fn quit(&self) {
        let inside = std::mem::take(&mut *lock(&self.all.inside));
        thread::scope(|scope| {
            for slot in inside.into_values().chain([self.all.host.clone()]) {
                scope.spawn(move || {
                    if let Some(live) = lock(&slot).take() {
                        live.client.quit();
                    }
                });
            }
        });
    }
}

fn start_on_host(docker: &Docker, image: &str) -> Result<Client, Unavailable> {
    let host = Client::start(docker, image, Where::Host).map_err(|trouble| {
        Unavailable(match trouble {
            Trouble::Refused(words) => cannot("nf_tables", words.split(' ').next().unwrap_or_default()),
            Trouble::Gone(words) => format!("no helper starts: {words}"),
        })
    })?;
    match lacking(&host) {
        None => Ok(host),
        Some(why) => {
            host.quit();
            Err(Unavailable(why))
        }
    }
}

impl All {
    fn slot(&self, container: &ContainerRef) -> Slot {
        lock(&self.inside).entry(container.id.clone()).or_default().clone()
    }

    fn start(&self, place: Where) -> Result<Client, Trouble> {
        let mut client = Client::start(&self.docker, &self.image, place)?;
        if let Where::Container(_) = place {
            // What it has not seen it cannot judge.
            let _ = client.ask(&Request::Watch);
        }
        Ok(client)
    }

    fn in_network<T>(
        &self,
        container: &ContainerRef,
        act: impl FnOnce(&mut Live) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let slot = self.slot(container);
        let mut live = lock(&slot);
        if live.is_none() {
            let client = self.start(Where::Container(&container.id))?;
            *live = Some(Live::new(client));
        }
        live.as_mut().map_or_else(|| Err(gone()), act)
    }

    /// Asks one, or another one in its place when somebody has killed it.
    fn ask(&self, live: &mut Live, place: Where, request: &Request) -> Result<Answer, Trouble> {
        let mut answer = live.client.ask(request);
        if let Err(Trouble::Gone(_)) = answer
            && !live.is_alone
        {
            let mut next = self.start(place)?;
            live.made.iter().try_for_each(|made| next.ask(made).map(drop))?;
            live.client = next;
            answer = live.client.ask(request);
        }
        if answer.is_ok() && matches!(request, Request::Change(_) | Request::Take(_)) {
            live.made.push(request.clone());
        }
        answer
    }

    fn ask_host(&self, request: &Request) -> Result<Answer, Trouble> {
        lock(&self.host).as_mut().map_or_else(|| Err(gone()), |host| self.ask(host, Where::Host, request))
    }
}

impl Help for Helpers {
    fn on_host(&self, request: &Request) -> Result<Answer, Trouble> {
        self.all.ask_host(request)
    }

    fn prepare(&self, container: &ContainerRef) {
        let (all, container) = (self.all.clone(), container.clone());
        // Whoever needs it hears why it does not start.
        thread::spawn(move || drop(all.in_network(&container, |_| Ok(()))));
    }

    fn inside(&self, container: &ContainerRef, request: &Request) -> Result<Answer, Trouble> {
        let place = Where::Container(&container.id);
        self.all.in_network(container, |live| self.all.ask(live, place, request))
    }

    fn stand_in(&self, wanted: &StandIn, made: &dyn Fn(&str)) -> Result<ContainerRef, Trouble> {
        let (client, container) = Client::stand_in(&self.all.docker, &self.all.image, wanted, made)?;
        let live = Live { is_alone: true, ..Live::new(client) };
        lock(&self.all.inside).insert(container.id.clone(), Arc::new(Mutex::new(Some(live))));
        Ok(container)
    }

    fn dismiss(&self, stand_in: &ContainerRef) {
        let slot = lock(&self.all.inside).remove(&stand_in.id);
        if let Some(live) = slot.and_then(|slot| lock(&slot).take()) {
            live.client.quit();
        }
    }

    fn asked(&self) -> Result<Asked, Trouble> {
        let mut asked = lock(&self.asked);
        self.on_host(&Request::Asked)?.add_to(&mut asked);
        Ok(asked.clone())
    }

    fn leave(&self, container: &ContainerRef) {
        let slot = lock(&self.all.inside).remove(&container.id);
        // It stays for a while only where connections need it.
        if let Some(live) = slot.as_ref().and_then(|slot| lock(slot).take()).as_mut() {
            let _ = live.client.ask(&Request::Untake { force: false });
        }
    }
}

fn gone() -> Trouble {
    Trouble::Gone("it has ended".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the host's network would have to allow.
fn lacking(host: &Client) -> Option<String> {
    let needed = [("bridge", "nf_tables for bridges"), ("nat4", "NAT by nf_tables")];
    needed.into_iter().find_map(|(ability, what)| Some(cannot(what, host.cannot(ability)?)))
}

/// In words, for the kernel's error.
fn cannot(what: &str, error: &str) -> String {
    match error {
        "EPERM" | "EACCES" => "the engine does not let a container change the network (NET_ADMIN)".to_owned(),
        _ => format!("the kernel of the engine's machine has no {what} ({error})"),
    }
}

/// Lets all of them hear something every few seconds, until the sender is dropped.
fn keep_alive(all: Weak<All>) -> Sender<()> {
    let (alive, ended) = channel();
    thread::spawn(move || {
        while ended.recv_timeout(SIGN_OF_LIFE) == Err(RecvTimeoutError::Timeout) {
            let Some(all) = all.upgrade() else { return };
            let _ = all.ask_host(&Request::Ping);
            let inside: Vec<_> =
                lock(&all.inside).iter().map(|(id, slot)| (id.clone(), slot.clone())).collect();
            for (id, slot) in inside {
                // One that is asked to wait for something has heard of us.
                if let Ok(mut live) = slot.try_lock()
                    && let Some(live) = live.as_mut()
                {
                    let _ = match live.made.is_empty() {
                        true => live.client.ask(&Request::Ping),
                        false => all.ask(live, Where::Container(&id), &Request::Ping),
                    };
                }
            }
        }
    });
    alive
}
