//! Filters (RFC 7644 §3.4.2.2).

use serde_json::json;

use crate::conformance::check::{Section, must, ours, should};
use crate::conformance::server::Need::{Enterprise, Feature, Groups, User};
use crate::conformance::server::{ENTERPRISE, USER};
use crate::conformance::trial::Trial;
use crate::conformance::verdict::{Stop, Verdict};

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Filters", checks: &[
    must(&["FLT-20"], "7644 §3.4.2.2", "`eq` finds by userName", eq).needs(&[Feature("filter")]),
    must(&["FLT-20", "CHAR-10"], "7644 §3.4.2.2", "`eq` ignores case where the attribute has none", eq_in_other_case).needs(&[Feature("filter")]),
    must(&["FLT-20", "FLT-24"], "7644 §3.4.2.2", "`ne` is what `eq` is not", ne).needs(&[Feature("filter"), User("userType")]),
    must(&["FLT-20"], "7644 §3.4.2.2", "`co` finds a part", co).needs(&[Feature("filter"), User("displayName")]),
    must(&["FLT-20"], "7644 §3.4.2.2", "`sw` finds a beginning", sw).needs(&[Feature("filter"), User("userType")]),
    must(&["FLT-20"], "7644 §3.4.2.2", "`ew` finds an end", ew).needs(&[Feature("filter"), User("displayName")]),
    must(&["FLT-20"], "7644 §3.4.2.2", "`pr` finds what is there", pr).needs(&[Feature("filter"), User("title")]),
    must(&["FLT-20"], "7644 §3.4.2.2", "`gt`, `ge`, `lt` and `le` compare texts", order_of_texts).needs(&[Feature("filter"), User("userType")]),
    must(&["FLT-20", "FLT-30"], "7644 §3.4.2.2", "`gt` and `lt` compare dates by time", order_of_dates).needs(&[Feature("filter")]),
    must(&["FLT-20"], "7644 §3.4.2.2", "a boolean is found by `true` and `false`", booleans).needs(&[Feature("filter"), User("active")]),
    must(&["FLT-20"], "7644 §3.4.2.2", "a boolean has no order: 400 `invalidFilter`", no_order_of_booleans).needs(&[Feature("filter"), User("active")]),
    must(&["FLT-01"], "7644 §3.4.2.2", "operators and names have no case", no_case).needs(&[Feature("filter")]),
    must(&["FLT-02"], "7644 §3.4.2.2", "`and` binds before `or`", precedence).needs(&[Feature("filter"), User("userType"), User("title")]),
    must(&["FLT-02"], "7644 §3.4.2.2", "parentheses bind first", grouping).needs(&[Feature("filter"), User("userType"), User("title")]),
    must(&["FLT-03", "FLT-27"], "7644 §3.4.2.2", "`not` turns a filter round", not).needs(&[Feature("filter"), User("title")]),
    should(&["FLT-03"], "7644 Figure 1", "`not` without parentheses is 400 `invalidFilter`", not_without_parentheses).needs(&[Feature("filter")]),
    must(&["FLT-04", "FLT-22"], "7644 §3.4.2.2", "brackets look at one element at a time", value_path).needs(&[Feature("filter"), User("emails")]),
    should(&["FLT-04"], "7644 Figure 1", "brackets may hold `or`, `not` and parentheses", logic_in_brackets).needs(&[Feature("filter"), User("emails")]),
    must(&["FLT-22"], "7644 §3.4.2.2", "without brackets, different elements may satisfy the terms", any_element).needs(&[Feature("filter"), User("emails")]),
    must(&["FLT-23"], "7644 Figure 2", "`emails` stands for `emails.value`", default_value).needs(&[Feature("filter"), User("emails")]),
    should(&["USR-09", "CHAR-10"], "7643 §4.1.2, §8.7.1", "emails are found in whatever case", emails_have_no_case).needs(&[Feature("filter"), User("emails")]),
    should(&["FLT-10"], "7644 §3.4.2.2", "`+` between the words of a filter in a URL is a space", plus_is_a_space).needs(&[Feature("filter")]),
    must(&["FLT-05"], "7644 §3.10", "an attribute may carry the URN of its schema", qualified).needs(&[Feature("filter")]),
    must(&["FLT-01", "RES-04"], "7644 §3.10", "a URN has no case", urn_in_other_case).needs(&[Feature("filter")]),
    must(&["FLT-05", "FLT-30"], "7644 §3.10", "attributes of an extension are found by their URN", extension).needs(&[Feature("filter"), Enterprise]),
    ours(&["FLT-29"], "7644 §3.10", "attributes of an extension are found without their URN", unqualified_extension).needs(&[Feature("filter"), Enterprise]),
    must(&["FLT-31"], "7644 Figure 2", "`schemas eq` finds who uses an extension", schemas).needs(&[Feature("filter"), Enterprise]),
    must(&["FLT-06", "FLT-30"], "7643 §2.1", "`$ref` is a name like any other", dollar_ref).needs(&[Feature("filter"), Groups]),
    must(&["FLT-07"], "7644 §3.4.2.2", "literals are escaped as in JSON", escapes).needs(&[Feature("filter"), User("title")]),
    must(&["FLT-37", "SEC-03"], "7644 §7.7", "`%`, `_` and quotes are letters like any other", no_wildcards).needs(&[Feature("filter"), User("title")]),
    must(&["FLT-08"], "7644 §3.4.2.2", "an unknown operator is 400 `invalidFilter`", unknown_operator).needs(&[Feature("filter")]),
    must(&["FLT-08"], "7644 §3.4.2.2", "what does not parse is 400 `invalidFilter`", malformed).needs(&[Feature("filter")]),
    must(&["FLT-21"], "7644 §3.4.2.2", "a text that is no boolean is refused for a boolean, or finds nobody", wrong_literal).needs(&[Feature("filter"), User("active")]),
    must(&["FLT-26"], "7644 §3.4.2.1", "what is not assigned satisfies no comparison", unassigned).needs(&[Feature("filter"), User("title")]),
    ours(&["FLT-25"], "7643 §2.5", "`eq null` finds what is not assigned", null).needs(&[Feature("filter"), User("title")]),
    ours(&["FLT-28"], "7644 §3.4.2.1", "an attribute that nobody defines is 400 `invalidFilter`", undefined).needs(&[Feature("filter")]),
    must(&["FLT-30"], "7644 §3.4.2.2", "`id` and `externalId` can be filtered", common).needs(&[Feature("filter")]),
    must(&["FLT-30"], "7644 §3.4.2.2", "sub-attributes can be filtered", sub_attribute).needs(&[Feature("filter"), User("name")]),
    ours(&["FLT-34"], "7644 §3.4.2.2", "brackets may stand at a singular complex attribute", brackets_at_singular).needs(&[Feature("filter"), User("name")]),
    should(&["FLT-32"], "7644 §7.5.2", "a filter on the password in a URL is refused", password).needs(&[Feature("filter")]),
    ours(&["FLT-38"], "7644 §3.4.2.2", "a filter sees what the server added by default", defaults).needs(&[Feature("filter"), User("active")]),
    must(&["FLT-30", "GRP-02"], "7644 §3.4.2.2", "groups are found by displayName and by member", groups).needs(&[Feature("filter"), Groups]),
] };

