-- A page whose answer got lost may use its refresh token again for a moment, as long as nobody used the one that it
-- never saw. Hash of that one; NULL: not spent yet, or spent before this step, and then there is no such moment.
ALTER TABLE refresh_tokens ADD COLUMN successor BLOB;
