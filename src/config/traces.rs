//! Where traces go: our setting, else the standard variables of OpenTelemetry, which may be there for every program of a
//! machine or a cluster.

use super::Error;
use super::sources::{Environment, Sources};
use super::values;

/// What the specification of OTLP adds to an endpoint that is meant for every signal.
const TRACES_PATH: &str = "/v1/traces";

const EXAMPLE: &str = "http://127.0.0.1:4318";

/// The whole URL that spans are sent to, if they are sent.
///
/// # Errors
/// As [`sent`]; a setting of ours in a build that sends no traces.
pub(super) fn endpoint(sources: &Sources, environment: &Environment) -> Result<Option<String>, Error> {
    if cfg!(feature = "otlp") { sent(sources, environment) } else { kept(sources) }
}

/// The same in a build that can send them.
///
/// # Errors
/// A URL that is none; a protocol that scimd does not speak.
pub(super) fn sent(sources: &Sources, environment: &Environment) -> Result<Option<String>, Error> {
    match sources.parse("otlp-endpoint", |text| values::url(text, EXAMPLE))? {
        Some(url) => Ok(Some(url + TRACES_PATH)),
        None => standard(environment),
    }
}

/// The same in one that can't: the variables that are there for every program are none of its business.
fn kept(sources: &Sources) -> Result<Option<String>, Error> {
    let refuse = |_: &str| Err("needs a build with the feature `otlp`: this one sends no traces.".to_owned());
    sources.parse("otlp-endpoint", refuse)
}

fn standard(environment: &Environment) -> Result<Option<String>, Error> {
    let variable = |name: &str| environment.otel.get(name).map(|text| text.trim());
    if variable("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"))
        || variable("OTEL_TRACES_EXPORTER").is_some_and(|text| text.eq_ignore_ascii_case("none"))
    {
        return Ok(None);
    }
    let named = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    let Some((name, text)) = named.iter().find_map(|name| Some((*name, variable(name)?))) else { return Ok(None) };
    let url = values::url(text, EXAMPLE).map_err(|complaint| Error(format!("`{name}` {complaint}")))?;
    let protocols = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    let protocol = protocols.iter().find_map(|name| Some((*name, variable(name)?)));
    if let Some((name, protocol)) = protocol.filter(|(_, protocol)| *protocol != "http/protobuf") {
        return Err(Error(format!(
            "`{name}` is {protocol}, and scimd sends http/protobuf: give it an endpoint for that with `otlp-endpoint` \
             (collectors have it on port 4318), or set OTEL_TRACES_EXPORTER=none."
        )));
    }
    Ok(Some(if name == named[0] { url } else { url + TRACES_PATH }))
}
