-- order: 4
-- The user with the most followers in each country; ties are all listed, equal rows once.
WITH posters AS (
  SELECT geo.country, pin.poster_name, max(pin.follower_count) AS follower_count
  FROM pin JOIN geo ON pin.ind = geo.ind
  WHERE pin.follower_count IS NOT NULL AND pin.poster_name IS NOT NULL
  GROUP BY geo.country, pin.poster_name
)
SELECT country, poster_name, follower_count
FROM (SELECT *, rank() OVER (PARTITION BY country ORDER BY follower_count DESC, CASE $ties WHEN 'first' THEN poster_name END) AS place FROM posters)
WHERE place = 1
ORDER BY country, poster_name
