//! Users.

use crate::auth::Role;
use crate::auth::user::{NewUser, User, UserChange};
use crate::console::form_fields::FormFields;
use crate::console::notice::with_notice;
use crate::console::page::{Page, html, html_with, mistakes, see_other};
use crate::console::view::form::{Control, Field};
use crate::console::view::shell::Place;
use crate::console::view::text::Text;
use crate::console::view::users::{ROLES, UserRow, Users};
use crate::error::{Error, Mistake, Result};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;

/// `GET /users`
pub async fn users(page: Page) -> Result<Response> {
    html(&list(&page, &FormFields::default(), &[]).await?)
}

fn role(given: &FormFields) -> Result<Role> {
    Role::from_code(given.get("role")).ok_or_else(|| Error::invalid("role", "choose a role"))
}

/// `POST /users`
pub async fn create(page: Page, given: FormFields) -> Result<Response> {
    let made = async {
        let (login, name) = (given.get("login").to_owned(), given.get("name").to_owned());
        let password = Some(given.raw("password").to_owned());
        page.app.create_user(&page.caller, NewUser { login, name, role: role(&given)?, password, subject: None }).await
    };
    match mistakes(made.await)? {
        Ok(_) => Ok(see_other(&with_notice("/users", "user", 0))),
        Err(wrong) => html_with(StatusCode::UNPROCESSABLE_ENTITY, &list(&page, &given, &wrong).await?),
    }
}

async fn list(page: &Page, given: &FormFields, wrong: &[Mistake]) -> Result<Users> {
    let of = |field: &str| wrong.iter().find(|one| one.field == field).map(|one| one.message.as_str());
    let named = ["login", "name", "role", "password"];
    let roles = ROLES.iter().rev().map(|(code, name)| ((*code).to_owned(), (*name).to_owned())).collect();
    let me = page.caller.session().map_or("", |session| session.user.id.as_str());
    Ok(Users {
        shell: page.shell("Users", Place::Users),
        rows: page.app.users.list().await?.iter().map(|user| row(page, user, me)).collect(),
        fields: vec![
            Field::new("login", "Login", Control::Line, "").with(given.get("login")).required().with_error(of("login")),
            Field::new("name", "Name", Control::Line, "").with(given.get("name")).with_error(of("name")),
            Field::new("role", "Role", Control::Select(roles), "").with(given.get("role")).with_error(of("role")),
            Field::new(
                "password",
                "Password",
                Control::Password,
                "12 to 256 characters. The user can change it later.",
            )
            .required()
            .with_error(of("password")),
        ],
        // A form that was refused stays open, with what was sent and what is wrong with it.
        adding: given.names("login"),
        mistakes: wrong
            .iter()
            .filter(|one| !named.contains(&one.field.as_str()))
            .map(|one| Text::new(&one.message))
            .collect(),
    })
}

fn row(page: &Page, user: &User, me: &str) -> UserRow {
    UserRow {
        id: user.id.clone(),
        login: Text::new(&user.login),
        name: Text::new(&user.name),
        role: user.role.code(),
        enabled: user.enabled,
        external: user.external,
        second_factor: user.second_factor,
        me: user.id == me,
        since: page.moment(user.created_at),
        seen: user.last_login_at.map(|at| page.moment(at)),
    }
}

async fn change(page: &Page, id: &str, change: UserChange) -> Result<Response> {
    match mistakes(page.app.change_user(&page.caller, id, change).await)? {
        Ok(_) => Ok(see_other(&with_notice("/users", "user-changed", 0))),
        Err(mut wrong) => {
            // The submitted form is inside a table row: show its errors above the table.
            wrong.iter_mut().for_each(|one| one.field.clear());
            html_with(StatusCode::UNPROCESSABLE_ENTITY, &list(page, &FormFields::default(), &wrong).await?)
        }
    }
}

/// `POST /users/{id}/role`
pub async fn set_role(page: Page, Path(id): Path<String>, given: FormFields) -> Result<Response> {
    let role = Some(role(&given)?);
    change(&page, &id, UserChange { role, ..UserChange::default() }).await
}

/// `POST /users/{id}/password`
pub async fn set_password(page: Page, Path(id): Path<String>, given: FormFields) -> Result<Response> {
    let password = Some(given.raw("password").to_owned());
    change(&page, &id, UserChange { password, ..UserChange::default() }).await
}

/// `POST /users/{id}/enable`
pub async fn enable(page: Page, Path(id): Path<String>) -> Result<Response> {
    change(&page, &id, UserChange { enabled: Some(true), ..UserChange::default() }).await
}

/// `POST /users/{id}/disable`
pub async fn disable(page: Page, Path(id): Path<String>) -> Result<Response> {
    change(&page, &id, UserChange { enabled: Some(false), ..UserChange::default() }).await
}

/// `POST /users/{id}/delete`
pub async fn delete(page: Page, Path(id): Path<String>) -> Result<Response> {
    page.app.remove_user(&page.caller, &id).await?;
    Ok(see_other(&with_notice("/users", "user-gone", 0)))
}
