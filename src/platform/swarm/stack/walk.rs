//! Goes through a part of the file along its table: what is in no row is refused.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    Misfit,
    keys::{Fate, Form, Row, Table},
};
use crate::text::did_you_mean;

/// What one service, or one network and the like, has led to.
pub struct Walk<'a> {
    pub table: &'a Table,
    pub service: Option<&'a str>,
    /// Where it stands: keys from the top of the file.
    pub at: Vec<String>,
    pub without: Option<&'a BTreeSet<String>>,
    pub misfits: Vec<Misfit>,
    pub notes: Vec<String>,
}

impl<'a> Walk<'a> {
    pub fn new(table: &'a Table, service: Option<&'a str>, at: &[&str]) -> Walk<'a> {
        let at = at.iter().map(|key| key.to_string()).collect();
        Walk { table, service, at, without: None, misfits: vec![], notes: vec![] }
    }

    /// What Swarm gets of a mapping; what is made into something else is not in it.
    pub fn mapping(&mut self, value: &Value) -> Map<String, Value> {
        self.map("", value)
    }

    fn map(&mut self, pattern: &str, value: &Value) -> Map<String, Value> {
        let all = value.as_object().into_iter().flatten();
        let all = all.filter_map(|(key, value)| Some((key.clone(), self.key(pattern, key, value)?)));
        all.collect()
    }

    fn key(&mut self, parent: &str, key: &str, value: &Value) -> Option<Value> {
        let any = format!("{parent}*");
        let (pattern, row) = match self.row(&any) {
            Some(row) => (any, Some(row)),
            None => (format!("{parent}{key}"), self.row(&format!("{parent}{key}"))),
        };
        match row {
            // Compose prints some keys that nobody wrote.
            _ if value.is_null() && !pattern.ends_with('*') => None,
            None if key.starts_with("x-") => None,
            None => {
                self.unknown(parent, key);
                None
            }
            Some(row) => self.fate(row, &pattern, key, value),
        }
    }

    fn row(&self, pattern: &str) -> Option<&'a Row> {
        self.table.rows.iter().find(|row| row.keys.contains(&pattern))
    }

    fn fate(&mut self, row: &Row, pattern: &str, key: &str, value: &Value) -> Option<Value> {
        match &row.fate {
            Fate::Same => Some(without_dollars_in_keys(value)),
            Fate::Inside => self.inside(pattern, value),
            Fate::Form(form, _) => self.form(*form, pattern, value),
            Fate::Becomes(_) | Fate::Dropped(_) => None,
            Fate::Noted(_, note) => {
                if !is_nothing(value) {
                    self.note(format!("{}: {note}", shown(pattern, key, value)));
                }
                None
            }
            Fate::Refused { .. } if is_nothing(value) => None,
            Fate::Refused { .. } if self.is_waived(pattern) => {
                self.note(format!("it runs without {key}, as x-zdd.swarm.without says"));
                None
            }
            Fate::Refused { why, instead } => {
                self.misfit(pattern, &format!("{}: {why}", shown(pattern, key, value)), instead);
                None
            }
            Fate::Unless { fine, why, instead, kept } => {
                let is_written = *value == Value::Bool(false) || !is_nothing(value);
                let is_fine = !is_written || fine.contains(&word(value).as_str());
                if !is_fine {
                    self.misfit(pattern, &format!("{}: {why}", shown(pattern, key, value)), instead);
                }
                (is_fine && *kept && !is_nothing(value)).then(|| value.clone())
            }
        }
    }

    /// A mapping, or a list of them where the table has rows for its items.
    fn inside(&mut self, pattern: &str, value: &Value) -> Option<Value> {
        let below = format!("{pattern}[].");
        let is_list = self.table.rows.iter().flat_map(|row| row.keys).any(|key| key.starts_with(&below));
        match value {
            Value::Null => Some(Value::Null),
            Value::Object(_) if !is_list => Some(Value::Object(self.map(&format!("{pattern}."), value))),
            Value::Array(items) if is_list && items.iter().all(Value::is_object) => {
                let items = items.iter().map(|item| Value::Object(self.map(&below, item)));
                Some(Value::Array(items.collect()))
            }
            _ => {
                self.odd(pattern, if is_list { "a list of mappings" } else { "a mapping" });
                None
            }
        }
    }

    /// Of another form than Compose prints.
    pub fn odd(&mut self, pattern: &str, expected: &str) {
        let message =
            format!("{}: Compose prints it as {expected}, and this is something else", plain(pattern));
        self.misfit(pattern, &message, "update Compose, or docker zdd");
    }

    fn form(&mut self, form: Form, pattern: &str, value: &Value) -> Option<Value> {
        let text = word(value);
        let (formed, problem) = match form {
            Form::Text => (Some(json!(text)), ""),
            Form::Number => (text.parse::<u64>().ok().map(|n| json!(n)), "is not a number"),
            Form::Octal => (
                // YAML that is older than Compose's has read the number already.
                value
                    .as_u64()
                    .or_else(|| u64::from_str_radix(text.trim_start_matches("0o"), 8).ok())
                    .map(|n| json!(n)),
                "is not a file mode",
            ),
            Form::Port if text.is_empty() || text == "0" => return None,
            Form::Port => (
                text.parse::<u16>().ok().map(|n| json!(n)),
                "Swarm publishes one port for all replicas, none of a range",
            ),
        };
        if formed.is_none() {
            let key = pattern.rsplit('.').next().unwrap_or(pattern);
            let instead = if form == Form::Port { "write one port" } else { "write a number" };
            self.misfit(pattern, &format!("{}: {problem}", shown(pattern, key, value)), instead);
        }
        formed
    }

    fn is_waived(&self, pattern: &str) -> bool {
        self.without.is_some_and(|keys| keys.contains(pattern))
    }

    fn unknown(&mut self, parent: &str, key: &str) {
        let of_it =
            |row: &&'static str| row.strip_prefix(parent).filter(|rest| !rest.contains(['.', '*', '[']));
        let keys = self.table.rows.iter().flat_map(|row| row.keys.iter());
        let known: Vec<&str> = keys.filter_map(of_it).collect();
        let pattern = format!("{parent}{key}");
        let meant = did_you_mean(key, &known);
        let why = "docker zdd does not know what Swarm would make of it";
        let message = format!(
            "{}: {why}{}",
            plain(&pattern),
            if meant.is_empty() { String::new() } else { format!(";{meant}") }
        );
        self.misfit(&pattern, &message, "remove it");
    }

    pub fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    pub fn misfit(&mut self, pattern: &str, message: &str, instead: &str) {
        let keys = plain(pattern);
        let key = self.at.iter().cloned().chain(keys.split('.').map(str::to_owned)).collect();
        let place = match self.service {
            Some(_) => String::new(),
            None => self.at.iter().map(|key| format!("{key}.")).collect(),
        };
        let misfit = Misfit {
            service: self.service.map(str::to_owned),
            key,
            message: format!("{place}{message}"),
            instead: instead.to_owned(),
        };
        if !self.misfits.contains(&misfit) {
            self.misfits.push(misfit);
        }
    }
}

/// A pattern as it is shown: `ports.host_ip`.
fn plain(pattern: &str) -> String {
    pattern.replace("[]", "").replace("*.", "")
}

/// The key, with its value where that is a word.
fn shown(pattern: &str, key: &str, value: &Value) -> String {
    let place = plain(pattern);
    let place = place.strip_suffix('*').map(|parent| format!("{parent}{key}")).unwrap_or(place);
    match value {
        Value::String(text) => format!("{place} \"{}\"", text.replace("$$", "$")),
        Value::Number(n) => format!("{place} {n}"),
        Value::Bool(true) => format!("{place} true"),
        _ => place,
    }
}

/// A scalar as text.
pub fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Written, and yet nothing: `false`, an empty text, an empty list.
pub fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// Compose writes a dollar twice in all it prints; the Docker CLI undoes it in values alone.
fn without_dollars_in_keys(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let one =
                |(key, value): (&String, &Value)| (key.replace("$$", "$"), without_dollars_in_keys(value));
            Value::Object(map.iter().map(one).collect())
        }
        other => other.clone(),
    }
}
