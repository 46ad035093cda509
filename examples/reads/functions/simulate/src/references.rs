//! The list of references as JSON.

use reads_simulator::fai::Entry;
use serde::Serialize;

/// A reference with its sequences, or why they are not known.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// The sum of its sequences' lengths in bases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Its sequences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequences: Option<Vec<Sequence>>,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A sequence of a reference.
#[derive(Debug, Serialize)]
pub struct Sequence {
    /// Its name.
    pub name: String,
    /// Its length in bases.
    pub length: u64,
}

impl Listed {
    /// A reference with this index, or with what went wrong on the way to it.
    pub fn new(name: String, entries: Result<Vec<Entry>, String>) -> Self {
        match entries {
            Err(error) => Self {
                name,
                length: None,
                sequences: None,
                error: Some(error),
            },
            Ok(entries) => {
                let length = entries.iter().map(|entry| entry.length).sum();
                let sequences = entries
                    .into_iter()
                    .map(|entry| Sequence {
                        name: entry.name,
                        length: entry.length,
                    })
                    .collect();
                Self {
                    name,
                    length: Some(length),
                    sequences: Some(sequences),
                    error: None,
                }
            }
        }
    }
}

/// The answer's body.
pub fn to_json(references: &[Listed]) -> Vec<u8> {
    let value = serde_json::json!({ "references": references });
    format!("{value:#}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_sequences_and_errors() {
        let entry = Entry {
            name: "s".into(),
            length: 5,
            offset: 3,
            line_bases: 5,
            line_width: 6,
        };
        let listed = [
            Listed::new("good".into(), Ok(vec![entry])),
            Listed::new("bad".into(), Err("line 1".into())),
        ];
        let value: serde_json::Value = serde_json::from_slice(&to_json(&listed)).expect("JSON");
        let expected = serde_json::json!({ "references": [
            { "name": "good", "length": 5, "sequences": [{ "name": "s", "length": 5 }] },
            { "name": "bad", "error": "line 1" },
        ] });
        assert_eq!(value, expected);
    }
}
