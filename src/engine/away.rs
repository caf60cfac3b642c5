//! An engine that answered and does so no more: restarted, or out of reach for a while. In the middle of a rollout it is
//! waited for, as nothing can be undone without it either.

use std::{
    fmt,
    sync::{Mutex, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::process::{Answer, Call, CallError, Runner};

/// A call that it does not answer although it is back fails for another reason.
const REPEATS: u32 = 3;
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(300);

/// What is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    Lost { limit: Duration },
    Found { after: Duration },
}

struct Wanted {
    /// How long it is waited for, since it was missed first.
    limit: Duration,
    /// What it always answers.
    ask: Call,
    tell: Tell,
}

type Tell = Box<dyn Fn(Contact) + Send + Sync>;

/// Whether it is away, as all who call it know.
#[derive(Default)]
pub struct Away {
    wanted: OnceLock<Wanted>,
    since: Mutex<Option<Instant>>,
}

impl fmt::Debug for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Away").field("since", &self.since).finish_non_exhaustive()
    }
}

impl Away {
    /// From now on it is waited for. `dockerd` is back within about ten seconds of a restart.
    pub fn wait_for_it(&self, limit: Duration, ask: Call, tell: impl Fn(Contact) + Send + Sync + 'static) {
        let _ = self.wanted.set(Wanted { limit, ask, tell: Box::new(tell) });
    }

    /// It was out of reach of a call. Pauses, and returns what to ask it, unless it is not waited for any longer.
    fn try_again(&self) -> Option<&Call> {
        let Wanted { limit, ask, tell } = self.wanted.get()?;
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.is_none() {
            tell(Contact::Lost { limit: *limit });
        }
        let began = *since.get_or_insert_with(Instant::now);
        drop(since);
        if began.elapsed() >= *limit {
            return None;
        }
        thread::sleep(PAUSE);
        Some(ask)
    }

    fn has_answered(&self) {
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((wanted, since)) = self.wanted.get().zip(since) {
            (wanted.tell)(Contact::Found { after: since.elapsed() });
        }
    }
}

impl Runner {
    /// Runs to the end and returns the answer, whatever the exit code. Where the engine has left and is waited for, the
    /// call is made again when it is back: one that broke off, once.
    ///
    /// # Errors
    /// Not started, past the deadline, or interrupted.
    pub fn answer(&self, call: &Call) -> Result<Answer, CallError> {
        let mut times = REPEATS;
        loop {
            let answer = self.answer_once(call)?;
            let (gone, broken) = (was_not_reached(&answer.stderr), was_broken_off(&answer.stderr));
            if answer.code == 0 || !gone && !broken {
                return Ok(answer);
            }
            // What a hook has said itself may sound like that.
            let is_dockers = answer.stdout.is_empty() && answer.stderr.trim().lines().count() == 1;
            let again = match call.once {
                true => gone && is_dockers && times > 0,
                false => gone && times > 0 || times == REPEATS,
            };
            if !again || !self.is_back() {
                return Ok(answer);
            }
            times -= 1;
        }
    }

    /// Asks until it answers; whether it does.
    fn is_back(&self) -> bool {
        while let Some(ask) = self.away.try_again() {
            match self.answer_once(ask) {
                Ok(answer) if answer.code == 0 => {
                    self.away.has_answered();
                    return true;
                }
                Err(error) if error.is_interrupted() => return false,
                _ => {}
            }
        }
        false
    }
}

/// Whether a call that failed so did not reach it at all.
fn was_not_reached(said: &str) -> bool {
    ["Cannot connect to the Docker daemon", "failed to connect to the docker API"]
        .iter()
        .any(|text| said.contains(text))
        // By SSH: `command [ssh …] has exited with exit status 255, … stderr=ssh: connect to host …`
        || said.contains("error during connect") && said.contains("ssh: connect to host")
}

/// Whether it left in the middle of a call, of which nobody knows then what became of it.
fn was_broken_off(said: &str) -> bool {
    let broken = ["EOF", "connection reset by peer", "broken pipe", "has exited with exit status 255"];
    said.contains("error during connect")
        || said.contains("error reading from server")
        || said.lines().any(|line| {
            broken.iter().any(|text| line.trim_end_matches(['"', '}']).ends_with(text))
                && !line.contains("Error response from daemon")
        })
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use super::{Away, Call, Contact, was_broken_off, was_not_reached};

    #[test]
    fn only_one_that_is_waited_for_is_called_again() {
        assert!(Away::default().try_again().is_none());
        let (away, said) = (Away::default(), Arc::new(Mutex::new(vec![])));
        let heard = said.clone();
        let ask = Call::new(vec![], Duration::ZERO);
        away.wait_for_it(Duration::from_secs(9), ask, move |contact| heard.lock().unwrap().push(contact));
        away.has_answered();
        assert!(away.try_again().is_some() && away.try_again().is_some());
        away.has_answered();
        away.has_answered();
        let said = said.lock().unwrap();
        assert!(matches!(**said, [Contact::Lost { .. }, Contact::Found { .. }]), "{said:?}");
    }

    /// As Docker 20.10 to 28.5, and Compose 2.31 to 5.6.1 say it.
    #[test]
    fn words_of_docker() {
        let gone = [
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            "failed to connect to the docker API at unix:///x.sock; check if the path is correct: dial unix /x.sock: connect: no such file or directory",
            "error during connect: Get \"http://docker.example.com/v1.41/version\": command [ssh -- host docker system dial-stdio] has exited with exit status 255, please make sure the URL is valid, and Docker 18.09 or later is installed on the remote host: stderr=ssh: connect to host 127.0.0.1 port 2222: Connection refused",
        ];
        let broken = [
            "error during connect: Post \"http://%2Fx.sock/v1.51/containers/a/stop\": EOF",
            "{\"error\":true,\"message\":\"unexpected EOF\"}",
        ];
        let other = [
            "Error response from daemon: No such container: a",
            "Error response from daemon: Get \"https://registry/v2/\": EOF",
        ];
        assert!(gone.iter().all(|said| was_not_reached(said)));
        assert!(broken.iter().all(|said| was_broken_off(said) && !was_not_reached(said)));
        assert!(!other.iter().any(|said| was_broken_off(said) || was_not_reached(said)));
    }
}
