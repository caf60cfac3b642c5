//! The requests that the plugin sends to its helper, as types. Both programs include these files: what one writes, the
//! other reads. They use nothing but the standard library. The answers are described in the helper's `main.rs`.

mod request;

pub use request::Request;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Increased with every change that an older side would misunderstand. It is the second word of the first line.
pub const VERSION: u32 = 1;

/// The longest line that a helper reads, in bytes.
pub const MAX_LINE: usize = 256 << 10;

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mac(pub [u8; 6]);

/// A container on one network: `ADDRESS@MAC`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    pub address: IpAddr,
    pub mac: Mac,
}

/// A network's addresses: `ADDRESS/LENGTH`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subnet {
    pub address: IpAddr,
    pub length: u8,
}

/// What is sent to `from` goes to `to`. Both are on the network of `bridge`, and of one address family.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair {
    pub bridge: String,
    pub from: End,
    pub to: End,
}

/// New flows to containers of the network that are not among `known` go to `to`: those to these ports, or to any when
/// there are none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blink {
    pub bridge: String,
    pub subnet: Subnet,
    pub to: End,
    pub known: Vec<End>,
    pub ports: Vec<u16>,
}

/// One part of a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Clause {
    Guard(Pair),
    Steer(Pair),
    Switch(Pair),
    Finish(IpAddr),
    Release(IpAddr),
    Gone(Mac),
    Exempt(Mac),
    Include(Mac),
    Blink(Blink),
    Unblink,
}

/// The container's own address on a network, for `take`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Own {
    pub subnet: Subnet,
    pub address: IpAddr,
}

/// Ports whose connections are held, and the port of the target that each is joined to.
/// `FIRST`, `FIRST-LAST`, `FIRST=TARGET`, or `FIRST-LAST=TARGET`, where TARGET is that of FIRST; before it `ADDRESS@`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ports {
    /// Only those to this address, or to any of its version of IP; none: to all.
    pub on: Option<IpAddr>,
    pub first: u16,
    pub last: u16,
    pub target: u16,
}

/// Why a word or line was not understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

type Result<T> = std::result::Result<T, Malformed>;

fn malformed<T>(what: &str, word: &str) -> Result<T> {
    let shown: String = word.chars().take(60).collect();
    Err(Malformed(format!("{shown:?} is not {what}")))
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = Malformed;

    /// One that can be a container's: not a multicast address, not all zero.
    fn from_str(word: &str) -> Result<Self> {
        let byte = |part: &str| (part.len() == 2).then(|| u8::from_str_radix(part, 16).ok()).flatten();
        let bytes: Option<Vec<u8>> = word.split(':').map(byte).collect();
        match bytes.and_then(|b| <[u8; 6]>::try_from(b).ok()) {
            Some(mac) if mac[0] & 1 == 0 && mac != [0; 6] => Ok(Mac(mac)),
            _ => malformed("the MAC address of a container", word),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.address, self.mac)
    }
}

impl FromStr for End {
    type Err = Malformed;

    fn from_str(word: &str) -> Result<Self> {
        let Some((address, mac)) = word.split_once('@') else { return malformed("ADDRESS@MAC", word) };
        Ok(End { address: unicast(address)?, mac: mac.parse()? })
    }
}

fn unicast(word: &str) -> Result<IpAddr> {
    match word.parse::<IpAddr>() {
        Ok(a) if !a.is_loopback() && !a.is_multicast() && !a.is_unspecified() => Ok(a),
        _ => malformed("the address of a container", word),
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Subnet {
    type Err = Malformed;

    fn from_str(word: &str) -> Result<Self> {
        let parse = |(address, length): (&str, &str)| Some((address.parse().ok()?, length.parse().ok()?));
        match word.split_once('/').and_then(parse) {
            Some((address, length)) if length <= full_length(address) => Ok(Subnet { address, length }),
            _ => malformed("a subnet", word),
        }
    }
}

fn full_length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl Subnet {
    pub fn contains(&self, address: IpAddr) -> bool {
        let differing = match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            _ => return false,
        };
        differing >= u32::from(self.length)
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.bridge, self.from, self.to)
    }
}

impl Pair {
    fn parse(words: &[&str]) -> Result<Self> {
        let [bridge, from, to] = words else { return Err(Malformed("BRIDGE FROM TO is needed".into())) };
        let pair = Pair { bridge: interface(bridge)?, from: from.parse()?, to: to.parse()? };
        if pair.from.address.is_ipv4() != pair.to.address.is_ipv4() {
            return Err(Malformed(format!("{from} and {to} are of different address families")));
        }
        Ok(pair)
    }
}

