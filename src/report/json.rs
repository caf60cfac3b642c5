//! One JSON object a line: the events as they are, with the time in front.

use std::time::Duration;

use serde::Serialize;

use super::Look;
use crate::event::Event;
use crate::story::Story;

#[derive(Serialize)]
struct Timed<'a> {
    time: f64,
    #[serde(flatten)]
    event: &'a Event,
}

pub fn line(_story: &Story, _look: &Look, at: Duration, event: &Event) -> String {
    let time = (at.as_secs_f64() * 1000.0).round() / 1000.0;
    // Strings, numbers and maps with string keys: this cannot fail.
    serde_json::to_string(&Timed { time, event }).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::{
        Stream,
        fixture::{
            Broken, batch, begin, done, end, happy, look, ms, named, new, planned, play, waiting, written,
        },
    };
    use super::*;
    use crate::engine::ContainerRef;
    use crate::event::{Failure, Generation, Outcome, Phase, Verdict};

    fn json(event: Event) -> String {
        line(&Story::default(), &look(60), ms(1_234), &event).trim_end().to_owned()
    }

    fn phase(phase: Phase) -> String {
        let container = ContainerRef { id: "1f2e".to_owned(), name: "app-2".to_owned() };
        let generation = Generation::Old;
        json(Event::Container { service: "app".to_owned(), container, generation, phase })
    }

    fn expect(rest: &str) -> String {
        format!(r#"{{"time":1.234,"event":{rest}}}"#)
    }

    fn expect_phase(rest: &str) -> String {
        let container = r#""service":"app","container":{"id":"1f2e","name":"app-2"}"#;
        expect(&format!(r#""container",{container},"generation":"old","phase":{rest}"#))
    }

    #[test]
    fn images() {
        let services = || vec!["app".to_owned()];
        assert_eq!(json(Event::Loading), expect(r#""loading""#));
        assert_eq!(
            json(Event::Building { services: services() }),
            expect(r#""building","services":["app"]"#)
        );
        assert_eq!(json(Event::Pulling { services: services() }), expect(r#""pulling","services":["app"]"#));
        let output = Event::Output { line: "a \"b\"\n".to_owned() };
        assert_eq!(json(output), expect(r#""output","line":"a \"b\"\n""#));
        assert_eq!(json(Event::Prepared { took: ms(3_100) }), expect(r#""prepared","seconds":3.1"#));
    }

    #[test]
    fn services() {
        let serving = format!(r#"[{{"id":"{:0>64}","name":"app-1"}}]"#, "app-1");
        let service = r#"{"service":"app","verdict":"roll","reason":"image changed","replicas":1,"versions":{"from":[],"to":{"image":"","id":""}}"#;
        let service = format!(r#"{service},"serving":{serving}}}"#);
        let text = format!(r#""planned","project":"shop","services":[{service}]"#);
        assert_eq!(json(planned(&[("app", Verdict::Roll, "image changed", 1)])), expect(&text));
        let text = r#""service_begin","service":"app","verdict":"roll","replicas":2,"batches":1"#;
        assert_eq!(json(begin("app", 2, 1)), expect(text));
        let text = r#""batch","service":"app","number":1,"of":2,"start":1,"retire":1"#;
        assert_eq!(json(batch("app", 1, 2, 1)), expect(text));
        let settling = Event::Settling { service: "app".to_owned(), time: ms(500) };
        assert_eq!(json(settling), expect(r#""settling","service":"app","seconds":0.5"#));
        let text = r#""service_end","service":"app","outcome":"rolled_back","serving":[],"seconds":7.7"#;
        assert_eq!(json(done("app", Outcome::RolledBack, &[], 7_700)), expect(text));
    }

    #[test]
    fn troubles() {
        let (service, hook) = ("app".to_owned(), "pre_start".to_owned());
        let event = Event::Hook { service, container: None, hook, error: Some("exit code 1".to_owned()) };
        let text = r#""hook","service":"app","container":null,"hook":"pre_start","error":"exit code 1""#;
        assert_eq!(json(event), expect(text));
        let event = Event::Warning { service: None, message: "beware".to_owned() };
        assert_eq!(json(event), expect(r#""warning","service":null,"message":"beware""#));
        let container = Some(ContainerRef { id: "1f2e".to_owned(), ..named("app-2") });
        let log_tail = vec!["panic".to_owned()];
        let command = Some("docker stop app-2".to_owned());
        let failure =
            Failure { reason: "exited".to_owned(), container, command, health_output: None, log_tail };
        let event = Event::Failed { service: "app".to_owned(), failure, rollback: true };
        let failure = r#"{"reason":"exited","container":{"id":"1f2e","name":"app-2"},"command":"docker stop app-2","health_output":null,"log_tail":["panic"]}"#;
        assert_eq!(
            json(event),
            expect(&format!(r#""failed","service":"app","failure":{failure},"rollback":true"#))
        );
    }

    #[test]
    fn endings() {
        assert_eq!(json(Event::Interrupt { count: 1 }), expect(r#""interrupt","count":1"#));
        let text = r#""end","exit_code":3,"message":"It failed.","hint":"docker zdd up","seconds":7.7"#;
        assert_eq!(json(end(3, "It failed.", Some("docker zdd up"), 7_700)), expect(text));
        assert_eq!(
            line(&Story::default(), &look(60), ms(0), &Event::Interrupt { count: 2 }),
            "{\"time\":0.0,\"event\":\"interrupt\",\"count\":2}\n"
        );
    }

    #[test]
    fn phases() {
        let grace = ms(10_000);
        assert_eq!(phase(Phase::Started), expect_phase(r#""started""#));
        let text = r#""waiting","health":"starting","output":"refused","deadline_seconds":40.0"#;
        assert_eq!(phase(waiting("starting", Some("refused"), 40_000)), expect_phase(text));
        assert_eq!(phase(Phase::Ready), expect_phase(r#""ready""#));
        let failed = Phase::Failed { reason: "exited with code 3".to_owned() };
        assert_eq!(phase(failed), expect_phase(r#""failed","reason":"exited with code 3""#));
        assert_eq!(
            phase(Phase::Draining { how: "hook".to_owned() }),
            expect_phase(r#""draining","how":"hook""#)
        );
        assert_eq!(phase(Phase::Drained { note: None }), expect_phase(r#""drained","note":null"#));
        assert_eq!(phase(Phase::Stopping { grace }), expect_phase(r#""stopping","grace_seconds":10.0"#));
        assert_eq!(phase(Phase::Stopped { exit_code: 143 }), expect_phase(r#""stopped","exit_code":143"#));
        assert_eq!(phase(Phase::Restoring), expect_phase(r#""restoring""#));
        assert_eq!(phase(Phase::Restored), expect_phase(r#""restored""#));
        assert_eq!(phase(Phase::Removed), expect_phase(r#""removed""#));
    }

    #[test]
    fn every_line_is_one_object() {
        let text = written(line, look(60), &happy());
        let is_object = |line: &&str| serde_json::from_str::<serde_json::Value>(line).is_ok();
        assert_eq!(text.lines().filter(is_object).count(), happy().len());
        play(&Stream::new(line, look(60), Broken), &vec![(0, new("app-2", Phase::Ready))]);
    }
}
