//! HAProxy in a container, as far as its runtime API shows it: slots that Docker's DNS fills with the addresses of
//! running containers, and that keep their state whoever comes into them.

use crate::{
    containers::ipv6,
    world::{Proxy, Slot, World},
};

impl World {
    /// Carries commands out that came by `docker exec`, and returns the answers.
    pub fn ask_proxy(&mut self, commands: &str) -> String {
        let Some(mut proxy) = self.proxy.take() else { return String::new() };
        self.resolve(&mut proxy);
        let mut answer = String::new();
        for command in commands.split("; ") {
            match command.split(' ').collect::<Vec<_>>().as_slice() {
                ["set", ..] if proxy.only_shows => answer += "Permission denied\n\n",
                ["set", "server", server, "state", state] => proxy.set(server, *state == "drain"),
                ["show", "cli", "level"] => {
                    answer += if proxy.only_shows { "operator\n\n" } else { "admin\n\n" }
                }
                ["show", "servers", ..] => answer += &self.states(&proxy),
                ["show", "stat", ..] => answer += &proxy.statistics(),
                _ => answer += "Unknown command.\n",
            }
        }
        proxy.serve();
        self.proxy = Some(proxy);
        answer
    }

    /// A dead address stays for one look more, as it does in a resolver's cache. New ones take free slots,
    /// drained or not.
    fn resolve(&self, proxy: &mut Proxy) {
        let alive = self.containers.iter().filter(|c| c.service == proxy.service && c.is_up());
        let alive: Vec<_> = alive.map(|container| container.address.clone()).collect();
        for slot in &mut proxy.slots {
            let dead = !slot.address.is_empty() && !alive.contains(&slot.address);
            if dead && slot.noticed {
                *slot = Slot { drained: slot.drained, ..Slot::default() };
            }
            slot.noticed = dead && !slot.address.is_empty();
        }
        for address in alive {
            let known = proxy.slots.iter().any(|slot| slot.address == address);
            if let Some(free) = proxy.slots.iter_mut().find(|slot| slot.address.is_empty()).filter(|_| !known)
            {
                free.address = address;
                free.sessions = proxy.sessions;
            }
        }
    }

    fn states(&self, proxy: &Proxy) -> String {
        let mut text =
            "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n"
                .to_owned();
        for (number, slot) in (1..).zip(&proxy.slots) {
            let serves = self.containers.iter().any(|c| c.address == slot.address && c.serves());
            let address = match slot.address.as_str() {
                "" => "-".to_owned(),
                // The resolver writes it as it likes.
                address if proxy.ipv6 => ipv6(address).replace("::", ":0:0:0:0:0:0:"),
                address => address.to_owned(),
            };
            let admin = if slot.drained { 8 } else { 0 };
            text +=
                &format!("3 app {number} app{number} {address} {} {admin} 1\n", if serves { 2 } else { 0 });
        }
        text + "\n"
    }
}

impl Proxy {
    fn set(&mut self, server: &str, drained: bool) {
        let number: usize = server.trim_start_matches("app/app").parse().expect("a slot");
        self.slots[number - 1].drained = drained;
    }

    fn statistics(&self) -> String {
        let mut text = "# pxname,svname,qcur,qmax,scur,smax\n".to_owned();
        for (number, slot) in (1..).zip(&self.slots) {
            text += &format!("app,app{number},0,0,{},9\n", slot.sessions);
        }
        text + "\n"
    }

    /// A drained server gets no new sessions, and ends one between two looks.
    fn serve(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| slot.drained) {
            slot.sessions = slot.sessions.saturating_sub(1);
        }
    }
}
