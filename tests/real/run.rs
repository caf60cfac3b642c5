//! The life of one stack: a first start, a changed version of its apps, and a rollback, all under load.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Read,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use zdd::project::Project;

use crate::{
    images::{Images, LABEL},
    model::{self, Facts, Kind, Model, Place},
    stack::{HELPER, Stack, docker},
    visitors::{Found, Visitors},
};

/// What one command may take.
const DEADLINE: Duration = Duration::from_secs(300);
/// And how long it has to end when it is asked to.
const GRACE: Duration = Duration::from_secs(60);

/// What became of a stack.
#[derive(Debug, Default)]
pub struct Story {
    /// What the plan says of each service when everything changes: `rolled`, `held`, `consent`, `refused` or `other`.
    pub fates: BTreeMap<String, (Kind, &'static str)>,
    /// By app.
    pub found: BTreeMap<String, Found>,
    /// Apps that have no network of their own, so that nobody can visit them.
    pub unvisited: Vec<String>,
    /// First start, update, rollback.
    pub took: [Option<Duration>; 3],
    /// What is not as it should be.
    pub faults: Vec<String>,
}

pub struct Runner<'a> {
    pub model: Model,
    pub images: &'a Images,
    stack: Stack,
    /// What was run, and what it said.
    log: String,
    visited_since: Option<Instant>,
    story: Story,
}

