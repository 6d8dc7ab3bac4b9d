//! Operations on `schemas`, and on a schema as a whole: the presence of an extension (PATCH-15).
//!
//! `schemas` is computed from the extensions that have an attribute, so adding a URN changes nothing by itself, and
//! removing one removes the attributes of that extension.

use serde_json::Value;

use super::apply::{Engine, is_read_only, read_only};
use super::change::{Change, invalid};
use super::target::Selection;
use crate::scim::filter::matches_element;
use crate::scim::schema::Schema;
use crate::scim::{Error, ErrorKind, Profile, Result, accept, tolerance};

impl Engine<'_> {
    /// An operation on `schemas`. Under `compat`, what is added or replaced is an echo and never drops an extension.
    pub(super) fn schemas(&mut self, change: Change<'_>) -> Result<()> {
        match change {
            Change::Add(_) | Change::Replace(_) if self.profile == Profile::Compat => Ok(()),
            Change::Add(value) => self.named_schemas(value).map(drop),
            Change::Replace(value) => {
                let named = self.named_schemas(value)?;
                self.drop_schemas(|schema| !named.contains(&schema))
            }
            Change::Remove(None) => Err(base_schema(self.resource_type.schema)),
            Change::Remove(Some(value)) => {
                let urns = tolerance::list(value);
                let is_named = |schema: &Schema| {
                    urns.iter().any(|urn| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(&schema.id)))
                };
                self.drop_schemas(is_named)
            }
        }
    }

    /// `schemas[value eq "urn:…"]`.
    pub(super) fn selected_schemas(&mut self, selection: &Selection, change: Change<'_>) -> Result<()> {
        match change {
            Change::Remove(_) => {
                self.drop_schemas(|schema| matches_element(&selection.condition, &Value::String(schema.id.clone())))
            }
            _ if self.profile == Profile::Compat => Ok(()),
            _ => Err(invalid("A schema can be added or removed, not changed.".to_owned())),
        }
    }

    fn named_schemas(&self, value: &Value) -> Result<Vec<&'static Schema>> {
        let named = tolerance::list(value).iter().map(|urn| {
            let urn = urn.as_str().ok_or_else(|| invalid("schemas must contain strings.".to_owned()))?;
            let schema = self.resource_type.urns().find(|schema| schema.id.eq_ignore_ascii_case(urn));
            schema.ok_or_else(|| invalid(format!("{urn} is not a schema of {}.", self.resource_type.name)))
        });
        named.collect()
    }

    fn drop_schemas(&mut self, is_meant: impl Fn(&'static Schema) -> bool) -> Result<()> {
        let meant: Vec<&'static Schema> = self.resource_type.urns().filter(|schema| is_meant(schema)).collect();
        meant.into_iter().try_for_each(|schema| self.drop_schema(schema))
    }

    /// Row R8: removes every attribute of an extension.
    pub(super) fn drop_schema(&mut self, schema: &'static Schema) -> Result<()> {
        let Some(extension) = self.resource_type.extension(&schema.id) else {
            return Err(base_schema(schema));
        };
        if extension.required {
            let detail = format!("{} is required and can't be removed.", schema.id);
            return Err(Error::new(ErrorKind::Mutability, detail));
        }
        let attributes = schema.attributes.iter();
        for attribute in attributes.filter_map(|attribute| self.resource_type.attribute_of(schema, &attribute.name)) {
            let value = self.document.get(attribute);
            if value.is_some() && is_read_only(attribute) {
                return Err(read_only(attribute));
            }
            accept::check_immutable(attribute, value, None)?;
        }
        self.document.remove_extension(&schema.id);
        Ok(())
    }
}

fn base_schema(schema: &Schema) -> Error {
    Error::new(ErrorKind::Mutability, format!("{} is the base schema and can't be removed.", schema.id))
}
