//! The addresses that the engine gives away on a network.

use std::{collections::BTreeSet, net::IpAddr};

use serde_json::Value;

/// No project comes near a pool of more.
const PLENTY: u32 = 4096;

/// Addresses as numbers, both ends included.
#[derive(Clone, Copy, Debug)]
struct Range {
    first: u32,
    last: u32,
}

impl Range {
    /// `10.0.0.0/29`; `None` for IPv6, and for what is none.
    fn read(text: &str) -> Option<Range> {
        let (address, length) = text.split_once('/')?;
        let (address, length) = (number(&address.parse().ok()?)?, length.parse::<u32>().ok()?);
        let mask = u32::MAX.checked_shl(32_u32.checked_sub(length)?).unwrap_or(0);
        Some(Range { first: address & mask, last: address | !mask })
    }

    fn has(&self, address: u32) -> bool {
        (self.first..=self.last).contains(&address)
    }

    fn size(&self) -> u32 {
        (self.last - self.first).saturating_add(1)
    }
}

/// What is left of the pools of IPv4 in the `IPAM` of `docker network inspect`, when these are taken. `None` where that
/// is plenty, where there is none, or where another driver than the engine's own gives them away.
pub fn free<'a>(ipam: &Value, taken: impl Iterator<Item = &'a IpAddr>) -> Option<u32> {
    if !matches!(ipam["Driver"].as_str(), None | Some("" | "default")) {
        return None;
    }
    let taken: BTreeSet<u32> = taken.filter_map(number).collect();
    let mut left = None;
    for config in ipam["Config"].as_array().into_iter().flatten() {
        let Some(subnet) = config["Subnet"].as_str().and_then(Range::read) else { continue };
        let pool = config["IPRange"].as_str().and_then(Range::read).unwrap_or(subnet);
        if pool.size() > PLENTY {
            return None;
        }
        left = Some(left.unwrap_or(0) + left_of(pool, subnet, config, &taken));
    }
    left
}

/// The first and the last address of a subnet are never given away, and the bridge has one: where the file names none
/// the first that is left (20.10 does not say so).
fn left_of(pool: Range, subnet: Range, config: &Value, taken: &BTreeSet<u32>) -> u32 {
    let address = |value: &Value| number(&value.as_str()?.split('/').next()?.parse().ok()?);
    let gateway = address(&config["Gateway"]);
    let named = config["AuxiliaryAddresses"].as_object().into_iter().flatten();
    let reserved = named.filter_map(|(_, value)| address(value)).chain(gateway);
    let used: BTreeSet<u32> =
        reserved.chain([subnet.first, subnet.last]).chain(taken.iter().copied()).collect();
    let used = used.into_iter().filter(|address| pool.has(*address)).count() as u32;
    pool.size().saturating_sub(used + u32::from(gateway.is_none()))
}

fn number(address: &IpAddr) -> Option<u32> {
    match address {
        IpAddr::V4(address) => Some(u32::from(*address)),
        IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn left(config: Value, taken: &[&str]) -> Option<u32> {
        let taken: Vec<IpAddr> = taken.iter().map(|text| text.parse().expect("an address")).collect();
        free(&json!({ "Driver": "default", "Config": config }), taken.iter())
    }

    #[test]
    fn a_small_subnet_has_room_for_five() {
        let subnet = json!([{ "Subnet": "10.0.0.0/29", "Gateway": "10.0.0.1" }]);
        assert_eq!(left(subnet.clone(), &[]), Some(5));
        assert_eq!(left(subnet.clone(), &["10.0.0.2", "10.0.0.6"]), Some(3));
        assert_eq!(left(json!([{ "Subnet": "10.0.0.0/29" }]), &[]), Some(5), "the gateway is not told");
        let all = ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"];
        assert_eq!(left(subnet, &all), Some(0));
    }

    #[test]
    fn a_range_within_the_subnet_is_the_pool() {
        let ranged = json!([{ "Subnet": "10.0.0.0/16", "IPRange": "10.0.4.0/30", "Gateway": "10.0.0.1",
            "AuxiliaryAddresses": { "printer": "10.0.4.2", "other": "10.0.9.9" } }]);
        assert_eq!(left(ranged.clone(), &[]), Some(3));
        assert_eq!(left(ranged, &["10.0.4.0", "10.0.200.1"]), Some(2));
    }

    #[test]
    fn what_is_plenty_or_not_known_is_not_counted() {
        assert_eq!(left(json!([{ "Subnet": "172.18.0.0/16" }]), &[]), None);
        assert_eq!(left(json!([{ "Subnet": "fd00::/64" }]), &["fd00::2"]), None);
        assert_eq!(left(json!([]), &[]), None);
        assert_eq!(
            free(&json!({ "Driver": "dhcp", "Config": [{ "Subnet": "10.0.0.0/29" }] }), [].iter()),
            None
        );
        let both = json!([{ "Subnet": "fd00::/64" }, { "Subnet": "10.0.0.0/30" }]);
        assert_eq!(left(both, &["10.0.0.2"]), Some(0));
    }
}
