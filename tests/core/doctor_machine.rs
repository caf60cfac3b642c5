//! What `docker zdd doctor` finds beside the services: engine, Compose, the plugin, the file as a whole.

use zdd::{
    advice::{Facts, FileError, Severity},
    engine::Plugin,
};

use crate::doctor::{codes, facts, findings};

#[test]
fn an_engine_that_does_not_answer() {
    let found = findings(None, &Facts { engine: Err("Cannot connect".to_owned()), ..facts() });
    assert_eq!((found[0].severity, found[0].problem.as_str()), (Severity::Error, "Cannot connect"));
    let old =
        |version: &str| codes(&findings(None, &Facts { engine: Ok(version.to_owned()), ..facts() })).len();
    assert_eq!([old("19.03.15"), old("20.10.24+dfsg1"), old("v-dev")], [1, 0, 0]);
}

#[test]
fn compose_that_cannot_be_used() {
    let compose = Err(("no Compose".to_owned(), "install it".to_owned()));
    let found = findings(None, &Facts { compose, ..facts() });
    assert_eq!((found[0].severity, found[0].remedy.as_str()), (Severity::Error, "install it"));
}

#[test]
fn the_plugin_itself() {
    let of = |plugin: Option<Vec<Plugin>>| findings(None, &Facts { plugin, ..facts() });
    let ours = || facts().plugin.expect("plugins").remove(0);
    assert_eq!(of(None), [], "docker did not say");
    assert_eq!(codes(&of(Some(vec![]))), ["plugin-missing"]);
    let twice = of(Some(vec![Plugin { shadowed: vec!["/q/docker-zdd".to_owned()], ..ours() }]));
    assert_eq!(
        twice[0].problem,
        "the plugin is installed twice: docker runs /p/docker-zdd and never /q/docker-zdd"
    );
    let invalid = of(Some(vec![Plugin { error: "exit status 3".to_owned(), ..ours() }]));
    assert_eq!((invalid[0].severity, invalid[0].code), (Severity::Error, "plugin-invalid"));
    let other = Plugin { path: "/q/docker-zdd".to_owned(), version: "v0.0.9".to_owned(), ..ours() };
    let other = of(Some(vec![other]));
    assert_eq!(
        other[0].problem,
        "this is /p/docker-zdd v0.1.0, but \"docker zdd\" runs /q/docker-zdd v0.0.9"
    );
    let linked = of(Some(vec![Plugin { path: "/q/docker-zdd".to_owned(), ..ours() }]));
    assert_eq!(linked, [], "the same version by another name");
}

#[test]
fn a_file_with_mistakes_and_none_at_all() {
    let path = ["services", "web", "x-zdd", "dely"].map(str::to_owned).to_vec();
    let mistake = FileError { path: path.clone(), problem: "unknown key".to_owned(), absent: false };
    let absent = FileError { path: vec![], problem: "no file".to_owned(), absent: true };
    let found = findings(None, &Facts { file: vec![absent, mistake], ..facts() });
    assert_eq!(found.iter().map(|f| f.severity).collect::<Vec<_>>(), [Severity::Error, Severity::Hint]);
    assert_eq!((found[0].path.clone(), found[0].service.as_deref()), (path, Some("web")));
}
