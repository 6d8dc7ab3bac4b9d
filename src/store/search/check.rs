//! One check on one text: the leaf of every predicate.

use crate::scim::filter::{Check, Relation};
use crate::scim::key::Key;
use crate::store::sql::Sql;
use crate::store::values::{HEAD_CHARS, split};

/// A check on a value of the search index, whose text stands in `key` and, beyond its first characters, in `tail`.
///
/// `alias` is the table with its dot (`s.`). Where a column alone decides, the text compares the column alone, so that
/// the index answers.
pub fn on_indexed_value(alias: &'static str, check: &Check, position_function: &'static str) -> Sql {
    let (relation, literal) = match check {
        Check::Present => return Sql::new(alias).push("key <> ''"),
        Check::Compare(relation, literal) => (*relation, literal),
    };
    if !matches!(relation, Relation::Co | Relation::Ew) {
        return on_head_and_tail(alias, relation, literal);
    }
    let whole = if literal.as_str().is_empty() {
        Sql::new("")
    } else {
        Sql::new("(").push(alias).push("key || ").push(alias).push("tail)")
    };
    on_text(whole, relation, literal, position_function)
}

fn on_head_and_tail(alias: &'static str, relation: Relation, literal: &Key) -> Sql {
    let (head, tail) = split(literal.as_str());
    let fits = head.chars().count() < HEAD_CHARS;
    if fits {
        // A stored head can't be equal to it and have a tail: the head decides.
        return on_text(Sql::new(alias).push("key"), relation, literal, "");
    }
    let head_key = Key::of_text_exactly(head);
    let tail_key = Key::of_text_exactly(tail);
    let head_column = || Sql::new(alias).push("key");
    let same_head = || on_text(head_column(), Relation::Eq, &head_key, "");
    let tail_holds = on_text(Sql::new(alias).push("tail"), relation, &tail_key, "");
    let both = Sql::new("(").append(same_head()).push(" AND ").append(tail_holds).push(")");
    let beyond = match relation {
        Relation::Gt | Relation::Ge => Relation::Gt,
        Relation::Lt | Relation::Le => Relation::Lt,
        _ => return both,
    };
    Sql::new("(").append(on_text(head_column(), beyond, &head_key, "")).push(" OR ").append(both).push(")")
}

/// A check on any text expression that is never NULL.
pub fn on_expression(expression: Sql, check: &Check, position_function: &'static str) -> Sql {
    match check {
        Check::Present => expression.push(" <> ''"),
        Check::Compare(relation, literal) => on_text(expression, *relation, literal, position_function),
    }
}

fn on_text(expression: Sql, relation: Relation, literal: &Key, position_function: &'static str) -> Sql {
    let text = literal.as_str();
    match relation {
        Relation::Eq => expression.push(" = ").bind(text),
        Relation::Gt => expression.push(" > ").bind(text),
        Relation::Ge => expression.push(" >= ").bind(text),
        Relation::Lt => expression.push(" < ").bind(text),
        Relation::Le => expression.push(" <= ").bind(text),
        // Every assigned value starts with, contains and ends with nothing.
        Relation::Sw | Relation::Co | Relation::Ew if text.is_empty() => Sql::new("TRUE"),
        Relation::Sw => starts_with(expression, literal),
        Relation::Co => Sql::new(position_function).push("(").append(expression).push(", ").bind(text).push(") > 0"),
        Relation::Ew => ends_with(expression, text),
    }
}

fn starts_with(expression: Sql, prefix: &Key) -> Sql {
    let from = Sql::new("(").append(expression.clone()).push(" >= ").bind(prefix.as_str());
    match prefix.after_prefix() {
        Some(end) => from.push(" AND ").append(expression).push(" < ").bind(end).push(")"),
        None => from.push(")"),
    }
}

/// Lengths are in characters on both backends.
fn ends_with(expression: Sql, suffix: &str) -> Sql {
    let length = i64::try_from(suffix.chars().count()).unwrap_or(i64::MAX);
    Sql::new("(length(")
        .append(expression.clone())
        .push(") >= ")
        .bind(length)
        .push(" AND substr(")
        .append(expression.clone())
        .push(", length(")
        .append(expression)
        // substr counts in INTEGER on PostgreSQL.
        .push_composed(format!(") - {} + 1) = ", length))
        .bind(suffix)
        .push(")")
}
