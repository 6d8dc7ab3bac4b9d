//! One search of one resource type, understood: what to find, in which order, which page, which parts
//! (RFC 7644 §3.4.2, RFC 9865 §2). It does not know how the answer is found.

use super::filter::{self, Check, Condition, Relation, Test};
use super::key::Key;
use super::password::Password;
use super::path::{self, Target};
use super::projection::Projection;
use super::schema::{Resolved, ResourceType, Returned, Role, Uniqueness};
use super::{Error, ErrorKind, Profile, Result};

pub use super::paging::{DEFAULT_COUNT, MAX_COUNT, Page, Paging, Step, Walk};
pub use super::query_string::Parameters;

/// A search with all its names resolved.
#[derive(Debug, Clone)]
pub struct Query {
    /// The resource type that is searched.
    pub resource_type: &'static ResourceType,
    /// What a resource must satisfy; without a filter, every resource is found.
    pub condition: Option<Condition>,
    /// The password that the one user must have whom the condition names (FLT-33).
    pub password: Option<Password>,
    /// The order; without it, the order of creation (SORT-06).
    pub sort: Option<Sort>,
    /// The part of the result that is answered.
    pub page: Paging,
    /// The parts of each resource that are shown.
    pub projection: Projection,
}

/// The order of a result (RFC 7644 §3.4.2.3).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sort {
    /// The attribute to sort by, never a complex one: `emails` has become `emails.value`.
    pub attribute: Resolved,
    /// Whether the largest value comes first.
    pub descending: bool,
}

impl Query {
    /// Gives the parameters their meaning for one resource type.
    ///
    /// # Errors
    /// Those of the filter ([`filter::parse`], [`filter::resolve`]); `invalidValue` for a `sortBy` that names no
    /// sortable attribute, a bad `sortOrder`, a `startIndex` or `count` that is no integer, for `attributes` together with
    /// `excludedAttributes`, and for `cursor` together with `startIndex`; `invalidCount` for a `count` beside a `cursor` that
    /// is no integer.
    pub fn resolve(parameters: &Parameters, resource_type: &'static ResourceType, profile: Profile) -> Result<Query> {
        Query::resolve_among(parameters, resource_type, &[resource_type], profile)
    }

