-- One statement makes resources on PostgreSQL alone.
SELECT 1;