impl<'a> Runner<'a> {
    /// # Panics
    /// When the file cannot be made to run here.
    pub fn new(name: &str, text: &str, project: &Project, folder: &Path, images: &'a Images) -> Runner<'a> {
        let stack = Stack::new(&format!("real-{}", name.to_lowercase().replace('.', "-")), "services: {}");
        let place = Place { project: &stack.project, folder: stack.folder() };
        let model = model::adapt(text, project, &place);
        stack.write("compose.yaml", &model.text);
        if folder.join(".env").exists() {
            fs::copy(folder.join(".env"), stack.folder().join(".env")).expect("a copy");
        }
        let fates = model.services.iter().map(|facts| (facts.name.clone(), (facts.kind, "other"))).collect();
        let story = Story { fates, ..Story::default() };
        Runner { model, images, stack, log: String::new(), visited_since: None, story }
    }

    /// Also gives the log.
    pub fn run(mut self) -> (Story, String) {
        self.all(1, &[Kind::App, Kind::Data, Kind::Job]);
        self.outer("create");
        if self.step(0, &["up", "--monitor", "1s"], 0) {
            self.under_load();
        }
        (std::mem::take(&mut self.story), std::mem::take(&mut self.log))
    }

    fn under_load(&mut self) {
        let data = self.data();
        let services = self.model.services.clone();
        let apps: Vec<_> = services.iter().filter(|facts| facts.kind == Kind::App).collect();
        let (visited, rest): (Vec<_>, Vec<_>) = apps.into_iter().partition(|facts| is_reached(facts));
        self.story.unvisited = rest.iter().map(|facts| facts.name.clone()).collect();
        self.visited_since = Some(Instant::now());
        let visitors = Visitors::begin(&self.stack.project, &visited);
        self.judge();
        let named = self.refuses_all();
        self.all(2, &[Kind::App, Kind::Job]);
        let is_updated = |name: &String| named.as_ref().is_none_or(|named| named.contains(name));
        let names: Vec<_> = named.iter().flatten().map(String::as_str).collect();
        let update = [&["up", "--monitor", "1s"], names.as_slice()].concat();
        // Where all of them need consent there is nothing to do.
        if named.as_ref().is_none_or(|named| !named.is_empty()) && self.step(1, &update, 0) {
            self.step(2, &["rollback", "--monitor", "1s"], 0);
        }
        self.story.found = visitors.end();
        for facts in visited {
            let found = self.story.found.get(&facts.name).cloned().unwrap_or_default();
            self.log += &format!(
                "visitors of {}: the slowest answer took {:.1} s, asked for at {:.1} s\n",
                facts.name,
                found.slowest / 1000.0,
                found.slowest_at
            );
            if found.failed > 0 {
                let said = found.said.join("; ");
                self.fault(format!(
                    "{}: {} of {} requests failed: {said}",
                    facts.name, found.failed, found.requests
                ));
            }
            if is_updated(&facts.name) && !found.went_there_and_back() {
                self.fault(format!("{}: its visitors saw versions {:?}", facts.name, found.versions));
            }
        }
        if self.data() != data {
            self.fault("a database was touched without consent".to_owned());
        }
    }

    /// Asks what would become of everything if everything changed.
    fn judge(&mut self) {
        let (code, said) = self.zdd(&["plan", "--force-recreate", "--format", "json"]);
        let plan: Value = serde_json::from_str(&said).unwrap_or_default();
        if code > 2 || plan.is_null() {
            self.fault(format!("plan ended with {code}"));
        }
        for service in plan["services"].as_array().into_iter().flatten() {
            let name = service["service"].as_str().unwrap_or_default().to_owned();
            let refused = service["refusals"].as_array().is_some_and(|all| !all.is_empty());
            let fate = match service["verdict"].as_str() {
                Some("blocked") => "refused",
                _ if refused => "consent",
                Some("roll") => "rolled",
                Some("hold") => "held",
                _ => "other",
            };
            let kind = self
                .model
                .services
                .iter()
                .find(|facts| facts.name == name)
                .map_or(Kind::Job, |facts| facts.kind);
            self.story.fates.insert(name, (kind, fate));
        }
    }

    /// Where something needs consent, nothing is touched when everything is to change. Gives the services to name then, where
    /// any are to be named.
    fn refuses_all(&mut self) -> Option<Vec<String>> {
        let refused = |fate: &str| matches!(fate, "consent" | "refused");
        let fates = self.story.fates.clone();
        if !fates.values().any(|(_, fate)| refused(fate)) {
            return None;
        }
        let before = self.running();
        let (code, _) = self.zdd(&["up", "--force-recreate"]);
        if code != 2 || self.running() != before {
            self.fault(format!("what needs consent was not refused as a whole: exit code {code}"));
        }
        let shared = |facts: &Facts| {
            self.model.services.iter().any(|o| o.kind == Kind::Data && o.image == facts.image)
        };
        let well = |facts: &&Facts| fates.get(&facts.name).is_some_and(|(_, fate)| !refused(fate));
        let all_well = self
            .model
            .services
            .iter()
            .filter(|facts| facts.kind == Kind::App)
            .all(|f| well(&f) && !shared(f));
        match all_well {
            // Databases have not changed, so that nothing has to be named.
            true => None,
            false => {
                let apps = self.model.services.iter().filter(|facts| facts.kind != Kind::Data).filter(well);
                Some(apps.map(|facts| facts.name.clone()).collect())
            }
        }
    }

    /// All images of these kinds mean this version from now on.
    fn all(&self, version: u32, kinds: &[Kind]) {
        let services = self.model.services.iter().filter(|facts| kinds.contains(&facts.kind));
        let references: BTreeSet<_> = services.map(|facts| facts.image.as_str()).collect();
        references.into_iter().for_each(|reference| self.images.tag(reference, version));
    }

    /// What is external to the file.
    fn outer(&self, verb: &str) {
        for (what, names) in
            [("network", &self.model.external_networks), ("volume", &self.model.external_volumes)]
        {
            for name in names {
                let label = if verb == "create" { vec!["--label", LABEL] } else { vec![] };
                let _ = Command::new("docker").args([what, verb]).args(label).arg(name).output();
            }
        }
    }

    fn data(&self) -> BTreeSet<String> {
        let data = |container: &&String| {
            let services = self.model.services.iter().filter(|facts| facts.kind == Kind::Data);
            services.into_iter().any(|facts| container.starts_with(&format!("{} ", facts.name)))
        };
        self.running().iter().filter(data).cloned().collect()
    }

    /// Service, container and start of everything that runs.
    fn running(&self) -> BTreeSet<String> {
        let ids: Vec<_> = self.stack.all_containers().into_iter().map(|container| container.id).collect();
        let format = "{{index .Config.Labels \"com.docker.compose.service\"}} {{.Id}} {{.State.StartedAt}}";
        let args = ["inspect", "--format", format].into_iter().chain(ids.iter().map(String::as_str));
        if ids.is_empty() {
            BTreeSet::new()
        } else {
            docker(&args.collect::<Vec<_>>()).lines().map(str::to_owned).collect()
        }
    }

    fn step(&mut self, number: usize, args: &[&str], wanted: i32) -> bool {
        let begun = Instant::now();
        let (code, said) = self.zdd(args);
        self.story.took[number] = Some(begun.elapsed());
        if code != wanted {
            let last = said
                .lines()
                .rev()
                .find(|line| !line.is_empty() && !line.starts_with("hint"))
                .unwrap_or_default();
            self.fault(format!("\"{}\" ended with {code}: {last}", args[..1].join(" ")));
        }
        code == wanted
    }

    fn fault(&mut self, text: String) {
        self.log += &format!("FAULT {text}\n");
        self.story.faults.push(text);
    }

    /// The exit code, and standard output, or what it reported when there was none. One that takes too long is asked to
    /// end.
    fn zdd(&mut self, args: &[&str]) -> (i32, String) {
        let files = ["out", "err"].map(|name| self.stack.folder().join(name));
        let [out, err] = [0, 1].map(|n: usize| Stdio::from(File::create(&files[n]).expect("a file")));
        let mut command = self.stack.command(args, &[(HELPER, "auto")]);
        let begun = Instant::now();
        if let Some(since) = self.visited_since {
            self.log += &format!("{:.1} s after the visitors began:\n", since.elapsed().as_secs_f64());
        }
        let mut child = command.stdout(out).stderr(err).spawn().expect("docker-zdd");
        let mut signals = [(DEADLINE, Signal::INT), (DEADLINE + GRACE, Signal::KILL)].into_iter().peekable();
        let code = loop {
            if let Some(status) = child.try_wait().expect("a status") {
                break status.code().unwrap_or(-1);
            }
            if let Some((_, signal)) = signals.next_if(|(at, _)| begun.elapsed() > *at) {
                self.log += &format!("it takes too long: {signal:?}\n");
                let _ = kill_process(Pid::from_child(&child), signal);
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let [out, err] = files.map(|path| {
            let mut text = String::new();
            let _ = File::open(path).map(|mut file| file.read_to_string(&mut text));
            text
        });
        let shown = if args[0] == "plan" { "" } else { out.as_str() };
        self.log += &format!(
            "$ docker zdd {}\n{shown}{err}exit code {code} after {:?}\n\n",
            args.join(" "),
            begun.elapsed()
        );
        (code, if out.is_empty() { err } else { out })
    }
}

impl Drop for Runner<'_> {
    fn drop(&mut self) {
        self.stack.sweep();
        self.outer("rm");
    }
}

fn is_reached(facts: &Facts) -> bool {
    !facts.published.is_empty() || facts.within.is_some() && !facts.name.contains('.')
}
