//! What we do: one file per SCIM operation.
