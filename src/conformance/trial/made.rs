//! What a run has made, and its deletion. A server is not trusted to say what that is: only a path that can be nothing
//! but one resource is ever deleted.

use super::{Trial, encode, with_query};
use crate::conformance::exchange::{Answer, Request};

/// The path of a resource. None if the id would lead elsewhere: an empty one to the list, a dot to its parents.
pub(super) fn path(endpoint: &str, id: &str) -> Option<String> {
    (!matches!(id, "" | "." | "..")).then(|| format!("{endpoint}/{}", encode(id)))
}

/// The path of a resource whose absolute URL a server has named, if it is one of these endpoints.
fn path_of_location(location: &str, base_url: &str, endpoints: &[String]) -> Option<String> {
    let below = location.strip_prefix(base_url)?;
    let (endpoint, id) = below.rsplit_once('/')?;
    let is_plain = id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~%".contains(c));
    (is_plain && !matches!(id, "" | "." | "..") && endpoints.iter().any(|known| known == endpoint))
        .then(|| below.to_owned())
}

impl Trial<'_> {
    /// Remembers what an answer says was made or deleted.
    pub(super) fn remember(&mut self, request: &Request, answer: &Answer) {
        let target = request.target.split('?').next().unwrap_or_default();
        let endpoints = self.server.endpoints();
        match request.method {
            "POST" if endpoints.iter().any(|endpoint| endpoint == target) => {
                self.made.extend(answer.at("/id").as_str().and_then(|id| path(target, id)));
            }
            "POST" if target == "/Bulk" => {
                let results = answer.at("/Operations").as_array().into_iter().flatten();
                let created = results.filter(|result| {
                    let posted = result["method"].as_str().is_some_and(|method| method.eq_ignore_ascii_case("POST"));
                    posted && result["status"].as_str().is_some_and(|status| status.starts_with('2'))
                });
                let locations = created.filter_map(|result| result["location"].as_str());
                let base_url = self.client.base_url();
                self.made.extend(locations.filter_map(|location| path_of_location(location, &base_url, &endpoints)));
            }
            "DELETE" => self.made.retain(|made| made != target),
            _ => {}
        }
    }

    /// Deletes what the check at hand has made, the newest first, for a group may need its members. Returns what is left.
    pub(in crate::conformance) fn clean_up(&mut self) -> Vec<String> {
        let made = std::mem::take(&mut self.made);
        self.delete_all(made)
    }

    /// Deletes what the whole run has made, and looks for what a server made without saying so. Returns what is left.
    pub(in crate::conformance) fn clean_up_all(&mut self) -> Vec<String> {
        let mut left = self.clean_up();
        if let Some(Ok(people)) = self.people.take() {
            left.extend(self.delete_all(people.paths));
        }
        let unknown = self.unknown_creations();
        left.extend(self.delete_all(unknown));
        left
    }

    /// What carries a name of this run, though no answer said that it was made.
    fn unknown_creations(&self) -> Vec<String> {
        let mut found = Vec::new();
        if !self.server.supports("filter") || self.client.is_gone() {
            return found;
        }
        let places = [(Some(self.server.users()), "userName"), (self.server.groups(), "displayName")];
        for (endpoint, attribute) in places {
            let Some(endpoint) = endpoint else { continue };
            let filter = format!("{attribute} sw \"{}\"", self.run);
            let listed = self.client.send(&Request::get(with_query(&endpoint, &[("filter", &filter)])));
            let Ok(answer) = listed else { continue };
            let resources = answer.at("/Resources").as_array().into_iter().flatten();
            // A server that does not filter shows resources of others: only our names are ours.
            let ours = resources
                .filter(|resource| resource[attribute].as_str().is_some_and(|name| name.starts_with(&self.run)));
            found.extend(ours.filter_map(|resource| path(&endpoint, resource["id"].as_str()?)));
        }
        found
    }

    /// Also after an interruption, so past [`Trial::send`].
    fn delete_all(&self, paths: Vec<String>) -> Vec<String> {
        let is_left = |path: &String| {
            // A server that has stopped answering is not waited for once more for each resource.
            if self.client.is_gone() {
                return true;
            }
            let answer = self.client.send(&Request::new("DELETE", path.clone()));
            !answer.is_ok_and(|answer| answer.is_success() || matches!(answer.status, 404 | 410))
        };
        paths.into_iter().rev().filter(is_left).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_nothing_but_one_resource_is_deleted() {
        let endpoints = ["/Users".to_owned(), "/Groups".to_owned()];
        let found = |location: &str| path_of_location(location, "https://h/scim", &endpoints);
        assert_eq!(found("https://h/scim/Users/7-a%20").as_deref(), Some("/Users/7-a%20"));
        for location in [
            "https://h/scim/Users/",
            "https://h/scim/Users",
            "https://h/scim/Users/..",
            "https://h/scim/Users/7/../..",
            "https://h/scim/Users/7?filter=x",
            "https://h/scim/Schemas/7",
            "https://other/scim/Users/7",
            "",
        ] {
            assert_eq!(found(location), None, "{location}");
        }
        assert_eq!(path("/Users", "a/../b").as_deref(), Some("/Users/a%2F..%2Fb"));
        assert!(["", ".", ".."].iter().all(|id| path("/Users", id).is_none()));
    }
}
