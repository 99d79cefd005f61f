//! Tables of [`super::Database::control`] that are not about traffic: users, sessions, tokens, nodes, rules and more.
