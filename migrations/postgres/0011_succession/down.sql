DROP FUNCTION succeeds_nobody;
