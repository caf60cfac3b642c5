//! Questions to whoever sits at the terminal.

use std::{
    io::{self, IsTerminal, stderr, stdin},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::{Context, say};
use crate::{
    exit::Stop,
    wait::{Ended, Heed, Look},
};

const LOOK: Duration = Duration::from_secs(1);

/// Whether somebody can answer.
pub fn somebody_is_there() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

impl Context {
    /// The answer, without the blanks around it; empty where there is none.
    ///
    /// # Errors
    /// An interruption: a terminal that is read from would not notice.
    pub fn ask(&self, question: &str) -> Result<String, Stop> {
        say(&mut stderr(), question);
        let (send, answer) = mpsc::channel();
        let waker = self.waiter.waker.clone();
        thread::spawn(move || {
            let mut line = String::new();
            let read = stdin().read_line(&mut line).map(|_| line);
            let _ = send.send(read);
            waker.wake();
        });
        let look = || {
            Ok::<_, Stop>(match answer.try_recv() {
                Ok(line) => Look::Done(line),
                Err(mpsc::TryRecvError::Empty) => Look::Again(LOOK),
                Err(mpsc::TryRecvError::Disconnected) => Look::Done(Err(io::ErrorKind::BrokenPipe.into())),
            })
        };
        match self.waiter.until(None, Heed::Interrupt, look)? {
            Ended::Done(Ok(line)) => Ok(line.trim().to_owned()),
            Ended::Done(Err(error)) => Err(Stop::error(format!("cannot read the answer: {error}"))),
            _ => {
                say(&mut stderr(), "\n");
                Err(Stop::interrupted())
            }
        }
    }
}
