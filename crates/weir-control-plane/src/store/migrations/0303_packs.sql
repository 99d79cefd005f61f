-- Rule packs and address databases: versions by name, and their content by its hash, in pieces that any engine and any backup can hold.
-- `items` are signatures of a pack, nodes of a database's tree. `mirrors` is where versions are fetched from.
CREATE TABLE pack_versions (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    octets BIGINT NOT NULL,
    items BIGINT NOT NULL,
    about TEXT NOT NULL,
    note TEXT NOT NULL,
    author TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (kind, name, version)
);
CREATE TABLE blob_chunks (
    sha256 TEXT NOT NULL,
    number BIGINT NOT NULL,
    content {octets} NOT NULL,
    PRIMARY KEY (sha256, number)
);
CREATE TABLE mirrors (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    public_key TEXT NOT NULL,
    period BIGINT NOT NULL,
    etag TEXT NOT NULL DEFAULT '',
    checked BIGINT NOT NULL DEFAULT 0,
    succeeded BIGINT NOT NULL DEFAULT 0,
    due BIGINT NOT NULL DEFAULT 0,
    last_error TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (kind, name)
);
