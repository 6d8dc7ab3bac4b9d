//! The vocabulary of the checks: given a user, get, patch, expect. It remembers what it made, and deletes that and nothing
//! else.

mod made;
mod people;

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::client::{Client, Unanswered};
use super::exchange::{Answer, Request};
use super::expect::shown;
use super::server::{ENTERPRISE, GROUP, Server, USER};
use super::verdict::{Remark, Stop, Verdict};
use people::People;

pub(super) const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// One run against one server, seen by the check at hand.
pub(super) struct Trial<'a> {
    client: &'a Client,
    pub server: &'a Server,
    interrupted: &'a AtomicBool,
    /// What every name begins with that this run gives, so that nobody else has it.
    run: String,
    names: u32,
    made: Vec<String>,
    /// Where a creation has succeeded: from then on a refused one says something of the check at hand.
    creates: Vec<String>,
    remarks: Vec<Remark>,
    people: Option<Result<People, String>>,
}

/// A resource that a check has made.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    pub id: String,
    /// Below the base URL.
    pub path: String,
    /// The answer to its creation.
    pub answer: Answer,
}

impl Resource {
    /// As a member of a group, or as somebody's manager.
    pub(super) fn reference(&self) -> Value {
        json!({ "value": self.id })
    }
}

impl<'a> Trial<'a> {
    pub(super) fn new(client: &'a Client, server: &'a Server, interrupted: &'a AtomicBool, run: String) -> Trial<'a> {
        let (made, creates, remarks) = (Vec::new(), Vec::new(), Vec::new());
        Trial { client, server, interrupted, run, names: 0, made, creates, remarks, people: None }
    }

    /// What every name of this run begins with.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// A name that nobody has: an address, for some servers want one.
    pub(super) fn name(&mut self) -> String {
        self.names += 1;
        format!("{}-{}@example.com", self.run, self.names)
    }

    /// Says that something holds, but oddly, as the answer shows: it makes a warning of the check.
    pub(super) fn remark(&mut self, answer: &Answer, sentence: impl Into<String>) {
        self.remarks.push(Remark { sentence: sentence.into(), exchange: answer.exchange.clone() });
    }

    /// The remarks of the check that ends.
    pub(super) fn take_remarks(&mut self) -> Vec<Remark> {
        std::mem::take(&mut self.remarks)
    }

    pub(super) fn token(&self) -> &str {
        self.client.token()
    }

    pub(super) fn base_url(&self) -> String {
        self.client.base_url()
    }

    // Requests.

    /// Sends anything, and remembers what it made or deleted.
    pub(super) fn send(&mut self, request: &Request) -> Verdict<Answer> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Stop::Interrupted);
        }
        let answered = self.client.send(request);
        let answer = answered.map_err(|Unanswered { reason, exchange }| Stop::Fail {
            reason: format!("no answer: {reason}"),
            exchange: Some(exchange),
        })?;
        if answer.is_success() {
            self.remember(request, &answer);
        }
        Ok(answer)
    }

    pub(super) fn get(&mut self, target: &str) -> Verdict<Answer> {
        self.send(&Request::get(target))
    }

    pub(super) fn post(&mut self, target: &str, body: &Value) -> Verdict<Answer> {
        self.send(&Request::new("POST", target).json(body))
    }

    pub(super) fn put(&mut self, target: &str, body: &Value) -> Verdict<Answer> {
        self.send(&Request::new("PUT", target).json(body))
    }

    /// PATCH with these operations.
    pub(super) fn patch(&mut self, target: &str, operations: Value) -> Verdict<Answer> {
        let body = json!({"schemas": [PATCH_OP], "Operations": operations});
        self.send(&Request::new("PATCH", target).json(&body))
    }

    pub(super) fn delete(&mut self, target: &str) -> Verdict<Answer> {
        self.send(&Request::new("DELETE", target))
    }

    /// GET of a list with query parameters, which this encodes.
    pub(super) fn list(&mut self, endpoint: &str, parameters: &[(&str, &str)]) -> Verdict<Answer> {
        self.get(&with_query(endpoint, parameters))
    }

    // Resources.

    pub(super) fn users(&self) -> String {
        self.server.users()
    }

    /// Where groups are. A check that asks for it says that it needs groups.
    pub(super) fn groups(&self) -> Verdict<String> {
        self.server.groups().ok_or_else(|| Stop::Skip("the server has no groups".to_owned()))
    }

    /// The body of a user with a fresh name, with what the server's schema requires, and with `extra`.
    pub(super) fn user_body(&mut self, extra: Value) -> Value {
        let name = self.name();
        let mut body = json!({"schemas": [USER], "userName": name});
        let required = self.server.attributes(USER).filter(|attribute| attribute["required"] == true);
        for attribute in required {
            let Some(name) = attribute["name"].as_str() else { continue };
            let taken = body.as_object().is_some_and(|body| body.keys().any(|key| key.eq_ignore_ascii_case(name)));
            if !taken && attribute["mutability"] != "readOnly" {
                body[name] = super::sample::of(attribute, &self.run);
            }
        }
        merge(&mut body, extra);
        if body.get(ENTERPRISE).is_some() {
            body["schemas"] = json!([USER, ENTERPRISE]);
        }
        body
    }

    /// A new user with `extra`.
    pub(super) fn user(&mut self, extra: Value) -> Verdict<Resource> {
        let body = self.user_body(extra);
        self.create(&self.users(), &body)
    }

    /// A new user with these attributes of the enterprise extension.
    pub(super) fn employee(&mut self, extension: Value) -> Verdict<Resource> {
        self.user(json!({ ENTERPRISE: extension }))
    }

    pub(super) fn group_body(&mut self, members: &[&Resource]) -> Value {
        let name = self.name();
        let mut body = json!({"schemas": [GROUP], "displayName": name});
        if !members.is_empty() {
            body["members"] = members.iter().map(|member| member.reference()).collect();
        }
        body
    }

    /// A new group with these members.
    pub(super) fn group(&mut self, members: &[&Resource]) -> Verdict<Resource> {
        let endpoint = self.groups()?;
        let body = self.group_body(members);
        self.create(&endpoint, &body)
    }

    /// A new resource of this body: given, not checked. Where nothing could be created yet, the check is skipped.
    pub(super) fn create(&mut self, endpoint: &str, body: &Value) -> Verdict<Resource> {
        let answer = self.post(endpoint, body)?;
        let resource = self.created(endpoint, answer);
        let known = self.creates.iter().any(|known| known == endpoint);
        match resource {
            Ok(resource) => {
                if !known {
                    self.creates.push(endpoint.to_owned());
                }
                Ok(resource)
            }
            Err(Stop::Fail { reason, .. }) if !known => {
                Err(Stop::Skip(format!("nothing can be created at {endpoint} ({reason}); see CRE-01")))
            }
            Err(stop) => Err(stop),
        }
    }

    /// What an answer to a POST says that it made.
    pub(super) fn created(&self, endpoint: &str, answer: Answer) -> Verdict<Resource> {
        answer.is(201)?;
        let id = answer.text("/id")?.to_owned();
        match made::path(endpoint, &id) {
            Some(path) => Ok(Resource { path, id, answer }),
            None => answer.fail(format!("the id `{id}` cannot stand in a path")),
        }
    }

    /// A resource as it is now.
    pub(super) fn read(&mut self, resource: &Resource) -> Verdict<Answer> {
        let answer = self.get(&resource.path)?;
        answer.is(200)?;
        Ok(answer)
    }

    /// Applies the operations, which must succeed, and reads the result: some servers answer PATCH with 204.
    pub(super) fn patched(&mut self, resource: &Resource, operations: Value) -> Verdict<Answer> {
        self.patch(&resource.path, operations)?.is_one_of(&[200, 204])?;
        self.read(resource)
    }

    /// The operations are refused, and the resource stays as it was.
    pub(super) fn patch_refused(
        &mut self,
        resource: &Resource,
        operations: Value,
        status: u16,
        scim_type: &str,
    ) -> Verdict {
        let before = self.read(resource)?;
        let answer = self.patch(&resource.path, operations)?;
        self.refused(&answer, status, scim_type)?;
        let after = self.read(resource)?;
        after.holds(before.json() == after.json(), "the refused PATCH changed the resource")?;
        Ok(())
    }

    /// A refusal whose `scimType` the RFC lists without demanding it: another one is only remarked upon.
    pub(super) fn refused(&mut self, answer: &Answer, status: u16, scim_type: &str) -> Verdict {
        answer.is(status)?;
        let found = answer.at("/scimType");
        if found != scim_type {
            self.remark(answer, format!("scimType is {} where RFC 7644 §3.12 has `{scim_type}`", shown(found)));
        }
        Ok(())
    }

    /// The people that filters and sorting look for; made once in a run.
    pub(super) fn people(&mut self) -> Verdict<People> {
        if self.people.is_none() {
            // What was made for the check at hand is deleted after it, the people are not.
            let made = std::mem::take(&mut self.made);
            let people = People::make(self);
            let of_people = std::mem::replace(&mut self.made, made);
            self.people = Some(match people {
                Ok(people) => Ok(people.kept(of_people)),
                Err(Stop::Interrupted) => return Err(Stop::Interrupted),
                Err(Stop::Fail { reason, .. } | Stop::Skip(reason) | Stop::NotApplicable(reason)) => {
                    self.made.extend(of_people);
                    Err(reason)
                }
            });
        }
        match self.people.as_ref() {
            Some(Ok(people)) => Ok(people.clone()),
            Some(Err(reason)) => Err(Stop::Skip(format!("the people to look for could not be made: {reason}"))),
            None => Err(Stop::Skip("there are no people to look for".to_owned())),
        }
    }
}

/// Path and query with the values encoded.
pub(super) fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    format!("{path}?{}", pairs.join("&"))
}

/// A text as one segment of a path or one value of a query.
pub(super) fn encode(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, &RESERVED).to_string()
}

/// Puts the members of `extra` into `body`.
fn merge(body: &mut Value, extra: Value) {
    let (Value::Object(body), Value::Object(extra)) = (body, extra) else { return };
    body.extend(extra);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_for_the_query() {
        assert_eq!(with_query("/Users", &[("filter", "a eq \"ü+&\"")]), "/Users?filter=a%20eq%20%22%C3%BC%2B%26%22");
        assert_eq!(encode("../a?b"), "..%2Fa%3Fb");
    }
}
