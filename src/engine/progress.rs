//! What Compose says of its own progress (`--progress json`), and of what it would do in a dry run.

use serde::Deserialize;

/// One line.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Progress {
    pub id: String,
    pub text: String,
    pub status: String,
    pub error: bool,
    pub message: String,
}

/// What a line of a dry run means for what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It stays as it is.
    Leaves,
    /// It exists, and runs from now on.
    Starts,
    /// It is added.
    Creates,
    /// It stops, goes or is replaced.
    Disturbs,
    /// A word that no known version of Compose says.
    Unknown,
}

impl Progress {
    /// The words of Compose 2.31 to 5.6.1.
    pub fn effect(&self) -> Effect {
        match self.text.as_str() {
            "Running" | "Waiting" | "Healthy" | "Exited" | "Skipped" => Effect::Leaves,
            "Starting" | "Started" => Effect::Starts,
            "Creating" | "Created" => Effect::Creates,
            "Recreate" | "Recreated" | "Stopping" | "Stopped" | "Removing" | "Removed" => Effect::Disturbs,
            _ => Effect::Unknown,
        }
    }
}

/// The outcome of a dry run.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    pub steps: Vec<Progress>,
    /// What Compose asked on standard output; with nobody to answer it takes a no.
    pub questions: String,
}

impl Preview {
    /// Lines that are no steps are passed over.
    pub fn read(stderr: &str, stdout: String) -> Preview {
        Preview { steps: lines(stderr).collect(), questions: stdout }
    }

    /// The names of the containers that it would stop, replace or remove.
    pub fn disturbed_containers(&self) -> impl Iterator<Item = &str> {
        let steps = self.steps.iter().filter(|step| step.effect() == Effect::Disturbs);
        steps.filter_map(|step| step.id.strip_prefix("Container "))
    }
}

pub(super) fn lines(stderr: &str) -> impl Iterator<Item = Progress> {
    stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).map(in_todays_form)
}

/// Compose 2 (tried: 2.31.0) has the word in `status`, where Compose 5 has one of four and the word in `text`.
fn in_todays_form(line: Progress) -> Progress {
    let today = matches!(line.status.as_str(), "" | "Working" | "Done" | "Warning" | "Error");
    if today { line } else { Progress { text: line.status.clone(), ..line } }
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn progress_of_compose_2_and_5_says_the_same() {
        let compose_2 = r#"{"dry-run":true,"id":"Container shop-web-1","status":"Stopping"}"#;
        let compose_5 = r#"{"id":"Container shop-web-1","status":"Working","text":"Stopping"}"#;
        let words = |text| lines(text).map(|line| line.text).collect::<Vec<_>>();
        assert_eq!(words(compose_2), ["Stopping"]);
        assert_eq!(words(compose_5), ["Stopping"]);
    }
}
