//! HAProxy's runtime API, as text: what is asked and what the answers mean. Pure.
//!
//! A drained server keeps the state in its *slot* (`server-template`): the next container that Docker's DNS puts
//! there would never serve. So every drain is undone, and only once the dead address has left the slot
//! (tried: set too early it costs a stall of a second, not at all it costs a replica).

use std::net::IpAddr;

/// One server line of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub backend: String,
    pub name: String,
    /// `None` while Docker's DNS has no container for the slot.
    pub address: Option<IpAddr>,
    /// In the pool: its checks pass.
    pub up: bool,
    /// Somebody set it to drain.
    pub drained: bool,
    /// HAProxy checks it.
    pub checked: bool,
    /// Requests that it has in hand or waiting.
    pub sessions: u64,
}

impl Server {
    /// New requests may come to it.
    pub fn serves(&self) -> bool {
        self.address.is_some() && self.up && !self.drained
    }
}

/// `srv_admin_state`: drain forced by the runtime API (HAProxy `SRV_ADMF_FDRAIN`).
const FORCED_DRAIN: u32 = 0x08;

/// `srv_check_state`: checks are configured and on (HAProxy `CHK_ST_CONFIGURED | CHK_ST_ENABLED`).
const CHECKED: u32 = 0x06;

/// What is asked every time: the slots and their sessions.
pub const LOOK: &str = "show servers state; show stat -1 4 -1";

/// What is asked first: also what the socket lets anybody do (HAProxy 1.9).
pub const CHECK: &str = "show cli level; show servers state";

/// Whether the answer to `CHECK` does not say that servers cannot be set.
pub fn may_set(answer: &str) -> bool {
    !answer.lines().any(|line| matches!(line.trim(), "operator" | "user"))
}

/// What the script says where nothing answers.
pub const NO_SOCKET: &str = "no runtime socket of HAProxy answers";

/// What a server may be set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    Drain,
    Ready,
}

/// The command that sets these servers, and looks.
pub fn set_state<'a>(servers: impl IntoIterator<Item = &'a Server>, state: Admin) -> String {
    let word = match state {
        Admin::Drain => "drain",
        Admin::Ready => "ready",
    };
    let one = |server: &Server| format!("set server {}/{} state {word}; ", server.backend, server.name);
    servers.into_iter().map(one).collect::<String>() + LOOK
}

/// The command that has HAProxy take these servers for up, until so many checks as make one down have failed.
pub fn set_up<'a>(servers: impl IntoIterator<Item = &'a Server>) -> String {
    let one = |server: &Server| format!("set server {}/{} health up; ", server.backend, server.name);
    servers.into_iter().map(one).collect::<String>() + LOOK
}

/// The slots that are checked of the backends that hold an address of ours: those that one of ours or none is in.
pub fn checked(servers: &[Server], ours: &[IpAddr]) -> Vec<Server> {
    let is_ours = |server: &Server| server.address.is_some_and(|address| ours.contains(&address));
    let backend = |name: &str| servers.iter().any(|server| server.backend == name && is_ours(server));
    let meant = |s: &&Server| s.checked && (s.address.is_none() || is_ours(s)) && backend(&s.backend);
    servers.iter().filter(meant).cloned().collect()
}

/// One of these servers that is not as it was set. HAProxy answers all the same: a socket without `level admin` may
/// look and not set.
pub fn refused<'a>(now: &[Server], chosen: &'a [Server], state: Admin) -> Option<&'a Server> {
    let differs = |own: &&Server| {
        let found = now.iter().find(|server| server.backend == own.backend && server.name == own.name);
        found.is_some_and(|server| server.drained != (state == Admin::Drain))
    };
    chosen.iter().find(differs)
}

/// Whether HAProxy has answered `LOOK`: also one that has no servers names the columns.
pub fn is_answer(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("# be_id "))
}

