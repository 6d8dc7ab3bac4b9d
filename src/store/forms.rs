//! For which definition of each resource type the documents and the search index of a tenant are made.
//!
//! Several processes may serve one database, and one of them may have started with other schemas. What it has prepared
//! the data for stands beside the tenant, where every write looks: a process that knows another definition writes
//! nothing of that type.

use std::collections::BTreeMap;

use crate::scim::schema::{ResourceType, Role};
use crate::scim::{Error, ErrorKind, Result};

/// To be raised when documents, keys or the search index are made in another way: everything is made again at the next
/// start.
const GENERATION: u32 = 1;

/// The forms of one tenant, by the name of the resource type; kept as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Forms(BTreeMap<String, String>);

impl Forms {
    /// From the text of the column.
    pub fn parse(text: &str) -> Result<Forms> {
        serde_json::from_str(text).map(Forms).map_err(Error::internal)
    }

    /// The text that [`Forms::parse`] reads.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(&self.0).map_err(Error::internal)
    }

    /// Whether resources of the type are kept in the form that we know; `None` if nobody has said so far.
    pub fn fit(&self, resource_type: &ResourceType) -> Option<bool> {
        self.0.get(&resource_type.name).map(|form| *form == form_of(resource_type))
    }

    /// Whether every one of these types is kept in the form that we know, and no other is kept.
    pub fn fit_all(&self, types: &[&'static ResourceType]) -> bool {
        self.0.len() == types.len() && types.iter().all(|resource_type| self.fit(resource_type) == Some(true))
    }

    /// Notes that resources of the type are kept in the form that we know.
    pub fn set(&mut self, resource_type: &ResourceType) {
        self.0.insert(resource_type.name.clone(), form_of(resource_type));
    }

    /// Forgets the types that are not among these, and names them.
    pub fn retain(&mut self, types: &[&'static ResourceType]) -> Vec<String> {
        let is_served = |name: &String| types.iter().any(|resource_type| resource_type.name == *name);
        let gone: Vec<String> = self.0.keys().filter(|name| !is_served(name)).cloned().collect();
        self.0.retain(|name, _| is_served(name));
        gone
    }

    /// Whether the types that may be members of a group are those whose resources are kept: who knows fewer takes members
    /// for ids that nobody has, and who knows more makes members that nobody else can show.
    fn has_members_of(&self, resource_type: &ResourceType) -> bool {
        let members = resource_type.attribute_in_role(Role::Members);
        let Some(reference) = members.and_then(|members| members.sub_attribute("$ref")) else {
            return true;
        };
        let types = &reference.reference_types;
        self.0.is_empty() || (types.len() == self.0.len() && types.iter().all(|name| self.0.contains_key(name)))
    }

    /// Refuses a write for which another form is in force, or none any more: the type is served no longer.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn check(&self, resource_type: &ResourceType) -> Result<()> {
        let fits = self.fit(resource_type).unwrap_or(self.0.is_empty());
        if fits && self.has_members_of(resource_type) {
            return Ok(());
        }
        let detail = format!(
            "The schemas of {} that this process knows are not those which the data is kept for; start it with the \
             `schemas` of the server that was started last.",
            resource_type.name
        );
        Err(Error::new(ErrorKind::Unavailable, detail))
    }
}

fn form_of(resource_type: &ResourceType) -> String {
    format!("{GENERATION}-{}", resource_type.form)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::Registry;

    #[test]
    fn a_type_fits_its_own_form_alone() {
        let registry = Registry::builtin();
        let [user, group] = ["User", "Group"].map(|name| registry.resource_type(name).expect("built in"));
        let mut forms = Forms::default();
        assert_eq!(forms.fit(user), None);

        forms.set(user);
        let read = Forms::parse(&forms.to_json().expect("JSON")).expect("the same");

        assert_eq!((read.fit(user), read.fit(group)), (Some(true), None));
        assert!(Forms::default().check(user).is_ok() && Forms::default().check(group).is_ok());
        assert!(read.check(user).is_ok() && read.check(group).is_err(), "groups are served no more");
        let mut more = read.clone();
        more.set(group);
        assert!(more.check(group).is_ok());
        more.0.insert("Device".to_owned(), "a form".to_owned());
        assert!(more.check(user).is_ok() && more.check(group).is_err(), "groups have members that we do not know");
        let other = Forms(BTreeMap::from([("User".to_owned(), form_of(group))]));
        assert_eq!(other.check(user).expect_err("another form").kind(), ErrorKind::Unavailable);
        assert!(forms.fit_all(&[user]) && !forms.fit_all(&[user, group]) && !forms.fit_all(&[]));
        assert_eq!(forms.retain(&[group]), ["User"]);
    }
}
