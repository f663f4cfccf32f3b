-- Numbers are such as there can be: no negative count of followers, no age below 0 or over 150, and coordinates on the globe.
SELECT 'pin' AS "table", ind, 'follower_count' AS "column" FROM pin WHERE follower_count < 0
UNION ALL
SELECT 'user' AS "table", ind, 'age' AS "column" FROM "user" WHERE age NOT BETWEEN 0 AND 150
UNION ALL
SELECT 'geo' AS "table", ind, 'coordinates' AS "column" FROM geo
WHERE coordinates[1] NOT BETWEEN -90 AND 90 OR coordinates[2] NOT BETWEEN -180 AND 180