fn eq(t: &mut Trial<'_>) -> Verdict {
    t.selects("userName eq \"{run}-anna@example.com\"", &["anna"])?;
    t.selects("userName eq \"{run}-anna@example\"", &[])
}

fn eq_in_other_case(t: &mut Trial<'_>) -> Verdict {
    t.selects("userName eq \"{run}-ANNA@Example.com\"", &["anna"])
}

fn ne(t: &mut Trial<'_>) -> Verdict {
    t.holds_for("userType ne \"employee {run}\"", &["bo", "dee"])
}

fn co(t: &mut Trial<'_>) -> Verdict {
    t.selects("displayName co \"NNA {run}\"", &["anna"])
}

fn sw(t: &mut Trial<'_>) -> Verdict {
    t.holds_for("userType sw \"Employee\"", &["anna", "cleo"])?;
    t.holds_for("userType sw \"mployee\"", &[])
}

fn ew(t: &mut Trial<'_>) -> Verdict {
    t.selects("displayName ew \"o {run}\"", &["bo", "cleo"])?;
    t.holds_for("displayName ew \"cleo\"", &[])
}

fn pr(t: &mut Trial<'_>) -> Verdict {
    t.holds_for("title pr", &["anna", "cleo"])
}

fn order_of_texts(t: &mut Trial<'_>) -> Verdict {
    for (operator, expected) in
        [("gt", &["dee"][..]), ("ge", &["anna", "cleo", "dee"]), ("lt", &["bo"]), ("le", &["anna", "bo", "cleo"])]
    {
        t.holds_for(&format!("userType {operator} \"employee {{run}}\""), expected)?;
    }
    Ok(())
}

