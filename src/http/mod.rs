//! Clients: SCIM over HTTP.
