use super::super::fixture::{self, Run, end, ms, planned, play};
use super::html::STYLE;
use super::*;
use crate::engine::ContainerRef;
use crate::event::{Failure, ProbeBegin, ProbeBucket, ProbeEnd, ProbeStage, Stage, Verdict};

fn page(run: &Run) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    std::fs::write(&path, "an older page").unwrap();
    let page = Page::open(&path, 0).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "an older page");
    page.settings(vec![("app".into(), vec![("delay".into(), "<0s>".into(), "flag".into())])]);
    play(&page, run);
    std::fs::read_to_string(&path).unwrap()
}

fn probed() -> Run {
    let mut run = fixture::failed();
    let bucket = |n: u64| ProbeBucket {
        at: ProbeBucket::LENGTH * n as u32,
        requests: 2,
        failures: u64::from(n.is_multiple_of(10)),
        mean: ms(4),
        slowest: ms(5 + n % 3),
    };
    let stage = ProbeStage { stage: Stage::Stop, requests: 140, failures: 7, mean: ms(4), slowest: ms(7) };
    let (url, buckets) = ("http://127.0.0.1/".to_owned(), (0..70).map(bucket).collect());
    run.insert(0, (0, Event::ProbeBegin(ProbeBegin { url: url.clone(), rate: 20, max_failures: Some(2) })));
    let last = run.len() - 1;
    let (requests, failures, slowest) = (140, 7, ms(7));
    run.insert(
        last,
        (7_700, Event::ProbeEnd(ProbeEnd { url, requests, failures, slowest, stages: vec![stage], buckets })),
    );
    run
}

#[test]
fn it_tells_the_whole_story() {
    let text = page(&probed());
    for part in [
        "<h1>shop <span class=\"badge bad\">failed</span></h1>",
        "The new app failed; app-1 and app-2 serve as before.",
        "app-4 is unhealthy after 3 failed probes",
        "panic: no database",
        "app-1 stopping, 2.0s to 2.3s",
        "app-2 serving, 0.0s to 7.7s",
        "probing http://127.0.0.1/, 20 requests a second, at most 2 may fail",
        "<td>stop</td><td>140</td><td class=\"bad\">7</td><td>4ms</td><td>7ms</td>",
        "1.0s: 2 requests, 1 failed",
        "<td>delay</td><td>&lt;0s&gt;</td><td>flag</td>",
    ] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    assert!(!text.contains("an older page"));
}

/// Every `<` begins a tag of a known name, and every tag is closed: nothing that a program said became markup.
fn balanced(text: &str) -> Vec<String> {
    const VOID: [&str; 3] = ["meta", "br", "!doctype"];
    let (mut open, mut seen) = (vec![], vec![]);
    for tag in text.split('<').skip(1).map(|rest| rest.split_once('>').expect("a tag ends").0) {
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default().to_lowercase();
        seen.push(name.clone());
        match tag {
            _ if VOID.contains(&name.as_str()) || tag.ends_with('/') => {}
            _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(name)),
            _ => open.push(name),
        }
    }
    assert_eq!(open, Vec::<String>::new());
    seen
}

/// On a phone the page itself is never wider than the screen: what is wide is pushed aside in a box of its own.
#[test]
fn it_fits_a_phone() {
    let text = page(&probed());
    assert!(text.contains("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"));
    for tag in ["<table", "<svg"] {
        assert!(text.matches(tag).count() >= 2, "{tag}");
        for (at, _) in text.match_indices(tag) {
            let box_of_its_own = text[..at].rsplit('<').next().unwrap_or_default();
            assert!(box_of_its_own.starts_with("div class=\"wide"), "{tag} in <{box_of_its_own}");
        }
    }
    assert!(STYLE.contains(".wide { overflow-x: auto; }"));
}

#[test]
fn it_says_who_ran_what_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    let page = Page::open(&path, 0).unwrap();
    page.about(About {
        command: "docker zdd up <web>".to_owned(),
        who: "anna@laptop".to_owned(),
        engine: "web1".to_owned(),
        commit: "0123456-dirty".to_owned(),
        folder: String::new(),
    });
    play(&page, &fixture::versioned(fixture::happy(), "web:v2"));
    let text = std::fs::read_to_string(&path).unwrap();
    for part in [
        "<dt>command</dt><dd>docker zdd up &lt;web&gt;</dd>",
        "<dt>by</dt><dd>anna@laptop</dd>",
        "<dt>engine</dt><dd>web1</dd>",
        "<dt>commit</dt><dd>0123456-dirty</dd>",
        "<td>v1 → v2</td>",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert!(!text.contains("<dt>folder</dt>"));
}

#[test]
fn nothing_on_it_comes_from_elsewhere_or_runs() {
    for run in
        [probed(), fixture::happy(), fixture::interrupted(), fixture::interleaved(), fixture::batches()]
    {
        let text = page(&run);
        let tags = balanced(&text);
        for name in ["script", "link", "img", "iframe", "object", "form", "a"] {
            assert!(!tags.iter().any(|tag| tag == name), "{name}");
        }
        assert!(
            !text.contains("url(")
                && !text.contains("@import")
                && !text.contains(" src=")
                && !text.contains("href")
        );
    }
}

#[test]
fn whatever_a_program_says_stays_text() {
    let evil = "</pre></title><script>alert('x')</script><b a=\"\x1b[31m\u{202e}&";
    let name = ContainerRef { id: "1".repeat(64), name: evil.to_owned() };
    let failure = Failure {
        reason: evil.to_owned(),
        container: Some(name),
        command: Some(evil.to_owned()),
        health_output: Some(evil.to_owned()),
        log_tail: vec![evil.to_owned(); 2],
    };
    let (service, message) = (evil.to_owned(), evil.to_owned());
    let run = vec![
        (0, planned(&[(evil, Verdict::Roll, evil, 2)])),
        (1, fixture::begin(evil, 2, 1)),
        (2, fixture::new("app-1", crate::event::Phase::Started)),
        (3, Event::Failed { service: service.clone(), failure, rollback: true }),
        (4, Event::Warning { service: Some(service), message }),
        (5, end(3, evil, Some(evil), 5)),
    ];
    let text = page(&run);
    assert!(!balanced(&text).iter().any(|tag| tag == "script" || tag == "b a"), "{text}");
    assert!(!text.contains(['\x1b', '\u{202e}']), "{text}");
}

#[test]
fn a_run_that_touched_nothing_has_a_page_too() {
    let text = page(&vec![(5, end(1, "no such service: web", None, 5))]);
    balanced(&text);
    assert!(text.contains("no such service: web") && !text.contains("<svg"), "{text}");
}

#[test]
fn a_file_that_cannot_be_written_is_known_at_once() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Page::open(&folder.path().join("none/page.html"), 0).is_err());
    assert!(Page::open(folder.path(), 0).is_err());
}
