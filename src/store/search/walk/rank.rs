//! Where a page by index lies in the order of a value: the place that so many resources come before.

use super::super::Scope;
use super::Walker;
use super::statements::at;
use crate::scim::Result;
use crate::scim::cursor::Position;
use crate::store::resources::Row;
use crate::store::values::{has_other_values, sorts_by, split};
use crate::store::{Connection, totals};

impl Walker<'_> {
    /// The place of the resource of a type that `rank` others come before; none if there are no more than that.
    pub(super) fn place_at(
        &self,
        connection: &mut Connection,
        scope: &Scope<'_>,
        path_hash: i64,
        (rank, total): (u64, u64),
    ) -> Result<Option<Position>> {
        if let Some(gathered) = &self.gathered {
            return Ok(usize::try_from(rank).ok().and_then(|rank| gathered.get(rank)).cloned());
        }
        if !self.statements.keys_grow {
            let without = total.saturating_sub(self.number_with_value(connection, scope, path_hash)?);
            return match rank.checked_sub(without) {
                Some(rank) => self.place_with_value(connection, scope, path_hash, rank),
                None => self.place_without_value(connection, scope, path_hash, rank),
            };
        }
        if let Some(place) = self.place_with_value(connection, scope, path_hash, rank)? {
            return Ok(Some(place));
        }
        let with_value = self.number_with_value(connection, scope, path_hash)?;
        self.place_without_value(connection, scope, path_hash, rank.saturating_sub(with_value))
    }

    fn place_with_value(
        &self,
        connection: &mut Connection,
        scope: &Scope<'_>,
        path_hash: i64,
        rank: u64,
    ) -> Result<Option<Position>> {
        let heads = at(self.statements.heads(connection, scope, path_hash), rank);
        let Some((head, row_id)) = heads.load::<(String, i64)>(connection)?.pop() else { return Ok(None) };
        if self.is_in_index_order(&head) {
            return Ok(Some(Position { key: Some(head), row_id }));
        }
        // Those that share the head lie together, in another order.
        let before: i64 = self.statements.number(connection, scope, path_hash, Some(&head)).get_result(connection)?;
        let tie = self.statements.tie(connection, scope, path_hash, split(&head).0, None);
        let tied = at(tie, rank.saturating_sub(before.unsigned_abs())).load::<(Row, String)>(connection)?.pop();
        Ok(tied.map(|(row, key)| Position { key: Some(key), row_id: row.0 }))
    }

    fn place_without_value(
        &self,
        connection: &mut Connection,
        scope: &Scope<'_>,
        path_hash: i64,
        rank: u64,
    ) -> Result<Option<Position>> {
        let statement = self.statements.without_value(connection, scope, path_hash, None);
        let row = at(statement, rank).load::<Row>(connection)?.pop();
        Ok(row.map(|row| Position { key: None, row_id: row.0 }))
    }

    fn number_with_value(&self, connection: &mut Connection, scope: &Scope<'_>, path_hash: i64) -> Result<u64> {
        if scope.condition.is_none()
            && let Some(known) = self.known_by_index(connection, scope, path_hash)?
        {
            return Ok(known.with_value);
        }
        let number: i64 = self.statements.number(connection, scope, path_hash, None).get_result(connection)?;
        Ok(number.unsigned_abs())
    }

    /// Whether every resource of a type has a value, as far as the index alone can tell.
    pub(super) fn all_have_a_value(
        &self,
        connection: &mut Connection,
        scope: &Scope<'_>,
        path_hash: i64,
    ) -> Result<bool> {
        let known = self.known_by_index(connection, scope, path_hash)?;
        Ok(known.is_some_and(|known| known.with_value == known.all))
    }

    /// How many resources of a type have a value, without a look at any of them. The index does not know of types, so it
    /// can only be told where no other type has values there, or where all have.
    fn known_by_index(&self, connection: &mut Connection, scope: &Scope<'_>, path_hash: i64) -> Result<Option<Known>> {
        let (mut all, mut own) = (0, 0);
        for (name, live) in totals::by_type(connection, self.search.tenant_id)? {
            // One that is not served any more may have left anything there.
            let Some(resource_type) = self.search.registry.resource_type(&name) else { return Ok(None) };
            if has_other_values(resource_type, path_hash) {
                return Ok(None);
            }
            if name == scope.resource_type.name {
                own = live;
            }
            if sorts_by(resource_type, path_hash) {
                all += live;
            }
        }
        let number: i64 = self.statements.number_in_index(path_hash).get_result(connection)?;
        let with_value = match (own == all, number == all) {
            (true, _) => number,
            (false, true) => own,
            (false, false) => return Ok(None),
        };
        Ok(Some(Known { with_value: with_value.unsigned_abs(), all: own.unsigned_abs() }))
    }
}

/// What totals and index tell of a type and a value.
struct Known {
    /// How many resources of the type have it.
    with_value: u64,
    /// How many there are.
    all: u64,
}
