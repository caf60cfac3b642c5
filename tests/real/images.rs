//! Stand-ins for the images of others, under their very names, as what they are is known by them.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::Mutex,
};

use crate::stack::docker;

/// The image of `tests/app`, made by `scripts/images`.
pub const APP: &str = "zdd-app:test";

/// On every image, network, volume and container that is made here and not by Compose.
pub const LABEL: &str = "io.zdd.real";

/// What well-known images declare as their volumes, by the last part of their name.
const VOLUMES: &[(&str, &[&str])] = &[
    ("postgres", &["/var/lib/postgresql/data"]),
    ("postgis", &["/var/lib/postgresql/data"]),
    ("mysql", &["/var/lib/mysql"]),
    ("mariadb", &["/var/lib/mysql"]),
    ("mongo", &["/data/db", "/data/configdb"]),
    ("redis", &["/data"]),
    ("valkey", &["/data"]),
    ("rabbitmq", &["/var/lib/rabbitmq"]),
    ("clickhouse-server", &["/var/lib/clickhouse"]),
    ("zookeeper", &["/data", "/datalog", "/logs"]),
    ("influxdb", &["/var/lib/influxdb"]),
    ("wordpress", &["/var/www/html"]),
    ("nextcloud", &["/var/www/html"]),
    ("matomo", &["/var/www/html"]),
    ("ghost", &["/var/lib/ghost/content"]),
    ("gitea", &["/data"]),
    ("prometheus", &["/prometheus"]),
    ("registry", &["/var/lib/registry"]),
    ("outline", &["/var/lib/outline/data"]),
    ("paperless-ngx", &["/usr/src/paperless/data", "/usr/src/paperless/media"]),
    ("mattermost-enterprise-edition", &["/mattermost/data", "/mattermost/logs", "/mattermost/config"]),
    ("docker-zulip", &["/data"]),
    ("rocket.chat", &["/app/uploads"]),
    ("wireguard", &["/config"]),
];

fn volumes(reference: &str) -> &'static [&'static str] {
    let last = reference.rsplit('/').next().unwrap_or_default();
    let name = last.split(':').next().unwrap_or_default();
    VOLUMES.iter().find(|(known, _)| *known == name).map_or(&[], |(_, volumes)| volumes)
}

#[derive(Default)]
pub struct Images {
    /// By version and volumes.
    made: Mutex<BTreeMap<(u32, &'static [&'static str]), String>>,
    tagged: Mutex<BTreeSet<String>>,
}

impl Images {
    /// References of which the engine has an image that is none of ours.
    pub fn taken<'r>(&self, references: impl Iterator<Item = &'r str>) -> Vec<String> {
        let ours = self.tagged.lock().expect("a lock");
        references.filter(|name| !ours.contains(*name) && exists(name)).map(str::to_owned).collect()
    }

    /// From now on this reference means a stub of this version.
    pub fn tag(&self, reference: &str, version: u32) {
        let image = self.stub(version, volumes(reference));
        docker(&["tag", &image, reference]);
        self.tagged.lock().expect("a lock").insert(reference.to_owned());
    }

    fn stub(&self, version: u32, volumes: &'static [&'static str]) -> String {
        let mut made = self.made.lock().expect("a lock");
        let number = made.len();
        made.entry((version, volumes)).or_insert_with(|| make(number, version, volumes)).clone()
    }
}

impl Drop for Images {
    /// Also what a revision of a project keeps has gone by then.
    fn drop(&mut self) {
        let tagged = self.tagged.get_mut().expect("a lock");
        let made = self.made.get_mut().expect("a lock").values();
        let names: Vec<_> = tagged.iter().chain(made).cloned().collect();
        let _ = Command::new("docker").args(["rmi", "--force"]).args(names).output();
    }
}

fn exists(reference: &str) -> bool {
    Command::new("docker").args(["image", "inspect", reference]).output().expect("docker").status.success()
}

/// With a name of its own: an image goes with its last one, and a project that is done with takes its names along.
fn make(number: usize, version: u32, volumes: &[&str]) -> String {
    let name = format!("zddtest-real-stub:{}-{number}", std::process::id());
    let container = docker(&["create", "--label", LABEL, APP]);
    let list: Vec<_> = volumes.iter().map(|path| format!("{path:?}")).collect();
    let changes = [
        format!("ENV STUB_VERSION={version}"),
        format!("LABEL {LABEL}={version}"),
        format!("VOLUME [{}]", list.join(",")),
    ];
    let wanted = if volumes.is_empty() { 2 } else { 3 };
    let mut args = vec!["commit"];
    changes[..wanted].iter().for_each(|change| args.extend(["--change", change]));
    args.extend([container.as_str(), &name]);
    docker(&args);
    docker(&["rm", "--force", &container]);
    name
}
