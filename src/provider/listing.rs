//! A page as the text of a list, piece by piece: however many members its groups have, only some are in memory at once.

use std::collections::HashMap;

use super::assemble::BESIDE_DOCUMENT;
use super::read::MOST_MEMBERS_IN_MEMORY;
use super::spill::{Spill, Text};
use super::{Provider, Representation};
use crate::scim::query::Query;
use crate::scim::{Error, Result};
use crate::store::resources::StoredText;
use crate::store::{Connection, members};

/// How much of a page stays out of files, in bytes: a thousand users with some groups each.
const IN_MEMORY: usize = 2 * 1024 * 1024;

/// How many resources are assembled at once.
const BLOCK: usize = 500;

/// The resources of a page as they stand in a list: JSON objects, with commas between them.
#[derive(Debug)]
pub struct Listed {
    /// How many there are.
    pub count: usize,
    /// The objects.
    pub text: Text,
}

impl From<Vec<Representation>> for Listed {
    fn from(resources: Vec<Representation>) -> Self {
        let texts: Vec<&str> = resources.iter().map(|resource| resource.text.as_str()).collect();
        Listed { count: texts.len(), text: Text::Short(texts.join(",")) }
    }
}

impl Provider {
    /// The resources of a page, each by the query of its type.
    ///
    /// # Errors
    /// Database failures; a file that can't be read again.
    pub(super) fn listed(
        &self,
        connection: &mut Connection,
        tenant_id: i64,
        queries: &[Query],
        page: &[StoredText],
    ) -> Result<Listed> {
        let members = self.members_shown(connection, tenant_id, queries, page)?;
        let mut text = Spill::new(self.store.directory(), IN_MEMORY);
        text.reserve(page.iter().map(|stored| stored.document.len() + BESIDE_DOCUMENT).sum());
        let (mut rest, mut separator) = (page, "");
        while !rest.is_empty() {
            let (block, behind) = rest.split_at(block_length(rest.iter().map(|stored| count(&members, stored))));
            rest = behind;
            if let [alone] = block
                && count(&members, alone) > MOST_MEMBERS_IN_MEMORY
                && let Some(query) = queries.iter().find(|query| query.resource_type.name == alone.resource_type)
            {
                text.push(separator);
                self.assembler_of(tenant_id, query).long(connection, alone, &mut text)?;
                separator = ",";
                continue;
            }
            let mut add = |representation: Representation| {
                text.push(separator);
                text.push(&representation.text);
                separator = ",";
            };
            match queries {
                [query] => self.assembler_of(tenant_id, query).each(connection, block, add)?,
                _ => self.represent(connection, tenant_id, queries, block)?.into_iter().for_each(&mut add),
            }
        }
        Ok(Listed { count: page.len(), text: text.finish().map_err(Error::internal)? })
    }

    /// How many members are shown of each group of a page that shows any, by its row; of a single one, whether too many are.
    fn members_shown(
        &self,
        connection: &mut Connection,
        tenant_id: i64,
        queries: &[Query],
        page: &[StoredText],
    ) -> Result<HashMap<i64, i64>> {
        let shows_members = |query: &&Query| self.assembler_of(tenant_id, query).shows_members();
        let types: Vec<&str> = queries.iter().filter(shows_members).map(|query| &*query.resource_type.name).collect();
        let groups = page.iter().filter(|stored| types.contains(&stored.resource_type.as_str()));
        let row_ids: Vec<i64> = groups.map(|stored| stored.row_id).collect();
        if let [alone] = *row_ids {
            let is_long = members::exceed(connection, alone, MOST_MEMBERS_IN_MEMORY)?;
            return Ok(is_long.then_some((alone, MOST_MEMBERS_IN_MEMORY + 1)).into_iter().collect());
        }
        members::counts(connection, &row_ids)
    }
}

fn count(members: &HashMap<i64, i64>, stored: &StoredText) -> i64 {
    members.get(&stored.row_id).copied().unwrap_or_default()
}