fn order_of_dates(t: &mut Trial<'_>) -> Verdict {
    t.holds_for("meta.created gt \"2011-05-13T04:42:34Z\"", &["anna", "bo", "cleo", "dee"])?;
    t.holds_for("meta.created lt \"2011-05-13T04:42:34Z\"", &[])
}

fn booleans(t: &mut Trial<'_>) -> Verdict {
    t.holds_for("active eq true", &["anna", "cleo", "dee"])?;
    t.holds_for("active eq false", &["bo"])
}

fn no_order_of_booleans(t: &mut Trial<'_>) -> Verdict {
    t.refuses_filter("active gt true")
}

fn no_case(t: &mut Trial<'_>) -> Verdict {
    t.selects("USERNAME EQ \"{run}-anna@example.com\" OR username Eq \"{run}-bo@example.com\"", &["anna", "bo"])
}

fn precedence(t: &mut Trial<'_>) -> Verdict {
    t.selects("userType eq \"guest {run}\" or userType eq \"employee {run}\" and title eq \"chef\"", &["cleo", "dee"])
}

fn grouping(t: &mut Trial<'_>) -> Verdict {
    t.selects("(userType eq \"guest {run}\" or userType eq \"employee {run}\") and title pr", &["anna", "cleo"])
}

fn not(t: &mut Trial<'_>) -> Verdict {
    t.holds_for("not (title pr)", &["bo", "dee"])
}

fn not_without_parentheses(t: &mut Trial<'_>) -> Verdict {
    t.refuses_filter("not title pr")
}

fn value_path(t: &mut Trial<'_>) -> Verdict {
    t.selects("emails[type eq \"work\" and value co \"{run}@work\"]", &["anna", "cleo"])?;
    t.selects("emails[type eq \"work\" and value co \"{run}@home\"]", &[])
}

fn logic_in_brackets(t: &mut Trial<'_>) -> Verdict {
    t.holds_for("emails[(type eq \"home\" or type eq \"work\") and not (value co \"anna\")]", &["bo", "cleo"])
}

fn any_element(t: &mut Trial<'_>) -> Verdict {
    t.selects("emails.type eq \"work\" and emails.value co \"{run}@home\"", &["anna"])
}

fn default_value(t: &mut Trial<'_>) -> Verdict {
    t.selects("emails eq \"bo.{run}@home.example\"", &["bo"])?;
    t.selects("emails co \"{run}@home\"", &["anna", "bo"])
}

fn emails_have_no_case(t: &mut Trial<'_>) -> Verdict {
    t.selects("emails.value eq \"BO.{run}@HOME.Example\"", &["bo"])
}

fn plus_is_a_space(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let target = format!("{}?filter=id+eq+%22{}%22", t.users(), user.id);
    t.get(&target)?.is(200)?.has("/Resources/0/id", user.id)?;
    Ok(())
}

fn qualified(t: &mut Trial<'_>) -> Verdict {
    t.selects(&format!("{USER}:userName eq \"{{run}}-bo@example.com\""), &["bo"])
}

fn urn_in_other_case(t: &mut Trial<'_>) -> Verdict {
    t.selects(&format!("{}:userName eq \"{{run}}-bo@example.com\"", USER.to_uppercase()), &["bo"])
}

fn extension(t: &mut Trial<'_>) -> Verdict {
    t.selects(&format!("{ENTERPRISE}:department eq \"tours {{run}}\""), &["anna"])
}

