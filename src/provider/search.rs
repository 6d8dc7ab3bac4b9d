//! GET of a list and `.search`: filter, sort, page (RFC 7644 §3.4.2, §3.4.3, RFC 9865).

use std::collections::HashMap;

use super::assemble::Assembler;
use super::{Call, Listed, Provider, Representation};
use crate::auth::Access;
use crate::scim::cursor::{Direction, Position};
use crate::scim::password::Password;
use crate::scim::query::{Page, Paging, Query, Step, Walk};
use crate::scim::{Error, Result};
use crate::store::credentials;
use crate::store::glance::{Glance, LookUp, Seen, Whose};
use crate::store::resources::StoredText;
use crate::store::search::{Scope, Search, search, user_name, walk};
use crate::store::{Connection, Reach};

/// One page of a search.
#[derive(Debug)]
pub struct Results<R = Vec<Representation>> {
    /// How many resources match, on all pages.
    pub total: u64,
    /// Where the page stands.
    pub paged: Paged,
    /// Those on this page.
    pub resources: R,
}

/// Where a page stands among the others.
#[derive(Debug)]
pub enum Paged {
    /// Its first resource has this position, from 1.
    ByIndex(u64),
    /// Its neighbours have these cursors, where it has neighbours (RFC 9865 §2).
    ByCursor {
        /// That of the next page.
        next: Option<String>,
        /// That of the preceding page.
        previous: Option<String>,
    },
}

impl Results {
    fn into_other<R: From<Vec<Representation>>>(self) -> Results<R> {
        Results { total: self.total, paged: self.paged, resources: self.resources.into() }
    }
}

/// Makes something to show of the resources of a page, each by the query of its type.
type Show<R> = fn(&Provider, &mut Connection, i64, &[Query], &[StoredText]) -> Result<R>;

impl Provider {
    /// The live resources that match, of one type or of several that are searched together; order and page are those of
    /// the first query. Of several types, those that the caller may not read are left out (QRY-06).
    ///
    /// # Errors
    /// `invalidValue` for an impossible sort order; those of [`Walk::step`] for a cursor; 403; database failures.
    pub async fn search(&self, call: Call, queries: Vec<Query>) -> Result<Results> {
        self.searched(call, queries, Provider::represent).await
    }

    /// The same as the text of a list, of which little is in memory however long it is, beside what is stored of the
    /// resources themselves.
    ///
    /// # Errors
    /// As [`Provider::search`].
    pub async fn list(&self, call: Call, queries: Vec<Query>) -> Result<Results<Listed>> {
        self.searched(call, queries, Provider::listed).await
    }

