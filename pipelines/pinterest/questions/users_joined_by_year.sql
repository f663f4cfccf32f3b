-- order: 8
-- How many users joined in each year from 2015 to 2020; a user is a distinct name, age and joining date.
SELECT CAST(date_part('year', date_joined) AS BIGINT) AS join_year, count(*) AS number_users_joined
FROM (SELECT DISTINCT user_name, age, date_joined, CASE $users WHEN 'rows' THEN ind END FROM "user")
WHERE date_joined >= '2015-01-01T00:00:00Z' AND date_joined < '2021-01-01T00:00:00Z'
GROUP BY 1
ORDER BY join_year
