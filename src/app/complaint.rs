//! What Compose says of files that it refuses, with what it leaves out: which file, which line, which variable.

use crate::text::{place::Files, variable::blame};

/// Compose's own sentence, completed.
pub fn completed(said: &str, files: &Files) -> String {
    without_image(said, files).unwrap_or_else(|| match is_nameless(said) {
        true => format!("{}{said}", named(said, files)),
        false => said.to_owned(),
    })
}

/// Text that is no YAML, or no compose file: Compose has not yet come to where it names files (2.31 to 5.6.1).
fn is_nameless(said: &str) -> bool {
    ["go-yaml ", "yaml: ", "empty compose file", "top-level object must be a mapping"]
        .iter()
        .any(|beginning| said.starts_with(beginning))
}

/// The file, or all of several, as nobody knows which it is.
fn named(said: &str, files: &Files) -> String {
    let names: Vec<_> = files.0.iter().map(|(name, _)| name.as_str()).collect();
    match names.as_slice() {
        [] => String::new(),
        [name] => line_of(said).map_or_else(|| format!("{name}: "), |line| format!("{name}:{line}: ")),
        names => format!("{}: ", names.join(" or ")),
    }
}

/// `5` of `… at L5.C1: did not find expected node content`.
fn line_of(said: &str) -> Option<usize> {
    let (_, place) = said.split_once(" at L")?;
    place.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// An image that is written and empty is none for Compose, which does not say that it is written.
fn without_image(said: &str, files: &Files) -> Option<String> {
    let (_, rest) = said.split_once("service \"")?;
    let (service, _) = rest.split_once("\" has neither an image nor a build context specified")?;
    let path = ["services", service, "image"];
    let variables = files.variables(&path);
    let place = files.locate(&path).filter(|_| !variables.is_empty())?;
    let problem = format!("services.{service}.image: it is empty; write one like \"app:1.0\"");
    Some(format!("{place}: {}", blame(&problem, &variables)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(said: &str, files: &[(&str, &str)]) -> String {
        let files = files.iter().map(|(name, text)| (name.to_string(), text.to_string()));
        completed(said, &Files(files.collect()))
    }

    const ONE: &[(&str, &str)] =
        &[("compose.yaml", "services:\n  web:\n    image: $IMG\n  db:\n    scale: 2\n")];
    const TWO: &[(&str, &str)] = &[("a.yaml", ""), ("b.yaml", "")];

    #[test]
    fn broken_yaml_is_named() {
        let tab = "go-yaml load error in scanner (while scanning a plain scalar) at L3.C11-L4.C1: found a tab character";
        assert_eq!(said(tab, ONE), format!("compose.yaml:3: {tab}"));
        assert_eq!(said(tab, TWO), format!("a.yaml or b.yaml: {tab}"));
        assert_eq!(said(tab, &[]), tab);
        for nameless in [
            "yaml: line 3: could not find expected ':'",
            "empty compose file",
            "top-level object must be a mapping",
        ] {
            assert_eq!(said(nameless, ONE), format!("compose.yaml: {nameless}"));
        }
    }

    #[test]
    fn what_names_its_file_is_left_as_it_is() {
        for named in [
            "failed to parse /srv/compose.yaml: go-yaml load error in parser at L5.C1: no",
            "validating /srv/compose.yaml: services.web.imgae false schema",
            "no configuration file provided: not found",
            "service \"db\" has neither an image nor a build context specified: invalid compose project",
            "service \"gone\" has neither an image nor a build context specified: invalid compose project",
        ] {
            assert_eq!(said(named, ONE), named);
        }
    }

    #[test]
    fn an_image_that_is_empty_by_its_variable_is_named() {
        assert_eq!(
            said(
                "service \"web\" has neither an image nor a build context specified: invalid compose project",
                ONE
            ),
            "compose.yaml:3: services.web.image: it is empty; write one like \"app:1.0\" (the line uses ${IMG}: set IMG, or \
             write a default, ${IMG:-DEFAULT})"
        );
    }
}