/// Reads the answer to `LOOK`. Lines that are neither state nor statistics are passed over.
pub fn parse(answer: &str) -> Vec<Server> {
    let mut servers: Vec<Server> = answer.lines().filter_map(server).collect();
    for (backend, name, sessions) in answer.lines().filter_map(sessions) {
        let found = servers.iter_mut().find(|server| server.backend == backend && server.name == name);
        found.into_iter().for_each(|server| server.sessions = sessions);
    }
    servers
}

/// The drained slots of the backends that hold an address of ours: those free to serve at once, because a container
/// of ours or none is in them, and those that still hold an address that is gone.
pub fn left_drained(servers: &[Server], ours: &[IpAddr]) -> (Vec<Server>, Vec<Server>) {
    let is_ours = |server: &Server| server.address.is_some_and(|address| ours.contains(&address));
    let backend = |name: &str| servers.iter().any(|server| server.backend == name && is_ours(server));
    let drained = servers.iter().filter(|server| server.drained && backend(&server.backend)).cloned();
    drained.partition(|server| server.address.is_none() || is_ours(server))
}

/// A backend that has servers now and would have none without these addresses.
pub fn emptied_without<'s>(servers: &'s [Server], leaving: &[IpAddr]) -> Option<&'s str> {
    let leaves = |server: &Server| server.address.is_some_and(|address| leaving.contains(&address));
    let stays = |backend: &str| servers.iter().any(|s| s.backend == backend && s.serves() && !leaves(s));
    let emptied = servers.iter().find(|server| server.serves() && leaves(server) && !stays(&server.backend));
    emptied.map(|server| server.backend.as_str())
}

/// `be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight
/// srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state …` (version 1 of the
/// format).
fn server(line: &str) -> Option<Server> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [id, backend, server_id, name, address, op_state, admin_state, ..] = fields.as_slice() else {
        return None;
    };
    id.parse::<u32>().ok()?;
    server_id.parse::<u32>().ok()?;
    let op_state: u32 = op_state.parse().ok()?;
    let admin_state: u32 = admin_state.parse().ok()?;
    let check_state: u32 = fields.get(13).and_then(|text| text.parse().ok()).unwrap_or_default();
    Some(Server {
        backend: (*backend).to_owned(),
        name: (*name).to_owned(),
        // Docker's DNS has given no other address than one of IP.
        address: address.parse().ok(),
        // 1 is starting (slowstart), 2 running; both get requests.
        up: matches!(op_state, 1 | 2),
        drained: admin_state & FORCED_DRAIN != 0,
        checked: check_state & CHECKED == CHECKED,
        sessions: 0,
    })
}

/// `pxname,svname,qcur,qmax,scur,…`
fn sessions(line: &str) -> Option<(String, String, u64)> {
    let fields: Vec<&str> = line.split(',').collect();
    let [backend, name, queued, _, current, ..] = fields.as_slice() else { return None };
    let number = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok() };
    Some((backend.to_string(), name.to_string(), number(queued)?.saturating_add(number(current)?)))
}

