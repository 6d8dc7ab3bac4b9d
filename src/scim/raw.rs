//! JSON objects of which only the names are read. What is stored as text is sent as text: between the database and a client
//! most values are of interest to nobody.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Error, Result};

/// An object: its members in order, each with the JSON text of its value.
#[derive(Debug, Clone, Default)]
pub struct RawObject<'a> {
    members: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> RawObject<'a> {
    /// The members of the object in a JSON text. It is passed over quickly as this program writes it, without spaces between
    /// its parts; what somebody else has written there is read and written again.
    ///
    /// # Errors
    /// 500 if the text is not that of an object.
    pub fn parse(text: &'a str) -> Result<RawObject<'a>> {
        // What a user of a company has, and what is added to it.
        let mut object = RawObject::with_capacity(16);
        if (Scanner { text, at: 0 }).each(|name, value| object.push(name, value)).is_some() {
            return Ok(object);
        }
        let members: Map<String, Value> = serde_json::from_str(text).map_err(Error::internal)?;
        Ok(RawObject::from(&members))
    }

    /// An object without members, with room for so many.
    pub fn with_capacity(members: usize) -> RawObject<'a> {
        RawObject { members: Vec::with_capacity(members) }
    }

    /// Adds a member that is not there yet. The text must be that of a JSON value.
    pub fn push(&mut self, name: impl Into<Cow<'a, str>>, text: impl Into<Cow<'a, str>>) {
        self.members.push((name.into(), text.into()));
    }

    /// The text of the member's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.members.iter().find(|(key, _)| key == name).map(|(_, text)| &**text)
    }

    /// Gives a member that is there another value.
    pub fn replace(&mut self, name: &str, text: String) {
        if let Some((_, old)) = self.members.iter_mut().find(|(key, _)| key == name) {
            *old = Cow::Owned(text);
        }
    }

    /// Each member: its name and the text of its value.
    pub fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().map(|(name, text)| (&**name, &**text))
    }

    /// The JSON text of the object.
    pub fn to_text(&self) -> String {
        let length: usize = self.members().map(|(name, text)| name.len() + text.len() + 4).sum();
        let mut object = Writing::with_capacity(length + 2);
        self.members().for_each(|(name, text)| object.member(name, text));
        object.finish()
    }
}

impl From<&Map<String, Value>> for RawObject<'static> {
    fn from(members: &Map<String, Value>) -> Self {
        let members = members.iter().map(|(name, value)| (Cow::Owned(name.clone()), Cow::Owned(value.to_string())));
        RawObject { members: members.collect() }
    }
}

/// The text of one member of the object in a JSON text.
///
/// # Errors
/// 500 if the text is not that of an object.
pub fn member<'a>(text: &'a str, name: &str) -> Result<Option<Cow<'a, str>>> {
    let mut found = None;
    let is_read = Scanner { text, at: 0 }.each(|key, value| {
        if found.is_none() && key == name {
            found = Some(Cow::Borrowed(value));
        }
    });
    if is_read.is_none() {
        let members: Map<String, Value> = serde_json::from_str(text).map_err(Error::internal)?;
        found = members.get(name).map(|value| Cow::Owned(value.to_string()));
    }
    Ok(found)
}

/// An object that is written member by member.
#[derive(Debug)]
pub struct Writing {
    text: String,
}

impl Writing {
    /// An object without members, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Writing {
        Writing { text: String::with_capacity(bytes) }
    }

    /// Adds a member that is not there yet. The text must be that of a JSON value.
    pub fn member(&mut self, name: &str, text: &str) {
        self.text.push(if self.text.is_empty() { '{' } else { ',' });
        push_string(&mut self.text, name);
        self.text.push(':');
        self.text.push_str(text);
    }

    /// The JSON text of the object.
    pub fn finish(mut self) -> String {
        self.text.push_str(if self.text.is_empty() { "{}" } else { "}" });
        self.text
    }
}

/// Reads the members of an object and passes over their values. What stands within a value is not judged: it was when it
/// was written.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// Hands over the name of each member of an object, and the text of its value. `None` if it is not written as this
    /// program writes it, which may show when some have been handed over.
    fn each(mut self, mut take: impl FnMut(Cow<'a, str>, &'a str)) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
        } else {
            loop {
                let name = self.name()?;
                self.take(b':')?;
                take(name, self.value()?);
                self.at += 1;
                match self.text.as_bytes().get(self.at - 1)? {
                    b',' => {}
                    b'}' => break,
                    _ => return None,
                }
            }
        }
        (self.at == self.text.len()).then_some(())
    }

    fn name(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at;
        let has_escapes = self.string()?;
        let quoted = &self.text[start..self.at];
        if has_escapes {
            return serde_json::from_str(quoted).ok().map(Cow::Owned);
        }
        Some(Cow::Borrowed(&quoted[1..quoted.len() - 1]))
    }

    fn value(&mut self) -> Option<&'a str> {
        let start = self.at;
        match self.peek()? {
            b'"' => drop(self.string()?),
            b'{' | b'[' => self.nested()?,
            _ => {
                let end = memchr::memchr2(b',', b'}', &self.text.as_bytes()[start..])?;
                serde_json::from_str::<Value>(&self.text[start..start + end]).ok()?;
                self.at += end;
            }
        }
        Some(&self.text[start..self.at])
    }

    /// A string; whether anything in it is escaped.
    fn string(&mut self) -> Option<bool> {
        self.take(b'"')?;
        let mut has_escapes = false;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let end = memchr::memchr2(b'"', b'\\', rest)?;
            self.at += end + 1;
            if rest[end] == b'"' {
                return Some(has_escapes);
            }
            // Whatever it is, it is escaped.
            has_escapes = true;
            self.at += 1;
            if self.at > self.text.len() {
                return None;
            }
        }
    }

    /// An object or an array.
    fn nested(&mut self) -> Option<()> {
        // What is open, the innermost last, one bit each.
        let (mut objects, mut depth) = (0_u64, 0_u32);
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                open @ (b'{' | b'[') => {
                    objects = objects << 1 | u64::from(open == b'{');
                    depth = (depth < u64::BITS).then_some(depth + 1)?;
                }
                close @ (b'}' | b']') if (objects & 1 == 1) != (close == b'}') => return None,
                b'}' | b']' => (objects, depth) = (objects >> 1, depth - 1),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }
}

