//! What a client says of a group's members, made rows. Costs what it names, not what the group holds.

use std::collections::{HashMap, HashSet};

use crate::scim::accept::MemberClaim;
use crate::scim::patch::{MemberChanges, Presence};
use crate::scim::schema::Role;
use crate::scim::{Error, ErrorKind, Profile, Result};
use crate::store::Connection;
use crate::store::members::{self, Target};
use crate::store::resources::{Place, StoredResource};

/// A wanted change of a group's members: first clear everything, if asked, then the last word on each id.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    cleared: bool,
    present: Vec<MemberClaim>,
    absent: Vec<String>,
}

impl Change {
    /// These members, beside those that are there.
    pub(super) fn additions(claims: Vec<MemberClaim>) -> Change {
        Change { cleared: false, present: claims, absent: Vec::new() }
    }

    /// These members beside those that are there, but for the absent ones.
    pub(super) fn exchange(claims: Vec<MemberClaim>, absent: Vec<String>) -> Change {
        Change { cleared: false, present: claims, absent }
    }

    /// These members and no others.
    pub(super) fn replacement(claims: &[MemberClaim]) -> Change {
        Change { cleared: true, present: claims.to_vec(), absent: Vec::new() }
    }

    /// Whether nothing is wanted.
    pub(super) fn is_empty(&self) -> bool {
        !self.cleared && self.present.is_empty() && self.absent.is_empty()
    }
}

impl From<MemberChanges> for Change {
    fn from(changes: MemberChanges) -> Self {
        let mut change = Change { cleared: changes.cleared, ..Change::default() };
        for (claim, presence) in changes.changes {
            match presence {
                Presence::Present => change.present.push(claim),
                Presence::Absent => change.absent.push(claim.value),
            }
        }
        change
    }
}

/// Which members came and which went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Ids that were no members before.
    pub(super) added: Vec<String>,
    /// Ids that are no members any more.
    pub(super) removed: Vec<String>,
}

impl Difference {
    /// Whether membership is as it was.
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// Writes the change. Members that no live resource has are kept as unresolved ones in `compat`.
///
/// # Errors
/// `invalidValue` for a group that contains itself (GRP-05), and in `strict` for an unknown id (GRP-02) or a claimed
/// type that the target contradicts (GRP-03); database failures.
pub(super) fn apply<D>(
    connection: &mut Connection,
    place: Place,
    group: &StoredResource<D>,
    change: &Change,
    profile: Profile,
) -> Result<Difference> {
    let absent =
        if change.cleared { everybody_but(connection, group.row_id, &change.present)? } else { change.absent.clone() };
    if change.present.iter().any(|claim| claim.value == group.id) {
        return Err(Error::new(ErrorKind::InvalidValue, "members: a group can't be a member of itself."));
    }
    let named: Vec<&str> =
        change.present.iter().map(|claim| claim.value.as_str()).chain(absent.iter().map(String::as_str)).collect();
    let mut targets = members::resolve(connection, place.tenant_id, &named)?;
    targets.retain(|_, target| may_be_member(place, target));
    if profile == Profile::Strict {
        check_claims(&change.present, &targets)?;
    }
    let removed = remove(connection, group.row_id, &absent, &targets)?;
    let present: Vec<&str> = change.present.iter().map(|claim| claim.value.as_str()).collect();
    let added = add(connection, group.row_id, &present, &targets)?;
    Ok(Difference { added, removed })
}

/// A resource whose type is served no more is there for nobody.
fn may_be_member(place: Place, target: &Target) -> bool {
    let reference =
        place.resource_type.attribute_in_role(Role::Members).and_then(|members| members.sub_attribute("$ref"));
    reference.is_some_and(|reference| reference.reference_types.contains(&target.resource_type))
}

/// Who has to go so that only `present` remains.
fn everybody_but(connection: &mut Connection, group_row_id: i64, present: &[MemberClaim]) -> Result<Vec<String>> {
    let staying: HashSet<&str> = present.iter().map(|claim| claim.value.as_str()).collect();
    let current = members::ids(connection, group_row_id)?;
    Ok(current.into_keys().filter(|id| !staying.contains(id.as_str())).collect())
}

fn check_claims(claims: &[MemberClaim], targets: &HashMap<String, Target>) -> Result<()> {
    for claim in claims {
        let Some(target) = targets.get(&claim.value) else {
            let detail = format!("members: '{}' is not the id of a resource that groups can have.", claim.value);
            return Err(Error::new(ErrorKind::InvalidValue, detail));
        };
        let claimed = claim.claimed_type.as_deref().unwrap_or(&target.resource_type);
        if !claimed.eq_ignore_ascii_case(&target.resource_type) {
            let detail = format!("members: '{}' is a {}, not a {claimed}.", claim.value, target.resource_type);
            return Err(Error::new(ErrorKind::InvalidValue, detail));
        }
    }
    Ok(())
}

fn add(
    connection: &mut Connection,
    group_row_id: i64,
    ids: &[&str],
    targets: &HashMap<String, Target>,
) -> Result<Vec<String>> {
    let (rows, unresolved) = split(ids.iter().copied(), targets);
    // An id can have been unresolved when it was added, and be one of a live resource by now.
    let resolved: Vec<(i64, &str)> = row_ids(&rows).into_iter().map(|row_id| (row_id, rows[&row_id])).collect();
    let mut added = names(members::add_resolved(connection, group_row_id, &resolved)?, &rows);
    added.extend(members::add_unresolved(connection, group_row_id, &unresolved)?);
    Ok(added)
}

fn remove(
    connection: &mut Connection,
    group_row_id: i64,
    ids: &[String],
    targets: &HashMap<String, Target>,
) -> Result<Vec<String>> {
    let (rows, _) = split(ids.iter().map(String::as_str), targets);
    let mut removed = names(members::remove(connection, group_row_id, &row_ids(&rows))?, &rows);
    let all: Vec<&str> = ids.iter().map(String::as_str).collect();
    removed.extend(members::remove_unresolved(connection, group_row_id, &all)?);
    Ok(removed)
}

/// Ids with a live resource, by its row, and ids without.
fn split<'a>(
    ids: impl Iterator<Item = &'a str>,
    targets: &HashMap<String, Target>,
) -> (HashMap<i64, &'a str>, Vec<&'a str>) {
    let mut rows = HashMap::new();
    let mut unresolved = Vec::new();
    for id in ids {
        match targets.get(id) {
            Some(target) => {
                rows.insert(target.row_id, id);
            }
            None => unresolved.push(id),
        }
    }
    (rows, unresolved)
}

/// In the order of creation, so that concurrent writers meet rows in one order.
fn row_ids(rows: &HashMap<i64, &str>) -> Vec<i64> {
    let mut row_ids: Vec<i64> = rows.keys().copied().collect();
    row_ids.sort_unstable();
    row_ids
}

fn names(row_ids: Vec<i64>, rows: &HashMap<i64, &str>) -> Vec<String> {
    row_ids.iter().filter_map(|row_id| rows.get(row_id)).map(|id| (*id).to_owned()).collect()
}
