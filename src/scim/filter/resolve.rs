//! Tree to condition: names against the schema, literals against the type of their attribute (§6.2 of RFC 7644's
//! table of operators; FLT-20 to FLT-35).

use serde_json::Value;

use super::{Check, Condition, Filter, Name, Operator, Relation, Test};
use crate::scim::key::Key;
use crate::scim::path::{self, Target};
use crate::scim::schema::{Attribute, Resolved, ResourceType, Returned, Role, Type};
use crate::scim::{Error, ErrorKind, Profile, Result, tolerance};

/// Resolves a filter against a resource type.
///
/// # Errors
/// `invalidFilter` for unknown attributes, operators that the type does not have and literals of another type;
/// `sensitive` for attributes that are never returned (FLT-32).
pub fn resolve(filter: &Filter, resource_type: &'static ResourceType, profile: Profile) -> Result<Condition> {
    resolve_among(filter, resource_type, &[resource_type], profile)
}

/// Resolves a filter against one of several resource types that are searched together. What is asked of an attribute
/// that only others of them have, or have as another type, holds here as if it were unassigned; what can be asked of none
/// is an error (FLT-28).
///
/// # Errors
/// As [`resolve`].
pub fn resolve_among(
    filter: &Filter,
    resource_type: &'static ResourceType,
    types: &[&'static ResourceType],
    profile: Profile,
) -> Result<Condition> {
    Resolver { scope: Scope::Resource { resource_type, types }, profile }.condition(filter)
}

/// Resolves the filter in the brackets of `attribute[…]`, as PATCH paths have it; its names are parts of the attribute.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_element(filter: &Filter, attribute: Resolved, profile: Profile) -> Result<Condition> {
    Resolver { scope: Scope::Element(attribute), profile }.condition(filter)
}

struct Resolver<'a> {
    scope: Scope<'a>,
    profile: Profile,
}

#[derive(Clone, Copy)]
enum Scope<'a> {
    Resource { resource_type: &'static ResourceType, types: &'a [&'static ResourceType] },
    Element(Resolved),
}

impl Resolver<'_> {
    fn condition(&self, filter: &Filter) -> Result<Condition> {
        match filter {
            Filter::And(filters) => Ok(Condition::And(self.conditions(filters)?)),
            Filter::Or(filters) => Ok(Condition::Or(self.conditions(filters)?)),
            Filter::Not(filter) => Ok(self.condition(filter)?.negate()),
            question => self.question(question).or_else(|error| self.unassigned(question, error)),
        }
    }

    /// What is asked of one attribute.
    fn question(&self, question: &Filter) -> Result<Condition> {
        match question {
            Filter::Present(name) => self.attribute(name).map(present),
            Filter::Compare(name, operator, literal) => self.comparison(name, *operator, literal),
            Filter::Element(name, filter) => self.element(name, filter),
            other => self.condition(other),
        }
    }

    /// The answer of a resource that has no value, if another of the types that are searched together can be asked.
    fn unassigned(&self, question: &Filter, error: Error) -> Result<Condition> {
        let Scope::Resource { types, .. } = self.scope else { return Err(error) };
        let can_be_asked = |other: &&'static ResourceType| {
            let scope = Scope::Resource { resource_type: other, types: &[] };
            Resolver { scope, profile: self.profile }.question(question).is_ok()
        };
        if error.kind() != ErrorKind::InvalidFilter || !types.iter().any(can_be_asked) {
            return Err(error);
        }
        Ok(Condition::Constant(match question {
            Filter::Compare(_, operator, literal) => {
                // Equal to null and to nothing else.
                (*operator == Operator::Eq) == literal.is_null() && is_equality(*operator)
            }
            _ => false,
        }))
    }

    fn conditions(&self, filters: &[Filter]) -> Result<Vec<Condition>> {
        filters.iter().map(|filter| self.condition(filter)).collect()
    }

    fn comparison(&self, name: &Name, operator: Operator, literal: &Value) -> Result<Condition> {
        let attribute = self.attribute(name)?;
        if literal.is_null() {
            return compare_with_null(attribute, operator);
        }
        if literal.as_str().is_some_and(|text| text.contains('\0')) {
            return Err(invalid(format!("The value for '{}' contains the character U+0000.", name.text)));
        }
        let attribute = value_of(attribute, name)?;
        check_operator(attribute.leaf(), name, operator)?;
        let literal = self.coerce(attribute.leaf(), literal);
        let key = Key::of(attribute.leaf(), &literal).ok_or_else(|| wrong_literal(attribute.leaf(), name, &literal))?;
        let test = Condition::Test(Test { attribute, check: Check::Compare(Relation::of(operator), key) });
        Ok(if operator == Operator::Ne { test.negate() } else { test })
    }

    fn element(&self, name: &Name, filter: &Filter) -> Result<Condition> {
        let Scope::Resource { .. } = self.scope else {
            return Err(invalid(format!("'{}[' at offset {} is nested in other brackets.", name.text, name.offset)));
        };
        let attribute = self.attribute(name)?;
        if attribute.sub_attribute.is_some() || !(attribute.attribute.is_complex() || attribute.attribute.multi_valued)
        {
            return Err(invalid(format!("'{}' has no parts that brackets could select.", name.text)));
        }
        let inner = Resolver { scope: Scope::Element(attribute), profile: self.profile }.condition(filter)?;
        if attribute.attribute.multi_valued {
            return Ok(Condition::Element(attribute, Box::new(inner)));
        }
        // A singular complex attribute has one element: the dotted form, if the element exists at all (FLT-34).
        Ok(Condition::And(vec![present(attribute), inner]))
    }

    /// The attribute of that name.
    fn attribute(&self, name: &Name) -> Result<Resolved> {
        let resolved = match self.scope {
            Scope::Resource { resource_type, .. } => attribute_of(resource_type, &name.text),
            Scope::Element(attribute) => part(attribute, &name.text),
        };
        if is_confidential(name, resolved) {
            return Err(confidential(name));
        }
        let (text, offset) = (&name.text, name.offset);
        resolved
            .ok_or_else(|| invalid(format!("'{text}' at offset {offset} is not an attribute of this resource type.")))
    }

    /// Entra ID quotes booleans (T-02).
    fn coerce(&self, attribute: &Attribute, literal: &Value) -> Value {
        match literal {
            Value::String(text) if self.profile == Profile::Compat && attribute.kind == Type::Boolean => {
                tolerance::boolean(text).unwrap_or_else(|| literal.clone())
            }
            Value::Number(number) if self.profile == Profile::Compat && attribute.kind == Type::String => {
                Value::String(number.to_string())
            }
            _ => literal.clone(),
        }
    }
}