/// Appends a text as a JSON string.
pub fn push_string(json: &mut String, text: &str) {
    // Without a way out of the loop, many bytes are looked at in one step.
    let is_plain = text.bytes().fold(true, |all, byte| all & (byte >= 0x20) & (byte != b'"') & (byte != b'\\'));
    json.push('"');
    if is_plain {
        json.push_str(text);
    } else {
        let quoted = serde_json::to_string(text).expect("a text has a JSON string");
        json.push_str(&quoted[1..quoted.len() - 1]);
    }
    json.push('"');
}

/// A text as a JSON string.
pub fn string(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    push_string(&mut json, text);
    json
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_read_is_written_again() {
        for text in [
            "{}",
            r#"{"a":1,"b":[{"c":"d\"}]"}],"e":{"f":null}}"#,
            r#"{"quo\"te":"\u0001","ümläut":"\\"}"#,
            r#"{"number":1.50e3,"truth":true,"nothing":null,"empty":"","none":[],"last":-0.5}"#,
        ] {
            assert_eq!(RawObject::parse(text).expect(text).to_text(), text);
        }
    }

    #[test]
    fn one_member_is_read_as_all_are() {
        for text in [
            "{}",
            r#"{"a":1}"#,
            r#"{"a":{"b":2},"b":[3]}"#,
            r#"{"quo\"te":"x","b":"y"}"#,
            r#"{"\u0062":"escaped"}"#,
            "{ \"a\": 1, \"b\" : [ null ] }",
        ] {
            let object = RawObject::parse(text).expect(text);
            for name in ["a", "b", "quo\"te", "missing"] {
                assert_eq!(member(text, name).expect(text).as_deref(), object.get(name), "{name} of {text}");
            }
        }
        for text in ["", "[]", "{", r#"{"a":1"#, r#"{"a":1} x"#, r#"{"a":1,}"#] {
            assert!(member(text, "a").is_err(), "{text}");
        }
    }

    #[test]
    fn what_somebody_else_has_written_is_written_again() {
        let object = RawObject::parse("{ \"a\": [1, 2], \"b\": {\"c\": null} }").expect("an object");
        assert_eq!((object.get("a"), object.get("b")), (Some("[1,2]"), Some(r#"{"c":null}"#)));
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(65), "]".repeat(65));
        assert_eq!(RawObject::parse(&deep).expect("an object").to_text(), deep);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in [
            "",
            "x",
            "[]",
            "null",
            "{",
            r#"{"a":}"#,
            r#"{"a":1"#,
            r#"{"a":1}}"#,
            r#"{"a":1} x"#,
            r#"{"a" 1}"#,
            r#"{"a":x}"#,
            r#"{"a":"b}"#,
            r#"{"a":"b\"#,
            r#"{"a":"b\"}"#,
            r#"{"a":[1}"#,
            r#"{"a":[1}}"#,
            r#"{"a":{"b":[1}]}"#,
            r#"{"a":{"b":1}"#,
            r#"{a:1}"#,
            r#"{"a":1,}"#,
            r#"{,}"#,
            "{\"ü",
            "{\"a\":\"\\ü",
        ] {
            assert!(RawObject::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn strings_are_those_of_serde_json() {
        for text in ["", "plain", "ümläut 🙂", "quo\"te", "back\\slash", "line\nend\u{7f}\u{2028}", "\u{0}\u{1f}"] {
            assert_eq!(string(text), json!(text).to_string());
        }
    }

    #[test]
    fn values_change_and_come() {
        let mut object = RawObject::parse(r#"{"a":1,"c":3}"#).expect("an object");
        object.replace("c", "[4]".to_owned());
        object.replace("missing", "5".to_owned());
        object.push("d", "6");
        assert_eq!((object.get("c"), object.get("missing")), (Some("[4]"), None));
        assert_eq!(object.to_text(), r#"{"a":1,"c":[4],"d":6}"#);
    }
}
