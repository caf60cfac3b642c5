//! What is data has colors on a terminal, and nothing but them is added.

use regex_lite::Regex;

use crate::{
    files::web,
    history::twice,
    scenario::{Host, Scenario, old},
};

fn host() -> Host {
    twice(Scenario::new(&web("scale: 2\nstop_signal: SIGKILL")).with([old("web-1"), old("web-2")]))
}

#[test]
fn the_same_words_with_colors_and_without() {
    let colors = Regex::new("\x1b\\[[0-9;]*m").expect("a pattern");
    // How long ago may change from one run to the next, and the width of its column with it.
    let times = Regex::new(r"\d+ seconds? ago|\d+s").expect("a pattern");
    let spaces = Regex::new(" +").expect("a pattern");
    let plain = |text: &str| {
        let text = colors.replace_all(text, "");
        spaces.replace_all(&times.replace_all(&text, "TIME"), " ").into_owned()
    };
    let host = host();
    for command in ["status", "history", "doctor", "plan"] {
        let bare = host.run(&[command]).stdout;
        assert!(!bare.contains('\x1b'), "{command}: {bare}");
        let colored = host.run(&["--ansi", "always", command]).stdout;
        assert!(colored.contains("\x1b["), "{command}: {colored}");
        assert_eq!(plain(&colored), plain(&bare), "{command}");
    }
}
