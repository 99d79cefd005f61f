//! What is changed of attacks, nodes, tokens and users: each change by a caller who may, and recorded.

use super::app::App;
use super::audit::Record;
use super::auth::token::{NewToken, Token, Usage};
use super::auth::user::{NewUser, User, UserChange};
use super::auth::{Caller, Permission, second_factor};
use super::error::{Error, Result};
use super::nodes::Node;
use super::store::search::{SearchContext, parse};
use super::store::{Attack, Filter, Mark};

impl App {
    /// What a search asks for; applications may stand in it by their names.
    ///
    /// # Errors
    /// The first mistake, with its column and the fix.
    pub fn search(&self, query: &str) -> Result<Filter> {
        let head = self.policy.head();
        let named = head.state.applications.iter().map(|(id, one)| (*id, one.name.clone()));
        let applications: Vec<(i64, String)> = named.collect();
        let context = SearchContext { now: self.clock.millis(), applications: &applications };
        parse(query, context).map_err(|error| Error::invalid("q", error.to_string()))
    }

    /// Marks an attack as a true or false positive, or takes the mark away. Attacks may be in another database than the audit
    /// log: the line is written first, and stored when the mark is.
    pub async fn mark(&self, caller: &Caller, id: &str, mark: Option<Mark>) -> Result<Attack> {
        let before = self.store.attack(id).await?.ok_or(Error::NotFound("attack"))?;
        let old = before.mark.as_ref().map(|marked| marked.mark);
        if old == mark {
            return Ok(before);
        }
        let record = Record::new("attack.mark", format!("attack/{id}"), old, mark)?;
        let mut change = self.audit.begin().await?;
        change.record(&caller.name(), &caller.address, &record).await?;
        let attack = self.store.mark(id, mark, &caller.name()).await?.ok_or(Error::NotFound("attack"))?;
        change.store().await?;
        Ok(attack)
    }

    /// Lets a node speak, or no more.
    pub async fn set_node_enabled(&self, caller: &Caller, id: &str, enabled: bool) -> Result<Node> {
        let before = self.nodes.find(id).await?.ok_or(Error::NotFound("node"))?;
        let node = Node { enabled, ..before.clone() };
        let mut change = self.audit.begin().await?;
        self.nodes.set_enabled(change.on(), id, enabled).await?;
        change.commit(caller, "node.change", &format!("node/{id}"), &before, &node).await?;
        Ok(node)
    }

    /// Removes a node: it has to register again.
    pub async fn remove_node(&self, caller: &Caller, id: &str) -> Result<()> {
        let node = self.nodes.find(id).await?.ok_or(Error::NotFound("node"))?;
        let mut change = self.audit.begin().await?;
        self.nodes.remove(change.on(), id).await?;
        change.commit(caller, "node.remove", &format!("node/{id}"), &node, ()).await
    }

    /// Tokens that `caller` may see.
    pub async fn tokens_for(&self, caller: &Caller) -> Result<Vec<Token>> {
        let mut all = self.tokens.list().await?;
        all.retain(|token| may_manage(caller, token.usage));
        Ok(all)
    }

    /// Makes a token; answers its text, which is shown once, and the token. No user can grant more than their own role.
    pub async fn create_token(&self, caller: &Caller, new: NewToken) -> Result<(String, Token)> {
        if !may_manage(caller, new.usage) || (new.usage == Usage::Api && !caller.role().covers(new.role)) {
            return Err(Error::Forbidden("your role does not allow to make such a token"));
        }
        let mut change = self.audit.begin().await?;
        let (text, token) = self.tokens.create(change.on(), new, &caller.name()).await?;
        change.commit(caller, "token.create", &format!("token/{}", token.id), (), &token).await?;
        Ok((text, token))
    }

    /// Switches a token on or off.
    pub async fn set_token_enabled(&self, caller: &Caller, id: &str, enabled: bool) -> Result<Token> {
        let before = self.token_for(caller, id).await?;
        let token = Token { enabled, ..before.clone() };
        let mut change = self.audit.begin().await?;
        self.tokens.set_enabled(change.on(), id, enabled).await?;
        change.commit(caller, "token.change", &format!("token/{id}"), &before, &token).await?;
        Ok(token)
    }

