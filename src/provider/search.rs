//! GET of a list: filter, sort, page (RFC 7644 §3.4.2).

use super::{Call, Provider, Representation};
use crate::auth::Access;
use crate::scim::Result;
use crate::scim::query::Query;
use crate::store::Reach;
use crate::store::search::{Search, search};

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
    /// The live resources of a type that match.
    ///
    /// # Errors
    /// `invalidValue` for an impossible sort order; 403; database failures.
    pub async fn search(&self, call: Call, query: Query) -> Result<Results> {
        call.caller.may(Access::Read, &query.resource_type.endpoint)?;
        let provider = self.clone();
        self.store
            .read(Reach::Scan, move |connection| {
                let tenant_id = call.caller.tenant_id;
                let found = search(
                    connection,
                    &Search {
                        tenant_id,
                        resource_type: query.resource_type,
                        condition: query.condition.as_ref(),
                        sort: query.sort.as_ref(),
                        offset: query.page.start_index - 1,
                        count: query.page.count,
                        base_url: &provider.base_url,
                    },
                )?;
                let assembler = provider.assembler(tenant_id, query.resource_type, &query.projection);
                let resources = assembler.all(connection, found.resources)?;
                Ok(Results { total: found.total, start_index: query.page.start_index, resources })
            })
            .await
    }
}
