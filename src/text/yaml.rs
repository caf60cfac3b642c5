//! What Compose is given to read: JSON, which is YAML in which no string can be taken for a date, a number or a word
//! for yes.

use serde::Serialize;

/// JSON that is YAML character by character: what YAML forbids in a string, or takes for the end of a line there, is
/// escaped.
pub fn text(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).unwrap_or_default();
    // Outside of strings it has no such characters.
    json.chars().fold(String::with_capacity(json.len()), |text, c| match is_special(c) {
        true => text + &format!("\\u{:04x}", u32::from(c)),
        false => text + c.encode_utf8(&mut [0; 4]),
    })
}

fn is_special(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_character_is_read_again() {
        let all: String = ('\0'..='\u{ffff}').chain(['\u{1fffe}', '\u{10ffff}']).collect();
        let value =
            json!({"services": {"web": {"environment": {"ALL": all, "\u{7f}": "yes", "N": "2024-01-01"}}}});
        let written = text(&value);
        assert_eq!(serde_yaml::from_str::<Value>(&written).expect("YAML"), value);
        assert_eq!(serde_json::from_str::<Value>(&written).expect("JSON"), value);
    }
}
