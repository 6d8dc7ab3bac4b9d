-- Statistics are nobody's to take back.
SELECT 1;
