//! Many operations in one request (RFC 7644 §3.7).

use serde_json::{Value, json};

use crate::conformance::check::{Section, must, ours};
use crate::conformance::exchange::{Answer, Request};
use crate::conformance::server::ENTERPRISE;
use crate::conformance::server::Need::{Enterprise, Feature, Groups};
use crate::conformance::trial::{PATCH_OP, Trial};
use crate::conformance::verdict::{Stop, Verdict};

const BULK_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const BULK_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// A body larger than this is not sent, whatever a server says that it takes.
const LARGEST: i64 = 64 * 1024 * 1024;

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Bulk", checks: &[
    must(&["BULK-01"], "7644 §3.7", "the answer is a BulkResponse with a result for each operation, in their order", response).needs(&[Feature("bulk")]),
    must(&["BULK-01"], "7644 §3.7", "a bulk request without Operations is 400", no_operations).needs(&[Feature("bulk")]),
    must(&["BULK-02"], "7644 §3.7", "a POST without bulkId is refused", no_bulk_id).needs(&[Feature("bulk")]),
    must(&["BULK-02"], "7644 §3.7", "an unknown method is refused", unknown_method).needs(&[Feature("bulk")]),
    must(&["BULK-03"], "7644 §3.7", "POST, PUT, PATCH and DELETE do what they do alone", all_methods).needs(&[Feature("bulk"), Feature("patch")]),
    must(&["BULK-03", "CRE-03"], "7644 §3.7", "an operation fails with the status that it has alone", same_errors).needs(&[Feature("bulk")]),
    must(&["BULK-04"], "7644 §3.7", "a failed operation does not stop the others", others_go_on).needs(&[Feature("bulk")]),
    must(&["BULK-05"], "7644 §3.7.3", "failOnErrors stops after so many errors", fail_on_errors).needs(&[Feature("bulk")]),
    must(&["BULK-05"], "7644 §3.7.3", "what came before the stop stays", before_the_stop).needs(&[Feature("bulk")]),
    must(&["BULK-06"], "7644 §3.7.3", "a result has method, bulkId, location and the status as a text", result_members).needs(&[Feature("bulk")]),
    must(&["BULK-06"], "7644 §3.7.3", "a failed result has the error as its response", failed_result).needs(&[Feature("bulk")]),
    must(&["BULK-07"], "7644 §3.7.2", "`bulkId:` as a member stands for the new user", reference).needs(&[Feature("bulk"), Groups]),
    must(&["BULK-07"], "7644 §3.7.2", "`bulkId:` as a manager stands for the new user", manager_reference).needs(&[Feature("bulk"), Enterprise]),
    ours(&["BULK-08"], "7644 §3.7", "`bulkId:` in a path leads to the new resource", path_reference).needs(&[Feature("bulk"), Feature("patch")]),
    must(&["BULK-09", "BULK-12"], "7644 §3.7", "`bulkId:` may stand before what it refers to", forward_reference).needs(&[Feature("bulk"), Groups]),
    must(&["BULK-10"], "7644 §3.7.1", "two groups may refer to each other", circle).needs(&[Feature("bulk"), Groups]),
    must(&["BULK-11"], "7644 §3.7.2", "a `bulkId:` that nobody defines is an error", undefined_reference).needs(&[Feature("bulk"), Groups]),
    must(&["BULK-13", "DISC-06"], "7644 §3.7.4", "more than maxOperations is 413", too_many).needs(&[Feature("bulk")]),
    must(&["BULK-13", "DISC-06"], "7644 §3.7.4", "more than maxPayloadSize is 413", too_large).needs(&[Feature("bulk")]),
    must(&["BULK-14", "VER-04"], "7644 §3.7", "a stale version is 412", stale_version).needs(&[Feature("bulk"), Feature("etag")]),
    ours(&["BULK-16"], "7644 §3.7", "an operation on /Bulk itself is refused", no_bulk_in_bulk).needs(&[Feature("bulk")]),
] };

