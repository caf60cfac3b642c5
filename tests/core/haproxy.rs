//! The script by which HAProxy is asked, run by the shell of this machine.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use zdd::proxy::api::{CHECK, SCRIPT, parse};

const ANSWER: &str = "\
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change
3 app 1 app1 172.18.0.3 2 0 1 1 12 15 3 4 6 0 0 0 - 80 - 0 0 - - 0
";

/// A program of that name with these arguments, which only waits.
fn haproxy(folder: &Path, args: &[&str]) -> Child {
    let program = folder.join("haproxy");
    fs::copy("/bin/bash", &program).unwrap();
    let mut command = Command::new(program);
    command.args(["-c", "read -r _; exit", "zdd"]).args(args).current_dir(folder);
    command.stdin(Stdio::piped()).spawn().unwrap()
}

/// What answers there, `TEXT` and a table of servers.
fn answers(listener: UnixListener, text: &'static str) {
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = BufReader::new(&stream).read_line(&mut String::new());
            let _ = write!(stream, "{text}\n{ANSWER}");
        }
    });
}

#[test]
fn the_socket_is_found_by_the_arguments_of_the_process() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    let socket = |name: &str| folder.join(name).display().to_string();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    fs::create_dir(folder.join("conf.d")).unwrap();
    write(
        "first.cfg",
        &format!("global\n  stats socket {} mode 600\n  #stats socket /no\n", socket("operator")),
    );
    write("conf.d/2.cfg", &format!("  stats socket unix@{} mode 600 level admin\n", socket("admin")));
    write("conf.d/not.txt", "  stats socket /no level admin\n");
    answers(UnixListener::bind(socket("operator")).unwrap(), "operator");
    answers(UnixListener::bind(socket("admin")).unwrap(), "admin");
    for (args, level) in [
        (&["-f", "first.cfg"][..], "operator"),
        (&["-W", "-f", "first.cfg", "-f", "conf.d"], "admin"),
        (&["-db", "--", "first.cfg", "conf.d/2.cfg"], "admin"),
        (&["-C", &socket(""), "-f", "conf.d/2.cfg", "-sf", "7"], "admin"),
    ] {
        let mut process = haproxy(folder, args);
        let output = Command::new("sh").args(["-c", SCRIPT, "zdd", CHECK, ""]).output().unwrap();
        drop(process.stdin.take());
        process.wait().unwrap();
        let answer = String::from_utf8_lossy(&output.stdout);
        assert_eq!(answer.lines().next(), Some(level), "{args:?}: {output:?}");
        assert_eq!(parse(&answer).len(), 1, "{args:?}: {answer}");
    }
}
