//! `pre_start`: what runs to its end, in a service of its own, before the service is touched.

use serde_json::{Value, json};

use super::{Misfit, Options, StackService, service::Draft, walk::is_nothing};

impl Draft<'_> {
    /// Each runs as a service of its own: the service, with what the hook itself names.
    pub(super) fn hooks(&mut self, options: &Options) -> Vec<StackService> {
        if self.walk.without.is_some_and(|keys| keys.contains("pre_start"))
            && !is_nothing(&self.raw["pre_start"])
        {
            self.walk.note("it runs without pre_start, as x-zdd.swarm.without says".to_owned());
            return vec![];
        }
        let hooks = self.raw["pre_start"].as_array().cloned().unwrap_or_default();
        hooks.iter().map(|hook| self.hook(hook, options)).collect()
    }

    fn hook(&mut self, hook: &Value, options: &Options) -> StackService {
        if hook["per_replica"] == true {
            self.walk.note("its pre_start runs once, not for each replica".to_owned());
        }
        let raw = with_keys_of(self.raw, hook);
        let mut draft = Draft::new(self.project, self.name, &raw, options);
        let (mut body, _) = draft.convert();
        let deploy = body.entry("deploy").or_insert_with(|| json!({}));
        deploy["restart_policy"] = json!({"condition": "none"});
        for (_, network) in body.get_mut("networks").and_then(Value::as_object_mut).into_iter().flatten() {
            // Nobody is to find it.
            network.as_object_mut().map(|network| network.remove("aliases"));
        }
        let found = std::mem::take(&mut draft.walk.misfits);
        let found: Vec<_> = found.into_iter().filter_map(|one| of_hook(one, &self.walk.misfits)).collect();
        self.walk.misfits.extend(found);
        StackService { job: true, replicas: Some(1), body, ..StackService::default() }
    }
}

/// What stands in the hook's own way; it has all that the service has, of which everything is said by then.
fn of_hook(found: Misfit, known: &[Misfit]) -> Option<Misfit> {
    const HOOK: &str = "pre_start";
    if known.iter().any(|misfit| misfit.message == found.message) {
        return None;
    }
    let mut key = found.key;
    key.insert(2.min(key.len()), HOOK.to_owned());
    Some(Misfit { key, message: format!("{HOOK}: {}", found.message), ..found })
}

/// What is of the service alone and not of a hook that runs for it. Since 5.6 Compose prints a hook with all that it
/// takes over from the service.
const OF_THE_SERVICE: &[&str] = &[
    "build",
    "command",
    "container_name",
    "depends_on",
    "develop",
    "entrypoint",
    "expose",
    "healthcheck",
    "links",
    "ports",
    "post_start",
    "pre_start",
    "pre_stop",
    "restart",
    "scale",
];
const OF_A_DEPLOYMENT: &[&str] =
    &["labels", "mode", "replicas", "restart_policy", "rollback_config", "update_config"];

fn with_keys_of(service: &Value, hook: &Value) -> Value {
    let mut raw = service.clone();
    let Some(map) = raw.as_object_mut() else { return raw };
    map.retain(|key, _| !OF_THE_SERVICE.contains(&key.as_str()) && !key.starts_with("x-"));
    if let Some(deploy) = map.get_mut("deploy").and_then(Value::as_object_mut) {
        deploy.retain(|key, _| !OF_A_DEPLOYMENT.contains(&key.as_str()));
    }
    // With the image of the service it has the service's entrypoint too.
    if let (Some(entrypoint), true) = (service.get("entrypoint"), hook["image"].is_null()) {
        map.insert("entrypoint".to_owned(), entrypoint.clone());
    }
    for (key, value) in hook.as_object().into_iter().flatten().filter(|(key, _)| *key != "per_replica") {
        let present = map.get_mut(key);
        match (present, value) {
            (Some(Value::Object(present)), Value::Object(more)) => present.extend(more.clone()),
            (Some(Value::Array(present)), Value::Array(more)) if is_added(key) => {
                present.extend(more.iter().filter(|one| !present.contains(one)).cloned().collect::<Vec<_>>());
            }
            (_, value) => drop(map.insert(key.clone(), value.clone())),
        }
    }
    raw
}

fn is_added(key: &str) -> bool {
    matches!(key, "volumes" | "secrets" | "configs")
}
