-- order: 5
-- The country of the user with the most followers; ties are all listed.
WITH countries AS (
  SELECT geo.country, max(pin.follower_count) AS follower_count
  FROM pin JOIN geo ON pin.ind = geo.ind
  WHERE pin.follower_count IS NOT NULL AND pin.poster_name IS NOT NULL
  GROUP BY geo.country
)
SELECT country, follower_count
FROM (SELECT *, rank() OVER (ORDER BY follower_count DESC, CASE $ties WHEN 'first' THEN country END) AS place FROM countries)
WHERE place = 1
ORDER BY country
