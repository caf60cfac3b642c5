//! `--report` writes a page, also of a run that failed.

use std::fs;

use crate::{
    files::web,
    scenario::{Host, Scenario, old},
};

fn two() -> Scenario {
    Scenario::new(&web("scale: 2")).with([old("web-1"), old("web-2")])
}

fn page(host: &Host) -> String {
    fs::read_to_string(host.path("project/page.html")).expect("the page")
}

#[test]
fn of_a_success() {
    let host = two().host();
    let output = host.run(&["up", "--report", "page.html"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    let page = page(&host);
    for part in [
        "<span class=\"badge good\">done</span>",
        "<svg ",
        "shop-web-3",
        "<td>wait_timeout</td>",
        "web is up to date",
        "<dt>command</dt><dd>docker up --report page.html</dd>",
        "<dt>by</dt><dd>",
        "<dt>folder</dt><dd>",
    ] {
        assert!(page.contains(part), "no {part} in {page}");
    }
}

#[test]
fn of_a_failure() {
    let host = two().starts("web", "starting, unhealthy").writes("web", "panic: <no database>").host();
    let output = host.run(&["up", "--report", "page.html"]);
    assert_eq!(output.exit.code(), Some(3), "{output}");
    let page = page(&host);
    for part in ["<span class=\"badge bad\">failed</span>", "panic: &lt;no database&gt;", "rolled back"] {
        assert!(page.contains(part), "no {part} in {page}");
    }
}

#[test]
fn of_a_run_that_touched_nothing() {
    let host = two().host();
    assert_eq!(host.run(&["up", "--report", "page.html", "nope"]).exit.code(), Some(1));
    assert!(page(&host).contains("no such service: nope"));
    let dry = two().host();
    assert_eq!(dry.run(&["up", "--dry-run", "--report", "page.html"]).exit.code(), Some(0));
    assert!(!dry.path("project/page.html").exists());
}

#[test]
fn one_that_cannot_be_written_is_found_out_first() {
    let output = two().run(&["up", "--report", "none/page.html"]);
    assert_eq!((output.exit.code(), output.calls.len()), (Some(1), 0), "{output}");
    let said = "the report none/page.html cannot be written (No such file or directory (os error 2)); nothing was touched\n";
    assert_eq!(output.stderr, said);
}
