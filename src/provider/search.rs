//! GET of a list and `.search`: filter, sort, page (RFC 7644 §3.4.2, §3.4.3).

use std::collections::HashMap;

use super::{Call, Provider, Representation};
use crate::auth::Access;
use crate::scim::filter::{Check, Condition, Relation, Test};
use crate::scim::key::Key;
use crate::scim::password::Password;
use crate::scim::query::{Page, Query};
use crate::scim::{Error, Result};
use crate::store::credentials;
use crate::store::resources::StoredResource;
use crate::store::search::{Found, Scope, Search, search};
use crate::store::{Connection, Reach};

/// One page of a search.
#[derive(Debug)]
pub struct Results {
    /// How many resources match, on all pages.
    pub total: u64,
    /// The position of the first one on this page, from 1.
    pub start_index: u64,
    /// Those on this page.
    pub resources: Vec<Representation>,
}

impl Provider {
    /// The live resources that match, of one type or of several that are searched together; order and page are those of
    /// the first query. Of several types, those that the caller may not read are left out (QRY-06).
    ///
    /// # Errors
    /// `invalidValue` for an impossible sort order; 403; database failures.
    pub async fn search(&self, call: Call, mut queries: Vec<Query>) -> Result<Results> {
        let may_read = |query: &Query| call.caller.may(Access::Read, &query.resource_type.endpoint);
        let refused: Option<Error> = queries.iter().find_map(|query| may_read(query).err());
        queries.retain(|query| may_read(query).is_ok());
        if let (Some(refused), true) = (refused, queries.is_empty()) {
            return Err(refused);
        }
        if let [query] = queries.as_slice()
            && let Some(password) = query.password.clone()
        {
            return self.search_by_password(call, query.clone(), password).await;
        }
        let provider = self.clone();
        let reach =
            if matches!(queries.as_slice(), [query] if query.is_look_up()) { Reach::Point } else { Reach::Scan };
        self.store.read(reach, move |connection| provider.run(connection, call.caller.tenant_id, &queries)).await
    }

    /// The one user of that name, if the password is right (FLT-33). The database is asked first and let go; then one
    /// hash is compared, also where there is no such user.
    async fn search_by_password(&self, call: Call, query: Query, password: Password) -> Result<Results> {
        let provider = self.clone();
        let page = query.page;
        let by_name = Query { page: Page { start_index: 1, count: 1 }, ..query };
        let look_up = move |connection: &mut Connection| {
            let queries = [by_name];
            let found = provider.find(connection, call.caller.tenant_id, &queries)?;
            let hash = match found.resources.first() {
                Some(stored) => credentials::find(connection, stored.row_id)?,
                None => None,
            };
            Ok((provider.represent(connection, call.caller.tenant_id, &queries, found.resources)?, hash))
        };
        let (mut resources, hash) = self.store.read(Reach::Point, look_up).await?;
        let total = u64::from(self.passwords.verify(password, hash).await?);
        if total == 0 || page.offset() > 0 || page.count == 0 {
            resources.clear();
        }
        Ok(Results { total, start_index: page.start_index, resources })
    }

    /// A query on one resource: none or one (RFC 7644 §3.4.2.1).
    ///
    /// # Errors
    /// As [`Provider::search`].
    pub async fn search_one(&self, call: Call, id: String, mut query: Query) -> Result<Results> {
        if let Some(attribute) = query.resource_type.attribute("id") {
            let is_this = Check::Compare(Relation::Eq, Key::of_text_exactly(&id));
            let mut conditions = vec![Condition::Test(Test { attribute, check: is_this })];
            conditions.extend(query.condition.take());
            query.condition = Some(Condition::And(conditions));
        }
        self.search(call, vec![query]).await
    }

    fn run(&self, connection: &mut Connection, tenant_id: i64, queries: &[Query]) -> Result<Results> {
        let found = self.find(connection, tenant_id, queries)?;
        let start_index = queries.first().map_or(1, |query| query.page.start_index);
        let resources = self.represent(connection, tenant_id, queries, found.resources)?;
        Ok(Results { total: found.total, start_index, resources })
    }

    fn find(&self, connection: &mut Connection, tenant_id: i64, queries: &[Query]) -> Result<Found> {
        let Some(first) = queries.first() else {
            return Ok(Found { total: 0, resources: Vec::new() });
        };
        let scopes = queries
            .iter()
            .map(|query| Scope { resource_type: query.resource_type, condition: query.condition.as_ref() })
            .collect();
        search(
            connection,
            &Search {
                tenant_id,
                scopes,
                sort: first.sort.as_ref(),
                offset: first.page.offset(),
                count: first.page.count,
                base_url: &self.base_url,
            },
        )
    }

    /// The representations of a page, each by the query of its type, in the order of the page.
    fn represent(
        &self,
        connection: &mut Connection,
        tenant_id: i64,
        queries: &[Query],
        page: Vec<StoredResource>,
    ) -> Result<Vec<Representation>> {
        if let [query] = queries {
            return self.assembler(tenant_id, query.resource_type, &query.projection).all(connection, page);
        }
        let order: Vec<i64> = page.iter().map(|stored| stored.row_id).collect();
        let mut by_row: HashMap<i64, Representation> = HashMap::with_capacity(page.len());
        for query in queries {
            let of_type: Vec<StoredResource> =
                page.iter().filter(|stored| stored.resource_type == query.resource_type.name).cloned().collect();
            let row_ids: Vec<i64> = of_type.iter().map(|stored| stored.row_id).collect();
            let shown = self.assembler(tenant_id, query.resource_type, &query.projection).all(connection, of_type)?;
            by_row.extend(row_ids.into_iter().zip(shown));
        }
        Ok(order.iter().filter_map(|row_id| by_row.remove(row_id)).collect())
    }
}
