//! Nothing is delivered to a wrong service, whoever starts, stops or gets an address in the middle of a rollout. Every app
//! answers with its name.

use std::{
    io::{BufRead, BufReader},
    process::Child,
};

use zdd_load::{Load, Method, Report, Running};

use crate::{
    faults::rig::Rig,
    stack::{APP, HELPER, NGINX, Stack, TIMEOUT, docker, finish, free_port, wait_until},
};

/// It looks names up again every second, and knows the MACs of both.
const EDGE: &str = "resolver 127.0.0.11 valid=1s ipv6=off;
server { listen 80; location / { set $to shop; proxy_pass http://$to:80; } }
server { listen 81; location / { set $to blog; proxy_pass http://$to:80; } }
";

const HEALTHCHECK: &str = "healthcheck: {test: [\"CMD\", \"/zdd-app\", \"health\"], interval: 1s, timeout: 2s, retries: 3, start_period: 30s}";

fn service(name: &str, replicas: usize) -> String {
    format!(
        "  {name}:
    image: {APP}
    scale: {replicas}
    environment: {{APP_VERSION: \"{name}-${{V}}\", APP_ON_TERM: exit, APP_BOOT_MS: 500, APP_WORK_MS: 10}}
    {HEALTHCHECK}
"
    )
}

/// Services behind one nginx.
struct Town {
    stack: Stack,
    shop: u16,
    blog: u16,
}

impl Town {
    fn new(name: &str, services: &[String], networks: &str) -> Town {
        let (shop, blog) = (free_port(), free_port());
        let services = services.concat();
        let file = format!(
            "services:
{services}  edge:
    image: {NGINX}
    ports: [\"127.0.0.1:{shop}:80\", \"127.0.0.1:{blog}:81\"]
    volumes: [\"./edge.conf:/etc/nginx/conf.d/default.conf:ro\"]
    x-zdd: {{monitor: 500ms}}
{networks}"
        );
        let stack = Stack::new(name, &file);
        stack.write("edge.conf", EDGE);
        stack.zdd_ok(&["up"], &[("V", "1")]);
        Town { stack, shop, blog }
    }

    fn begin(&self, version: &str, env: &[(String, String)]) -> Child {
        let mut command = self.stack.command(&["up"], &[(HELPER, "auto"), ("V", version)]);
        command.envs(env.iter().cloned()).spawn().unwrap()
    }
}

/// GETs over new connections and POSTs over kept ones, which are answered.
fn visitors(port: u16) -> [Running; 2] {
    let load = |method, keep_alive| {
        let url = format!("http://127.0.0.1:{port}/");
        Load { workers: 4, rate: Some(50.0), method, keep_alive, ..Load::new(url) }.start()
    };
    let loads = [load(Method::Get, false), load(Method::Post { body_bytes: 1000 }, true)];
    loads.iter().for_each(|load| wait_until("good answers", || load.succeeded() >= 20));
    loads
}

fn mark(all: &[&[Running; 2]], phase: &str) {
    all.iter().flat_map(|loads| loads.iter()).for_each(|load| load.mark(phase));
}

/// Answers of somebody else than this one in these phases, or in all.
fn wrong(reports: &[Report], name: &str, phases: &[&str]) -> usize {
    let samples = reports.iter().flat_map(Report::samples);
    let samples = samples.filter(|it| phases.is_empty() || phases.contains(&it.phase.as_ref()));
    samples.filter_map(|it| it.version()).filter(|version| !version.starts_with(name)).count()
}

fn good(reports: &[Report]) -> usize {
    reports.iter().map(|report| report.requests() - report.failed().len()).sum()
}

fn told(reports: &[Report]) -> String {
    reports.iter().map(|report| format!("{report}\n{}", report.timeline())).collect()
}

/// A container that is removed with this.
struct Foreign(String);

impl Foreign {
    /// The blog of another project.
    fn start(network: &str, number: usize) -> Foreign {
        let name = format!("zddtest-foreign-{}-{number}", std::process::id());
        let foreign = Foreign(name);
        let run = ["run", "--detach", "--name", &foreign.0, "--network", network, "--network-alias", "blog"];
        docker(&[&run[..], &["--env", "APP_VERSION=blog-0", APP]].concat());
        foreign
    }

    fn address(&self) -> String {
        address(&self.0)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.0]);
    }
}

fn address(container: &str) -> String {
    docker(&["inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container])
}

/// A network of nobody's.
struct Shared(String);

impl Shared {
    fn new(name: &str) -> Shared {
        let name = format!("zddtest-{name}-{}", std::process::id());
        docker(&["network", "create", &name]);
        Shared(name)
    }

    /// For a compose file.
    fn yaml(&self) -> String {
        format!("networks: {{default: {{name: {}, external: true}}}}\n", self.0)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        wait_until("the network to be removed", || {
            let removed = std::process::Command::new("docker").args(["network", "rm", &self.0]).output();
            removed.unwrap().status.success()
        });
    }
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn two_services_that_are_rolled_at_once() {
    let town = Town::new("two-at-once", &[service("shop", 2), service("blog", 2)], "");
    let visitors = [visitors(town.shop), visitors(town.blog)];
    let finished = finish(town.begin("2", &[]));
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    are_both_rolled(visitors, &finished.stderr);
}

/// None failed, and each was answered by whom it has asked.
fn are_both_rolled(visitors: [[Running; 2]; 2], said: &str) {
    for (loads, name) in visitors.into_iter().zip(["shop", "blog"]) {
        assert!(loads.iter().all(|load| load.wait_version(&format!("{name}-2"), TIMEOUT)), "{name}");
        let reports = loads.map(Running::stop);
        let failed: usize = reports.iter().map(|report| report.failed().len()).sum();
        let wrong = wrong(&reports, name, &[]);
        println!("{name}: {} good, {failed} failed, {wrong} wrong", good(&reports));
        assert_eq!((failed, wrong), (0, 0), "{}{said}", told(&reports));
    }
}

/// Each with helpers of its own, on one bridge.
#[test]
#[ignore = "takes long; scripts/test long"]
fn two_projects_that_are_rolled_at_once_on_a_shared_network() {
    let network = Shared::new("both");
    let town = Town::new("both-shop", &[service("shop", 2)], &network.yaml());
    let file = format!("services:\n{}{}", service("blog", 2), network.yaml());
    let blog = Stack::new("both-blog", &file);
    blog.zdd_ok(&["up"], &[("V", "1")]);
    let visitors = [visitors(town.shop), visitors(town.blog)];
    let other = blog.command(&["up"], &[(HELPER, "auto"), ("V", "2")]).spawn().unwrap();
    let ends = [finish(town.begin("2", &[])), finish(other)];
    let said = format!("{}{}", ends[0].stderr, ends[1].stderr);
    assert!(ends.iter().all(|end| end.code == 0), "{said}");
    are_both_rolled(visitors, &said);
}

/// Another project's containers come while new ones boot, while old ones drain, and when they have stopped: then the
/// engine gives away the address of an old one, which is kept for its visitors.
#[test]
#[ignore = "takes long; scripts/test long"]
fn another_project_starts_containers_on_a_shared_network() {
    let network = Shared::new("shared");
    let town = Town::new("shared-shop", &[service("shop", 2)], &network.yaml());
    let mut foreign = vec![Foreign::start(&network.0, 1)];
    let old: Vec<_> = town.stack.containers("shop").iter().map(|c| address(&c.id)).collect();
    let (shop, blog) = (visitors(town.shop), visitors(town.blog));
    let mut child = town.begin("2", &[]);
    let mut moments = vec!["shop-2 stopped", "shop-1 draining", "shop-3 started"];
    let mut said = Vec::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok) {
        if moments.last().is_some_and(|moment| line.contains(moment)) {
            mark(&[&shop, &blog], moments.pop().unwrap());
            foreign.push(Foreign::start(&network.0, foreign.len() + 1));
        }
        said.push(line);
    }
    assert!(child.wait().unwrap().success(), "{said:#?}");
    let last = foreign.last().unwrap().address();
    assert!(moments.is_empty() && old.contains(&last), "{last} is not one of {old:?}: {said:#?}");
    assert!(shop.iter().all(|load| load.wait_version("shop-2", TIMEOUT)), "{said:#?}");
    let (shop, blog) = (shop.map(Running::stop), blog.map(Running::stop));
    println!("{} good answers of the blog, {} of the shop", good(&blog), good(&shop));
    assert_eq!(wrong(&blog, "blog", &[]), 0, "{}{said:#?}", told(&blog));
    // Then who still asks for the address of an old one asks for the blog.
    let before = ["start", "shop-3 started", "shop-1 draining"];
    assert_eq!(wrong(&shop, "shop", &before), 0, "{}{said:#?}", told(&shop));
    assert!(good(&blog) > 100, "{}", told(&blog));
}

/// While new ones are about to start, another service of the project restarts, and gets an address that nobody has had.
#[test]
#[ignore = "takes long; scripts/test long"]
fn a_service_that_restarts_while_new_ones_start() {
    let town = Town::new("restarts", &[service("shop", 2), service("blog", 1)], "");
    let network = format!("{}_default", town.stack.project);
    let blog_1 = &town.stack.containers("blog")[0].id.clone();
    let before = address(blog_1);
    // Removed with the project.
    let label = format!("--label com.docker.compose.project={}", town.stack.project);
    let script = format!(
        "set -e
docker stop --time 0 {blog_1}
docker run --detach {label} --network {network} {APP}
docker start {blog_1}
sleep 1.5
"
    );
    let rig = Rig::new();
    rig.meanwhile("compose up -d --no-deps --no-recreate --scale shop=4 shop", &script);
    let (shop, blog) = (visitors(town.shop), visitors(town.blog));
    mark(&[&shop, &blog], "rollout");
    let mut command = town.stack.command(&["up", "shop"], &[(HELPER, "auto"), ("V", "2")]);
    let finished = finish(command.envs(rig.env()).spawn().unwrap());
    assert!(rig.was_hit());
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert_ne!(address(blog_1), before);
    let then = blog[0].succeeded();
    wait_until("the blog", || blog[0].succeeded() > then + 20);
    let (shop, blog) = (shop.map(Running::stop), blog.map(Running::stop));
    println!("{} good answers of the blog, {} of the shop", good(&blog), good(&shop));
    let all = (wrong(&blog, "blog", &[]), wrong(&shop, "shop", &[]));
    assert_eq!(all, (0, 0), "{}{}{}", told(&blog), told(&shop), finished.stderr);
}
