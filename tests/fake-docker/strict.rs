//! What every call must be like, whatever it does: checked at each, so that no test has to.

use std::{env, fs};

use crate::{
    call::Call,
    world::{Container, World},
};

/// What is wrong with a call. The test that made it fails.
pub fn objections(world: &World, call: &Call) -> Vec<String> {
    let mut found = Vec::new();
    let mut must = |ok: bool, objection: &str| {
        if !ok {
            found.push(objection.to_owned());
        }
    };
    must(
        leads_its_group(),
        "Ctrl-C on the terminal would reach this call: it must lead a process group of its own",
    );
    // A helper is asked there.
    let is_asked = call.compose.is_none() && call.verb() == "run";
    must(
        call.reads_stdin() || is_asked || has_no_stdin(),
        "standard input must be empty, or a prompt could be answered",
    );
    if call.loads() {
        compose(world, call, &mut must);
    }
    if call.verb() == "rm" {
        let of_no_file = |c: &&Container| !world.names_of_services.contains(&c.service);
        let going = world.containers.iter().filter(|c| call.words.contains(&c.id));
        let orphans = going.filter(of_no_file).count();
        let with_volumes = call.words.iter().any(|word| word == "-v");
        must(with_volumes || orphans > 0, "anonymous volumes would stay behind");
        must(!with_volumes || orphans == 0, "an orphan's data may be wanted again");
        must(!call.words.iter().any(|word| word == "-f"), "nothing that runs may be removed");
    }
    found
}

fn compose(world: &World, call: &Call, must: &mut impl FnMut(bool, &str)) {
    let has = |word: &str| call.words.iter().any(|w| w == word);
    let logs = |level: &str| call.docker.ends_with(&[("-l".to_owned(), Some(level.to_owned()))]);
    must(logs("error") || (call.may_warn() && logs("warn")), "Compose's warnings must be off");
    must(
        env::var("COMPOSE_REMOVE_ORPHANS").is_ok_and(|v| v == "false"),
        "COMPOSE_REMOVE_ORPHANS must be false",
    );
    must(env::var("COMPOSE_MENU").is_ok_and(|v| v == "false"), "COMPOSE_MENU must be false");
    must(!has("-y") && !has("--yes"), "a question about data must not be answered with yes");
    must(!has("--remove-orphans"), "orphans are not Compose's to remove");
    must(call.verb() != "scale", "compose scale recreates in place");
    if call.verb() == "config" {
        return;
    }
    must(call.project().is_some(), "the project must be named");
    must(call.compose_values(&["--progress"]).next().is_some(), "the form of progress must be given");
    if call.verb() == "up" {
        must(has("--no-build") && has("--pull"), "a start must neither build nor pull");
        must(has("-d") != has("--no-start"), "it must be detached");
        // A dry run may ask what Compose would do if it were left to itself.
        must(call.is_dry() || has("--no-deps"), "other services would be touched");
        let said = has("--no-recreate") != has("--force-recreate");
        let runs = world.containers.iter().any(|container| container.is_up() && has(&container.service));
        must(call.is_dry() || said || !runs, "whether what runs is kept must be said");
    }
}

/// From `/proc`: state, parent and process group stand behind the name in parentheses.
fn leads_its_group() -> bool {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind = stat.rsplit(") ").next().unwrap_or_default();
    behind.split(' ').nth(2) == Some(&std::process::id().to_string())
}

fn has_no_stdin() -> bool {
    fs::read_link("/proc/self/fd/0").is_ok_and(|target| target.to_string_lossy() == "/dev/null")
}