/// The kernel's rules for the name of an interface (`dev_valid_name`).
fn interface(word: &str) -> Result<String> {
    if word.len() < 16 && !matches!(word, "." | "..") && !word.contains(['/', ':']) {
        return Ok(word.to_owned());
    }
    malformed("the name of an interface", word)
}

impl fmt::Display for Blink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.bridge, self.subnet, self.to)?;
        self.known.iter().try_for_each(|end| write!(f, " {end}"))?;
        self.ports.iter().try_for_each(|port| write!(f, " {port}"))
    }
}

impl Blink {
    fn parse(words: &[&str]) -> Result<Self> {
        let [bridge, subnet, to, rest @ ..] = words else {
            return Err(Malformed("BRIDGE SUBNET TO KNOWN... PORT... is needed".into()));
        };
        let (known, ports): (Vec<&str>, Vec<&str>) = rest.iter().partition(|word| word.contains('@'));
        let known = known.iter().map(|w| w.parse()).collect::<Result<Vec<End>>>()?;
        let (bridge, ports) = (interface(bridge)?, request::numbers(&ports)?);
        let blink = Blink { bridge, subnet: subnet.parse()?, to: to.parse()?, known, ports };
        let outside = |end: &&End| !blink.subnet.contains(end.address);
        if let Some(end) = blink.known.iter().chain([&blink.to]).find(outside) {
            return Err(Malformed(format!("{} is not in {subnet}", end.address)));
        }
        Ok(blink)
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Clause::Guard(pair) => write!(f, "guard {pair}"),
            Clause::Steer(pair) => write!(f, "steer {pair}"),
            Clause::Switch(pair) => write!(f, "switch {pair}"),
            Clause::Finish(address) => write!(f, "finish {address}"),
            Clause::Release(address) => write!(f, "release {address}"),
            Clause::Gone(mac) => write!(f, "gone {mac}"),
            Clause::Exempt(mac) => write!(f, "exempt {mac}"),
            Clause::Include(mac) => write!(f, "include {mac}"),
            Clause::Blink(blink) => write!(f, "blink {blink}"),
            Clause::Unblink => write!(f, "unblink"),
        }
    }
}

impl FromStr for Clause {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        Ok(match words.as_slice() {
            ["guard", rest @ ..] => Clause::Guard(Pair::parse(rest)?),
            ["steer", rest @ ..] => Clause::Steer(Pair::parse(rest)?),
            ["switch", rest @ ..] => Clause::Switch(Pair::parse(rest)?),
            ["finish", address] => Clause::Finish(unicast(address)?),
            ["release", address] => Clause::Release(unicast(address)?),
            ["gone", mac] => Clause::Gone(mac.parse()?),
            ["exempt", mac] => Clause::Exempt(mac.parse()?),
            ["include", mac] => Clause::Include(mac.parse()?),
            ["blink", rest @ ..] => Clause::Blink(Blink::parse(rest)?),
            ["unblink"] => Clause::Unblink,
            _ => return malformed("a clause of a change", text.trim()),
        })
    }
}

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.subnet, self.address)
    }
}

impl FromStr for Own {
    type Err = Malformed;

    fn from_str(word: &str) -> Result<Self> {
        let Some((subnet, address)) = word.split_once('=') else { return malformed("SUBNET=ADDRESS", word) };
        let own = Own { subnet: subnet.parse()?, address: unicast(address)? };
        if own.subnet.contains(own.address) { Ok(own) } else { malformed("an address in its subnet", word) }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.on {
            write!(f, "{address}@")?;
        }
        write!(f, "{}-{}={}", self.first, self.last, self.target)
    }
}

impl FromStr for Ports {
    type Err = Malformed;

    fn from_str(word: &str) -> Result<Self> {
        let (on, word) = match word.split_once('@') {
            None => (None, word),
            Some((address, rest)) => match address.parse::<IpAddr>() {
                Ok(address) => (Some(address), rest),
                Err(_) => return malformed("an address", address),
            },
        };
        let (ports, target) = word.split_once('=').map_or((word, None), |(p, t)| (p, Some(t)));
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let (Ok(first), Ok(last), Ok(target)) =
            (first.parse(), last.parse(), target.unwrap_or(first).parse())
        else {
            return malformed("a port or a range of ports", word);
        };
        let ports = Ports { on, first, last, target };
        let fits = first <= last && first != 0 && target != 0 && target.checked_add(last - first).is_some();
        if fits { Ok(ports) } else { malformed("a port or a range of ports", word) }
    }
}
