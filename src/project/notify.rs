//! The command that is notified of a rollout's end: `x-zdd.notify`. Pure.

use serde_json::Value;

use super::{
    settings::{BadSetting, bad},
    undollar,
};

/// Program and arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify(pub Vec<String>);

impl Notify {
    /// Reads `x-zdd.notify`: a line for the shell, or a list that is run as it is. `None` for nothing written.
    ///
    /// # Errors
    /// Neither of the two, or an empty one.
    pub fn read(value: &Value, path: &[&str]) -> Result<Option<Notify>, BadSetting> {
        const WRONG: &str =
            "must be a command, like \"./tell-the-team\" or [\"/usr/bin/logger\", \"-t\", \"deploy\"]";
        if value.is_null() {
            return Ok(None);
        }
        let words = match value {
            Value::String(line) => vec!["/bin/sh".to_owned(), "-c".to_owned(), undollar(line)],
            Value::Array(words) => {
                let words = words.iter().map(|word| word.as_str().map(undollar));
                words.collect::<Option<Vec<_>>>().ok_or_else(|| bad(path, WRONG))?
            }
            _ => return Err(bad(path, WRONG)),
        };
        let empty = words.is_empty()
            || words[0].trim().is_empty()
            || value.as_str().is_some_and(|line| line.trim().is_empty());
        if empty { Err(bad(path, WRONG)) } else { Ok(Some(Notify(words))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Option<Notify>, String> {
        let value: Value = serde_yaml::from_str(yaml).expect("YAML");
        Notify::read(&value, &["x-zdd", "notify"]).map_err(|bad| bad.to_string())
    }

    #[test]
    fn a_line_goes_through_the_shell_and_a_list_does_not() {
        let words = |yaml: &str| read(yaml).unwrap().unwrap().0;
        assert_eq!(words("logger \"$$HOME\""), ["/bin/sh", "-c", "logger \"$HOME\""]);
        assert_eq!(words("[logger, 'a b', $$x]"), ["logger", "a b", "$x"]);
        assert_eq!(read("null"), Ok(None));
    }

    #[test]
    fn anything_else_is_refused() {
        for yaml in ["''", "' '", "[]", "['']", "[a, 7]", "{a: b}", "7"] {
            let error = read(yaml).expect_err(yaml);
            assert!(error.starts_with("x-zdd.notify: must be a command"), "{error}");
        }
    }
}
