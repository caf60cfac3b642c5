//! A `docker` for tests: an engine and Compose that live in a folder, answer as the real ones do, and write down
//! every call. What happens when is written into that folder by a test; see `world`.

mod answer;
mod call;
mod compose;
mod containers;
mod engine;
mod file;
mod host;
mod proxy;
mod revisions;
mod strict;
mod world;

use std::{
    env,
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write, stderr, stdin, stdout},
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

use answer::{Answer, UNKNOWN};
use call::Call;
use host::Host;
use world::{Action, World};

/// No call outlives a test that has died.
const LONGEST: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(2);

fn main() -> ExitCode {
    let host = Host::open();
    let mut call = Call::read(env::args().skip(1));
    if call.reads_stdin() {
        stdin().read_to_string(&mut call.stdin).expect("the compose file on standard input");
    }
    let begun = |world: &mut World| {
        let (line, actions) = begin(&host, world, &call);
        world.count_serving();
        let waits = call.verb() == "events" || actions.iter().any(holds);
        let answer = (!waits).then(|| answer(world, &call, &actions));
        (line, actions, answer)
    };
    // Whoever sees the call may kill it: what it does is done, and it is counted.
    let (line, actions, at_once) = host.change_and_then(begun, |(line, ..)| host.begin(line));
    if call.verb() == "events" && actions.is_empty() {
        return events(&host, &call);
    }
    wait(&host, &actions, holds);
    let answer = at_once.unwrap_or_else(|| host.change(|world| answer(world, &call, &actions)));
    if actions.iter().any(|action| matches!(action, Action::HoldAfter)) {
        host.say_done();
        wait(&host, &actions, |action| matches!(action, Action::HoldAfter));
    }
    if answer.code == UNKNOWN {
        host.object(&line, &format!("the fake docker does not know this ({})", answer.stderr.trim()));
    }
    let _ = stdout().write_all(answer.stdout.as_bytes());
    let _ = stderr().write_all(answer.stderr.as_bytes());
    host.end(answer.code);
    ExitCode::from(answer.code as u8)
}

/// Finds what the test wants to happen at it.
fn begin(host: &Host, world: &mut World, call: &Call) -> (String, Vec<Action>) {
    let line = call.line(world);
    strict::objections(world, call).iter().for_each(|objection| host.object(&line, objection));
    let mut actions = Vec::new();
    let fits = |call: &str| match call.strip_suffix('$') {
        Some(end) => line.ends_with(end),
        None => line.contains(call),
    };
    for rule in world.rules.iter_mut().filter(|rule| fits(&rule.call)) {
        rule.seen += 1;
        if rule.nth == 0 || rule.nth == rule.seen {
            actions.push(rule.action.clone());
        }
    }
    for action in &actions {
        match action {
            Action::Becomes(name, reading) => world.become_reading(name, reading),
            Action::Vanishes(name) => world.vanish(name),
            Action::Edited(service) => {
                world
                    .hashes
                    .insert(service.clone(), world::hex(&format!("another configuration of {service}")));
            }
            Action::Rebuilt(image) => {
                world
                    .images
                    .insert(image.clone(), format!("sha256:{}", world::hex(&format!("another {image}"))));
            }
            Action::EngineDies => world.engine_is_dead = true,
            Action::EngineLeaves(calls) => world.engine_is_away = *calls,
            _ => {}
        }
    }
    (line, actions)
}

fn wait(host: &Host, actions: &[Action], holds: impl Fn(&Action) -> bool) {
    let began = Instant::now();
    let over = |action: &Action| !holds(action) || (host.is_released() && !matches!(action, Action::Hang));
    while !actions.iter().all(over) && began.elapsed() < LONGEST && host.exists() {
        sleep(TICK);
    }
}

fn holds(action: &Action) -> bool {
    matches!(action, Action::Hang | Action::Hold)
}

fn instead(action: &Action) -> Option<Answer> {
    match action {
        Action::Fail(code, text) => Some(Answer::failed(*code, text)),
        Action::Print(text) => Some(Answer::text(text)),
        _ => None,
    }
}

fn answer(world: &mut World, call: &Call, actions: &[Action]) -> Answer {
    if let Some(answer) = actions.iter().find_map(instead) {
        return answer;
    }
    let answer = match call.compose {
        Some(_) => compose::answer(world, call),
        None => engine::answer(world, call),
    };
    let failure = actions.iter().find_map(|action| match action {
        Action::FailAfter(code, text) => Some(Answer::failed(*code, text)),
        _ => None,
    });
    failure.unwrap_or(answer)
}

/// `docker events`: tells the news of this run, from its beginning, until it is ended.
fn events(host: &Host, call: &Call) -> ExitCode {
    let wanted: Vec<_> = call.words.iter().filter_map(|word| word.strip_prefix("event=")).collect();
    let began = Instant::now();
    let mut place = 0;
    while began.elapsed() < LONGEST && host.exists() {
        let news = read_from(host, &mut place);
        let heard = news.lines().filter(|line| {
            let (_, status) = line.split_once(' ').unwrap_or_default();
            wanted.iter().any(|event| status.split(':').next() == Some(event))
        });
        let text: String = heard.map(|line| format!("{line}\n")).collect();
        if stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush()).is_err() {
            break;
        }
        sleep(TICK);
    }
    ExitCode::SUCCESS
}

fn read_from(host: &Host, place: &mut u64) -> String {
    let mut text = String::new();
    if fs::metadata(host.path("events")).is_ok_and(|data| data.len() > *place) {
        let mut file = File::open(host.path("events")).expect("the news");
        file.seek(SeekFrom::Start(*place)).expect("a place in it");
        *place += file.read_to_string(&mut text).expect("text") as u64;
    }
    text
}