/// Run by `sh` inside HAProxy's container: sends $1 to the runtime API and prints the answer. $2 is the socket,
/// or empty for every `stats socket` of the files and folders that a HAProxy which runs there was started with, those with
/// `level admin` first. Speaks through whatever the image has: socat, perl or bash (Debian's image), nc (Alpine's), python
/// (dockercloud/haproxy).
pub const SCRIPT: &str = r#"
ask() {
  case $2 in
    /*)
      if command -v socat >/dev/null 2>&1; then printf '%s\n' "$1" | socat - "UNIX-CONNECT:$2"
      elif command -v perl >/dev/null 2>&1; then
        perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new($ARGV[1]) or exit 1; print $s "$ARGV[0]\n"; print while <$s>' "$1" "$2"
      elif nc -h 2>&1 | grep -q 'local:'; then printf '%s\n' "$1" | nc "local:$2"
      elif python=$(command -v python3 || command -v python); then
        "$python" -c 'import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[2])
s.sendall((sys.argv[1] + "\n").encode())
for part in iter(lambda: s.recv(4096), b""): os.write(1, part)' "$1" "$2"
      else printf '%s\n' "$1" | nc -U "$2"
      fi ;;
    *)
      host=${2##*@}; port=${host##*:}; host=${host%:*}
      case $host in ''|'*'|0.0.0.0|::|'[::]') host=127.0.0.1 ;; esac
      if command -v socat >/dev/null 2>&1; then printf '%s\n' "$1" | socat - "TCP:$host:$port"
      elif command -v bash >/dev/null 2>&1; then
        bash -c 'exec 3<>"/dev/tcp/$1/$2" && printf "%s\n" "$0" >&3 && cat <&3' "$1" "$host" "$port"
      else printf '%s\n' "$1" | nc "$host" "$port"
      fi ;;
  esac
}
files() {
  for process in /proc/[0-9]*; do
    { IFS= read -r program <"$process/comm"; } 2>/dev/null && [ "$program" = haproxy ] || continue
    tr '\0' '\n' <"$process/cmdline" 2>/dev/null | {
      folder=$(readlink "$process/cwd" 2>/dev/null || pwd)
      before=
      while IFS= read -r word; do
        case $before in
          -C) folder=$word ;;
          -f|--)
            case $word in /*) ;; *) word=$folder/$word ;; esac
            if [ -d "$word" ]; then printf '%s\n' "$word"/*.cfg; else printf '%s\n' "$word"; fi ;;
        esac
        [ "$before" = -- ] || before=$word
      done
    }
  done | sort -u
}
IFS='
'
sockets=$2
if [ -z "$sockets" ]; then
  files=$(files)
  [ -n "$files" ] || files='/usr/local/etc/haproxy/haproxy.cfg
/etc/haproxy/haproxy.cfg'
  all=$(sed -n 's/^[[:space:]]*stats[[:space:]]\{1,\}socket[[:space:]]\{1,\}//p' $files 2>/dev/null)
  admin='[[:space:]]level[[:space:]]\{1,\}admin'
  sockets=$({ printf '%s\n' "$all" | grep "$admin"; printf '%s\n' "$all" | grep -v "$admin"; } |
    sed 's/[[:space:]].*//; s/"//g; s/^unix@//')
fi
for socket in $sockets; do
  answer=$(ask "$1" "$socket" 2>/dev/null)
  case $answer in *srv_addr*) printf '%s\n' "$answer"; exit 0 ;; esac
done
echo "no runtime socket of HAProxy answers" >&2
exit 1
"#;

/// Run by `sh` inside HAProxy's container, with [`SCRIPT`] and its two arguments in $1 to $3: does that again and again,
/// $4 times at most, every $5 seconds, until its input ends.
pub const REPEAT: &str = r#"
exec 3<&0
cat <&3 >/dev/null &
times=$4
while kill -0 $! 2>/dev/null && [ "$times" -gt 0 ]; do
  sh -c "$1" zdd "$2" "$3" >/dev/null 2>&1
  sleep "$5" 2>/dev/null || sleep 1
  times=$((times - 1))
done
kill $! 2>/dev/null
"#;

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change
3 app 1 app1 172.18.0.3 2 0 1 1 12 15 3 4 6 0 0 0 - 80 - 0 0 - - 0
3 app 2 app2 172.18.0.4 2 8 1 1 12 15 3 4 2 0 0 0 - 80 - 0 0 - - 0
3 app 3 app3 - 0 32 1 1 12 1 0 0 14 0 0 0 - 80 - 0 0 - - 0