    /// Removes a token.
    pub async fn remove_token(&self, caller: &Caller, id: &str) -> Result<()> {
        let token = self.token_for(caller, id).await?;
        let mut change = self.audit.begin().await?;
        self.tokens.remove(change.on(), id).await?;
        change.commit(caller, "token.remove", &format!("token/{id}"), &token, ()).await
    }

    async fn token_for(&self, caller: &Caller, id: &str) -> Result<Token> {
        let token = self.tokens.find(id).await?.filter(|token| may_manage(caller, token.usage));
        token.ok_or(Error::NotFound("token"))
    }

    /// Makes a user.
    pub async fn create_user(&self, caller: &Caller, new: NewUser) -> Result<User> {
        let ready = self.users.prepare(new).await?;
        let mut change = self.audit.begin().await?;
        let user = ready.insert(change.on()).await?;
        change.commit(caller, "user.create", &format!("user/{}", user.id), (), &user).await?;
        Ok(user)
    }

    /// Changes a user. Their sessions end where password, role or state changed; the caller's own stays.
    pub async fn change_user(&self, caller: &Caller, id: &str, change: UserChange) -> Result<User> {
        let known = self.users.find(id).await?.ok_or(Error::NotFound("user"))?;
        let password = change.password.is_some();
        let ready = self.users.prepare_change(&known, change).await?;
        let mut change = self.audit.begin().await?;
        let (before, user) = ready.update(change.on()).await?;
        if password || before.role != user.role || before.enabled != user.enabled {
            let own = caller.session().filter(|session| session.user.id == id && user.enabled);
            self.sessions.end_all(change.on(), id, own.map(|session| session.hash.as_str())).await?;
        }
        let action = if password { "user.password" } else { "user.change" };
        change.commit(caller, action, &format!("user/{id}"), &before, &user).await?;
        Ok(user)
    }

    /// Removes a user.
    pub async fn remove_user(&self, caller: &Caller, id: &str) -> Result<()> {
        let user = self.users.find(id).await?.ok_or(Error::NotFound("user"))?;
        let mut change = self.audit.begin().await?;
        self.users.remove(change.on(), id).await?;
        self.sessions.end_all(change.on(), id, None).await?;
        second_factor::remove(change.on(), id).await?;
        super::searches::forget(change.on(), id).await?;
        change.commit(caller, "user.remove", &format!("user/{id}"), &user, ()).await
    }

    /// Changes the caller's own password, who proves it by the one in use. Their other sessions end.
    pub async fn change_own_password(&self, caller: &Caller, current: String, new: String) -> Result<()> {
        let user = self.check_own_password(caller, current).await?;
        let change = UserChange { password: Some(new), ..UserChange::default() };
        self.change_user(caller, &user.id, change).await.map(drop)
    }

    /// Lets the caller prove who they are by their password; answers them.
    pub async fn check_own_password<'c>(&self, caller: &'c Caller, current: String) -> Result<&'c User> {
        let session = caller.session().ok_or(Error::Forbidden("only people have passwords"))?;
        let (user, now) = (&session.user, self.clock.millis());
        let address = caller.address.parse().unwrap_or(std::net::IpAddr::from([0, 0, 0, 0]));
        self.throttle.check(address, &user.login, true, now).map_err(Error::Throttled)?;
        self.throttle.note(address, &user.login, now);
        if self.users.verify(&user.login, current).await?.is_none() {
            return Err(Error::invalid("current", "this is not your password"));
        }
        self.throttle.forgive(address, &user.login);
        Ok(user)
    }
}

/// Who may not manage every token may manage those with which nodes register.
fn may_manage(caller: &Caller, usage: Usage) -> bool {
    caller.may(Permission::Tokens) || (usage == Usage::NodeDeployment && caller.may(Permission::DeployTokens))
}
