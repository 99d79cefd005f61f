//! Tests of the Console: what templates let through, and the pages on a control plane of their own.

mod block_page;
mod markup;
mod pages;
