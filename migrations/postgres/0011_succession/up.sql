-- Whether nobody was buried with the unique key of a new resource, which would succeed him; whoever asks fails if somebody
-- was. A statement that makes resources asks when they are there, and sees only what was committed before it began. Each
-- query in a function that is VOLATILE sees what is committed by then, as by the deletion that the new one had to wait for; but
-- not if the transaction is to see one moment alone.
CREATE FUNCTION succeeds_nobody(of_tenant BIGINT, of_type TEXT, key TEXT) RETURNS BOOLEAN VOLATILE LANGUAGE plpgsql AS $$
BEGIN
    -- In the order of the index that is to be used, whatever the store was like when the plan was made.
    PERFORM FROM resources AS r
    WHERE r.tenant_id = of_tenant AND r.resource_type = of_type AND r.unique_key = key
    AND r.deleted_at IS NOT NULL AND r.purged_at IS NULL
    ORDER BY r.row_id DESC LIMIT 1;
    IF FOUND OR current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a resource with the same unique key was deleted meanwhile' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN TRUE;
END
$$;
