-- Every row has its key, ind, and no two rows of a table have the same one: joins of pin, geo and user count nothing twice.
SELECT 'pin' AS "table", ind, count(*) AS "rows" FROM pin GROUP BY ind HAVING count(*) > 1 OR ind IS NULL
UNION ALL
SELECT 'geo' AS "table", ind, count(*) AS "rows" FROM geo GROUP BY ind HAVING count(*) > 1 OR ind IS NULL
UNION ALL
SELECT 'user' AS "table", ind, count(*) AS "rows" FROM "user" GROUP BY ind HAVING count(*) > 1 OR ind IS NULL
