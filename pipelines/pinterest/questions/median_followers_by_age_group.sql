-- order: 7
-- The median follower count of each age group's posts (exact: the mean of the middle two if their number is even).
WITH people AS (
  SELECT ind, CASE
    WHEN age BETWEEN 18 AND 24 THEN '18-24'
    WHEN age BETWEEN 25 AND 35 THEN '25-35'
    WHEN age BETWEEN 36 AND 50 THEN '36-50'
    WHEN age > 50 THEN '+50'
  END AS age_group
  FROM "user"
  WHERE age >= 18
)
SELECT people.age_group, CASE $median
    WHEN 'approx' THEN array_sort(array_agg(CAST(pin.follower_count AS DOUBLE)))[(count(*) + 1) / 2]
    ELSE median(CAST(pin.follower_count AS DOUBLE))
  END AS median_follower_count
FROM pin JOIN people ON pin.ind = people.ind
WHERE pin.follower_count IS NOT NULL
GROUP BY people.age_group
ORDER BY age_group
