//! What a check expects of an answer. Each expectation that does not hold stops the check, with the exchange as evidence.

use serde_json::Value;

use super::exchange::Answer;
use super::verdict::{Stop, Verdict};

pub(super) const LIST_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
pub(super) const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

impl Answer {
    /// A failure that this answer shows.
    pub(super) fn fail<T>(&self, reason: impl Into<String>) -> Verdict<T> {
        Err(Stop::Fail { reason: reason.into(), exchange: Some(self.exchange.clone()) })
    }

    /// Fails with the reason unless the condition holds.
    pub(super) fn holds(&self, condition: bool, reason: impl Into<String>) -> Verdict<&Answer> {
        if condition { Ok(self) } else { self.fail(reason) }
    }

    pub(super) fn is(&self, status: u16) -> Verdict<&Answer> {
        self.holds(self.status == status, format!("expected status {status}, got {}", self.status))
    }

    pub(super) fn is_one_of(&self, statuses: &[u16]) -> Verdict<&Answer> {
        let expected = statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
        self.holds(statuses.contains(&self.status), format!("expected status {expected}, got {}", self.status))
    }

    /// Any answer that says that the client is wrong.
    pub(super) fn is_client_error(&self) -> Verdict<&Answer> {
        let is_one = (400..500).contains(&self.status);
        self.holds(is_one, format!("expected a status from 400 to 499, got {}", self.status))
    }

    /// The status, and the `scimType` that the RFC demands with it.
    pub(super) fn refused_with(&self, status: u16, scim_type: &str) -> Verdict<&Answer> {
        self.is(status)?;
        let found = self.at("/scimType");
        self.holds(found == scim_type, format!("expected scimType `{scim_type}`, found {}", shown(found)))
    }

    /// What stands at the JSON pointer is this.
    pub(super) fn has(&self, pointer: &str, expected: impl Into<Value>) -> Verdict<&Answer> {
        let (expected, found) = (expected.into(), self.at(pointer));
        let reason = || format!("expected `{pointer}` to be {}, found {}", shown(&expected), shown(found));
        if *found == expected { Ok(self) } else { self.fail(reason()) }
    }

    /// What stands at the JSON pointer; there must be something.
    pub(super) fn present(&self, pointer: &str) -> Verdict<&Value> {
        match self.at(pointer) {
            Value::Null => self.fail(format!("expected `{pointer}`, found nothing")),
            found => Ok(found),
        }
    }

    pub(super) fn text(&self, pointer: &str) -> Verdict<&str> {
        let found = self.present(pointer)?;
        match found.as_str().filter(|text| !text.is_empty()) {
            Some(text) => Ok(text),
            None => self.fail(format!("expected a text at `{pointer}`, found {}", shown(found))),
        }
    }

    pub(super) fn array(&self, pointer: &str) -> Verdict<&Vec<Value>> {
        let found = self.present(pointer)?;
        match found.as_array() {
            Some(array) => Ok(array),
            None => self.fail(format!("expected an array at `{pointer}`, found {}", shown(found))),
        }
    }

    pub(super) fn integer(&self, pointer: &str) -> Verdict<i64> {
        let found = self.present(pointer)?;
        match found.as_i64() {
            Some(number) => Ok(number),
            None => self.fail(format!("expected an integer at `{pointer}`, found {}", shown(found))),
        }
    }

    /// Nothing stands there: `null` and `[]` are nothing (RFC 7643 §2.5).
    pub(super) fn lacks(&self, pointer: &str) -> Verdict<&Answer> {
        let found = self.at(pointer);
        let is_nothing = found.is_null() || found.as_array().is_some_and(Vec::is_empty);
        self.holds(is_nothing, format!("expected nothing at `{pointer}`, found {}", shown(found)))
    }

    pub(super) fn header(&self, name: &str) -> Verdict<&str> {
        match self.find_header(name) {
            Some(value) => Ok(value),
            None => self.fail(format!("the answer has no header `{name}`")),
        }
    }

