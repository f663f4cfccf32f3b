-- order: 9
-- The median follower count of the posts of users who joined from 2015 to 2020, by joining year.
SELECT CAST(date_part('year', "user".date_joined) AS BIGINT) AS join_year,
  CASE $median
    WHEN 'approx' THEN array_sort(array_agg(CAST(pin.follower_count AS DOUBLE)))[(count(*) + 1) / 2]
    ELSE median(CAST(pin.follower_count AS DOUBLE))
  END AS median_follower_count
FROM pin JOIN "user" ON pin.ind = "user".ind
WHERE pin.follower_count IS NOT NULL
  AND "user".date_joined >= '2015-01-01T00:00:00Z' AND "user".date_joined < '2021-01-01T00:00:00Z'
GROUP BY 1
ORDER BY join_year
