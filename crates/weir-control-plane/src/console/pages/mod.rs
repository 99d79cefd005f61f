//! The pages: one file a part of the navigation.

pub mod account;
pub mod alerts;
pub mod attacks;
pub mod audit;
pub mod automatic;
pub mod catalogue;
pub mod dashboard;
pub mod files;
pub mod hit;
pub mod lists;
pub mod nodes;
pub mod packs;
mod packs_form;
pub mod policy;
pub mod proposal;
mod protection;
pub mod rules;
pub mod second_factor;
pub mod settings;
mod settings_page;
mod sink_form;
pub mod sinks;
pub mod tokens;
pub mod users;
