//! Stands in front of the real `docker`, numbers the calls of docker-zdd, and disturbs one of them.
//!
//! `FAULTY_DOCKER_DIR` holds `calls`, to which every call adds its line, and, where a call is to be disturbed,
//! `fault`: the fault's name, which of its like (from 1), and its line. `hit` appears when it happens.
//! `FAULTY_DOCKER_REAL` is the real program.

mod line;

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    thread::sleep,
    time::Duration,
};

use rustix::process::{Pid, Signal, getppid, kill_process};

/// Longer than any test: whoever hangs is killed.
const FOR_EVER: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    match due_fault() {
        None => become_real(),
        Some(fault) => suffer(&fault),
    }
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env::var_os("FAULTY_DOCKER_DIR").expect("FAULTY_DOCKER_DIR")).join(name)
}

/// Enters this call in the list, and returns the fault if it is this call's turn. Calls run side by side, so the
/// list is locked meanwhile.
fn due_fault() -> Option<String> {
    let lock = File::create(path("lock")).expect("the lock");
    lock.lock().expect("the lock");
    let line = line::of(env::args().skip(1));
    let before = fs::read_to_string(path("calls")).unwrap_or_default();
    let nth = 1 + before.lines().filter(|known| *known == line).count();
    let mut calls = OpenOptions::new().create(true).append(true).open(path("calls")).expect("the list");
    writeln!(calls, "{line}").expect("the list");
    let wanted = fs::read_to_string(path("fault")).ok()?;
    let (fault, place) = wanted.trim().split_once(' ').expect("fault, number, line");
    (place == format!("{nth} {line}")).then(|| {
        fs::write(path("hit"), "").expect("a mark");
        fault.to_owned()
    })
}

fn real() -> Command {
    let mut command = Command::new(env::var_os("FAULTY_DOCKER_REAL").expect("FAULTY_DOCKER_REAL"));
    command.args(env::args_os().skip(1));
    command
}

fn become_real() -> ExitCode {
    panic!("the real docker: {}", real().exec())
}

/// Whoever called: docker-zdd.
fn signal_caller(signal: Signal) {
    let caller = getppid().expect("a caller");
    kill_process(caller, signal).expect("a caller to signal");
    if signal == Signal::KILL {
        // Until it is gone; then this process is another one's child.
        while getppid() == Some(caller) && caller != Pid::INIT {
            sleep(Duration::from_millis(1));
        }
    }
}

fn suffer(fault: &str) -> ExitCode {
    match fault {
        "fails" => fail(),
        "fails-late" => {
            let _ = real().stdout(Stdio::null()).stderr(Stdio::null()).status();
            fail()
        }
        "garbage" => garbage(),
        "hangs" => {
            sleep(FOR_EVER);
            ExitCode::FAILURE
        }
        "kill-before" => {
            signal_caller(Signal::KILL);
            ExitCode::FAILURE
        }
        "kill-after" => {
            let _ = real().stdout(Stdio::null()).stderr(Stdio::null()).status();
            signal_caller(Signal::KILL);
            ExitCode::FAILURE
        }
        "kill-during" => {
            let caller = getppid().expect("a caller").as_raw_nonzero();
            let script = format!("(sleep 0.15; kill -KILL {caller}) &");
            let mut killer = Command::new("sh");
            killer.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            killer.process_group(0).status().expect("a shell");
            become_real()
        }
        // Something else on the machine does what `script` says, and the call goes on.
        "meanwhile" => {
            let status =
                Command::new("sh").arg(path("script")).stdin(Stdio::null()).stdout(Stdio::null()).status();
            assert!(status.is_ok_and(|status| status.success()), "the script failed");
            become_real()
        }
        "term" => {
            signal_caller(Signal::TERM);
            become_real()
        }
        unknown => panic!("no such fault: {unknown}"),
    }
}

fn fail() -> ExitCode {
    eprintln!("Error response from daemon: context deadline exceeded");
    ExitCode::FAILURE
}

/// The call does its work, and says nonsense about it.
fn garbage() -> ExitCode {
    let status = real().stdout(Stdio::null()).stderr(Stdio::null()).status();
    println!("{{\"a\": [\u{1}\u{fffd} <html>502 Bad Gateway</html>");
    ExitCode::from(status.ok().and_then(|status| status.code()).unwrap_or(1) as u8)
}