fn bulk(t: &mut Trial<'_>, operations: Value) -> Verdict<Answer> {
    t.post("/Bulk", &json!({"schemas": [BULK_REQUEST], "Operations": operations}))
}

/// A POST of a new user.
fn new_user(t: &mut Trial<'_>, bulk_id: &str) -> Value {
    let (path, data) = (t.users(), t.user_body(json!({})));
    json!({"method": "POST", "path": path, "bulkId": bulk_id, "data": data})
}

fn new_group(t: &mut Trial<'_>, bulk_id: &str, members: &[&str]) -> Verdict<Value> {
    let (path, mut data) = (t.groups()?, t.group_body(&[]));
    data["members"] = members.iter().map(|member| json!({"value": format!("bulkId:{member}")})).collect();
    Ok(json!({"method": "POST", "path": path, "bulkId": bulk_id, "data": data}))
}

/// The results, which must have these statuses.
fn statuses(answer: &Answer, expected: &[&str]) -> Verdict {
    answer.is(200)?;
    let found: Vec<&Value> = answer.array("/Operations")?.iter().map(|result| &result["status"]).collect();
    answer.holds(found == expected, format!("the statuses are {found:?} where they should be {expected:?}"))?;
    Ok(())
}

/// The location of the result with this bulkId.
fn location(answer: &Answer, bulk_id: &str) -> Verdict<String> {
    let results = answer.array("/Operations")?;
    let location =
        results.iter().find(|result| result["bulkId"] == bulk_id).and_then(|result| result["location"].as_str());
    match location {
        Some(location) => Ok(location.to_owned()),
        None => answer.fail(format!("the result of {bulk_id} has no location")),
    }
}

fn response(t: &mut Trial<'_>) -> Verdict {
    let operations = json!([new_user(t, "a"), new_user(t, "b")]);
    let answer = bulk(t, operations)?;
    statuses(&answer, &["201", "201"])?;
    answer.has("/schemas/0", BULK_RESPONSE)?.has("/Operations/0/bulkId", "a")?.has("/Operations/1/bulkId", "b")?;
    Ok(())
}

fn no_operations(t: &mut Trial<'_>) -> Verdict {
    let answer = t.post("/Bulk", &json!({"schemas": [BULK_REQUEST]}))?;
    t.refused(&answer, 400, "invalidSyntax")
}

/// The operation is refused, alone or with the whole request.
fn is_refused(answer: &Answer) -> Verdict {
    if answer.status == 200 {
        return statuses(answer, &["400"]);
    }
    answer.is(400)?;
    Ok(())
}

fn no_bulk_id(t: &mut Trial<'_>) -> Verdict {
    let mut operation = new_user(t, "a");
    operation.as_object_mut().map(|operation| operation.shift_remove("bulkId"));
    is_refused(&bulk(t, json!([operation]))?)
}

fn unknown_method(t: &mut Trial<'_>) -> Verdict {
    let path = t.users();
    is_refused(&bulk(t, json!([{"method": "MERGE", "path": path, "bulkId": "a", "data": {}}]))?)
}

