-- Collections of documents, cut into chunks that are searched by meaning (HNSW) and by words (GIN).

CREATE TABLE askfirst.collections (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL UNIQUE,
    embedder    text NOT NULL,          -- the fingerprint of the model that embedded every chunk in it
    dimension   integer NOT NULL,
    created     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE askfirst.documents (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection  bigint NOT NULL REFERENCES askfirst.collections ON DELETE CASCADE,
    name        text NOT NULL,
    title       text NOT NULL,
    text        text NOT NULL,
    digest      text NOT NULL,          -- SHA-256 of the file's bytes
    chunks      integer NOT NULL,       -- how many, so that a collection is sized without counting its chunks
    ingested    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (collection, name)
);

CREATE TABLE askfirst.chunks (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection  bigint NOT NULL,        -- repeated from the document: the filter of every search
    document    bigint NOT NULL REFERENCES askfirst.documents ON DELETE CASCADE,
    "start"     integer NOT NULL,       -- characters into documents.text
    "end"       integer NOT NULL,
    heading     text NOT NULL,
    text        text NOT NULL,
    embedding   halfvec(384) NOT NULL,
    lexemes     tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('english', heading || ' ' || text)) STORED
);

-- Kept in the row: an exact search over a collection then reads its vectors without a detour for each of them.
ALTER TABLE askfirst.chunks ALTER COLUMN embedding SET STORAGE PLAIN;

CREATE INDEX chunks_collection ON askfirst.chunks (collection);
CREATE INDEX chunks_document ON askfirst.chunks (document);
CREATE INDEX chunks_lexemes ON askfirst.chunks USING gin (lexemes);
CREATE INDEX chunks_embedding ON askfirst.chunks USING hnsw (embedding halfvec_cosine_ops);
