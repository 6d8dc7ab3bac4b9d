//! The text behind the `?`: which parameters of a query were sent (RFC 7644 §3.4.2, RFC 9865 §2). It knows how clients encode and
//! nothing of what the values mean.
//!
//! A `+` in a filter has two readings. Clients that encode forms write every space as `+` and a plus sign as `%2B`;
//! clients that percent-encode write a space as `%20` and may leave a plus sign as it is. A filter always contains
//! spaces, so its raw text tells: where it holds `%20`, a `+` is a plus sign, otherwise a space. In all other
//! parameters a `+` is a space.

use serde_json::{Map, Value};

use super::json::check_keys;
use super::message::{SEARCH_REQUEST, check_schemas};
use super::{Error, ErrorKind, Result, cursor};

/// The parameters of a query, decoded and not yet understood; `None` where one is not given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters {
    /// `filter`
    pub filter: Option<String>,
    /// `sortBy`
    pub sort_by: Option<String>,
    /// `sortOrder`
    pub sort_order: Option<String>,
    /// `startIndex`
    pub start_index: Option<String>,
    /// `count`
    pub count: Option<String>,
    /// `cursor`; empty at the start of a walk (RFC 9865 §2)
    pub cursor: Option<String>,
    /// `attributes`, joined by commas if it was repeated
    pub attributes: Option<String>,
    /// `excludedAttributes`, joined by commas if it was repeated
    pub excluded_attributes: Option<String>,
    /// Whether they came in a body, which no log and no proxy keeps as it keeps URLs (RFC 7644 §7.5.2).
    pub in_body: bool,
}

impl Parameters {
    /// Reads the raw text of a query, without the `?`. Names compare exactly; unknown parameters are ignored (QRY-03).
    ///
    /// # Errors
    /// `invalidFilter` for the filter, `invalidCursor` for a cursor and `invalidValue` for every other parameter, if a value
    /// is not percent-encoded UTF-8. `invalidFilter` for two filters and `invalidValue` for two of anything else that has
    /// one value: to choose one would answer a question that was not asked.
    pub fn parse(raw_query: &str) -> Result<Parameters> {
        let mut parameters = Parameters::default();
        for pair in raw_query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if let Some(name) = decode(name, b' ') {
                parameters.take(&name, value)?;
            }
        }
        Ok(parameters)
    }

    /// Reads the message of `POST /.search` (RFC 7644 §3.4.3), which names the same parameters. Lists may be arrays or
    /// comma lists (SRCH-04); names have no case, and unknown members are ignored.
    ///
    /// # Errors
    /// `invalidSyntax` if it is not that message, or a member is of another type (SRCH-02).
    pub fn from_search_request(body: &Map<String, Value>) -> Result<Parameters> {
        check_keys(body)?;
        check_schemas(body, SEARCH_REQUEST)?;
        let mut parameters = Parameters { in_body: true, ..Parameters::default() };
        for (name, value) in body {
            let Some(name) = NAMES.into_iter().find(|known| name.eq_ignore_ascii_case(known)) else {
                continue;
            };
            let is_list = matches!(name, "attributes" | "excludedAttributes");
            let is_integer = matches!(name, "startIndex" | "count");
            let Some(slot) = parameters.slot(name) else {
                continue;
            };
            *slot = match value {
                Value::Null => None,
                Value::String(text) if !is_integer => Some(text.clone()),
                Value::Number(number) if is_integer && !number.is_f64() => Some(number.to_string()),
                Value::Array(names) if is_list => Some(comma_list(name, names)?),
                _ => return Err(wrong_type(name)),
            };
        }
        Ok(parameters)
    }

    fn take(&mut self, name: &str, raw: &str) -> Result<()> {
        let Some(slot) = self.slot(name) else {
            return Ok(());
        };
        let plus = if name == "filter" && raw.contains("%20") { b'+' } else { b' ' };
        let value = decode(raw, plus).ok_or_else(|| match name {
            "cursor" => cursor::invalid(),
            _ => invalid(name, format!("The value of the parameter '{name}' is not percent-encoded text in UTF-8.")),
        })?;
        match slot {
            None => *slot = Some(value),
            Some(list) if matches!(name, "attributes" | "excludedAttributes") => {
                list.push(',');
                list.push_str(&value);
            }
            Some(_) => return Err(invalid(name, format!("The parameter '{name}' is given more than once."))),
        }
        Ok(())
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "filter" => Some(&mut self.filter),
            "sortBy" => Some(&mut self.sort_by),
            "sortOrder" => Some(&mut self.sort_order),
            "startIndex" => Some(&mut self.start_index),
            "count" => Some(&mut self.count),
            "cursor" => Some(&mut self.cursor),
            "attributes" => Some(&mut self.attributes),
            "excludedAttributes" => Some(&mut self.excluded_attributes),
            _ => None,
        }
    }
}

