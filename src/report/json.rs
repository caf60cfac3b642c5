//! One JSON object a line: the events as they are, with the time in front.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::put;
use crate::event::{Event, Sink};

pub struct Json<W>(Mutex<W>);

impl<W: Write + Send> Json<W> {
    pub fn new(out: W) -> Json<W> {
        Json(Mutex::new(out))
    }
}

impl<W: Write + Send> Sink for Json<W> {
    fn on(&self, at: Duration, event: &Event) {
        let line = line(at, event);
        put(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), &line);
    }
}

#[derive(Serialize)]
struct Timed<'a> {
    time: f64,
    #[serde(flatten)]
    event: &'a Event,
}

fn line(at: Duration, event: &Event) -> String {
    let time = (at.as_secs_f64() * 1000.0).round() / 1000.0;
    // Strings, numbers and maps with string keys: this cannot fail.
    let json = serde_json::to_string(&Timed { time, event }).unwrap_or_default();
    json + "\n"
}