fn attribute_of(resource_type: &'static ResourceType, name: &str) -> Option<Resolved> {
    match path::resolve(resource_type, name) {
        Some(Target::Attribute(resolved)) => Some(resolved),
        _ => None,
    }
}

fn is_equality(operator: Operator) -> bool {
    matches!(operator, Operator::Eq | Operator::Ne)
}

/// A password is confidential whether or not this server keeps one (RFC 7644 §7.5.2).
fn is_confidential(name: &Name, resolved: Option<Resolved>) -> bool {
    match resolved {
        Some(resolved) => is_secret(resolved),
        None => name.text.rsplit(':').next().is_some_and(|name| name.eq_ignore_ascii_case("password")),
    }
}

fn is_secret(attribute: Resolved) -> bool {
    [attribute.attribute, attribute.leaf()].iter().any(|definition| definition.returned == Returned::Never)
}

fn confidential(name: &Name) -> Error {
    let detail = format!("'{}' is confidential and can't be used in a filter.", name.text);
    Error::new(ErrorKind::Sensitive, detail)
}

/// A part of the attribute in front of the brackets; `value` of an attribute of simple values is the value (FLT-35).
fn part(attribute: Resolved, name: &str) -> Option<Resolved> {
    if !attribute.attribute.is_complex() {
        return name.eq_ignore_ascii_case("value").then_some(attribute);
    }
    attribute.attribute.sub_attribute(name).map(|sub_attribute| attribute.with_sub_attribute(sub_attribute))
}

/// `a pr`: of a complex attribute, any part (FLT-20).
fn present(attribute: Resolved) -> Condition {
    if !attribute.leaf().is_complex() {
        return Condition::Test(Test { attribute, check: Check::Present });
    }
    if let (Role::Members | Role::Groups, Some(value)) = (attribute.attribute.role, value_part(attribute)) {
        // Every member and every group has one.
        return present(value);
    }
    let parts = attribute.attribute.sub_attributes.iter().filter(|part| part.returned != Returned::Never);
    Condition::Or(parts.map(|part| present(attribute.with_sub_attribute(part))).collect())
}

/// `a eq null` is `not (a pr)`, `a ne null` is `a pr` (FLT-25).
fn compare_with_null(attribute: Resolved, operator: Operator) -> Result<Condition> {
    match operator {
        Operator::Eq => Ok(present(attribute).negate()),
        Operator::Ne => Ok(present(attribute)),
        _ => Err(invalid(format!("'{}' can't be combined with null; use eq or ne.", operator.keyword()))),
    }
}

/// A complex attribute stands for its `value`, if it has one (FLT-23).
fn value_of(attribute: Resolved, name: &Name) -> Result<Resolved> {
    if !attribute.leaf().is_complex() {
        return Ok(attribute);
    }
    let value = value_part(attribute).ok_or_else(|| {
        invalid(format!("'{}' is complex and has no value to compare; name one of its parts, or use pr.", name.text))
    })?;
    if is_secret(value) { Err(confidential(name)) } else { Ok(value) }
}

fn value_part(attribute: Resolved) -> Option<Resolved> {
    attribute.attribute.sub_attribute("value").map(|value| attribute.with_sub_attribute(value))
}

