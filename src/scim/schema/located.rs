//! JSON whose values know the line on which they stand, so that a complaint about an operator's file can name it.

use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// A file with schemas or resource types, as the operator wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaFile {
    /// What the operator calls it, for messages: its path.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// Why a file of schemas cannot be used. Its text is one sentence with file and line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    file: String,
    line: usize,
    reason: String,
}

impl Flaw {
    /// A complaint about a file as a whole.
    pub(super) fn of_file(file: &SchemaFile, reason: String) -> Flaw {
        Flaw { file: file.name.clone(), line: 1, reason }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: {}", self.file, self.line, self.reason)
    }
}

impl std::error::Error for Flaw {}

/// A value of a file. The text as a whole is known to be JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Located<'a> {
    file: &'a SchemaFile,
    raw: &'a RawValue,
}

impl<'a> Located<'a> {
    /// The whole text of a file.
    pub fn parse(file: &'a SchemaFile) -> Result<Located<'a>, Flaw> {
        let not_json = |error: serde_json::Error| {
            // The position stands in front of the sentence already.
            let reason = error.to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
            Flaw { file: file.name.clone(), line: error.line().max(1), reason: format!("this is not JSON: {reason}.") }
        };
        serde_json::from_str::<Value>(&file.text).map_err(not_json)?;
        let raw: &'a RawValue = serde_json::from_str(&file.text).map_err(not_json)?;
        Ok(Located { file, raw })
    }

    /// A complaint about this value.
    pub fn flaw(self, reason: impl Into<String>) -> Flaw {
        let start = (self.raw.get().as_ptr() as usize).saturating_sub(self.file.text.as_ptr() as usize);
        let before = self.file.text.get(..start).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Flaw { file: self.file.name.clone(), line, reason: reason.into() }
    }

    /// The value itself.
    pub fn value(self) -> Value {
        serde_json::from_str(self.raw.get()).unwrap_or_default()
    }

    /// The members of an object, in order; `what` is the subject of the complaint if it is none, or has one twice.
    pub fn members(self, what: &str) -> Result<Vec<(String, Located<'a>)>, Flaw> {
        let Ok(Members(members)) = serde_json::from_str::<Members<'a>>(self.raw.get()) else {
            return Err(self.flaw(format!("{what} must be an object.")));
        };
        let located = |(key, raw): (String, &'a RawValue)| (key, Located { file: self.file, raw });
        let members: Vec<(String, Located<'a>)> = members.into_iter().map(located).collect();
        for (index, (key, value)) in members.iter().enumerate() {
            if members[..index].iter().any(|(other, _)| other == key) {
                return Err(value.flaw(format!("`{key}` is there twice.")));
            }
        }
        Ok(members)
    }

    /// The elements of an array; `what` is the subject of the complaint if it is none.
    pub fn elements(self, what: &str) -> Result<Vec<Located<'a>>, Flaw> {
        let elements: Vec<&'a RawValue> =
            serde_json::from_str(self.raw.get()).map_err(|_| self.flaw(format!("{what} must be an array.")))?;
        Ok(elements.into_iter().map(|raw| Located { file: self.file, raw }).collect())
    }

    /// A text that is not empty; `what` is the subject of the complaint if it is none.
    pub fn text(self, what: &str) -> Result<String, Flaw> {
        match self.value() {
            Value::String(text) if !text.is_empty() => Ok(text),
            _ => Err(self.flaw(format!("{what} must be a text."))),
        }
    }

    /// A truth value; `what` is the subject of the complaint if it is none.
    pub fn truth(self, what: &str) -> Result<bool, Flaw> {
        self.value().as_bool().ok_or_else(|| self.flaw(format!("{what} must be true or false.")))
    }
}

/// The members of an object as they stand in the text, repeated ones included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    members.push(entry);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SchemaFile {
        SchemaFile { name: "a.json".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_complaint_names_file_and_line() {
        let file = file("{\n  \"a\": [\n    1,\n    \"x\"\n  ]\n}");
        let members = Located::parse(&file).and_then(|root| root.members("it")).expect("an object");
        let elements = members[0].1.elements("a").expect("an array");

        assert_eq!(elements[1].flaw("no.").to_string(), "a.json, line 4: no.");
        assert_eq!(elements[0].text("`a`").expect_err("a number").to_string(), "a.json, line 3: `a` must be a text.");
    }

    #[test]
    fn what_is_not_json_is_told_with_its_line() {
        for (text, expected) in [
            ("{\n\"a\": }", "a.json, line 2: this is not JSON: expected value."),
            ("", "a.json, line 1: this is not JSON: EOF while parsing a value."),
            ("{}\n{}", "a.json, line 2: this is not JSON: trailing characters."),
        ] {
            assert_eq!(Located::parse(&file(text)).expect_err(text).to_string(), expected);
        }
        let deep = file(&"[".repeat(100_000));
        assert!(Located::parse(&deep).is_err());
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused() {
        let file = file("{\"a\": 1,\n\"a\": 2}");
        let refused = Located::parse(&file).and_then(|root| root.members("it")).expect_err("twice");
        assert_eq!(refused.to_string(), "a.json, line 2: `a` is there twice.");
    }
}
