-- order: 6
-- The most popular category in each age group; ties are all listed, people under 18 are left out.
WITH people AS (
  SELECT ind, CASE
    WHEN age BETWEEN 18 AND 24 THEN '18-24'
    WHEN age BETWEEN 25 AND 35 THEN '25-35'
    WHEN age BETWEEN 36 AND 50 THEN '36-50'
    WHEN age > 50 THEN '+50'
  END AS age_group
  FROM "user"
  WHERE age >= 18
), counts AS (
  SELECT people.age_group, pin.category, count(*) AS category_count
  FROM pin JOIN people ON pin.ind = people.ind
  WHERE pin.category IS NOT NULL
  GROUP BY people.age_group, pin.category
)
SELECT age_group, category, category_count
FROM (SELECT *, rank() OVER (PARTITION BY age_group ORDER BY category_count DESC, CASE $ties WHEN 'first' THEN category END) AS place FROM counts)
WHERE place = 1
ORDER BY age_group, category
