//! What pages show: typed view models, each with its template. Pure: no request, no store, no clock.
//!
//! Everything that comes from traffic goes through [`text::Text`], and every page through askama's escaping: no
//! template marks data as safe (a test reads them all), and no link is made from data without encoding.

pub mod form;
pub mod number;
pub mod parts;
pub mod plot;
pub mod shell;
pub mod text;
pub mod time;
pub mod ui;

pub mod alerts;
pub mod attack;
pub mod attacks;
pub mod audit;
pub mod automatic;
pub mod blocking;
pub mod catalogue;
pub mod confirm;
pub mod dashboard;
pub mod hit;
pub mod lists;
pub mod nodes;
pub mod outside;
pub mod packs;
pub mod policy;
pub mod proposal;
pub mod rules;
pub mod sessions;
pub mod settings;
pub mod source;
pub mod target;
pub mod tokens;
pub mod users;