/// The members of a search request.
const NAMES: [&str; 8] =
    ["filter", "sortBy", "sortOrder", "startIndex", "count", "cursor", "attributes", "excludedAttributes"];

fn comma_list(name: &str, names: &[Value]) -> Result<String> {
    let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
    names.map(|names| names.join(",")).ok_or_else(|| wrong_type(name))
}

fn wrong_type(name: &str) -> Error {
    Error::new(ErrorKind::InvalidSyntax, format!("'{name}' is of the wrong type in this search request."))
}

fn invalid(name: &str, detail: String) -> Error {
    let kind = if name == "filter" { ErrorKind::InvalidFilter } else { ErrorKind::InvalidValue };
    Error::new(kind, detail)
}

/// Undoes percent-encoding; `plus` is what a `+` stands for. `None` if a `%` is not followed by two hexadecimal digits
/// or the bytes are not UTF-8.
fn decode(raw: &str, plus: u8) -> Option<String> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            b'+' => plus,
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filter(raw_query: &str) -> String {
        Parameters::parse(raw_query).expect(raw_query).filter.expect("a filter")
    }

    fn kind(raw_query: &str) -> ErrorKind {
        Parameters::parse(raw_query).expect_err(raw_query).kind()
    }

    #[test]
    fn flt_10_form_encoded_filters_have_spaces_for_plus_signs() {
        assert_eq!(filter("filter=userName+eq+%22lena%22"), r#"userName eq "lena""#);
        assert_eq!(filter("filter=displayName+eq+%22Field+team+EU%22"), r#"displayName eq "Field team EU""#);
        assert_eq!(filter("filter=userName+eq+%22a%2Bb@x.org%22"), r#"userName eq "a+b@x.org""#);
    }

    #[test]
    fn flt_10_percent_encoded_filters_keep_plus_signs() {
        assert_eq!(filter("filter=userName%20eq%20%22a+b@x.org%22"), r#"userName eq "a+b@x.org""#);
        assert_eq!(filter("filter=userName%20eq%20%22a%2Bb@x.org%22"), r#"userName eq "a+b@x.org""#);
    }

    #[test]
    fn flt_10_only_the_filter_decides_about_its_plus_signs() {
        let parameters = Parameters::parse("sortBy=a+b%20c&filter=title+pr&attributes=x,%20y+z").expect("legal");
        assert_eq!(parameters.filter.as_deref(), Some("title pr"));
        assert_eq!(parameters.sort_by.as_deref(), Some("a b c"));
        assert_eq!(parameters.attributes.as_deref(), Some("x, y z"));
    }

    #[test]
    fn srch_01_a_search_request_names_the_same_parameters() {
        let read = |body: serde_json::Value| Parameters::from_search_request(body.as_object().expect("an object"));
        let body = serde_json::json!({
            "schemas": [SEARCH_REQUEST], "attributes": ["userName", "emails"], "excludedAttributes": "title,name",
            "filter": "userName eq \"a+b\"", "startIndex": 2, "count": 5, "cursor": "", "sortBy": "userName", "other": {},
        });
        let parameters = read(body).expect("a search request");
        assert_eq!(parameters.attributes.as_deref(), Some("userName,emails"));
        assert_eq!(parameters.filter.as_deref(), Some("userName eq \"a+b\""));
        assert_eq!((parameters.start_index.as_deref(), parameters.count.as_deref()), (Some("2"), Some("5")));
        assert_eq!(parameters.cursor.as_deref(), Some(""));
        for wrong in [
            serde_json::json!({}),
            serde_json::json!({"schemas": ["urn:other"]}),
            serde_json::json!({"schemas": [SEARCH_REQUEST], "count": "5"}),
            serde_json::json!({"schemas": [SEARCH_REQUEST], "count": 1.5}),
            serde_json::json!({"schemas": [SEARCH_REQUEST], "attributes": [1]}),
            serde_json::json!({"schemas": [SEARCH_REQUEST], "filter": {}}),
            serde_json::json!({"schemas": [SEARCH_REQUEST], "cursor": 1}),
        ] {
            assert_eq!(read(wrong.clone()).expect_err("refused").kind(), ErrorKind::InvalidSyntax, "{wrong}");
        }
    }

    #[test]
    fn qry_03_unknown_parameters_are_ignored() {
        let ignored = "aadOptscim062020&Cursor=%GG&Filter=x&COUNT=1&=&%FF=1&&unknown=a&unknown=b&";
        assert_eq!(Parameters::parse(ignored).expect("legal"), Parameters::default());
    }

    #[test]
    fn proj_01_repeated_lists_are_joined() {
        let parameters = Parameters::parse("attributes=userName&attributes=&attributes=name,title&excludedAttributes")
            .expect("legal");
        assert_eq!(parameters.attributes.as_deref(), Some("userName,,name,title"));
        assert_eq!(parameters.excluded_attributes.as_deref(), Some(""));
    }

    #[test]
    fn a_single_value_is_not_given_twice() {
        assert_eq!(kind("filter=a+pr&filter=b+pr"), ErrorKind::InvalidFilter);
        assert_eq!(kind("count=1&count=2"), ErrorKind::InvalidValue);
        assert_eq!(kind("sortBy=a&startIndex=1&sortBy=a"), ErrorKind::InvalidValue);
    }

    #[test]
    fn cur_01_a_cursor_may_come_without_a_value() {
        for (raw_query, cursor) in [("cursor&count=10", ""), ("count=10&cursor=", ""), ("cursor=aB-_", "aB-_")] {
            assert_eq!(Parameters::parse(raw_query).expect("legal").cursor.as_deref(), Some(cursor), "{raw_query}");
        }
        assert_eq!(kind("cursor=%GG"), ErrorKind::InvalidCursor);
        assert_eq!(kind("cursor&cursor"), ErrorKind::InvalidValue);
    }

    #[test]
    fn malformed_encoding_is_refused() {
        for value in ["%", "%4", "%G0", "%+1", "100%22%", "%FF", "%C3%28", "%ED%A0%80"] {
            assert_eq!(kind(&format!("filter={value}")), ErrorKind::InvalidFilter, "{value}");
            assert_eq!(kind(&format!("attributes={value}")), ErrorKind::InvalidValue, "{value}");
        }
    }

    #[test]
    fn names_and_values_are_decoded_once() {
        assert_eq!(filter("%66ilter=%2541"), "%41");
        assert_eq!(filter("filter=title%20eq%20%22a=b%26c%22"), r#"title eq "a=b&c""#);
        assert_eq!(filter("filter=title+eq+%22Stra%C3%9Fe%22"), r#"title eq "Straße""#);
        assert_eq!(filter("filter=title+eq+\"Straße\""), r#"title eq "Straße""#);
    }

    proptest! {
        #[test]
        fn reading_never_panics(raw_query in "(filter=|count=|attributes=)?\\PC{0,40}") {
            let _ = Parameters::parse(&raw_query);
        }
    }
}
