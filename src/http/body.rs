//! Bodies: bytes within limits, of a media type that is JSON, read as JSON that says each thing once.

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::web::{BytesMut, Payload};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use tokio::time::timeout;

use crate::scim::message::MAX_BODY;
use crate::scim::{Error, ErrorKind, Result};

/// The deepest nesting of objects and arrays.
pub(super) const MAX_DEPTH: usize = 32;

/// The most values in one body. Each takes some seventy bytes of memory however short its text is; a group of a hundred
/// thousand members has three hundred thousand.
const MAX_VALUES: usize = 1_000_000;

/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads the body of a request as a JSON object.
///
/// # Errors
/// 415 for another media type or charset; 413 above the limit; `invalidSyntax` for anything that is no JSON object in
/// UTF-8, for duplicate keys and for too deep nesting (HTTP-03, HTTP-04).
pub(super) async fn read(request: &HttpRequest, payload: &mut Payload) -> Result<Map<String, Value>> {
    let refused = check_media_type(request).and_then(|()| check_length(request)).err();
    let bytes = match refused {
        Some(error) => Err(error),
        None => timeout(PATIENCE, collect(payload))
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::InvalidSyntax, "The body did not arrive in time."))),
    };
    if bytes.is_err() {
        drain(payload).await;
    }
    parse(&bytes?)
}

fn check_media_type(request: &HttpRequest) -> Result<()> {
    let Some(content_type) = request.headers().get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let content_type = content_type.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    if !matches!(media_type, "" | "application/scim+json" | "application/json") {
        let detail = format!("'{media_type}' is not understood; send application/scim+json.");
        return Err(Error::new(ErrorKind::UnsupportedMediaType, detail));
    }
    let charset = parts.find_map(|part| part.strip_prefix("charset=")).map(|charset| charset.trim_matches('"'));
    match charset {
        None | Some("utf-8" | "utf8") => Ok(()),
        Some(other) => Err(Error::new(
            ErrorKind::UnsupportedMediaType,
            format!("The charset '{other}' is not understood; send utf-8."),
        )),
    }
}

/// A body that says itself that it is too large need not be read.
fn check_length(request: &HttpRequest) -> Result<()> {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > MAX_BODY as u64) { Err(too_large()) } else { Ok(()) }
}

fn too_large() -> Error {
    Error::new(ErrorKind::TooLarge, format!("The body is larger than {MAX_BODY} bytes."))
}

async fn collect(payload: &mut Payload) -> Result<BytesMut> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = next(payload).await {
        let chunk = chunk.map_err(|source| {
            Error::new(ErrorKind::InvalidSyntax, "The body could not be read to its end.")
                .with_source(source.to_string())
        })?;
        if bytes.len() + chunk.len() > MAX_BODY {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn next(
    payload: &mut Payload,
) -> Option<std::result::Result<actix_web::web::Bytes, actix_web::error::PayloadError>> {
    std::future::poll_fn(|context| futures_core::Stream::poll_next(std::pin::Pin::new(&mut *payload), context)).await
}

/// Takes what is left of a body off the connection, within reason: clients keep connections open, and one that is still
/// sending would not see the answer.
pub(super) async fn drain(payload: &mut Payload) {
    let take = async {
        let mut left = 4 * MAX_BODY;
        while let Some(Ok(chunk)) = next(payload).await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // A body that never ends is the client's loss.
    drop(timeout(PATIENCE, take).await);
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>> {
    let invalid = |detail: String| Error::new(ErrorKind::InvalidSyntax, detail);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let left = Cell::new(MAX_VALUES);
    let value = Once { depth: 0, left: &left }.deserialize(&mut deserializer);
    let value = value.and_then(|value| deserializer.end().map(|()| value));
    match value {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(invalid("The body must be a JSON object.".to_owned())),
        Err(error) => Err(invalid(format!("The body is not valid JSON: {error}."))),
    }
}

/// A JSON value in which no object names a key twice, nothing is nested too deep, and not too many values stand.
#[derive(Clone, Copy)]
struct Once<'a> {
    depth: usize,
    left: &'a Cell<usize>,
}

impl<'a> Once<'a> {
    fn deeper<E: serde::de::Error>(self) -> std::result::Result<Once<'a>, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Once { depth: self.depth + 1, ..self })
    }

    fn count<E: serde::de::Error>(self) -> std::result::Result<(), E> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| E::custom(format!("more than {MAX_VALUES} values")))?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Value, D::Error> {
        self.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> std::result::Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> std::result::Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(serde::de::Error::custom(format!("the key '{key}' stands twice in one object")));
            }
            let value = members.next_value_seed(inner)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = parse(text.as_bytes()).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::InvalidSyntax);
        error.detail().to_owned()
    }

    #[test]
    fn http_04_a_body_is_one_json_object() {
        for text in ["", "[]", "\"x\"", "{", "{} {}", "{\"a\":}", "{'a':1}"] {
            refused(text);
        }
        assert!(parse(b"{\"a\":\"\xff\"}").is_err());
        assert_eq!(parse(b" {\"a\":[1,2.5,null,true]} ").expect("JSON").len(), 1);
    }

    #[test]
    fn http_04_a_key_stands_once() {
        assert!(refused(r#"{"a":1,"b":{"c":1,"c":2}}"#).contains("'c'"));
    }

    #[test]
    fn http_04_nesting_is_limited_exactly() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        refused(&nested(MAX_DEPTH + 1));
        refused(&"[".repeat(100_000));
    }

    #[test]
    fn http_04_the_number_of_values_is_limited() {
        assert!(refused(&format!("{{\"a\":[{}0]}}", "0,".repeat(MAX_VALUES))).contains("more than"));
    }
}
