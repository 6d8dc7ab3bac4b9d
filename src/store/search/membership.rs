//! `members.*` of groups and `groups.*` of users: both ends of `group_members`.

use super::check;
use super::predicate::Writer;
use crate::scim::filter::{Check, Condition, Test};
use crate::scim::key::Key;
use crate::store::sql::Sql;

/// What a condition in brackets is about.
#[derive(Clone, Copy)]
enum Subject {
    /// The resource `m`: a member, or a group that the user is in.
    Resource,
    /// A member that no live resource has: the row `u` of `unresolved_members`.
    Unresolved,
}

impl Writer<'_> {
    /// The groups `r` that have a member which satisfies the condition.
    pub(super) fn has_member(&self, condition: &Condition) -> Sql {
        Sql::new("(r.row_id IN (SELECT gm.group_row_id FROM group_members gm JOIN resources m ON m.row_id = gm.member_row_id WHERE ")
            .append(self.of_tenant())
            .append(self.subject_satisfies(Subject::Resource, condition))
            .push(") OR r.row_id IN (SELECT u.group_row_id FROM unresolved_members u WHERE ")
            .append(self.subject_satisfies(Subject::Unresolved, condition))
            .push("))")
    }

    /// The users `r` that are in a group which satisfies the condition, directly or through nested groups. A group that
    /// lists the user is `direct` even when it also contains it through others (USR-04).
    pub(super) fn in_group(&self, condition: &Condition) -> Sql {
        let direct = decided(condition, "direct");
        let indirect = decided(condition, "indirect");
        match (&direct, &indirect) {
            // Whoever is in a group through others is in one of these itself.
            (Condition::Constant(true), _) => {
                Sql::new("EXISTS (SELECT 1 FROM group_members gm WHERE gm.member_row_id = r.row_id)")
            }
            (_, Condition::Constant(false)) => self.in_group_itself(&direct),
            (Condition::Constant(false), _) => self.in_group_through_others(&indirect),
            _ => Sql::new("(")
                .append(self.in_group_itself(&direct))
                .push(" OR ")
                .append(self.in_group_through_others(&indirect))
                .push(")"),
        }
    }

    fn in_group_itself(&self, condition: &Condition) -> Sql {
        Sql::new("r.row_id IN (SELECT gm.member_row_id FROM group_members gm JOIN resources m ON m.row_id = gm.group_row_id WHERE ")
            .append(self.of_tenant())
            .append(self.subject_satisfies(Subject::Resource, condition))
            .push(")")
    }

    fn in_group_through_others(&self, condition: &Condition) -> Sql {
        if *condition == Condition::Constant(true) {
            // Some group above the user's own is not among these. Then so is one right above them: nothing to follow.
            return Sql::new(
                "EXISTS (SELECT 1 FROM group_members d JOIN group_members p ON p.member_row_id = d.group_row_id WHERE \
                 d.member_row_id = r.row_id AND NOT EXISTS (SELECT 1 FROM group_members x WHERE \
                 x.group_row_id = p.group_row_id AND x.member_row_id = r.row_id))",
            );
        }
        let [join, end] = self.memberships_of_each;
        Sql::new("r.row_id IN (WITH RECURSIVE down (group_row_id, row_id) AS (SELECT gm.group_row_id, gm.member_row_id FROM group_members gm JOIN resources m ON m.row_id = gm.group_row_id WHERE ")
            .append(self.of_tenant())
            .append(self.subject_satisfies(Subject::Resource, condition))
            .push(" UNION SELECT d.group_row_id, gm.member_row_id FROM down d")
            .push(join)
            .push("gm.group_row_id = d.row_id")
            .push(end)
            // A look-up for each row; of NOT EXISTS, PostgreSQL makes a walk through every membership there is.
            .push(") SELECT d.row_id FROM down d WHERE (SELECT 1 FROM group_members x WHERE x.group_row_id = d.group_row_id AND x.member_row_id = d.row_id) IS NULL)")
    }

    fn of_tenant(&self) -> Sql {
        Sql::new("m.tenant_id = ").bind(self.tenant_id).push(" AND m.deleted_at IS NULL AND ")
    }

    fn subject_satisfies(&self, subject: Subject, condition: &Condition) -> Sql {
        match condition {
            Condition::Constant(true) => Sql::new("TRUE"),
            Condition::Constant(false) | Condition::Element(..) => Sql::new("FALSE"),
            Condition::And(conditions) => {
                self.joined(conditions, " AND ", "TRUE", |inner| self.subject_satisfies(subject, inner))
            }
            Condition::Or(conditions) => {
                self.joined(conditions, " OR ", "FALSE", |inner| self.subject_satisfies(subject, inner))
            }
            Condition::Not(inner) => Sql::new("NOT (").append(self.subject_satisfies(subject, inner)).push(")"),
            Condition::Test(test) => self.subject_passes(subject, test),
        }
    }

    fn subject_passes(&self, subject: Subject, test: &Test) -> Sql {
        let part = test.attribute.leaf().name.as_str();
        match (subject, part) {
            (Subject::Unresolved, "value") => self.text_passes(Sql::new("u.value"), test),
            (Subject::Unresolved, _) => Sql::new("FALSE"),
            (_, "value") => self.text_passes(Sql::new("m.id"), test),
            (_, "$ref") => self.location_passes("m", &test.check),
            (_, "display") => self.display_name_passes("m", &test.check),
            // The type of a member compares without case, its name in the table does not.
            (Subject::Resource, _) => self.type_passes(test),
        }
    }

    fn text_passes(&self, expression: Sql, test: &Test) -> Sql {
        check::on_expression(expression, &test.check, self.position_function)
    }

    fn type_passes(&self, test: &Test) -> Sql {
        let names = self
            .resource_type_names()
            .filter(|name| Key::of(test.attribute.leaf(), &(*name).into()).is_some_and(|key| test.check.passes(&key)));
        let names: Vec<&str> = names.collect();
        if names.is_empty() {
            return Sql::new("FALSE");
        }
        Sql::new("m.resource_type IN (").bind_list(names).push(")")
    }
}

/// What a condition on groups comes down to for groups of that `type`. Every group has a `value`.
fn decided(condition: &Condition, kind: &'static str) -> Condition {
    match condition {
        Condition::Test(test) => match test.attribute.leaf().name.as_str() {
            "type" => Condition::Constant(test.check.passes(&Key::folded(kind))),
            "value" if test.check == Check::Present => Condition::Constant(true),
            _ => condition.clone(),
        },
        Condition::Not(inner) => decided(inner, kind).negate(),
        Condition::And(conditions) => joined(conditions, kind, false, Condition::And),
        Condition::Or(conditions) => joined(conditions, kind, true, Condition::Or),
        Condition::Constant(_) | Condition::Element(..) => condition.clone(),
    }
}

/// Conditions of which one that is `decisive` decides, and those that are not say nothing.
fn joined(
    conditions: &[Condition],
    kind: &'static str,
    decisive: bool,
    join: impl Fn(Vec<Condition>) -> Condition,
) -> Condition {
    let conditions = conditions.iter().map(|condition| decided(condition, kind));
    let conditions: Vec<Condition> =
        conditions.filter(|condition| *condition != Condition::Constant(!decisive)).collect();
    if conditions.contains(&Condition::Constant(decisive)) {
        return Condition::Constant(decisive);
    }
    if conditions.is_empty() { Condition::Constant(!decisive) } else { join(conditions) }
}