    /// The media type without its parameters.
    pub(super) fn media_type(&self) -> &str {
        let value = self.find_header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim()
    }

    /// The resources of a ListResponse (RFC 7644 §3.4.2). `Resources` may be absent if nothing was found.
    pub(super) fn resources(&self) -> Verdict<&[Value]> {
        self.is(200)?;
        let schemas = self.array("/schemas")?;
        self.holds(schemas.iter().any(|urn| urn == LIST_RESPONSE), "the answer's `schemas` lacks the ListResponse")?;
        self.integer("/totalResults")?;
        match self.at("/Resources") {
            Value::Null => Ok(&[]),
            Value::Array(resources) => Ok(resources),
            other => self.fail(format!("expected `Resources` to be an array, found {}", shown(other))),
        }
    }

    /// The body of RFC 7644 §3.12.
    pub(super) fn is_error_body(&self) -> Verdict<&Answer> {
        self.holds(self.is_json(), "the body of the error is no JSON")?;
        let schemas = self.array("/schemas")?;
        self.holds(schemas.iter().any(|urn| urn == ERROR), "the error's `schemas` lacks the Error URN")?;
        self.has("/status", self.status.to_string())
    }
}

/// A value as a reason names it: short, and `nothing` where there is none.
pub(super) fn shown(value: &Value) -> String {
    if value.is_null() {
        return "nothing".to_owned();
    }
    let text = value.to_string();
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::{Exchange, Received, Request};
    use super::*;
    use serde_json::json;

    fn answer(status: u16, body: &str) -> Answer {
        let headers = vec![("content-type".to_owned(), "application/scim+json; charset=utf-8".to_owned())];
        let received = Received { status, headers, body: body.into() };
        Answer::new(received.clone(), Exchange::new(&Request::get("/"), "http://h/", Ok(&received), ""))
    }

    fn reason(verdict: Verdict<&Answer>) -> String {
        match verdict {
            Err(Stop::Fail { reason, exchange: Some(_) }) => reason,
            other => panic!("expected a failure with evidence: {other:?}"),
        }
    }

    #[test]
    fn what_does_not_hold_is_said_in_a_sentence() {
        let answer = answer(200, r#"{"title": "x", "emails": []}"#);
        assert_eq!(reason(answer.is(201)), "expected status 201, got 200");
        assert_eq!(reason(answer.has("/title", "y")), "expected `/title` to be \"y\", found \"x\"");
        assert_eq!(reason(answer.lacks("/title")), "expected nothing at `/title`, found \"x\"");
        assert_eq!(reason(answer.refused_with(200, "noTarget")), "expected scimType `noTarget`, found nothing");
        assert!(answer.lacks("/emails").is_ok() && answer.lacks("/none").is_ok());
        assert_eq!(answer.media_type(), "application/scim+json");
    }

    #[test]
    fn a_list_response_is_told_from_what_only_looks_like_one() {
        let list = |body: Value| answer(200, &body.to_string());
        let right = list(json!({"schemas": [LIST_RESPONSE], "totalResults": 0}));
        assert!(right.resources().is_ok_and(<[Value]>::is_empty));
        for wrong in [
            json!([]),
            json!({"schemas": [], "totalResults": 0}),
            json!({"schemas": [LIST_RESPONSE], "totalResults": "0"}),
            json!({"schemas": [LIST_RESPONSE], "totalResults": 1, "Resources": {}}),
        ] {
            assert!(list(wrong.clone()).resources().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_status_of_an_error_is_a_text() {
        let error = |status: Value| answer(404, &json!({"schemas": [ERROR], "status": status}).to_string());
        assert!(error(json!("404")).is_error_body().is_ok());
        assert!(error(json!(404)).is_error_body().is_err());
        assert!(answer(404, "<html>").is_error_body().is_err());
    }
}