/// How many resources come next, by how many members each has: as many as together have few enough, at least one.
fn block_length(members: impl Iterator<Item = i64>) -> usize {
    let mut in_memory = 0;
    let fits = |count: &i64| {
        in_memory += count;
        in_memory <= MOST_MEMBERS_IN_MEMORY
    };
    members.take(BLOCK).take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::provider::{Call, system_clock};
    use crate::scim::Profile;
    use crate::scim::projection::Projection;
    use crate::scim::query::Parameters;
    use crate::scim::schema::{Registry, ResourceType};
    use crate::store::tests::{Fixture, on_each_database};

    fn of_type(name: &str) -> &'static ResourceType {
        Registry::builtin().resource_type(name).expect("a built-in type")
    }

    async fn make(provider: &Provider, resource_type: &'static ResourceType, body: Value) -> Value {
        let body = body.as_object().expect("an object").clone();
        let everything = Projection::everything(resource_type);
        let made = provider.create(Call::of_a_test(), resource_type, body, everything).await.expect("made");
        made.members().expect("an object")["id"].clone()
    }

    #[test]
    fn qry_01_grp_06_a_list_reads_the_same_however_many_members_its_groups_have() {
        on_each_database(|Fixture { store, .. }| async move {
            let (users, groups) = (of_type("User"), of_type("Group"));
            let provider = Provider::new(store, Registry::builtin(), "https://x/scim/v2", system_clock());
            let ann = make(&provider, users, json!({"userName": "ann"})).await;
            // These groups together are longer than what stays in memory.
            let padding = "-".repeat(230);
            let unresolved = |count: i64| (0..count).map(|at| json!({"value": format!("unresolved-{at}{padding}")}));
            for count in [0, 3, MOST_MEMBERS_IN_MEMORY - 1, 1, MOST_MEMBERS_IN_MEMORY, 2, MOST_MEMBERS_IN_MEMORY + 1] {
                let members: Vec<Value> = unresolved(count).chain([json!({"value": ann})]).collect();
                make(&provider, groups, json!({"displayName": format!("{count} and Ann"), "members": members})).await;
            }

            let of_groups =
                |parameters: Parameters| vec![Query::resolve(&parameters, groups, Profile::Compat).expect("a query")];
            let named = |name: &str| Parameters { filter: Some(name.to_owned()), ..Parameters::default() };
            let without = Parameters { excluded_attributes: Some("members".to_owned()), ..Parameters::default() };
            let backwards = Parameters {
                sort_by: Some("displayName".to_owned()),
                sort_order: Some("descending".to_owned()),
                ..Parameters::default()
            };
            let of_all = Query::resolve_over(&Parameters::default(), &[users, groups], Profile::Compat);
            for (queries, is_long) in [
                (of_groups(Parameters::default()), true),
                (of_groups(backwards), true),
                (of_all.expect("queries"), true),
                (of_groups(without), false),
                (of_groups(named(r#"displayName sw "3""#)), false),
                (of_groups(named(r#"displayName eq "3 and Ann""#)), false),
                (of_groups(named(r#"displayName eq "nobody""#)), false),
            ] {
                let listed = provider.list(Call::of_a_test(), queries.clone()).await.expect("a list");
                let found = provider.search(Call::of_a_test(), queries).await.expect("a page");

                let is_in_file = matches!(listed.resources.text, Text::Long(_));
                let expected = Listed::from(found.resources);
                assert_eq!((listed.total, listed.resources.count), (found.total, expected.count));
                assert_eq!(listed.resources.text.whole_of_a_test(), expected.text.whole_of_a_test());
                assert_eq!(is_in_file, is_long, "{} groups", expected.count);
            }
        });
    }

    #[test]
    fn qry_01_usr_04_a_page_of_several_blocks_shows_everybody_once_and_with_his_groups() {
        on_each_database(|Fixture { store, .. }| async move {
            let (users, groups) = (of_type("User"), of_type("Group"));
            let provider = Provider::new(store, Registry::builtin(), "https://x/scim/v2", system_clock());
            let mut members = Vec::new();
            for number in 0..=BLOCK {
                let id = make(&provider, users, json!({"userName": format!("user{number}")})).await;
                members.push(json!({"value": id}));
            }
            make(&provider, groups, json!({"displayName": "All", "members": members})).await;
            let parameters = Parameters { count: Some("1000".to_owned()), ..Parameters::default() };
            let of_users = vec![Query::resolve(&parameters, users, Profile::Compat).expect("a query")];
            let of_all = Query::resolve_over(&parameters, &[users, groups], Profile::Compat).expect("queries");

            for (queries, count) in [(of_users, BLOCK + 1), (of_all, BLOCK + 2)] {
                let listed = provider.list(Call::of_a_test(), queries).await.expect("a list");

                assert_eq!((listed.total, listed.resources.count), (count as u64, count));
                let text = format!("[{}]", listed.resources.text.whole_of_a_test());
                let shown: Vec<Value> = serde_json::from_str(&text).expect("JSON");
                let ids: Vec<Value> = shown.iter().map(|user| json!({"value": user["id"]})).collect();
                assert_eq!((ids.len(), &ids[..members.len()]), (count, &members[..]));
                assert!(shown[..members.len()].iter().all(|user| user["groups"][0]["display"] == "All"));
            }
        });
    }

    #[test]
    fn a_block_has_few_members_or_one_group() {
        let lengths = |first: &[i64]| {
            let mut members: Vec<i64> = first.iter().copied().chain(std::iter::repeat(0)).take(2_000).collect();
            let mut lengths = Vec::new();
            while !members.is_empty() {
                let length = block_length(members.iter().copied());
                members.drain(..length);
                lengths.push(length);
            }
            lengths
        };
        let most = MOST_MEMBERS_IN_MEMORY;

        assert_eq!(lengths(&[]), [500; 4]);
        assert_eq!(lengths(&[most, 1, most - 1, 1]), [1, 2, 500, 500, 500, 497]);
        assert_eq!(lengths(&[0, 10 * most]), [1, 1, 500, 500, 500, 498]);
    }
}
