//! The checks, a file for each subject. A new one is a function and a line in the table at the head of its file.

mod auth;
mod bulk;
mod characteristics;
mod create;
mod cursor;
mod delete;
mod discovery;
mod filter;
mod group;
mod http;
mod i18n;
mod me;
mod page;
mod patch;
mod patch_add;
mod patch_remove;
mod patch_replace;
mod projection;
mod read;
mod replace;
mod resource;
mod schemas;
mod search;
mod sort;
mod types;
mod user;
mod version;

use super::check::Section;

/// Every check, in the order in which they run.
pub(super) const SECTIONS: [Section; 27] = [
    discovery::SECTION,
    schemas::SECTION,
    auth::SECTION,
    create::SECTION,
    read::SECTION,
    resource::SECTION,
    types::SECTION,
    characteristics::SECTION,
    user::SECTION,
    group::SECTION,
    filter::SECTION,
    sort::SECTION,
    page::SECTION,
    cursor::SECTION,
    projection::SECTION,
    search::SECTION,
    replace::SECTION,
    patch::SECTION,
    patch_add::SECTION,
    patch_replace::SECTION,
    patch_remove::SECTION,
    delete::SECTION,
    bulk::SECTION,
    version::SECTION,
    me::SECTION,
    http::SECTION,
    i18n::SECTION,
];
