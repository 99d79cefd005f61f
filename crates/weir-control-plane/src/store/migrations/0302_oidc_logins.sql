-- Logins by OpenID Connect that are under way. `state` is a SHA-256: the value itself is in the browser's cookie and in the URL.
CREATE TABLE oidc_logins (
    state TEXT NOT NULL PRIMARY KEY,
    nonce TEXT NOT NULL,
    verifier TEXT NOT NULL,
    next_path TEXT NOT NULL,
    created BIGINT NOT NULL
) {clustered};
CREATE INDEX oidc_logins_created ON oidc_logins (created);