fn check_operator(attribute: &Attribute, name: &Name, operator: Operator) -> Result<()> {
    let is_text = matches!(attribute.kind, Type::String | Type::Reference);
    let legal = match operator {
        Operator::Eq | Operator::Ne => true,
        Operator::Co | Operator::Sw | Operator::Ew => is_text,
        Operator::Gt | Operator::Ge | Operator::Lt | Operator::Le => {
            !matches!(attribute.kind, Type::Boolean | Type::Binary)
        }
    };
    if legal {
        return Ok(());
    }
    let keyword = operator.keyword();
    Err(invalid(format!("'{keyword}' does not apply to '{}', which is a {}.", name.text, attribute.kind.keyword())))
}

fn wrong_literal(attribute: &Attribute, name: &Name, literal: &Value) -> Error {
    let kind = attribute.kind.keyword();
    invalid(format!("'{}' is a {kind} and can't be compared with {literal}.", name.text))
}

fn invalid(detail: String) -> Error {
    Error::new(ErrorKind::InvalidFilter, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::filter::parse;
    use crate::scim::schema::Registry;

    fn resolved(text: &str, profile: Profile) -> Result<Condition> {
        let user = Registry::builtin().resource_type("User").expect("User is built in");
        resolve(&parse(text, profile)?, user, profile)
    }

    fn same(left: &str, right: &str) {
        let resolve = |text| resolved(text, Profile::Compat).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(resolve(left), resolve(right), "{left} / {right}");
    }

    fn kind(text: &str) -> ErrorKind {
        resolved(text, Profile::Strict).expect_err(text).kind()
    }

    #[test]
    fn flt_20_operators_follow_the_type() {
        for text in
            ["active gt true", "active co true", r#"x509Certificates.value gt "YQ==""#, r#"meta.created co "2026""#]
        {
            assert_eq!(kind(text), ErrorKind::InvalidFilter, "{text}");
        }
        resolved(r#"profileUrl sw "https:" and userName ge "m" and x509Certificates eq "YQ==""#, Profile::Strict)
            .expect("legal operators");
    }

    #[test]
    fn flt_21_literals_follow_the_type() {
        for text in [r#"active eq "true""#, "userName eq 5", r#"meta.created gt "yesterday""#] {
            assert_eq!(kind(text), ErrorKind::InvalidFilter, "{text}");
        }
        same(r#"active eq "True""#, "active eq true");
    }

    #[test]
    fn flt_23_a_complex_attribute_stands_for_its_value() {
        same(r#"emails co "x""#, r#"emails.value co "x""#);
        same(r#"manager eq "26118915""#, r#"manager.value eq "26118915""#);
        assert_eq!(kind(r#"name eq "x""#), ErrorKind::InvalidFilter);
        assert_eq!(kind(r#"addresses eq "x""#), ErrorKind::InvalidFilter);
    }

    #[test]
    fn flt_24_ne_is_the_negation_of_eq() {
        same(r#"title ne "x""#, r#"not (title eq "x")"#);
    }

    #[test]
    fn flt_25_null_means_absence() {
        same("title eq null", "not (title pr)");
        same("title ne null", "title pr");
        assert_eq!(kind("title gt null"), ErrorKind::InvalidFilter);
    }

    #[test]
    fn flt_28_unknown_attributes_are_refused() {
        for text in [r#"salary eq "x""#, r#"userName.x eq "x""#, r#"emails[salary eq 1]"#, r#"email.value eq "x""#] {
            assert_eq!(kind(text), ErrorKind::InvalidFilter, "{text}");
        }
    }

    #[test]
    fn flt_04_brackets_do_not_nest() {
        assert_eq!(kind(r#"emails[value[type eq "x"]]"#), ErrorKind::InvalidFilter);
    }

    #[test]
    fn flt_28_among_several_types_an_attribute_of_another_one_is_unassigned() {
        let registry = Registry::builtin();
        let group = registry.resource_type("Group").expect("Group is built in");
        let resolve_for_group = |text: &str| {
            let filter = parse(text, Profile::Strict).expect(text);
            resolve_among(&filter, group, registry.resource_types(), Profile::Strict)
        };
        for (text, holds) in [
            (r#"userName eq "x""#, false),
            (r#"userName ne "x""#, true),
            ("userName pr", false),
            ("userName eq null", true),
            ("userName ne null", false),
            (r#"userName gt "x""#, false),
            (r#"emails[type eq "work"]"#, false),
        ] {
            assert_eq!(resolve_for_group(text).expect(text), Condition::Constant(holds), "{text}");
        }
        assert!(resolve_for_group(r#"salary eq 1"#).is_err());
    }

    #[test]
    fn flt_32_passwords_are_sensitive() {
        assert_eq!(kind(r#"password eq "x""#), ErrorKind::Sensitive);
        assert_eq!(kind(r#"urn:ietf:params:scim:schemas:core:2.0:User:password pr"#), ErrorKind::Sensitive);
    }

    #[test]
    fn flt_34_singular_complex_attributes_take_brackets() {
        let user = Registry::builtin().resource_type("User").expect("User is built in");
        let jensen = serde_json::json!({"name": {"familyName": "Jensen"}});
        let condition = resolved(r#"name[familyName eq "Jensen"]"#, Profile::Strict).expect("legal");
        assert!(crate::scim::filter::matches(&condition, jensen.as_object().expect("an object")));
        assert!(user.attribute("name").is_some());
    }
}