fn unqualified_extension(t: &mut Trial<'_>) -> Verdict {
    t.selects("department eq \"tours {run}\"", &["anna"])
}

fn schemas(t: &mut Trial<'_>) -> Verdict {
    t.holds_for(&format!("schemas eq \"{ENTERPRISE}\""), &["anna", "cleo"])
}

fn dollar_ref(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let group = t.group(&[&user])?;
    if t.read(&group)?.at("/members/0/$ref").is_null() {
        return Err(Stop::NotApplicable("the server shows no `$ref` of members".to_owned()));
    }
    let endpoint = t.groups()?;
    let filter = format!("members[value eq \"{}\" and $ref pr]", user.id);
    t.list(&endpoint, &[("filter", &filter)])?.is(200)?.has("/totalResults", 1)?;
    Ok(())
}

fn escapes(t: &mut Trial<'_>) -> Verdict {
    t.holds_for(r#"title eq "Guide \"A\" 100%""#, &["anna"])?;
    t.holds_for(r#"title sw "\u0043hef""#, &["cleo"])
}

fn no_wildcards(t: &mut Trial<'_>) -> Verdict {
    t.holds_for("title co \"%\"", &["anna"])?;
    t.holds_for("title co \"_\"", &[])?;
    t.holds_for("title eq \"' or '1'='1\"", &[])
}

fn unknown_operator(t: &mut Trial<'_>) -> Verdict {
    t.refuses_filter("userName xx \"a\"")
}

fn malformed(t: &mut Trial<'_>) -> Verdict {
    for filter in ["userName eq", "(userName pr", "userName pr and", "userName eq \"a", "userName pr title"] {
        t.refuses_filter(filter)?;
    }
    Ok(())
}

fn wrong_literal(t: &mut Trial<'_>) -> Verdict {
    let filter = format!("userName sw \"{}\" and active eq \"perhaps\"", t.run());
    let answer = t.list(&t.users(), &[("filter", &filter)])?;
    if answer.is_one_of(&[200, 400])?.status == 200 {
        answer.has("/totalResults", 0)?;
    }
    Ok(())
}

fn unassigned(t: &mut Trial<'_>) -> Verdict {
    t.holds_for("title ge \"\" and not (title pr)", &[])?;
    t.holds_for("title eq \"chef\" and not (title pr)", &[])
}

fn null(t: &mut Trial<'_>) -> Verdict {
    t.holds_for("title eq null", &["bo", "dee"])
}

fn undefined(t: &mut Trial<'_>) -> Verdict {
    t.refuses_filter("nobodyDefinesThis eq \"a\"")
}

fn common(t: &mut Trial<'_>) -> Verdict {
    let id = t.people()?.get("bo").map(|bo| bo.id.clone()).unwrap_or_default();
    t.selects(&format!("id eq \"{id}\""), &["bo"])?;
    t.selects("externalId eq \"Ext-{run}\"", &["anna"])
}

fn sub_attribute(t: &mut Trial<'_>) -> Verdict {
    t.selects("name.familyName eq \"o'malley {run}\"", &["bo"])
}

fn brackets_at_singular(t: &mut Trial<'_>) -> Verdict {
    t.selects("name[familyName eq \"jensen {run}\"]", &["anna"])
}

fn password(t: &mut Trial<'_>) -> Verdict {
    t.list(&t.users(), &[("filter", "password eq \"x\"")])?.is_one_of(&[400, 403])?;
    Ok(())
}

fn defaults(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let filter = format!("id eq \"{}\" and active eq true", user.id);
    t.list(&t.users(), &[("filter", &filter)])?.has("/totalResults", 1)?;
    Ok(())
}

fn groups(t: &mut Trial<'_>) -> Verdict {
    let user = t.user(json!({}))?;
    let group = t.group(&[&user])?;
    let name = group.answer.text("/displayName")?.to_uppercase();
    let endpoint = t.groups()?;
    for filter in [format!("displayName eq \"{name}\""), format!("members.value eq \"{}\"", user.id)] {
        t.list(&endpoint, &[("filter", &filter)])?.is(200)?.has("/Resources/0/id", group.id.clone())?;
    }
    Ok(())
}
