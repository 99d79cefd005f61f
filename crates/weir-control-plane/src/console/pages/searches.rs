//! Searches that the viewer saved.

use crate::console::form_fields::FormFields;
use crate::console::notice::with_notice;
use crate::console::page::{self, Page, mistakes, see_other};
use crate::console::view::attacks::SavedSearch;
use crate::console::view::text::Text;
use crate::console::view::ui::href;
use crate::error::Result;
use crate::searches::NewSearch;
use axum::extract::Path;
use axum::response::Response;

/// Parameter of the address that says why a search was not saved.
const WRONG: &str = "unsaved";
/// Why, by code: the address carries no text of its own.
const REASONS: [(&str, &str); 2] = [
    ("taken", "You have a search of this name, or too many saved searches: delete one first."),
    ("name", "Enter a name of 1 to 60 characters."),
];

/// The saved searches for the list of attacks.
pub async fn shown(page: &Page, query: &str, range: &str) -> Result<Vec<SavedSearch>> {
    let all = page.app.searches(&page.caller).await?;
    let shown = all.into_iter().map(|one| SavedSearch {
        href: href("/attacks", &[("q", &one.search.query), ("range", &one.search.range)]),
        current: one.search.query == query && one.search.range == range,
        name: Text::new(&one.search.name),
        id: one.id,
    });
    Ok(shown.collect())
}

/// Why the last search was not saved.
pub fn refused(page: &Page) -> Option<Text> {
    let code = page.query.get(WRONG);
    REASONS.iter().find(|(known, _)| *known == code).map(|(_, text)| Text::new(text))
}

/// `POST /attacks/searches`
pub async fn create(page: Page, given: FormFields) -> Result<Response> {
    let (query, range) = (given.get("q").to_owned(), given.get("range").to_owned());
    let here = href("/attacks", &[("q", &query), ("range", &range)]);
    let new = NewSearch { name: given.get("name").into(), query, range };
    match mistakes(page.app.save_search(&page.caller, new).await)? {
        Ok(_) => Ok(see_other(&with_notice(&here, "search", 0))),
        Err(wrong) => {
            let taken = wrong.iter().all(|one| one.field.is_empty());
            Ok(see_other(&href(&here, &[(WRONG, if taken { "taken" } else { "name" })])))
        }
    }
}

/// `POST /attacks/searches/{id}/delete`
pub async fn delete(page: Page, Path(id): Path<String>, given: FormFields) -> Result<Response> {
    page.app.delete_search(&page.caller, &id).await?;
    let to = if given.has("back") { given.get("back") } else { "/attacks" };
    Ok(see_other(&with_notice(page::own(to), "search-gone", 0)))
}
