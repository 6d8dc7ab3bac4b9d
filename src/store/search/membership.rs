//! `members.*` of groups and `groups.*` of users: both ends of `group_members`.

use super::check;
use super::predicate::Writer;
use crate::scim::filter::{Check, Condition, Test};
use crate::store::sql::Sql;

/// What a condition in brackets is about.
#[derive(Clone, Copy)]
enum Subject {
    /// A member: the resource `m`.
    Member,
    /// A member that no live resource has: the row `u` of `unresolved_members`.
    Unresolved,
    /// A group that the user is in: the resource `m`, directly or through other groups.
    Group { kind: &'static str },
}

impl Writer<'_> {
    /// The groups `r` that have a member which satisfies the condition.
    pub(super) fn has_member(&self, condition: &Condition) -> Sql {
        Sql::new("(r.row_id IN (SELECT gm.group_row_id FROM group_members gm JOIN resources m ON m.row_id = gm.member_row_id WHERE ")
            .append(self.of_tenant())
            .append(self.subject_satisfies(Subject::Member, condition))
            .push(") OR r.row_id IN (SELECT u.group_row_id FROM unresolved_members u WHERE ")
            .append(self.subject_satisfies(Subject::Unresolved, condition))
            .push("))")
    }

    /// The users `r` that are in a group which satisfies the condition, directly or through nested groups. A group that
    /// lists the user is `direct` even when it also contains it through others (USR-04).
    pub(super) fn in_group(&self, condition: &Condition) -> Sql {
        Sql::new("(r.row_id IN (SELECT gm.member_row_id FROM group_members gm JOIN resources m ON m.row_id = gm.group_row_id WHERE ")
            .append(self.of_tenant())
            .append(self.subject_satisfies(Subject::Group { kind: "direct" }, condition))
            .push(") OR r.row_id IN (WITH RECURSIVE down (group_row_id, row_id) AS (SELECT gm.group_row_id, gm.member_row_id FROM group_members gm JOIN resources m ON m.row_id = gm.group_row_id WHERE ")
            .append(self.of_tenant())
            .append(self.subject_satisfies(Subject::Group { kind: "indirect" }, condition))
            .push(" UNION SELECT d.group_row_id, gm.member_row_id FROM down d JOIN group_members gm ON gm.group_row_id = d.row_id) SELECT d.row_id FROM down d WHERE NOT EXISTS (SELECT 1 FROM group_members x WHERE x.group_row_id = d.group_row_id AND x.member_row_id = d.row_id)))")
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
            (Subject::Group { kind }, _) => Sql::new(if constant_passes(kind, &test.check) { "TRUE" } else { "FALSE" }),
            // The type of a member compares without case, its name in the table does not.
            (Subject::Member, _) => self.type_passes(test),
        }
    }

    fn text_passes(&self, expression: Sql, test: &Test) -> Sql {
        check::on_expression(expression, &test.check, self.position_function)
    }

    fn type_passes(&self, test: &Test) -> Sql {
        let names = self.resource_type_names().filter(|name| {
            crate::scim::key::Key::of(test.attribute.leaf(), &(*name).into()).is_some_and(|key| test.check.passes(&key))
        });
        let names: Vec<&str> = names.collect();
        if names.is_empty() {
            return Sql::new("FALSE");
        }
        Sql::new("m.resource_type IN (").bind_list(names).push(")")
    }
}

fn constant_passes(value: &str, check: &Check) -> bool {
    check.passes(&crate::scim::key::Key::folded(value))
}
