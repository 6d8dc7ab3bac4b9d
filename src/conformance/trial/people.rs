//! Four people whom filters, sorting and paging look for. No two agree on everything.

use serde_json::{Value, json};

use super::{Resource, Trial};
use crate::conformance::exchange::Answer;
use crate::conformance::server::{ENTERPRISE, USER};
use crate::conformance::verdict::Verdict;

/// The people, by their first names.
#[derive(Debug, Clone)]
pub(in crate::conformance) struct People {
    all: Vec<(&'static str, Resource)>,
    /// What is to be deleted at the end of the run.
    pub paths: Vec<String>,
}

impl People {
    /// Makes them. What the server's users do not have is left out.
    pub(in crate::conformance) fn make(trial: &mut Trial<'_>) -> Verdict<People> {
        let run = trial.run().to_owned();
        let address = |name: &str, place: &str| format!("{name}.{run}@{place}.example");
        let people = [
            (
                "anna",
                json!({
                    "displayName": format!("Anna {run}"),
                    "name": {"givenName": "Anna", "familyName": format!("Jensen {run}")},
                    "title": "Guide \"A\" 100%", "userType": format!("employee {run}"), "active": true,
                    "externalId": format!("Ext-{run}"),
                    "emails": [
                        {"value": address("anna", "work"), "type": "work", "primary": true},
                        {"value": address("anna", "home"), "type": "home"},
                    ],
                    ENTERPRISE: {"department": format!("Tours {run}")},
                }),
            ),
            (
                "bo",
                json!({
                    "displayName": format!("bo {run}"),
                    "name": {"givenName": "Bo", "familyName": format!("O'Malley {run}")},
                    "userType": format!("contractor {run}"), "active": false,
                    "emails": [{"value": address("bo", "home"), "type": "home"}],
                }),
            ),
            (
                "cleo",
                json!({
                    "displayName": format!("Cleo {run}"),
                    "name": {"givenName": "Cleo", "familyName": format!("Ångström {run}")},
                    "title": "Chef", "userType": format!("employee {run}"), "active": true,
                    "emails": [{"value": address("cleo", "work"), "type": "work"}],
                    ENTERPRISE: {"department": format!("Kitchen {run}")},
                }),
            ),
            ("dee", json!({"userType": format!("guest {run}"), "active": true})),
        ];
        let mut all = Vec::new();
        for (name, mut body) in people {
            body["userName"] = json!(format!("{run}-{name}@example.com"));
            leave_out_unknown(&mut body, trial);
            all.push((name, trial.user(body)?));
        }
        Ok(People { all, paths: Vec::new() })
    }

    pub(in crate::conformance) fn kept(self, paths: Vec<String>) -> People {
        People { paths, ..self }
    }

    pub(in crate::conformance) fn get(&self, name: &str) -> Option<&Resource> {
        self.all.iter().find(|(known, _)| *known == name).map(|(_, person)| person)
    }

    /// Who of them stands in a list, in its order. Others are not ours to judge.
    fn in_list(&self, resources: &[Value]) -> Vec<&'static str> {
        let name = |resource: &Value| self.all.iter().find(|(_, person)| resource["id"] == person.id.as_str());
        resources.iter().filter_map(name).map(|(name, _)| *name).collect()
    }
}

fn leave_out_unknown(body: &mut Value, trial: &Trial<'_>) {
    let has_extension = trial.server.extends_users_with(ENTERPRISE);
    let Value::Object(body) = body else { return };
    body.retain(|name, _| match name.as_str() {
        ENTERPRISE => has_extension,
        "externalId" => true,
        name => trial.server.knows(USER, name),
    });
}

impl Trial<'_> {
    /// The filter selects exactly these of the people. `{run}` stands for the text that only this run has.
    pub(in crate::conformance) fn selects(&mut self, filter: &str, expected: &[&str]) -> Verdict {
        let (people, filter) = (self.people()?, filter.replace("{run}", self.run()));
        let answer = self.list(&self.users(), &[("filter", &filter), ("count", "200")])?;
        let mut found = people.in_list(answer.resources()?);
        found.sort_unstable();
        let reason = format!("`{filter}` selects {found:?} where it should select {expected:?}");
        answer.holds(found == expected, reason)?;
        Ok(())
    }

    /// The filter holds for exactly these of the people, whatever the others on the server are like.
    pub(in crate::conformance) fn holds_for(&mut self, filter: &str, expected: &[&str]) -> Verdict {
        self.selects(&format!("userName sw \"{{run}}\" and ({filter})"), expected)
    }

    /// The filter is 400 `invalidFilter` (RFC 7644 §3.4.2.2).
    pub(in crate::conformance) fn refuses_filter(&mut self, filter: &str) -> Verdict {
        self.list(&self.users(), &[("filter", filter)])?.refused_with(400, "invalidFilter")?;
        Ok(())
    }

    /// Selects the people and nobody else of the server, so that they can be listed, sorted and paged.
    pub(in crate::conformance) fn filter_of_people(&self) -> String {
        format!("userName sw \"{0}-\" and userType ew \"{0}\"", self.run())
    }

    /// The people in the order in which a list with these parameters shows them.
    pub(in crate::conformance) fn people_in(
        &mut self,
        parameters: &[(&str, &str)],
    ) -> Verdict<(Vec<&'static str>, Answer)> {
        let people = self.people()?;
        let filter = self.filter_of_people();
        let parameters: Vec<(&str, &str)> = [("filter", filter.as_str())].iter().chain(parameters).copied().collect();
        let answer = self.list(&self.users(), &parameters)?;
        let found = people.in_list(answer.resources()?);
        Ok((found, answer))
    }
}