    /// Gives the parameters their meaning for several types that are searched together, one query each
    /// (RFC 7644 §3.4.2.1). An attribute that only some of them define is unassigned in the others (FLT-28, SORT-07).
    ///
    /// # Errors
    /// As [`Query::resolve`].
    pub fn resolve_over(
        parameters: &Parameters,
        types: &[&'static ResourceType],
        profile: Profile,
    ) -> Result<Vec<Query>> {
        types.iter().map(|resource_type| Query::resolve_among(parameters, resource_type, types, profile)).collect()
    }

    /// The same query on the one resource with this id (RFC 7644 §3.4.2.1).
    pub fn on(mut self, id: &str) -> Query {
        if let Some(attribute) = self.resource_type.attribute("id") {
            let is_this = Check::Compare(Relation::Eq, Key::of_text_exactly(id));
            let mut conditions = vec![Condition::Test(Test { attribute, check: is_this })];
            conditions.extend(self.condition.take());
            self.condition = Some(Condition::And(conditions));
        }
        if let Paging::Cursor(walk) = &mut self.page {
            walk.on(id);
        }
        self
    }

    /// Whether it asks for the one resource, or the few, with an id, a unique value or an externalId: what identity
    /// providers ask before each change.
    pub fn is_look_up(&self) -> bool {
        let Some(Condition::Test(Test { attribute, check: Check::Compare(Relation::Eq, _) })) = &self.condition else {
            return false;
        };
        let leaf = attribute.leaf();
        leaf.role == Role::Id || leaf.uniqueness != Uniqueness::None || leaf.name == "externalId"
    }

    fn resolve_among(
        parameters: &Parameters,
        resource_type: &'static ResourceType,
        types: &[&'static ResourceType],
        profile: Profile,
    ) -> Result<Query> {
        let (condition, password) = wanted(parameters, resource_type, types, profile)?;
        let defining = types.iter().find_map(|resource_type| Sort::resolve(parameters, resource_type).ok().flatten());
        let sort = match defining {
            Some(sort) => Some(sort),
            None => Sort::resolve(parameters, resource_type)?,
        };
        Ok(Query {
            resource_type,
            condition,
            password,
            sort,
            page: Paging::resolve(parameters, types)?,
            projection: Projection::parse(
                resource_type,
                parameters.attributes.as_deref(),
                parameters.excluded_attributes.as_deref(),
            )?,
        })
    }
}

/// What the filter asks for. In a URL, whatever names a password is refused for being there; in a body, for being no
/// question that is answered (FLT-32, FLT-33).
fn wanted(
    parameters: &Parameters,
    resource_type: &'static ResourceType,
    types: &[&'static ResourceType],
    profile: Profile,
) -> Result<(Option<Condition>, Option<Password>)> {
    let Some(text) = &parameters.filter else {
        return Ok((None, None));
    };
    let filter = filter::parse(text, profile)?;
    if !parameters.in_body {
        return Ok((Some(filter::resolve_among(&filter, resource_type, types, profile)?), None));
    }
    let as_filter = |error: Error| match error.kind() {
        ErrorKind::Sensitive | ErrorKind::InvalidValue => Error::new(ErrorKind::InvalidFilter, error.detail()),
        _ => error,
    };
    let credentials = match types {
        [_] => filter::credentials(&filter, resource_type, profile).map_err(as_filter)?,
        _ => None,
    };
    let (filter, password) = match credentials {
        Some((name, password)) => (name, Some(password)),
        None => (&filter, None),
    };
    let condition = filter::resolve_among(filter, resource_type, types, profile).map_err(as_filter)?;
    Ok((Some(condition), password))
}

impl Sort {
    fn resolve(parameters: &Parameters, resource_type: &'static ResourceType) -> Result<Option<Sort>> {
        let Some(sort_by) = &parameters.sort_by else {
            return Ok(None);
        };
        let attribute = sortable(resource_type, sort_by)?;
        let descending = match &parameters.sort_order {
            None => false,
            Some(order) if order.eq_ignore_ascii_case("ascending") => false,
            Some(order) if order.eq_ignore_ascii_case("descending") => true,
            Some(_) => return Err(invalid("'sortOrder' is neither ascending nor descending.")),
        };
        Ok(Some(Sort { attribute, descending }))
    }
}

/// A complex attribute stands for its `value`, if it has one (SORT-04, SORT-05). An order by what is never returned
/// would tell it, so such an attribute is as good as unknown.
fn sortable(resource_type: &'static ResourceType, name: &str) -> Result<Resolved> {
    let attribute = match path::resolve(resource_type, name.trim()) {
        Some(Target::Attribute(attribute)) if !is_secret(attribute) => attribute,
        _ => return Err(invalid(format!("'sortBy' names '{name}', which is not an attribute of this resource type."))),
    };
    if !attribute.leaf().is_complex() {
        return Ok(attribute);
    }
    let value = attribute.attribute.sub_attribute("value").map(|value| attribute.with_sub_attribute(value));
    value.filter(|value| !is_secret(*value)).ok_or_else(|| {
        invalid(format!("'sortBy' names '{attribute}', which is complex and has no value; name one of its parts."))
    })
}

fn is_secret(attribute: Resolved) -> bool {
    [attribute.attribute, attribute.leaf()].iter().any(|attribute| attribute.returned == Returned::Never)
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidValue, detail)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::scim::cursor::{Direction, Position, Secret};
    use crate::scim::schema::{ENTERPRISE_URN, Registry};

    fn resolve(raw_query: &str) -> Result<Query> {
        let user = Registry::builtin().resource_type("User").expect("User is built in");
        Query::resolve(&Parameters::parse(raw_query)?, user, Profile::Compat)
    }

    fn query(raw_query: &str) -> Query {
        resolve(raw_query).unwrap_or_else(|error| panic!("{raw_query}: {error}"))
    }

    fn kind(raw_query: &str) -> ErrorKind {
        resolve(raw_query).expect_err(raw_query).kind()
    }

    fn sort(raw_query: &str) -> (String, bool) {
        let sort = query(raw_query).sort.expect("an order");
        (sort.attribute.to_string(), sort.descending)
    }

    fn page(raw_query: &str) -> (u64, usize) {
        let page = index_page(raw_query);
        (page.start_index, page.count)
    }

    fn index_page(raw_query: &str) -> Page {
        match query(raw_query).page {
            Paging::Index(page) => page,
            Paging::Cursor(_) => panic!("{raw_query} asks for a cursor"),
        }
    }

    fn secret() -> Secret {
        Secret::derive(&["a hash"])
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_800_000_000_000).expect("a time")
    }

    fn walk(raw_query: &str) -> Walk {
        match query(raw_query).page {
            Paging::Cursor(walk) => walk,
            Paging::Index(_) => panic!("{raw_query} asks for no cursor"),
        }
    }

    fn step(raw_query: &str) -> Result<Step> {
        walk(raw_query).step(&secret(), now())
    }

    /// The cursor that follows on the first page of a query, as if it had shown one resource.
    fn next(raw_query: &str) -> String {
        let walk = walk(raw_query);
        let first = walk.step(&secret(), now()).expect("the beginning");
        let position = Position { key: None, row_id: 7 };
        walk.cursor(&first, position, Direction::Forward, &secret(), now()).expect("a cursor")
    }

    #[test]
    fn a_query_without_parameters_is_the_first_page_of_everything() {
        let query = query("");
        assert_eq!((query.condition, query.sort, query.page), (None, None, Paging::Index(Page::default())));
        assert!(query.projection.is_default());
    }

    #[test]
    fn flt_08_an_empty_filter_is_refused() {
        for raw_query in ["filter=", "filter", "filter=+", "filter=%20"] {
            assert_eq!(kind(raw_query), ErrorKind::InvalidFilter, "{raw_query}");
        }
    }

    #[test]
    fn a_filter_is_resolved() {
        assert!(query("filter=userName+eq+%22lena%22").condition.is_some());
        assert_eq!(kind("filter=salary+eq+1"), ErrorKind::InvalidFilter);
        assert_eq!(kind("filter=password+pr"), ErrorKind::Sensitive);
    }

    #[test]
    fn sort_01_names_and_orders_compare_without_case() {
        assert_eq!(sort("sortBy=USERNAME"), ("userName".to_owned(), false));
        assert_eq!(sort("sortBy=userName&sortOrder=Ascending"), ("userName".to_owned(), false));
        assert_eq!(sort("sortBy=meta.lastModified&sortOrder=DESCENDING"), ("meta.lastModified".to_owned(), true));
        assert_eq!(
            sort(&format!("sortBy={ENTERPRISE_URN}:department")),
            (format!("{ENTERPRISE_URN}:department"), false)
        );
    }

    #[test]
    fn sort_04_a_complex_attribute_stands_for_its_value() {
        assert_eq!(sort("sortBy=emails").0, "emails.value");
        assert_eq!(sort("sortBy=emails.type").0, "emails.type");
        assert_eq!(sort("sortBy=manager").0, format!("{ENTERPRISE_URN}:manager.value"));
    }

    #[test]
    fn sort_05_what_cannot_be_sorted_by_is_refused() {
        for raw_query in [
            "sortBy=name",
            "sortBy=addresses",
            "sortBy=salary",
            "sortBy=password",
            "sortBy=",
            &format!("sortBy={ENTERPRISE_URN}"),
            "sortBy=userName&sortOrder=up",
            "sortBy=userName&sortOrder=",
        ] {
            assert_eq!(kind(raw_query), ErrorKind::InvalidValue, "{raw_query}");
        }
    }

    #[test]
    fn sort_06_an_order_without_attribute_is_ignored() {
        assert_eq!(query("sortOrder=descending").sort, None);
        assert_eq!(query("sortOrder=up").sort, None);
    }

    #[test]
    fn page_01_the_first_index_is_one() {
        assert_eq!(page("startIndex=5").0, 5);
        for raw_query in ["startIndex=1", "startIndex=0", "startIndex=-7", "startIndex=-99999999999999999999"] {
            assert_eq!(page(raw_query).0, 1, "{raw_query}");
        }
        assert_eq!(index_page("startIndex=5").offset(), 4);
    }

    #[test]
    fn page_02_a_negative_count_is_zero() {
        assert_eq!(page("count=0").1, 0);
        assert_eq!(page("count=-1").1, 0);
        assert_eq!(page("count=-9223372036854775809").1, 0);
    }

    #[test]
    fn page_04_the_count_is_clamped() {
        assert_eq!(page("").1, 100);
        assert_eq!(page("count=1000").1, 1000);
        for raw_query in ["count=1001", "count=9223372036854775808", "count=18446744073709551616"] {
            assert_eq!(page(raw_query).1, 1000, "{raw_query}");
        }
        assert_eq!(page("startIndex=9223372036854775808").0, i64::MAX.unsigned_abs());
    }

    #[test]
    fn page_06_what_is_no_integer_is_refused() {
        for text in ["abc", "1.5", "1e3", "", "-", "%2B", "0x10", "1+2", "--1", "\u{665}", "null"] {
            assert_eq!(kind(&format!("count={text}")), ErrorKind::InvalidValue, "{text}");
            assert_eq!(kind(&format!("startIndex={text}")), ErrorKind::InvalidValue, "{text}");
        }
    }

    #[test]
    fn page_06_a_sign_and_surrounding_spaces_are_accepted() {
        assert_eq!(page("startIndex=+5&count=%2B7"), (5, 7));
        assert_eq!(page("startIndex=007&count=%205%20"), (7, 5));
    }

    #[test]
    fn cur_01_an_empty_cursor_is_the_beginning() {
        for raw_query in ["cursor", "cursor="] {
            let beginning = step(raw_query).expect("the beginning");
            assert_eq!(beginning, Step { from: None, direction: Direction::Forward, count: DEFAULT_COUNT });
        }
        let goes_on = step(&format!("cursor={}", next("cursor"))).expect("the next page");
        assert_eq!(goes_on.from, Some(Position { key: None, row_id: 7 }));
    }

    #[test]
    fn cur_07_the_count_is_that_of_the_first_page() {
        assert_eq!(step("cursor&count=5000").expect("clamped").count, MAX_COUNT);
        assert_eq!(step("cursor&count=-1").expect("clamped").count, 0);
        let cursor = next("cursor&count=5000");
        for same in
            [format!("cursor={cursor}"), format!("cursor={cursor}&count=1000"), format!("count=1001&cursor={cursor}")]
        {
            assert_eq!(step(&same).expect("the same count").count, MAX_COUNT, "{same}");
        }
        assert_eq!(step(&format!("cursor={cursor}&count=999")).expect_err("another").kind(), ErrorKind::InvalidCount);
        let unnamed = next("cursor");
        assert_eq!(step(&format!("cursor={unnamed}&count=100")).expect("the default").count, DEFAULT_COUNT);
        for text in ["ten", "1.5", "", "1e2"] {
            assert_eq!(kind(&format!("cursor&count={text}")), ErrorKind::InvalidCount, "{text}");
        }
    }

    #[test]
    fn cur_08_a_cursor_is_bound_to_its_query() {
        let asked = "filter=title+pr&sortBy=title&sortOrder=descending&attributes=title&cursor";
        let cursor = next(asked);
        assert!(step(&format!("{asked}={cursor}")).is_ok());
        let reordered =
            format!("cursor={cursor}&attributes=title&sortOrder=descending&sortBy=title&filter=title%20pr&x=1");
        assert!(step(&reordered).is_ok(), "how it is written does not matter");
        for changed in [
            "filter=userName+pr&sortBy=title&sortOrder=descending&attributes=title",
            "filter=title+pr&sortBy=userName&sortOrder=descending&attributes=title",
            "filter=title+pr&sortBy=title&sortOrder=ascending&attributes=title",
            "filter=title+pr&sortBy=title&sortOrder=descending&attributes=userName",
            "filter=title+pr&sortBy=title&sortOrder=descending&excludedAttributes=title",
            "filter=title+pr&sortBy=title&sortOrder=descending",
            "sortBy=title&sortOrder=descending&attributes=title",
            "",
        ] {
            let refused = step(&format!("{changed}&cursor={cursor}")).expect_err(changed);
            assert_eq!(refused.kind(), ErrorKind::InvalidCursor, "{changed}");
        }
        let types = Registry::builtin().resource_types();
        let parameters = Parameters { cursor: Some(next("cursor")), ..Parameters::default() };
        let over_all = Query::resolve_over(&parameters, types, Profile::Compat).expect("a query").remove(0);
        let on_one = Query::resolve(&parameters, types[0], Profile::Compat).expect("a query").on("2819c223");
        for elsewhere in [over_all, on_one] {
            let Paging::Cursor(walk) = elsewhere.page else { panic!("a cursor") };
            assert_eq!(walk.step(&secret(), now()).expect_err("elsewhere").kind(), ErrorKind::InvalidCursor);
        }
    }

    #[test]
    fn cur_14_a_cursor_and_an_index_are_refused() {
        assert_eq!(kind("cursor&startIndex=1"), ErrorKind::InvalidValue);
        assert_eq!(kind("startIndex=1&cursor=abc"), ErrorKind::InvalidValue);
    }

    #[test]
    fn proj_05_both_projections_are_refused() {
        assert_eq!(kind("attributes=userName&excludedAttributes=name"), ErrorKind::InvalidValue);
    }
}
