//! Which program a container runs, as far as the words of its command tell.

/// What only starts another program, whose name follows. An entrypoint script is known by its name.
const STARTERS: &[&str] =
    &["tini", "dumb-init", "docker-init", "catatonit", "init", "env", "exec", "nice", "nohup"];
/// The same, with a user in front of the program.
const CHANGERS_OF_USER: &[&str] = &["gosu", "su-exec"];
const SHELLS: &[&str] = &["sh", "ash", "bash", "dash"];

/// Whether this command, or what it is known to start, is the program. A program that merely has the name in its
/// arguments is not: an exporter watches HAProxy, and a user or a folder may be called so.
pub fn runs<S: AsRef<str>>(command: &[S], program: &str) -> bool {
    let [first, rest @ ..] = command else { return false };
    let name = base(first.as_ref());
    if name == program {
        return true;
    }
    if SHELLS.contains(&name) {
        return shell_runs(rest, program);
    }
    if CHANGERS_OF_USER.contains(&name) {
        return rest.get(1..).is_some_and(|rest| runs(rest, program));
    }
    let starts = STARTERS.contains(&name) || name.ends_with(".sh") || name.contains("entrypoint");
    starts && runs(operands(rest), program)
}

/// `sh -c TEXT`, or `sh SCRIPT` with the words that the script is given.
fn shell_runs<S: AsRef<str>>(args: &[S], program: &str) -> bool {
    let is = |letter: char, arg: &str| arg.starts_with('-') && !arg.starts_with("--") && arg.contains(letter);
    // `-o pipefail` is the one option with a value.
    let is_operand =
        |i: usize| !args[i].as_ref().starts_with('-') && (i == 0 || !is('o', args[i - 1].as_ref()));
    let Some(first) = (0..args.len()).find(|i| is_operand(*i)) else { return false };
    if !args[..first].iter().any(|option| is('c', option.as_ref())) {
        return runs(&args[first + 1..], program);
    }
    args[first].as_ref().split([';', '&', '|', '\n', '(', ')', '{', '}']).any(|line| {
        let words: Vec<_> = line.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
        runs(operands(&words), program)
    })
}

/// The words behind options and `NAME=value`; options may take values, which only a `--` tells from operands.
fn operands<S: AsRef<str>>(words: &[S]) -> &[S] {
    let is_option = |word: &S| word.as_ref().starts_with('-') || word.as_ref().contains('=');
    let end = match words.first().is_some_and(is_option) {
        true => words.iter().position(|word| word.as_ref() == "--"),
        false => None,
    };
    let first = end.map(|end| end + 1).or_else(|| words.iter().position(|word| !is_option(word)));
    first.map_or(&[], |first| &words[first..])
}

/// The last part of a path.
fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn haproxy(command: &[&str]) -> bool {
        runs(command, "haproxy")
    }

    #[test]
    fn it_runs() {
        for command in [
            "haproxy",
            "/usr/local/sbin/haproxy -W -db -f /usr/local/etc/haproxy/haproxy.cfg",
            "docker-entrypoint.sh haproxy -W -db",
            "/usr/local/bin/docker-entrypoint.sh /usr/sbin/haproxy -f /etc/haproxy/haproxy.cfg",
            "/entrypoint haproxy -db",
            "tini -- docker-entrypoint.sh haproxy",
            "/sbin/tini -g -p SIGUSR1 -- haproxy -W",
            "dumb-init haproxy",
            "dumb-init --rewrite 15:10 -- haproxy",
            "env LANG=C haproxy -W",
            "gosu haproxy haproxy -W",
            "sh /start.sh haproxy",
        ] {
            assert!(haproxy(&command.split(' ').collect::<Vec<_>>()), "{command}");
        }
    }

    #[test]
    fn a_shell_runs_it() {
        for text in [
            "haproxy -W -f /etc/haproxy.cfg",
            "exec haproxy -W",
            "rsyslogd && exec /usr/local/sbin/haproxy -W",
            "ulimit -n 9999; X=1 haproxy -W & wait",
            "exec \"haproxy\" -W",
        ] {
            for shell in ["sh", "/bin/bash"] {
                assert!(haproxy(&[shell, "-c", text]), "{text}");
                assert!(haproxy(&["docker-entrypoint.sh", shell, "-ec", text]), "{text}");
            }
        }
    }

    #[test]
    fn it_is_only_named() {
        for command in [
            "",
            "docker-entrypoint.sh",
            "docker-entrypoint.sh nginx /etc/haproxy",
            "haproxy_exporter --haproxy.scrape-uri=http://lb:8404",
            "/bin/haproxy-exporter haproxy",
            "telegraf haproxy",
            "dataplaneapi --haproxy-bin /usr/sbin/haproxy",
            "tail -F /var/log/haproxy",
            "docker-entrypoint.sh tail -F /var/log/haproxy",
            "gosu haproxy socat",
            "gosu",
            "tini -- rsyslogd haproxy",
            "sh /etc/haproxy/reload.sh",
            "sh",
            "tini --",
        ] {
            assert!(!haproxy(&command.split(' ').collect::<Vec<_>>()), "{command}");
        }
        assert!(haproxy(&["bash", "-eo", "pipefail", "-c", "haproxy -W | tee /log"]));
        assert!(!haproxy(&["bash", "-o", "pipefail", "-c", "tail haproxy"]));
        assert!(!haproxy(&["sh", "-c", "inotifywait /etc/haproxy; cp /run/haproxy /tmp"]));
        assert!(!haproxy(&["sh", "-c", "echo haproxy"]));
    }
}
