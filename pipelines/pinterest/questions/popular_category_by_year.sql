-- order: 3
-- The most popular category in each year from 2018 to 2022; ties are all listed.
WITH counts AS (
  SELECT CAST(date_part('year', geo."timestamp") AS BIGINT) AS post_year, pin.category, count(*) AS category_count
  FROM pin JOIN geo ON pin.ind = geo.ind
  WHERE pin.category IS NOT NULL AND geo."timestamp" >= '2018-01-01T00:00:00Z' AND geo."timestamp" < '2023-01-01T00:00:00Z'
  GROUP BY 1, 2
)
SELECT post_year, category, category_count
FROM (SELECT *, rank() OVER (PARTITION BY post_year ORDER BY category_count DESC, CASE $ties WHEN 'first' THEN category END) AS place FROM counts)
WHERE place = 1
ORDER BY post_year, category
