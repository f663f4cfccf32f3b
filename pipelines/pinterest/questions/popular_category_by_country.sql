-- order: 1
-- The most popular category in each country; ties are all listed.
WITH counts AS (
  SELECT geo.country, pin.category, count(*) AS category_count
  FROM pin JOIN geo ON pin.ind = geo.ind
  WHERE pin.category IS NOT NULL
  GROUP BY geo.country, pin.category
)
SELECT country, category, category_count
FROM (SELECT *, rank() OVER (PARTITION BY country ORDER BY category_count DESC, CASE $ties WHEN 'first' THEN category END) AS place FROM counts)
WHERE place = 1
ORDER BY country, category
