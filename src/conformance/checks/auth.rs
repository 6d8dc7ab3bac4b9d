//! Who may ask (RFC 7644 §2, RFC 6750).

use crate::conformance::check::{Section, must, ours};
use crate::conformance::exchange::{Credentials, Request};
use crate::conformance::trial::Trial;
use crate::conformance::verdict::Verdict;

#[rustfmt::skip]
pub(super) const SECTION: Section = Section { title: "Authentication", checks: &[
    must(&["AUTH-01"], "7644 §2, 9110 §15.5.2", "without credentials: 401 with WWW-Authenticate", nobody),
    must(&["AUTH-01"], "6750 §3", "with a wrong token: 401 with WWW-Authenticate", a_wrong_token),
    must(&["AUTH-01"], "6750 §3.1", "a malformed Authorization header is refused", a_malformed_header),
    must(&["AUTH-01"], "9110 §11.1", "the name of the scheme has no case", the_scheme_has_no_case),
    must(&["AUTH-01", "ERR-02"], "7644 §3.12", "401 has the body of an error", errors_have_a_body),
    must(&["AUTH-01", "CRE-01"], "7644 §2", "nobody creates without credentials", nobody_creates),
    ours(&["AUTH-06"], "6750 §5.3", "a token in the query opens nothing", no_token_in_the_query),
] };

fn as_other(t: &Trial<'_>, authorization: &str) -> Request {
    Request::get(t.users()).credentials(Credentials::Other(authorization.to_owned()))
}

fn nobody(t: &mut Trial<'_>) -> Verdict {
    let request = Request::get(t.users()).credentials(Credentials::None);
    t.send(&request)?.is(401)?.header("WWW-Authenticate")?;
    Ok(())
}

fn a_wrong_token(t: &mut Trial<'_>) -> Verdict {
    let request = as_other(t, "Bearer nobody-has-this-token");
    t.send(&request)?.is(401)?.header("WWW-Authenticate")?;
    Ok(())
}

fn a_malformed_header(t: &mut Trial<'_>) -> Verdict {
    for header in ["Bearer", "nonsense", "Basic !!!"] {
        let request = as_other(t, header);
        t.send(&request)?.is_one_of(&[400, 401])?;
    }
    Ok(())
}

fn the_scheme_has_no_case(t: &mut Trial<'_>) -> Verdict {
    let request = Request::get(t.users()).credentials(Credentials::TokenAs("bEARER"));
    t.send(&request)?.is(200)?;
    Ok(())
}

fn errors_have_a_body(t: &mut Trial<'_>) -> Verdict {
    let request = Request::get(t.users()).credentials(Credentials::None);
    t.send(&request)?.is(401)?.is_error_body()?;
    Ok(())
}

fn nobody_creates(t: &mut Trial<'_>) -> Verdict {
    let body = t.user_body(serde_json::json!({}));
    let request = Request::new("POST", t.users()).json(&body).credentials(Credentials::None);
    t.send(&request)?.is(401)?;
    Ok(())
}

fn no_token_in_the_query(t: &mut Trial<'_>) -> Verdict {
    let request = Request::get(format!("{}?access_token={}", t.users(), t.token()));
    t.send(&request.credentials(Credentials::None))?.is(401)?;
    Ok(())
}