fn all_methods(t: &mut Trial<'_>) -> Verdict {
    let (put, patched, deleted) = (t.user(json!({}))?, t.user(json!({}))?, t.user(json!({}))?);
    let mut body = t.user_body(json!({"displayName": "Mira"}));
    body["userName"] = put.answer.at("/userName").clone();
    let patch = json!({"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "active", "value": false}]});
    let operations = json!([
        new_user(t, "a"),
        {"method": "PUT", "path": put.path, "data": body},
        {"method": "PATCH", "path": patched.path, "data": patch},
        {"method": "DELETE", "path": deleted.path},
    ]);
    let answer = bulk(t, operations)?;
    answer.is(200)?;
    let found: Vec<&str> = answer.array("/Operations")?.iter().filter_map(|result| result["status"].as_str()).collect();
    let as_expected = found == ["201", "200", "200", "204"] || found == ["201", "200", "204", "204"];
    answer.holds(as_expected, format!("the statuses are {found:?}"))?;
    t.read(&put)?.has("/displayName", "Mira")?;
    t.read(&patched)?.has("/active", false)?;
    t.get(&deleted.path)?.is(404)?;
    Ok(())
}

fn same_errors(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let mut taken = new_user(t, "a");
    taken["data"]["userName"] = user.answer.at("/userName").clone();
    let unknown = format!("{}/00000000-0000-4000-8000-000000000000", t.users());
    let answer = bulk(t, json!([taken, {"method": "DELETE", "path": unknown}]))?;
    statuses(&answer, &["409", "404"])
}

/// A POST that must fail.
fn wrong(t: &mut Trial<'_>, bulk_id: &str) -> Value {
    let mut operation = new_user(t, bulk_id);
    operation["data"]["userName"] = Value::Null;
    operation
}

fn others_go_on(t: &mut Trial<'_>) -> Verdict {
    let operations = json!([wrong(t, "a"), new_user(t, "b")]);
    statuses(&bulk(t, operations)?, &["400", "201"])
}

fn stopped(t: &mut Trial<'_>) -> Verdict<Answer> {
    let operations = json!([new_user(t, "a"), wrong(t, "b"), new_user(t, "c")]);
    t.post("/Bulk", &json!({"schemas": [BULK_REQUEST], "failOnErrors": 1, "Operations": operations}))
}

fn fail_on_errors(t: &mut Trial<'_>) -> Verdict {
    let answer = stopped(t)?;
    statuses(&answer, &["201", "400"])
}

fn before_the_stop(t: &mut Trial<'_>) -> Verdict {
    let answer = stopped(t)?;
    t.get(&location(&answer, "a")?)?.is(200)?;
    Ok(())
}

fn result_members(t: &mut Trial<'_>) -> Verdict {
    let operations = json!([new_user(t, "a")]);
    let answer = bulk(t, operations)?;
    answer
        .is(200)?
        .has("/Operations/0/method", "POST")?
        .has("/Operations/0/bulkId", "a")?
        .has("/Operations/0/status", "201")?;
    t.get(&location(&answer, "a")?)?.is(200)?;
    Ok(())
}

fn failed_result(t: &mut Trial<'_>) -> Verdict {
    let operations = json!([wrong(t, "a")]);
    let answer = bulk(t, operations)?;
    statuses(&answer, &["400"])?;
    answer.has("/Operations/0/response/status", "400")?.lacks("/Operations/0/location")?;
    Ok(())
}

/// What the two operations made: the resource of `whole` shows the id of `part` at the pointer.
fn resolves(t: &mut Trial<'_>, answer: &Answer, (whole, part): (&str, &str), pointer: &str) -> Verdict {
    let part = t.get(&location(answer, part)?)?;
    t.get(&location(answer, whole)?)?.has(pointer, part.text("/id")?)?;
    Ok(())
}

fn reference(t: &mut Trial<'_>) -> Verdict {
    let operations = json!([new_user(t, "u"), new_group(t, "g", &["u"])?]);
    let answer = bulk(t, operations)?;
    statuses(&answer, &["201", "201"])?;
    resolves(t, &answer, ("g", "u"), "/members/0/value")
}

fn manager_reference(t: &mut Trial<'_>) -> Verdict {
    let (path, data) = (t.users(), t.user_body(json!({ENTERPRISE: {"manager": {"value": "bulkId:boss"}}})));
    let report = json!({"method": "POST", "path": path, "bulkId": "report", "data": data});
    let operations = json!([new_user(t, "boss"), report]);
    let answer = bulk(t, operations)?;
    statuses(&answer, &["201", "201"])?;
    resolves(t, &answer, ("report", "boss"), &format!("/{ENTERPRISE}/manager/value"))
}

fn path_reference(t: &mut Trial<'_>) -> Verdict {
    let patch = json!({"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "active", "value": false}]});
    let path = format!("{}/bulkId:u", t.users());
    let operations = json!([new_user(t, "u"), {"method": "PATCH", "path": path, "data": patch}]);
    let answer = bulk(t, operations)?;
    answer.is(200)?;
    t.get(&location(&answer, "u")?)?.has("/active", false)?;
    Ok(())
}

fn forward_reference(t: &mut Trial<'_>) -> Verdict {
    let operations = json!([new_group(t, "g", &["u"])?, new_user(t, "u")]);
    let answer = bulk(t, operations)?;
    statuses(&answer, &["201", "201"])?;
    answer.has("/Operations/0/bulkId", "g")?;
    resolves(t, &answer, ("g", "u"), "/members/0/value")
}

fn circle(t: &mut Trial<'_>) -> Verdict {
    let operations = json!([new_group(t, "a", &["b"])?, new_group(t, "b", &["a"])?]);
    let answer = bulk(t, operations)?;
    // RFC 7644 §3.7.1: who cannot resolve it says 409.
    if answer.array("/Operations")?.iter().all(|result| result["status"] == "409") {
        return Err(Stop::NotApplicable("the server says that it does not resolve circles".to_owned()));
    }
    statuses(&answer, &["201", "201"])?;
    resolves(t, &answer, ("a", "b"), "/members/0/value")?;
    resolves(t, &answer, ("b", "a"), "/members/0/value")
}

fn undefined_reference(t: &mut Trial<'_>) -> Verdict {
    let operations = json!([new_group(t, "g", &["nobody"])?]);
    let answer = bulk(t, operations)?;
    if answer.status == 200 {
        let status = answer.at("/Operations/0/status").as_str().unwrap_or_default();
        answer.holds(status.starts_with('4'), format!("the status is {status}"))?;
        return Ok(());
    }
    answer.is_client_error()?;
    Ok(())
}

fn limit(t: &Trial<'_>, name: &str) -> Verdict<i64> {
    let limit = t.server.config["bulk"][name].as_i64().filter(|limit| *limit > 0);
    limit.ok_or_else(|| Stop::NotApplicable(format!("the server states no {name}")))
}

fn too_many(t: &mut Trial<'_>) -> Verdict {
    let most = limit(t, "maxOperations")?;
    // Nothing may happen even if the server takes them: nobody has these ids.
    let path = format!("{}/00000000-0000-4000-8000-000000000000", t.users());
    let operation = json!({"method": "DELETE", "path": path});
    if most.saturating_mul(operation.to_string().len() as i64) > LARGEST {
        return Err(Stop::Skip(format!("{most} operations are too many to send")));
    }
    let operations: Vec<&Value> = (0..=most).map(|_| &operation).collect();
    bulk(t, json!(operations))?.is(413)?;
    Ok(())
}

fn too_large(t: &mut Trial<'_>) -> Verdict {
    let most = limit(t, "maxPayloadSize")?;
    if most > LARGEST {
        return Err(Stop::Skip(format!("{most} bytes are too much to send")));
    }
    let body = json!({"schemas": [BULK_REQUEST], "Operations": [wrong(t, "a")], "filler": "x".repeat(most as usize)});
    match t.send(&Request::new("POST", "/Bulk").json(&body)) {
        // RFC 9110 §15.5.14: a server may close the connection rather than read it all, and then 413 can get lost.
        Err(Stop::Fail { reason, .. }) if !reason.contains("complete answer") => {
            Err(Stop::Skip(format!("the connection ends before the answer ({reason})")))
        }
        answer => answer?.is(413).map(drop),
    }
}

fn stale_version(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let operation = json!({"method": "DELETE", "path": user.path, "version": "W/\"nobody-has-this-version\""});
    statuses(&bulk(t, json!([operation]))?, &["412"])?;
    t.read(&user)?;
    Ok(())
}

fn no_bulk_in_bulk(t: &mut Trial<'_>) -> Verdict {
    let operation = json!({"method": "POST", "path": "/Bulk", "bulkId": "a", "data": {"schemas": [BULK_REQUEST], "Operations": []}});
    is_refused(&bulk(t, json!([operation]))?)
}