    async fn searched<R: From<Vec<Representation>> + Send + 'static>(
        &self,
        call: Call,
        mut queries: Vec<Query>,
        show: Show<R>,
    ) -> Result<Results<R>> {
        let may_read = |query: &Query| call.may(Access::Read, query.resource_type);
        let refused: Option<Error> = queries.iter().find_map(|query| may_read(query).err());
        queries.retain(|query| may_read(query).is_ok());
        if let (Some(refused), true) = (refused, queries.is_empty()) {
            return Err(refused);
        }
        if let [query] = queries.as_slice()
            && let Some(password) = query.password.clone()
        {
            return self.search_by_password(call, query.clone(), password).await.map(Results::into_other);
        }
        if let Some(results) = self.look_up(&call, &queries).await? {
            return Ok(results.into_other());
        }
        let provider = self.clone();
        // A group may hold a hundred thousand members, also where it is the only one.
        let is_short =
            |query: &Query| query.is_look_up() && !self.assembler_of(call.caller.tenant_id, query).shows_members();
        let reach = if matches!(queries.as_slice(), [query] if is_short(query)) { Reach::Point } else { Reach::Scan };
        let find_and_show = move |connection: &mut Connection| {
            let Results { total, paged, resources } = provider.find(connection, &call, &queries)?;
            let resources = show(&provider, connection, call.caller.tenant_id, &queries, &resources)?;
            Ok(Results { total, paged, resources })
        };
        self.store.read(reach, find_and_show).await
    }

    /// The first page of a look-up, if it is the whole answer, and a glance tells it.
    async fn look_up(&self, call: &Call, queries: &[Query]) -> Result<Option<Results>> {
        let [query] = queries else { return Ok(None) };
        let (Paging::Index(page), None) = (&query.page, &query.sort) else { return Ok(None) };
        let is_whole = page.offset() == 0 && page.count > 0 && query.is_look_up();
        if !is_whole || !self.store.counts_round_trips() {
            return Ok(None);
        }
        let (tenant_id, resource_type) = (call.caller.tenant_id, query.resource_type);
        let found = match user_name(resource_type, query.condition.as_ref()) {
            Some(key) => {
                let look = |glance| self.store.look_up(LookUp { glance, whose: Whose::Key(key.clone()) });
                self.glance(tenant_id, resource_type, &query.projection, look).await?
            }
            None => {
                // One more would be on another page.
                let limit = i64::try_from(page.count).unwrap_or(i64::MAX).saturating_add(1);
                let look = |glance| self.look_at_those(tenant_id, query, limit, glance);
                self.glance(tenant_id, resource_type, &query.projection, look).await?
            }
        };
        let whole = found.filter(|found| found.len() <= page.count);
        Ok(whole.map(|resources| Results {
            total: resources.len() as u64,
            paged: Paged::ByIndex(page.start_index),
            resources,
        }))
    }

    async fn look_at_those(&self, tenant_id: i64, query: &Query, limit: i64, glance: Glance) -> Result<Option<Seen>> {
        let (provider, resource_type, condition) = (self.clone(), query.resource_type, query.condition.clone());
        let look = move |connection: &mut Connection| {
            let scope = Scope { resource_type, condition: condition.as_ref() };
            let (registry, base_url) = (provider.registry, &*provider.base_url);
            let wanted = Search { tenant_id, scopes: vec![scope], sort: None, registry, base_url };
            glance.at_those(connection, &wanted, &scope, limit)
        };
        Ok(self.store.ask(look).await?.flatten())
    }

    /// The one user of that name, if the password is right (FLT-33). The database is asked first and let go; then one
    /// hash is compared, also where there is no such user.
    async fn search_by_password(&self, call: Call, query: Query, password: Password) -> Result<Results> {
        let (paged, is_first) = match &query.page {
            Paging::Index(page) => (Paged::ByIndex(page.start_index), page.offset() == 0 && page.count > 0),
            // One page has room for whoever is found, so there are no cursors.
            Paging::Cursor(asked) => {
                let step = asked.step(&call.caller.cursor_secret, self.now())?;
                (Paged::ByCursor { next: None, previous: None }, step.count > 0)
            }
        };
        let by_name = Query { page: Paging::Index(Page { start_index: 1, count: 1 }), ..query };
        let provider = self.clone();
        let look_up = move |connection: &mut Connection| {
            let (tenant_id, queries) = (call.caller.tenant_id, [by_name]);
            let found = provider.find(connection, &call, &queries)?;
            let hash = match found.resources.first() {
                Some(stored) => credentials::find(connection, stored.row_id)?,
                None => None,
            };
            Ok((provider.represent(connection, tenant_id, &queries, &found.resources)?, hash))
        };
        let (mut resources, hash) = self.store.read(Reach::Point, look_up).await?;
        let is_right = self.passwords.verify(password, hash).await?;
        if !is_right || !is_first {
            resources.clear();
        }
        Ok(Results { total: u64::from(is_right), paged, resources })
    }

    /// A query on one resource: none or one (RFC 7644 §3.4.2.1).
    ///
    /// # Errors
    /// As [`Provider::search`].
    pub async fn list_one(&self, call: Call, id: String, query: Query) -> Result<Results<Listed>> {
        self.list(call, vec![query.on(&id)]).await
    }

    /// Assembles what a query finds.
    pub(super) fn assembler_of<'a>(&'a self, tenant_id: i64, query: &'a Query) -> Assembler<'a> {
        self.assembler(tenant_id, query.resource_type, &query.projection)
    }

    fn find(&self, connection: &mut Connection, call: &Call, queries: &[Query]) -> Result<Results<Vec<StoredText>>> {
        let Some(first) = queries.first() else {
            return Ok(Results { total: 0, paged: Paged::ByIndex(1), resources: Vec::new() });
        };
        let tenant_id = call.caller.tenant_id;
        let scopes = queries
            .iter()
            .map(|query| Scope { resource_type: query.resource_type, condition: query.condition.as_ref() })
            .collect();
        let wanted =
            Search { tenant_id, scopes, sort: first.sort.as_ref(), registry: self.registry, base_url: &self.base_url };
        let (total, paged, resources) = match &first.page {
            Paging::Index(page) => {
                let found = search(connection, &wanted, *page)?;
                (found.total, Paged::ByIndex(page.start_index), found.resources)
            }
            Paging::Cursor(asked) => {
                let step = asked.step(&call.caller.cursor_secret, self.now())?;
                let stretch = walk(connection, &wanted, &step)?;
                let cursor = |place, direction| self.cursor(call, asked, &step, place, direction);
                let next = cursor(stretch.after, Direction::Forward)?;
                let previous = cursor(stretch.before, Direction::Backward)?;
                (stretch.total, Paged::ByCursor { next, previous }, stretch.resources)
            }
        };
        Ok(Results { total, paged, resources })
    }

    fn cursor(
        &self,
        call: &Call,
        walk: &Walk,
        step: &Step,
        place: Option<Position>,
        direction: Direction,
    ) -> Result<Option<String>> {
        let seal = |place| walk.cursor(step, place, direction, &call.caller.cursor_secret, self.now());
        place.map(seal).transpose()
    }

    /// The representations of a page, each by the query of its type, in the order of the page.
    pub(super) fn represent(
        &self,
        connection: &mut Connection,
        tenant_id: i64,
        queries: &[Query],
        page: &[StoredText],
    ) -> Result<Vec<Representation>> {
        if let [query] = queries {
            return self.assembler_of(tenant_id, query).all(connection, page);
        }
        let order: Vec<i64> = page.iter().map(|stored| stored.row_id).collect();
        let mut by_row: HashMap<i64, Representation> = HashMap::with_capacity(page.len());
        for query in queries {
            let of_type: Vec<StoredText> =
                page.iter().filter(|stored| stored.resource_type == query.resource_type.name).cloned().collect();
            let row_ids: Vec<i64> = of_type.iter().map(|stored| stored.row_id).collect();
            let shown = self.assembler_of(tenant_id, query).all(connection, &of_type)?;
            by_row.extend(row_ids.into_iter().zip(shown));
        }
        Ok(order.iter().filter_map(|row_id| by_row.remove(row_id)).collect())
    }
}
