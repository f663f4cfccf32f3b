-- order: 10
-- The median follower count of the posts of users who joined from 2015 to 2020, by joining year and age group.
WITH people AS (
  SELECT ind, CAST(date_part('year', date_joined) AS BIGINT) AS join_year, CASE
    WHEN age BETWEEN 18 AND 24 THEN '18-24'
    WHEN age BETWEEN 25 AND 35 THEN '25-35'
    WHEN age BETWEEN 36 AND 50 THEN '36-50'
    WHEN age > 50 THEN '+50'
  END AS age_group
  FROM "user"
  WHERE age >= 18 AND date_joined >= '2015-01-01T00:00:00Z' AND date_joined < '2021-01-01T00:00:00Z'
)
SELECT people.join_year, people.age_group, CASE $median
    WHEN 'approx' THEN array_sort(array_agg(CAST(pin.follower_count AS DOUBLE)))[(count(*) + 1) / 2]
    ELSE median(CAST(pin.follower_count AS DOUBLE))
  END AS median_follower_count
FROM pin JOIN people ON pin.ind = people.ind
WHERE pin.follower_count IS NOT NULL
GROUP BY people.join_year, people.age_group
ORDER BY join_year, age_group
