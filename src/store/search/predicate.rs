//! Condition → SQL predicate on the row `r` of `resources`.

use chrono::{NaiveDateTime, Timelike};

use super::check;
use crate::scim::filter::{Check, Condition, Relation, Test, matches_element};
use crate::scim::key::Key;
use crate::scim::schema::{Registry, Resolved, ResourceType, Role};
use crate::store::sql::Sql;
use crate::store::unique;
use crate::store::values::{self, tenant_path};

/// Writes the predicates of one search.
pub(super) struct Writer<'a> {
    pub tenant_id: i64,
    pub resource_type: &'static ResourceType,
    pub registry: &'a Registry,
    pub base_url: &'a str,
    /// The function that finds text in text, for the backend at hand.
    pub position_function: &'static str,
    /// What makes computed text compare as columns do.
    pub bytewise: &'static str,
    /// What joins memberships to the rows of a recursion.
    pub memberships_of_each: [&'static str; 2],
}

impl Writer<'_> {
    pub(super) fn condition(&self, condition: &Condition) -> Sql {
        match condition {
            Condition::Constant(value) => Sql::new(if *value { "TRUE" } else { "FALSE" }),
            Condition::And(conditions) => self.joined(conditions, " AND ", "TRUE", |inner| self.condition(inner)),
            Condition::Or(conditions) => self.joined(conditions, " OR ", "FALSE", |inner| self.condition(inner)),
            Condition::Not(inner) => Sql::new("NOT (").append(self.condition(inner)).push(")"),
            Condition::Test(test) => self.test(test),
            Condition::Element(attribute, inner) => self.element(*attribute, inner),
        }
    }

    pub(super) fn joined(
        &self,
        conditions: &[Condition],
        operator: &'static str,
        neutral: &'static str,
        write: impl Fn(&Condition) -> Sql,
    ) -> Sql {
        let mut predicates = conditions.iter().map(write);
        let Some(first) = predicates.next() else {
            return Sql::new(neutral);
        };
        let all = predicates.fold(Sql::new("(").append(first), |all, next| all.push(operator).append(next));
        all.push(")")
    }

    fn element(&self, attribute: Resolved, condition: &Condition) -> Sql {
        match attribute.attribute.role {
            Role::Members => self.has_member(condition),
            Role::Groups => self.in_group(condition),
            Role::Schemas if matches_element(condition, &self.resource_type.schema.id.as_str().into()) => {
                Sql::new("TRUE")
            }
            _ => {
                Sql::new("r.row_id IN (SELECT v.row_id FROM (").append(self.elements(attribute, condition)).push(") v)")
            }
        }
    }

    fn test(&self, test: &Test) -> Sql {
        let text = |expression| check::on_expression(expression, &test.check, self.position_function);
        match test.attribute.role() {
            Role::Stored | Role::Meta => self.value_passes(test),
            // No search is about what is never told; the one comparison that there is, is none of the database.
            Role::Password => Sql::new("FALSE"),
            Role::Id => text(Sql::new("r.id")),
            Role::ResourceType => text(Sql::new("r.resource_type")),
            Role::Location => self.location_passes("r", &test.check),
            Role::Created => instant_passes("r.created_at", &test.check),
            Role::LastModified => instant_passes("r.modified_at", &test.check),
            Role::Version => text(Sql::new("CAST(r.version AS TEXT)").push(self.bytewise)),
            Role::Schemas => self.schemas_pass(test),
            Role::Members => self.has_member(&Condition::Test(test.clone())),
            Role::Groups => self.in_group(&Condition::Test(test.clone())),
            Role::Referenced => self.referenced_passes(test),
        }
    }

    /// The look-up of a user by name, which clients make before everything else, needs the row alone.
    fn value_passes(&self, test: &Test) -> Sql {
        if let Check::Compare(Relation::Eq, key) = &test.check
            && let Some(own_key) = unique::own_key(self.resource_type, test.attribute, key)
        {
            // Where nothing is assigned there is no key, and no predicate is ever NULL. SQLite looks for what its partial index
            // demands next to the key alone, also if it stands beside an OR that this is a part of.
            let has_key = Sql::new("(r.unique_key IS NOT NULL AND r.deleted_at IS NULL AND r.unique_key = ");
            return has_key.bind(own_key).push(")");
        }
        self.has_value(test.attribute.path_hash(), &test.check)
    }

    /// Some value of the attribute passes.
    fn has_value(&self, path_hash: i64, check: &Check) -> Sql {
        Sql::new("r.row_id IN (").append(self.rows_with_value(path_hash, check)).push(")")
    }

    fn rows_with_value(&self, path_hash: i64, check: &Check) -> Sql {
        Sql::new("SELECT row_id FROM resource_values WHERE tenant_path = ")
            .bind(tenant_path(self.tenant_id, path_hash))
            .push(" AND ")
            .append(check::on_indexed_value("", check, self.position_function))
    }

    /// Every resource has the base schema; the index knows the extensions.
    fn schemas_pass(&self, test: &Test) -> Sql {
        if test.check.passes(&Key::of_text_exactly(&self.resource_type.schema.id)) {
            return Sql::new("TRUE");
        }
        self.has_value(test.attribute.path_hash(), &test.check)
    }

    /// The location of the resource `alias`: the URL in front of its endpoint and its id. An equality is one on the id.
    pub(super) fn location_passes(&self, alias: &'static str, check: &Check) -> Sql {
        if matches!(check, Check::Present) {
            return Sql::new("TRUE");
        }
        let types = self.registry.resource_types();
        if let Check::Compare(Relation::Eq, key) = check {
            let target = types.iter().find_map(|resource_type| {
                let id = key.as_str().strip_prefix(&self.location_prefix(resource_type))?;
                Some((resource_type.name.as_str(), id))
            });
            let Some((name, id)) = target else {
                return Sql::new("FALSE");
            };
            let row = Sql::new("(").push(alias).push(".resource_type = ").bind(name).push(" AND ").push(alias);
            return row.push(".id = ").bind(id).push(")");
        }
        let mut prefix = Sql::new("(CASE ").push(alias).push(".resource_type");
        for resource_type in types {
            let location = self.location_prefix(resource_type);
            prefix = prefix.push(" WHEN ").bind(resource_type.name.as_str()).push(" THEN ").bind(location);
        }
        let location = prefix.push(" ELSE '' END || ").push(alias).push(".id)");
        check::on_expression(location, check, self.position_function)
    }

    /// In the form in which references compare.
    fn location_prefix(&self, resource_type: &ResourceType) -> String {
        let url = format!("{}{}/", self.base_url, resource_type.endpoint);
        url.replacen("/scim/v2/", "/scim/", 1)
    }

    /// `displayName` of the resource `alias`, which is what members and groups show as `display`.
    pub(super) fn display_name_passes(&self, alias: &'static str, check: &Check) -> Sql {
        let passes =
            Sql::new(alias).push(".row_id IN (").append(self.rows_with_value(values::DISPLAY_NAME, check)).push(")");
        // A configured type may have an attribute of that name which is no name for others.
        let types = self.registry.resource_types().iter();
        let nameless = types.filter(|it| it.display_name().is_none() && it.schema.attribute("displayName").is_some());
        let nameless: Vec<&str> = nameless.map(|resource_type| resource_type.name.as_str()).collect();
        if nameless.is_empty() {
            return passes;
        }
        let passes = Sql::new("(").append(passes).push(" AND ").push(alias);
        passes.push(".resource_type NOT IN (").bind_list(nameless).push("))")
    }

    pub(super) fn resource_type_names(&self) -> impl Iterator<Item = &'static str> {
        self.registry.resource_types().iter().map(|resource_type| resource_type.name.as_str())
    }

    /// A part of a stored reference that follows from its target, `manager.$ref` or `manager.displayName`: the value
    /// is the id of a live resource that passes.
    fn referenced_passes(&self, test: &Test) -> Sql {
        let part = test.attribute.leaf();
        let target = if part.name == "$ref" {
            self.location_passes("m", &test.check)
        } else {
            self.display_name_passes("m", &test.check)
        };
        let value_path = test.attribute.attribute.sub_attribute("value").map(|value| value.path_hash);
        Sql::new(
            "r.row_id IN (SELECT v.row_id FROM resources m JOIN resource_values v ON v.key = m.id WHERE v.tenant_path = ",
        )
        .bind(tenant_path(self.tenant_id, value_path.unwrap_or_default()))
        .push(" AND m.tenant_id = ")
        .bind(self.tenant_id)
        .push(" AND m.resource_type = ")
        .bind(self.resource_type.name.as_str())
        .push(" AND m.deleted_at IS NULL AND ")
        .append(target)
        .push(")")
    }
}

fn instant_passes(column: &'static str, check: &Check) -> Sql {
    let Check::Compare(relation, literal) = check else {
        return Sql::new("TRUE");
    };
    let Some(instant) = literal.to_instant() else {
        return Sql::new("FALSE");
    };
    let (instant, is_between) = stored_at_or_before(instant);
    let operator = match relation {
        Relation::Gt | Relation::Ge if is_between => " > ",
        Relation::Lt | Relation::Le if is_between => " <= ",
        _ if is_between => return Sql::new("FALSE"),
        Relation::Gt => " > ",
        Relation::Ge => " >= ",
        Relation::Lt => " < ",
        Relation::Le => " <= ",
        _ => " = ",
    };
    Sql::new(column).push(operator).bind(instant)
}

/// The latest instant that both databases keep, at or before this one, and whether it is another one: PostgreSQL would
/// cut off what is finer than a microsecond and find it equal.
fn stored_at_or_before(instant: NaiveDateTime) -> (NaiveDateTime, bool) {
    let finer = instant.nanosecond() % 1_000;
    (instant.with_nanosecond(instant.nanosecond() - finer).unwrap_or(instant), finer != 0)
}
