//! Networks, as `docker network inspect` sees them.

mod pool;

use std::{collections::BTreeSet, net::IpAddr};

use serde_json::Value;

use super::{CallError, Docker, Endpoint, container::PROJECT_LABEL, garbage, only_missing};
use crate::text::short_id;

/// A network with who is on it now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    pub id: String,
    pub name: String,
    pub driver: String,
    /// The interface on the engine's machine, for the driver `bridge`.
    pub bridge: String,
    /// `172.18.0.0/16`
    pub subnets: Vec<String>,
    /// The addresses of the engine's machine.
    pub gateways: Vec<IpAddr>,
    /// The Compose project that made it.
    pub project: Option<String>,
    pub members: Vec<Member>,
    /// How many addresses of IPv4 the engine has left to give away there; `None` where that is plenty, or not known.
    pub free: Option<u32>,
}

/// A running container on a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The container's ID.
    pub id: String,
    pub addresses: Vec<IpAddr>,
    pub mac: String,
}

impl Docker {
    pub(super) fn inspect_networks(&self, ids: &[String]) -> Result<Vec<Network>, CallError> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let args = ["network", "inspect"].into_iter().chain(ids.iter().map(String::as_str));
        let call = self.call(args, self.quick());
        let answer = self.runner.answer(&call)?;
        if answer.code != 0 && !only_missing(&answer.stderr, "o such network") {
            return Err(self.runner.failed(&call, &answer));
        }
        read_networks(&answer.stdout).map_err(|error| garbage(&call, error))
    }
}

/// Reads the output of `docker network inspect` (API 1.41 and later).
///
/// # Errors
/// Text that is not its JSON.
/// The IDs of the networks that these are connected to, each once.
pub fn network_ids<'e>(endpoints: impl Iterator<Item = &'e Endpoint>) -> Vec<String> {
    let ids: BTreeSet<_> = endpoints.map(|endpoint| &endpoint.network).filter(|id| !id.is_empty()).collect();
    ids.into_iter().cloned().collect()
}

pub fn read_networks(json: &str) -> serde_json::Result<Vec<Network>> {
    let all: Vec<Value> = serde_json::from_str(json)?;
    Ok(all.iter().map(network).collect())
}

fn network(value: &Value) -> Network {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let id = text(&value["Id"]);
    let own_name = format!("br-{}", short_id(&id));
    let configs = || value["IPAM"]["Config"].as_array().into_iter().flatten();
    let members: Vec<_> = value["Containers"].as_object().into_iter().flatten().map(member).collect();
    Network {
        name: text(&value["Name"]),
        driver: text(&value["Driver"]),
        bridge: value["Options"]["com.docker.network.bridge.name"].as_str().map_or(own_name, str::to_owned),
        subnets: configs().filter_map(|config| Some(config["Subnet"].as_str()?.to_owned())).collect(),
        gateways: configs().filter_map(|config| config["Gateway"].as_str()?.parse().ok()).collect(),
        project: value["Labels"][PROJECT_LABEL].as_str().map(str::to_owned),
        free: pool::free(&value["IPAM"], members.iter().flat_map(|member| &member.addresses)),
        members,
        id,
    }
}

fn member((id, value): (&String, &Value)) -> Member {
    let address = |key: &str| value[key].as_str()?.split('/').next()?.parse().ok();
    Member {
        id: id.clone(),
        addresses: ["IPv4Address", "IPv6Address"].into_iter().filter_map(address).collect(),
        mac: value["MacAddress"].as_str().unwrap_or_default().to_owned(),
    }
}
