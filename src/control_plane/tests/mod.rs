mod access; // every route for every role
mod accounts; // login, throttling, tokens, users
mod policy; // changes, versions, keys, nodes
