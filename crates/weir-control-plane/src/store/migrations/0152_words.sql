-- What free text is looked for in: lower-case words of the request and of what matched. Empty for hits that are older than
-- this column.
ALTER TABLE hits ADD COLUMN words TEXT NOT NULL DEFAULT '';