# pxname,svname,qcur,qmax,scur,smax,slim,stot
app,app1,0,0,3,8,,120
app,app2,1,0,0,8,,90
app,app3,0,0,0,0,,0
";

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn all() -> Vec<Server> {
        parse(ANSWER)
    }

    #[test]
    fn an_answer_is_read() {
        let servers = all();
        assert_eq!(servers.len(), 3);
        assert!(is_answer(ANSWER));
        assert_eq!(servers[0].address, Some(ip("172.18.0.3")));
        assert!(servers[0].up && !servers[0].drained && servers[0].sessions == 3);
        assert!(servers[1].drained && servers[1].sessions == 1);
        assert!(servers[2].address.is_none() && !servers[2].up);
        assert_eq!([0, 1, 2].map(|at| servers[at].checked), [true, false, true]);
    }

    #[test]
    fn anything_else_is_nothing() {
        for text in ["", "1 2 3", "Unknown command", "a,b,c,d,e", "3 app 1 app1 - x y"] {
            assert_eq!(parse(text), vec![], "{text}");
            assert!(!is_answer(text), "{text}");
        }
    }

    #[test]
    fn what_was_left_drained_is_sorted() {
        let server = |name: &str, address: Option<&str>, backend: &str, drained| Server {
            backend: backend.to_owned(),
            name: name.to_owned(),
            address: address.map(ip),
            up: true,
            drained,
            checked: !drained,
            sessions: 0,
        };
        let servers = [
            server("serving", Some("1.1.1.1"), "app", false),
            server("ours", Some("1.1.1.2"), "app", true),
            server("empty", None, "app", true),
            server("dead", Some("1.1.1.9"), "app", true),
            server("elsewhere", Some("2.2.2.2"), "other", true),
            server("elsewhere, empty", None, "other", true),
        ];
        let names = |servers: Vec<Server>| servers.into_iter().map(|s| s.name).collect::<Vec<_>>();
        let (free, dead) = left_drained(&servers, &["1.1.1.1", "1.1.1.2"].map(ip));
        assert_eq!((names(free), names(dead)), (vec!["ours".into(), "empty".into()], vec!["dead".into()]));
        assert_eq!(names(checked(&servers, &[ip("1.1.1.1")])), ["serving"]);
        assert_eq!(names(checked(&servers, &[ip("1.1.1.5")])), [""; 0]);
    }

    #[test]
    fn a_backend_is_emptied_only_when_no_other_server_serves() {
        let servers = all();
        assert_eq!(emptied_without(&servers, &[ip("172.18.0.3")]), Some("app"), "the other one is drained");
        assert_eq!(emptied_without(&servers, &[ip("172.18.0.4")]), None, "it serves nobody anyway");
        let mut servers = servers;
        servers[1].drained = false;
        assert_eq!(emptied_without(&servers, &[ip("172.18.0.3")]), None, "app2 serves");
    }

    #[test]
    fn an_answer_that_changed_nothing_is_a_refusal() {
        let servers = all();
        assert_eq!(refused(&servers, &servers[..1], Admin::Drain), Some(&servers[0]));
        assert_eq!(refused(&servers, &servers[..1], Admin::Ready), None);
        assert_eq!(refused(&servers, &servers[1..2], Admin::Drain), None);
        assert_eq!(refused(&servers, &servers[..2], Admin::Ready), Some(&servers[1]));
        assert_eq!(refused(&[], &servers, Admin::Drain), None, "a slot that is gone");
    }

    #[test]
    fn a_socket_may_be_for_looking_only() {
        assert!(may_set(&format!("admin\n\n{ANSWER}")) && may_set(ANSWER));
        assert!(!may_set(&format!("operator\n\n{ANSWER}")) && !may_set(&format!("user\n\n{ANSWER}")));
        assert!(SCRIPT.contains(NO_SOCKET));
    }

    #[test]
    fn a_command_names_each_slot() {
        let text = set_state(&all()[..2], Admin::Drain);
        assert_eq!(text, format!("set server app/app1 state drain; set server app/app2 state drain; {LOOK}"));
        assert_eq!(set_up(&all()[..1]), format!("set server app/app1 health up; {LOOK}"));
    }
}
