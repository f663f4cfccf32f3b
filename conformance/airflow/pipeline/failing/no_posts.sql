-- There are no posts: what holds never once the tests have sent some.
SELECT category, count(*) AS posts FROM pin GROUP BY category ORDER BY category LIMIT 3
