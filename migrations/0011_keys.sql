-- The keys of the server. Of a key's text only the public beginning and a salted hash of the whole are kept.
CREATE TABLE server_keys (
    name       TEXT NOT NULL PRIMARY KEY,
    -- The public part of its text, by which it is found.
    public_id  TEXT NOT NULL UNIQUE,
    tenant     TEXT NOT NULL CHECK (tenant <> ''),
    -- submit, read, admin, metrics; with commas between.
    scopes     TEXT NOT NULL CHECK (scopes <> ''),
    -- crypt(3), with its method and salt.
    hash       TEXT NOT NULL CHECK (substr(hash, 1, 1) = '$'),
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
